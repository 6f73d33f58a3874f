//! Drives a server: as fast as replies come, or at a given rate.
//!
//! One thread for each connection, which sends a request and waits for its reply.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use super::process::processor_time;
use super::subject::Subject;
use super::wire::Connection;
use crate::BenchError;

/// Warming up takes the span divided by this.
const WARM_UP_PART: u32 = 5;

/// Requests that are asked in turn, over a number of connections.
pub(super) struct Load {
    pub(super) requests: Arc<[Vec<u8>]>,
    pub(super) connections: usize,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    /// Replies each second.
    pub(super) per_second: f64,
    /// The time that half of the replies took at most.
    pub(super) median: Duration,
    /// The time that 99 of 100 replies took at most.
    pub(super) p99: Duration,
    /// The server's processor time for each reply.
    pub(super) processor: Duration,
}

/// What the threads do now.
struct Phase(AtomicU8);

const WARMING: u8 = 0;
const MEASURING: u8 = 1;
const DONE: u8 = 2;

/// Asks as fast as replies come, for `span`.
///
/// # Errors
/// [`BenchError::Refused`] at the first reply that is not a success.
pub(super) fn closed(
    subject: &Subject,
    load: &Load,
    span: Duration,
) -> Result<Measured, BenchError> {
    measure(subject, load, span, |_, phase, worker| {
        let mut latencies = Vec::new();
        while phase.now() != DONE {
            let measured = phase.now() == MEASURING;
            let started = Instant::now();
            worker.ask()?;
            if measured {
                latencies.push(started.elapsed());
            }
        }
        Ok(latencies)
    })
}

/// Asks at a rate, in requests each second over all connections, for `span`. A request that cannot go out
/// on time since the one before is not answered counts from when it should have gone.
///
/// # Errors
/// As [`closed`].
pub(super) fn paced(
    subject: &Subject,
    load: &Load,
    per_second: f64,
    span: Duration,
) -> Result<Measured, BenchError> {
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let interval = Duration::from_secs_f64(load.connections as f64 / per_second);
    let count = u32::try_from(load.connections).unwrap_or(u32::MAX);
    let start = Instant::now();
    measure(subject, load, span, move |number, phase, worker| {
        let mut latencies = Vec::new();
        let mut due = start + interval / count * number;
        while phase.now() != DONE {
            let waits = due.saturating_duration_since(Instant::now());
            std::thread::sleep(waits);
            // The system wakes a sleeper late by its timer's slack, which is no server's fault.
            let from = if waits.is_zero() { due } else { Instant::now() };
            let measured = phase.now() == MEASURING;
            worker.ask()?;
            if measured {
                latencies.push(from.elapsed());
            }
            due += interval;
        }
        Ok(latencies)
    })
}

/// Sends `count` requests over the load's connections.
///
/// # Errors
/// As [`closed`].
pub(super) fn count(subject: &Subject, load: &Load, count: usize) -> Result<(), BenchError> {
    let each = count / load.connections;
    let ask = |worker: &mut Worker<'_>| (0..each).try_for_each(|_| worker.ask());
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for number in 0..load.connections {
            let mut worker = Worker::new(subject, load, number);
            threads.push(scope.spawn(move || ask(&mut worker)));
        }
        threads.into_iter().try_for_each(|thread| joined(thread.join()))
    })
}

fn measure(
    subject: &Subject,
    load: &Load,
    span: Duration,
    work: impl Fn(u32, &Phase, &mut Worker<'_>) -> Result<Vec<Duration>, BenchError> + Sync,
) -> Result<Measured, BenchError> {
    let phase = Phase(AtomicU8::new(WARMING));
    let (work, phase) = (&work, &phase);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0_u32..)
            .take(load.connections)
            .map(|number| {
                let mut worker = Worker::new(subject, load, number as usize);
                scope.spawn(move || {
                    let outcome = work(number, phase, &mut worker);
                    if outcome.is_err() {
                        phase.set(DONE);
                    }
                    outcome
                })
            })
            .collect();
        std::thread::sleep(span / WARM_UP_PART);
        let before = processor_time(subject.process);
        phase.advance(MEASURING);
        let started = Instant::now();
        std::thread::sleep(span);
        let after = processor_time(subject.process);
        let elapsed = started.elapsed();
        // Before any error is returned, or the threads would go on for ever.
        phase.set(DONE);
        let mut latencies = Vec::new();
        for thread in threads {
            latencies.extend(joined(thread.join())?);
        }
        Ok(summary(latencies, elapsed, after?.saturating_sub(before?)))
    })
}

fn joined<T>(outcome: std::thread::Result<Result<T, BenchError>>) -> Result<T, BenchError> {
    outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
fn summary(mut latencies: Vec<Duration>, elapsed: Duration, processor: Duration) -> Measured {
    latencies.sort_unstable();
    let count = latencies.len();
    let percentile = |part: usize| latencies.get(count * part / 100).copied().unwrap_or_default();
    Measured {
        per_second: count as f64 / elapsed.as_secs_f64(),
        median: percentile(50),
        p99: percentile(99),
        processor: processor / u32::try_from(count).unwrap_or(u32::MAX).max(1),
    }
}

impl Phase {
    fn now(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, phase: u8) {
        self.0.store(phase, Ordering::Relaxed);
    }

    /// Goes on to a later phase, unless a thread has ended it all.
    fn advance(&self, phase: u8) {
        self.0.fetch_max(phase, Ordering::Relaxed);
    }
}

/// One connection, and the requests that it sends in turn.
struct Worker<'a> {
    server: &'a str,
    connection: Connection,
    requests: &'a [Vec<u8>],
    next: usize,
}

impl<'a> Worker<'a> {
    fn new(subject: &'a Subject, load: &'a Load, number: usize) -> Self {
        Self {
            server: &subject.name,
            connection: Connection::new(subject.address),
            requests: &load.requests,
            next: number,
        }
    }

    fn ask(&mut self) -> Result<(), BenchError> {
        let index = self.next % self.requests.len().max(1);
        let request = self.requests.get(index).map_or(&[][..], Vec::as_slice);
        self.next = self.next.wrapping_add(1);
        let reply = self.connection.exchange(request).map_err(BenchError::exchange(self.server))?;
        if reply.status == 200 {
            return Ok(());
        }
        Err(BenchError::refused(self.server, reply.status, reply.body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_times() {
        let times = (1..=200).rev().map(Duration::from_millis).collect();
        let measured = summary(times, Duration::from_secs(2), Duration::from_millis(400));
        assert!((measured.per_second - 100.0).abs() < 1e-9);
        assert_eq!(measured.median, Duration::from_millis(101));
        assert_eq!(measured.p99, Duration::from_millis(199));
        assert_eq!(measured.processor, Duration::from_millis(2));
    }
}
