//! What all threads of one backup share, and how they are started and stopped.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};

use crate::control::Control;
use crate::error::{Error, Result};
use crate::index::Catalog;
use crate::location::Location;
use crate::pack::{Ledger, PackWriter};
use crate::session::SessionState;

/// Large files that are read at once: their chunks keep the other threads busy.
const LARGE_FILES_MAX: usize = 2;

/// Threads beside one for each CPU, which wait for the disk or the store meanwhile.
const THREADS_EXTRA: usize = 1;

/// One backup in progress.
pub(crate) struct Engine {
    pub(crate) location: Arc<Location>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) data: PackWriter,
    pub(crate) verify: bool,
    pub(crate) control: Control,
    session: SessionState,
    pub(crate) runtime: Handle,
    pub(crate) counters: Counters,
    threads: Arc<Semaphore>,
    large: Arc<Semaphore>,
    failed: AtomicBool,
    failure: Mutex<Option<Error>>,
}

/// What the threads count together.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) bytes_read: AtomicU64,
    pub(crate) chunks_new: AtomicU64,
    pub(crate) bytes_new: AtomicU64,
}

impl Engine {
    pub(crate) fn new(
        location: Arc<Location>,
        catalog: Arc<Catalog>,
        data: PackWriter,
        verify: bool,
        control: Control,
        session: SessionState,
        threads: usize,
    ) -> Self {
        Self {
            location,
            catalog,
            data,
            verify,
            control,
            session,
            runtime: Handle::current(),
            counters: Counters::default(),
            threads: Arc::new(Semaphore::new(threads + THREADS_EXTRA)),
            large: Arc::new(Semaphore::new(LARGE_FILES_MAX)),
            failed: AtomicBool::new(false),
            failure: Mutex::default(),
        }
    }

    /// Runs `work` on a thread as soon as one is free; waits until then.
    pub(crate) fn submit<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> oneshot::Receiver<Result<T>> {
        self.start(&self.threads, work)
    }

    /// Runs the reading of a large file, which submits work itself and so must not hold one of
    /// the threads that it waits for.
    pub(crate) fn submit_large<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> oneshot::Receiver<Result<T>> {
        self.start(&self.large, work)
    }

    /// What is done already, in the form of what will be.
    pub(crate) fn ready<T>(&self, done: Result<T>) -> oneshot::Receiver<Result<T>> {
        let (reply, receiver) = oneshot::channel();
        // The receiver is right here.
        let _ = reply.send(self.noted(done));
        receiver
    }

    fn start<T: Send + 'static>(
        self: &Arc<Self>,
        permits: &Arc<Semaphore>,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> oneshot::Receiver<Result<T>> {
        let (reply, receiver) = oneshot::channel();
        let permit = self.runtime.block_on(permits.clone().acquire_owned());
        let engine = self.clone();
        self.runtime.spawn_blocking(move || {
            let _permit = permit;
            let result = if engine.has_failed() { Err(Error::Stopped) } else { work() };
            // Who does not wait any more has failed and does not want it.
            let _ = reply.send(engine.noted(result));
        });
        receiver
    }

    /// Whether any thread has failed, or there is no point in going on.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire) || self.check().is_err()
    }

    /// Fails when the caller has stopped the backup or a collector has ended its session.
    pub(crate) fn check(&self) -> Result<()> {
        if self.session.is_lost() {
            return Err(Error::Fenced { id: self.session.id() });
        }
        self.control.check()
    }

    /// Remembers the first failure: the others only follow from it.
    fn noted<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| {
            let mut first = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            let was_first = !self.failed.swap(true, Ordering::AcqRel);
            if was_first {
                *first = Some(error);
                return Error::StageLost { stage: "read" };
            }
            error
        })
    }

    /// Ends the data packs if all went well; otherwise returns the failure that was first.
    pub(crate) fn settle<T>(&self, collected: Result<T>) -> Result<(T, Ledger)> {
        let outcome = collected.and_then(|collected| Ok((collected, self.data.finish()?)));
        outcome.map_err(|error| {
            self.failed.store(true, Ordering::Release);
            let first = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
            first.unwrap_or(error)
        })
    }
}
