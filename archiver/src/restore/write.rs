//! Writes what was read, and finishes files when their last chunk arrives.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

use super::Restoring;
use super::plan::{Read, Want};
use crate::entry::Entry;
use crate::error::Result;
use crate::pack::Decoded;
use crate::store::Kind;
use crate::target::{CreatedFile, TargetFile};

/// A file that is being restored, opened by whoever first has something for it.
pub(crate) struct Output {
    entry: Entry,
    /// Chunks that are still to come.
    remaining: AtomicUsize,
    failed: AtomicBool,
    state: RwLock<State>,
}

enum State {
    Unopened,
    Open(Box<dyn TargetFile>),
    /// Kept as it was, or failed: what still comes for it is dropped.
    Closed,
}

/// Decodes the segments of one read and writes what is wanted of each.
pub(crate) fn write(restoring: &Restoring, read: &Read, stored: &[u8]) -> Result<()> {
    let start = read.range().start;
    for (at, wants) in &read.segments {
        let from = usize::try_from(at.offset.saturating_sub(start)).unwrap_or(usize::MAX);
        let to = from.saturating_add(at.stored_len as usize);
        let bytes = stored.get(from..to).unwrap_or_default();
        match restoring.reader.decode(Kind::Data, at, bytes) {
            Ok(decoded) => {
                for want in wants {
                    // One segment can be wanted in a great many places.
                    restoring.control.check()?;
                    want.write(restoring, &decoded);
                }
            }
            Err(error) => {
                let text = error.to_string();
                for want in wants {
                    want.file.fail_damaged(restoring, &text);
                }
            }
        }
    }
    Ok(())
}

impl Want {
    fn write(&self, restoring: &Restoring, segment: &Decoded) {
        match restoring.reader.chunk(Kind::Data, &self.chunk, segment) {
            Ok(bytes) => self.file.write(restoring, self.start, bytes),
            Err(error) => self.file.fail_damaged(restoring, &error.to_string()),
        }
    }
}

impl Output {
    pub(crate) fn new(entry: Entry, chunks: usize) -> Self {
        Self {
            entry,
            remaining: AtomicUsize::new(chunks),
            failed: AtomicBool::new(false),
            state: RwLock::new(State::Unopened),
        }
    }

    fn write(&self, restoring: &Restoring, start: u64, bytes: &[u8]) {
        self.open(restoring);
        // Shared: several threads write to one large file at the same time.
        let written = match &*self.state.read().unwrap_or_else(PoisonError::into_inner) {
            State::Open(file) => Some(file.write_at(start, bytes)),
            State::Unopened | State::Closed => None,
        };
        match written {
            Some(Ok(())) => {
                let count = bytes.len() as u64;
                restoring.counts.bytes.fetch_add(count, Ordering::Relaxed);
                restoring.control.progress.add(0, count);
            }
            Some(Err(error)) => self.fail(restoring, "write", error),
            None => {}
        }
        if self.remaining.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.complete(restoring);
        }
    }

    /// Finishes a file all of whose content is there.
    pub(crate) fn complete(&self, restoring: &Restoring) {
        self.open(restoring);
        let state = std::mem::replace(&mut *self.lock(), State::Closed);
        restoring.control.progress.add(1, 0);
        let State::Open(file) = state else { return };
        match file.finish(&self.entry) {
            Ok(()) => drop(restoring.counts.files.fetch_add(1, Ordering::Relaxed)),
            Err(error) => restoring.trouble(&self.entry, "finish", error),
        }
    }

    /// Gives the file up; reported once, however many of its chunks are lost.
    pub(crate) fn fail(&self, restoring: &Restoring, action: &'static str, error: std::io::Error) {
        *self.lock() = State::Closed;
        if !self.failed.swap(true, Ordering::AcqRel) {
            restoring.trouble(&self.entry, action, error);
        }
    }

    /// Gives the file up because what is stored of it is damaged.
    pub(crate) fn fail_damaged(&self, restoring: &Restoring, text: &str) {
        if !self.failed.load(Ordering::Acquire) {
            restoring.counts.damaged.fetch_add(1, Ordering::Relaxed);
        }
        self.fail(restoring, "read the content of", std::io::Error::other(text.to_owned()));
    }

    fn open(&self, restoring: &Restoring) {
        let mut state = self.lock();
        if !matches!(*state, State::Unopened) {
            return;
        }
        *state = State::Closed;
        match restoring.target.create_file(&self.entry) {
            Ok(CreatedFile::Write(file)) => *state = State::Open(file),
            Ok(CreatedFile::Kept) => {
                restoring.counts.kept.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                drop(state);
                self.fail(restoring, "create", error);
            }
        }
    }

    fn lock(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}
