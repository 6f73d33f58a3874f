//! How a caller follows a long operation, and stops it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::entry::EntryPath;
use crate::error::{Error, Result};
use crate::source::Trouble;
use crate::store::ObjectName;

/// What an operation reports while it runs; called from any of its threads, so keep it quick.
pub trait Observer: Send + Sync {
    /// An entry that could not be archived or restored in full. Counted as a failure.
    fn trouble(&self, _trouble: &Trouble) {}

    /// An entry that is left out on purpose.
    fn skipped(&self, _trouble: &Trouble) {}

    /// A file that changed while it was read: what was read of it is stored.
    fn changed(&self, _path: &EntryPath) {}

    /// A snapshot that would have served as parent cannot be read, so that every file is read
    /// again.
    fn parent_unreadable(&self, _error: &Error) {}

    /// A check found an object at fault.
    fn problem(&self, _problem: &crate::check::Problem) {}

    /// A part of a snapshot is lost.
    fn lost(&self, _snapshot: crate::id::ObjectId, _loss: &crate::repair::Loss) {}

    /// A collector waits for a writer, on this host if it could learn that.
    fn awaiting(&self, _session: crate::id::ObjectId, _host: Option<&str>) {}

    /// An object was checked and is whole.
    fn checked(&self, _object: ObjectName) {}
}

/// An observer that looks away.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {}

/// Counters that an operation keeps up to date; read them as often as a progress bar likes.
#[derive(Debug, Default)]
pub struct Progress {
    /// Entries done.
    pub entries: AtomicU64,
    /// Bytes of files done: read, taken over unchanged, or restored.
    pub bytes: AtomicU64,
    /// Entries to be done, once known; 0 before.
    pub entries_total: AtomicU64,
    /// Bytes to be done, once known; 0 before.
    pub bytes_total: AtomicU64,
}

/// The caller's hold on one operation.
#[derive(Clone)]
pub struct Control {
    /// Counters.
    pub progress: Arc<Progress>,
    /// Who is told.
    pub observer: Arc<dyn Observer>,
    stop: Arc<AtomicBool>,
}

impl Control {
    /// A hold with fresh counters.
    #[must_use]
    pub fn new(observer: Arc<dyn Observer>) -> Self {
        Self { progress: Arc::default(), observer, stop: Arc::default() }
    }

    /// Asks the operation to end soon, with [`Error::Stopped`] and nothing committed.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether [`Control::stop`] was called.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.is_stopped() { Err(Error::Stopped) } else { Ok(()) }
    }
}

impl Default for Control {
    fn default() -> Self {
        Self::new(Arc::new(Unobserved))
    }
}

impl Progress {
    pub(crate) fn add(&self, entries: u64, bytes: u64) {
        self.entries.fetch_add(entries, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}
