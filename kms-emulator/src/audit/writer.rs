//! The thread that owns the log files.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::TryRecvError;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::files::Trail;
use super::queue::{Receiver, Waiting};
use super::record::Event;
use super::{AuditError, SYNC_MILLIS};
use super::{DRAIN_MILLIS, LOG_FILE_BYTES_MAX, LOG_FILE_SECONDS_MAX, OnFailure, RETRY_MILLIS};
use crate::clock::Clock;

/// Events that are written at a time.
const BATCH_EVENTS_MAX: usize = 1_024;

/// Starts the writer. It ends, and the receiver that is returned resolves, once every sender is gone and
/// the last log file is closed.
pub(super) fn spawn(
    trail: Trail,
    waiting: Receiver,
    clock: Arc<dyn Clock>,
) -> oneshot::Receiver<()> {
    let (end, ended) = oneshot::channel();
    std::thread::spawn(move || {
        Writer { trail, waiting, clock, unrecorded: 0 }.run();
        // Nobody waits for the end of a server that was only dropped.
        end.send(()).ok();
    });
    ended
}

struct Writer {
    trail: Trail,
    waiting: Receiver,
    clock: Arc<dyn Clock>,
    /// Records that were lost since the last gap was recorded.
    unrecorded: u64,
}

impl Writer {
    fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH_EVENTS_MAX);
        let mut synced = Instant::now();
        loop {
            let is_over = self.drain(&mut batch);
            self.tend(&mut synced, is_over);
            if is_over {
                return;
            }
            std::thread::sleep(Duration::from_millis(DRAIN_MILLIS));
        }
    }

    /// Writes all that waits; returns whether nothing can come any more.
    fn drain(&mut self, batch: &mut Vec<Waiting>) -> bool {
        loop {
            let is_over = self.fill(batch);
            let is_all = batch.len() < BATCH_EVENTS_MAX;
            self.write_all(batch, is_over);
            if is_over || is_all {
                return is_over;
            }
        }
    }

    /// Takes what waits; returns whether nothing can come any more.
    fn fill(&self, batch: &mut Vec<Waiting>) -> bool {
        while batch.len() < BATCH_EVENTS_MAX {
            match self.waiting.events.try_recv() {
                Ok(waiting) => batch.push(waiting),
                Err(TryRecvError::Empty) => return false,
                Err(TryRecvError::Disconnected) => return true,
            }
        }
        false
    }

    /// Writes a batch, again and again if need be; gives it up only where records may be lost.
    fn write_all(&mut self, batch: &mut Vec<Waiting>, is_over: bool) {
        let state = Arc::clone(&self.waiting.state);
        while !batch.is_empty() {
            match self.write(batch) {
                Ok(()) => {
                    if state.is_failing.swap(false, Ordering::Relaxed) {
                        tracing::warn!("the audit trail is written again");
                    }
                    state.written.fetch_add(batch.len() as u64, Ordering::Relaxed);
                    batch.clear();
                }
                Err(error) => {
                    if !state.is_failing.swap(true, Ordering::Relaxed) {
                        tracing::error!(%error, "the audit trail cannot be written");
                    }
                    if self.waiting.on_failure == OnFailure::Continue || is_over {
                        self.lose(batch);
                        return;
                    }
                    std::thread::sleep(Duration::from_millis(RETRY_MILLIS));
                }
            }
        }
    }

    fn lose(&mut self, batch: &mut Vec<Waiting>) {
        let lost = batch.len() as u64;
        self.unrecorded = self.unrecorded.saturating_add(lost);
        self.waiting.state.lost.fetch_add(lost, Ordering::Relaxed);
        batch.clear();
    }

    fn write(&mut self, batch: &[Waiting]) -> Result<(), AuditError> {
        if self.unrecorded > 0
            && let Some((account, region)) =
                batch.iter().find_map(|w| Some((w.event.account()?, w.event.region().clone())))
        {
            let gap = Event::gap(self.clock.now(), account, region, self.unrecorded);
            self.trail.append(std::iter::once(&gap), self.clock.now())?;
            self.unrecorded = 0;
        }
        self.trail.append(batch.iter().map(|waiting| &waiting.event), self.clock.now())
    }

    /// Closes the log file when it is old or long enough, or syncs it when that is due.
    fn tend(&mut self, synced: &mut Instant, is_over: bool) {
        let now = self.clock.now();
        let is_due = self.trail.open_log().is_some_and(|log| {
            log.bytes() >= LOG_FILE_BYTES_MAX
                || now >= log.opened().plus_seconds(LOG_FILE_SECONDS_MAX)
        });
        let tended = if is_due || is_over {
            self.trail.close_log(now)
        } else if synced.elapsed() >= Duration::from_millis(SYNC_MILLIS) {
            *synced = Instant::now();
            self.trail.sync()
        } else {
            return;
        };
        if let Err(error) = tended {
            tracing::error!(%error, "the audit trail was not synced");
        }
    }
}
