//! The KMS's state: one immutable snapshot to read, one thread that changes it.
//!
//! Readers take the current `State` without a lock and without the database, and see one consistent
//! moment for as long as they hold it. Writers send a closure to the writer thread, which applies all
//! that wait to one draft, commits them in one transaction, and only then publishes the new state and
//! answers: nothing is acknowledged or visible that is not durable.

mod draft;
mod state;
mod writer;

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};

use crate::storage::{Storage, StorageError};

pub(crate) use draft::Draft;
pub(crate) use state::{Realm, State};
use writer::{BackUp, Job, Update};

/// Updates that may wait for the writer; more make their callers wait.
const PENDING_UPDATES_MAX: usize = 256;

/// An update that was not made.
#[derive(Debug)]
pub(crate) enum UpdateError<E> {
    /// The closure refused; nothing was changed.
    Refused(E),
    /// The storage failed; nothing was acknowledged.
    Storage(Arc<StorageError>),
    /// The server is shutting down.
    Closed,
}

/// The state of a server. Clones share it.
#[derive(Clone)]
pub(crate) struct Registry {
    current: Arc<ArcSwap<State>>,
    updates: mpsc::Sender<Box<dyn Job>>,
    is_failing: Arc<AtomicBool>,
}

impl Registry {
    /// Loads the state and starts the writer thread, which ends when the last `Registry` is dropped.
    /// What is returned beside the registry resolves once the thread has closed the storage.
    pub(crate) fn open(
        mut storage: impl Storage + 'static,
    ) -> Result<(Self, oneshot::Receiver<()>), StorageError> {
        let state = Arc::new(storage.load()?);
        let current = Arc::new(ArcSwap::new(state));
        let (updates, waiting) = mpsc::channel(PENDING_UPDATES_MAX);
        let is_failing = Arc::new(AtomicBool::new(false));
        let closed = writer::spawn(storage, Arc::clone(&current), waiting, Arc::clone(&is_failing));
        Ok((Self { current, updates, is_failing }, closed))
    }

    /// The state as of now.
    pub(crate) fn state(&self) -> Arc<State> {
        self.current.load_full()
    }

    /// Whether the last commit failed.
    pub(crate) fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    /// Writes a copy of the state, as of a commit, into a directory that is there.
    pub(crate) async fn back_up(&self, dir: PathBuf) -> Result<(), UpdateError<Infallible>> {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(BackUp::new(dir, reply));
        self.updates.send(job).await.map_err(|_| UpdateError::Closed)?;
        answer.await.map_err(|_| UpdateError::Closed)?
    }

    /// Changes the state: runs `work` on a draft of the newest state, makes what it did durable,
    /// publishes it, and returns what `work` returned. If `work` fails nothing of it is kept.
    ///
    /// `work` may run more than once: it must decide by the draft alone.
    pub(crate) async fn update<T, E, F>(&self, work: F) -> Result<T, UpdateError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: Fn(&mut Draft) -> Result<T, E> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Update::new(work, reply));
        self.updates.send(job).await.map_err(|_| UpdateError::Closed)?;
        answer.await.map_err(|_| UpdateError::Closed)?
    }
}
