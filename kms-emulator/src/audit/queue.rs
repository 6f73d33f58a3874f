//! The way from a request to the writer.
//!
//! A request pays for a push on a list without a lock and no system call: the writer looks every
//! `DRAIN_MILLIS`. What waits is bounded by weight, not by number, for one record may be a hundred times
//! as long as another.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::record::{Event, Exchange, Touched};
use super::{Figures, OnFailure};
use crate::clock::Timestamp;
use crate::protocol::Fault;

/// Weight of the events that wait for the writer, in bytes; more make their requests wait.
const WAITING_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What a record takes beside the members of its request, in bytes.
const RECORD_BYTES: usize = 2_048;
/// Refused strangers that are recorded in one second.
const STRANGERS_PER_SECOND_MAX: u64 = 20;
/// Bits of `Queue::strangers` that count; the others are the second.
const STRANGER_BITS: u32 = 8;
const STRANGER_MASK: u64 = (1 << STRANGER_BITS) - 1;

/// An event and the room that it takes until it is written.
pub(super) struct Waiting {
    pub(super) event: Event,
    _room: OwnedSemaphorePermit,
}

/// The requests' end.
pub(super) struct Queue {
    events: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
    on_failure: OnFailure,
    /// The present second, and how many strangers were recorded in it.
    strangers: AtomicU64,
    state: Arc<State>,
}

/// What both ends know.
#[derive(Default)]
pub(super) struct State {
    sent: AtomicU64,
    pub(super) written: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) is_failing: AtomicBool,
}

/// The writer's end.
pub(super) struct Receiver {
    pub(super) events: mpsc::Receiver<Waiting>,
    pub(super) on_failure: OnFailure,
    pub(super) state: Arc<State>,
}

/// Makes both ends.
pub(super) fn channel(on_failure: OnFailure) -> (Arc<Queue>, Receiver) {
    let (sender, events) = mpsc::channel();
    let state = Arc::new(State::default());
    let receiver = Receiver { events, on_failure, state: Arc::clone(&state) };
    let room = Arc::new(Semaphore::new(WAITING_BYTES_MAX));
    let strangers = AtomicU64::new(0);
    (Arc::new(Queue { events: sender, room, on_failure, strangers, state }), receiver)
}

impl Queue {
    /// Makes room for the record of a call with a request body of `bytes`, before the call does
    /// anything: a record never waits while its call is already done.
    ///
    /// # Errors
    /// `KMSInternalException` while records cannot be written, if calls are refused then.
    async fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Fault> {
        if self.on_failure == OnFailure::Refuse && self.state.is_failing.load(Ordering::Relaxed) {
            return Err(Fault::internal("the audit trail cannot be written"));
        }
        let weight = bytes.saturating_add(RECORD_BYTES).min(WAITING_BYTES_MAX);
        let weight = u32::try_from(weight).unwrap_or(u32::MAX);
        // It is closed by nobody.
        Arc::clone(&self.room).acquire_many_owned(weight).await.map_err(Fault::internal)
    }

    fn push(&self, event: Event, room: OwnedSemaphorePermit) {
        self.state.sent.fetch_add(1, Ordering::Relaxed);
        if self.events.send(Waiting { event, _room: room }).is_err() {
            tracing::error!("the writer of the audit trail has ended");
        }
    }

    /// Whether the refusal of a stranger is recorded: so many a second, so that nobody without a
    /// credential can fill the disk.
    pub(super) fn records_stranger(&self, now: Timestamp) -> bool {
        let second = now.as_seconds().unsigned_abs();
        let count = |old: u64| match old.checked_shr(STRANGER_BITS) == Some(second) {
            true => (old & STRANGER_MASK < STRANGERS_PER_SECOND_MAX).then(|| old.saturating_add(1)),
            false => Some((second << STRANGER_BITS).saturating_add(1)),
        };
        self.strangers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count).is_ok()
    }

    pub(super) fn figures(&self) -> Figures {
        let sent = self.state.sent.load(Ordering::Relaxed);
        let written = self.state.written.load(Ordering::Relaxed);
        let lost = self.state.lost.load(Ordering::Relaxed);
        Figures {
            written,
            waiting: sent.saturating_sub(written.saturating_add(lost)),
            lost,
            is_failing: self.state.is_failing.load(Ordering::Relaxed),
        }
    }
}

/// A call for whose record there is room. The record is made even if the call's request is dropped
/// before it ends, as happens when the client hangs up: what it asked for may have been done.
pub(crate) struct Admitted {
    operation: &'static str,
    recorded: Option<(Arc<Queue>, Event, OwnedSemaphorePermit)>,
}

impl Admitted {
    /// A call that is not recorded.
    pub(super) fn unrecorded(operation: &'static str) -> Self {
        Self { operation, recorded: None }
    }

    /// A call with a request body of `bytes`.
    pub(super) async fn through(
        queue: &Arc<Queue>,
        operation: &'static str,
        event: Event,
        bytes: usize,
    ) -> Result<Self, Fault> {
        let room = queue.room(bytes).await?;
        Ok(Self { operation, recorded: Some((Arc::clone(queue), event, room)) })
    }

    /// Records the call as it ended.
    pub(crate) fn complete(
        mut self,
        request: &[u8],
        outcome: Result<&[u8], &Fault>,
        touched: &[Touched],
    ) {
        if let Some((queue, mut event, room)) = self.recorded.take() {
            event.complete(Exchange { operation: self.operation, request, outcome }, touched);
            queue.push(event, room);
        }
    }

    /// Records an event that is complete.
    pub(super) fn finish(mut self) {
        if let Some((queue, event, room)) = self.recorded.take() {
            queue.push(event, room);
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if let Some((queue, mut event, room)) = self.recorded.take() {
            event.abandon(self.operation);
            queue.push(event, room);
        }
    }
}
