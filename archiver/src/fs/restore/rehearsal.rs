//! What a restore would do to a directory, without doing it.

use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;

use rustix::fs::FileType;
use rustix::io::Errno;

use super::{Overwrite, stat};
use crate::entry::{Entry, EntryKind};
use crate::fs::beneath::Beneath;

/// A directory that would be restored into; nothing in it is changed.
#[derive(Debug)]
pub struct Rehearsal {
    /// `None` while the directory does not exist.
    root: Option<Beneath>,
    overwrite: Overwrite,
}

/// What would become of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rehearsed {
    /// Nothing stands there: it would be made.
    Create,
    /// What stands there would be replaced.
    Replace,
    /// What stands there would be left alone.
    Keep,
    /// A directory stands there already.
    Merge,
}

impl Rehearsal {
    /// Opens the directory at `path`, if it is there.
    ///
    /// # Errors
    /// What the system says, absence excepted.
    pub fn open(path: &Path, overwrite: Overwrite) -> io::Result<Self> {
        let root = match Beneath::open(path) {
            Ok(root) => Some(root),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self { root, overwrite })
    }

    /// Whether the directory is there.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.root.is_some()
    }

    /// What would become of `entry`.
    ///
    /// # Errors
    /// What the system says.
    pub fn rehearse(&self, entry: &Entry) -> io::Result<Rehearsed> {
        let Some(root) = &self.root else { return Ok(Rehearsed::Create) };
        if entry.path.as_bytes().is_empty() {
            return Ok(Rehearsed::Merge);
        }
        let parent = match root.open_parent(&entry.path) {
            Ok(parent) => parent,
            // What is in the way of the directory above goes with it.
            Err(error) if is_absence(&error) => return Ok(Rehearsed::Create),
            Err(error) => return Err(error),
        };
        let there = match stat(parent.as_fd(), entry.path.name()) {
            Ok(there) => there,
            Err(Errno::NOENT) => return Ok(Rehearsed::Create),
            Err(error) => return Err(error.into()),
        };
        let is_directory = FileType::from_raw_mode(there.st_mode) == FileType::Directory;
        if is_directory && entry.kind == EntryKind::Directory {
            return Ok(Rehearsed::Merge);
        }
        let name = entry.path.name();
        Ok(match self.overwrite.replaces(parent.as_fd(), name, &there, entry) {
            true => Rehearsed::Replace,
            false => Rehearsed::Keep,
        })
    }
}

fn is_absence(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP))
}
