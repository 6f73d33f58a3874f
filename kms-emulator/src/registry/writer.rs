//! The thread that owns the storage and commits updates in groups.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};

use super::{Draft, State, UpdateError};
use crate::storage::{Storage, StorageError};

/// Updates in one transaction: bounds how long the first of them waits.
const GROUP_UPDATES_MAX: usize = 64;

/// An update of any type, as the writer sees it.
pub(super) trait Job: Send {
    /// Runs the update on the draft; undoes it there if it fails.
    fn apply(&mut self, draft: &mut Draft);

    /// Works on the storage between the group's commit and its answers; updates have nothing to do there.
    fn after_commit(&mut self, _storage: &mut dyn Storage) {}

    /// Answers the caller, now that the group was committed or was not.
    fn finish(self: Box<Self>, committed: Result<(), Arc<StorageError>>);
}

/// An update, its outcome so far and the caller that waits for it.
pub(super) struct Update<T, E, F> {
    work: F,
    outcome: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, UpdateError<E>>>,
}

impl<T, E, F> Update<T, E, F> {
    pub(super) fn new(work: F, reply: oneshot::Sender<Result<T, UpdateError<E>>>) -> Self {
        Self { work, outcome: None, reply }
    }
}

impl<T, E, F> Job for Update<T, E, F>
where
    T: Send,
    E: Send,
    F: Fn(&mut Draft) -> Result<T, E> + Send,
{
    fn apply(&mut self, draft: &mut Draft) {
        let before = draft.savepoint();
        let outcome = (self.work)(draft);
        if outcome.is_err() {
            draft.roll_back(before);
        }
        self.outcome = Some(outcome);
    }

    fn finish(self: Box<Self>, committed: Result<(), Arc<StorageError>>) {
        let answer = match (self.outcome, committed) {
            // Even a refusal: it may rest on another update of the group that was not committed.
            (_, Err(error)) => Err(UpdateError::Storage(error)),
            (Some(Err(refused)), Ok(())) => Err(UpdateError::Refused(refused)),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(UpdateError::Closed),
        };
        // A caller that has hung up has nobody to be told.
        drop(self.reply.send(answer));
    }
}

/// A copy of the storage, and the caller that waits for it.
pub(super) struct BackUp {
    dir: PathBuf,
    outcome: Option<Result<(), StorageError>>,
    reply: oneshot::Sender<Result<(), UpdateError<Infallible>>>,
}

impl BackUp {
    pub(super) fn new(
        dir: PathBuf,
        reply: oneshot::Sender<Result<(), UpdateError<Infallible>>>,
    ) -> Self {
        Self { dir, outcome: None, reply }
    }
}

impl Job for BackUp {
    fn apply(&mut self, _draft: &mut Draft) {}

    fn after_commit(&mut self, storage: &mut dyn Storage) {
        self.outcome = Some(storage.back_up(&self.dir));
    }

    fn finish(self: Box<Self>, _committed: Result<(), Arc<StorageError>>) {
        let answer = match self.outcome {
            Some(outcome) => outcome.map_err(|error| UpdateError::Storage(Arc::new(error))),
            None => Err(UpdateError::Closed),
        };
        // A caller that has hung up has nobody to be told.
        drop(self.reply.send(answer));
    }
}

/// Starts the writer, which tells by `is_failing` whether its last commit failed. It ends when every sender of `waiting` is gone; then the storage is closed and the
/// receiver that is returned resolves.
pub(super) fn spawn(
    mut storage: impl Storage + 'static,
    current: Arc<ArcSwap<State>>,
    mut waiting: mpsc::Receiver<Box<dyn Job>>,
    is_failing: Arc<AtomicBool>,
) -> oneshot::Receiver<()> {
    let (end, ended) = oneshot::channel();
    std::thread::spawn(move || {
        let mut group = Vec::with_capacity(GROUP_UPDATES_MAX);
        while waiting.blocking_recv_many(&mut group, GROUP_UPDATES_MAX) > 0 {
            let committed = commit_group(&mut storage, &current, &mut group);
            is_failing.store(!committed, Ordering::Relaxed);
        }
        drop(storage);
        // Nobody waits for the end of a server that was only dropped.
        end.send(()).ok();
    });
    ended
}

/// Commits a group, and returns whether that worked.
fn commit_group(
    storage: &mut impl Storage,
    current: &ArcSwap<State>,
    group: &mut Vec<Box<dyn Job>>,
) -> bool {
    let mut draft = Draft::of(&current.load());
    for job in group.iter_mut() {
        job.apply(&mut draft);
    }
    let committed = match draft.changes() {
        [] => Ok(()),
        changes => storage.commit(changes).map_err(Arc::new),
    };
    if committed.is_ok() {
        current.store(Arc::new(draft.into_state()));
    }
    for job in group.iter_mut() {
        job.after_commit(storage);
    }
    for job in group.drain(..) {
        job.finish(committed.clone());
    }
    committed.is_ok()
}
