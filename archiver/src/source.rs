//! What the engine archives from: a tree that can be walked and whose files can be read.
//!
//! The engine knows no file system. It takes entries in [`EntryPath`](crate::entry::EntryPath)
//! order from [`Source::walk`], decides which files must be read, and reads these from several
//! threads through [`Source::open`]. Whatever cannot be read is reported beside the entries and
//! never ends the walk: one bad entry costs neither its neighbours nor its directory.

use std::io;
use std::ops::Range;

use crate::entry::{Entry, InodeId, Timestamp};
use crate::error::Result;

/// The size of an entry whose file ends when it ends, as a pipe's does. The engine puts the real one
/// in its place when it has read the file.
pub const SIZE_UNKNOWN: u64 = u64::MAX;

/// A tree to be archived.
pub trait Source: Send + Sync {
    /// Walks the whole tree, root first, in [`EntryPath`](crate::entry::EntryPath) order and in
    /// memory bounded by the largest directory.
    ///
    /// The iterator is driven by one thread; it may read ahead on others. It must not hand out a
    /// child whose parent it did not hand out, nor any path twice.
    fn walk(&self) -> Box<dyn Iterator<Item = Found> + Send + '_>;

    /// Opens the file that `entry` was made from, for reading, without following symbolic links.
    ///
    /// Called for entries of kind [`EntryKind::File`](crate::entry::EntryKind::File) only, from
    /// any thread, possibly long after the walk passed by.
    ///
    /// # Errors
    /// Whatever the system says; a name that no longer is a regular file is an error too.
    fn open(&self, entry: &Entry) -> io::Result<Box<dyn SourceFile>>;

    /// Whether what was handed out may become a snapshot; asked once, on a thread that may wait,
    /// when everything was read and stored and nothing was committed yet.
    ///
    /// # Errors
    /// [`Error::Source`](crate::Error::Source) when it turned out not to be the whole.
    fn finish(&self) -> Result<()> {
        Ok(())
    }
}

/// One file open for reading.
pub trait SourceFile: Send {
    /// Reads up to `buffer.len()` bytes at byte `offset`; 0 means the end of the file.
    ///
    /// Calls come with ascending offsets, so that a source that can only stream may serve them.
    ///
    /// # Errors
    /// Whatever the system says, `Interrupted` excepted, which the implementation retries.
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// The first range of bytes at or after `from` that is not a hole; `None` when only holes
    /// or the end follow. A source that knows of no holes answers `from..size`.
    ///
    /// # Errors
    /// Whatever the system says.
    fn next_data(&mut self, from: u64) -> io::Result<Option<Range<u64>>>;

    /// What the open file says of itself now; compared with the entry after reading, to notice a
    /// file that changed under the reader.
    ///
    /// # Errors
    /// Whatever the system says.
    fn state(&mut self) -> io::Result<FileState>;
}

/// The attributes that tell whether a file's content is still what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileState {
    /// Length in bytes.
    pub size: u64,
    /// Last modification of the content.
    pub modified: Timestamp,
    /// Last change of the inode.
    pub changed: Timestamp,
    /// Which inode it is.
    pub inode: InodeId,
}

/// What a walk hands out, one after the other.
#[derive(Debug)]
pub enum Found {
    /// An entry to archive.
    Entry(Entry),
    /// A name that exists but cannot be archived in full; counted, reported, and reflected in the
    /// exit status.
    Unreadable(Trouble),
    /// Left out on purpose, such as a socket: reported, without being a failure.
    Skipped(Trouble),
}

/// One thing that went wrong with one name of the tree, on the way in or on the way out.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {error}", String::from_utf8_lossy(.path))]
pub struct Trouble {
    /// The path below the tree's root, as raw bytes; it need not be a valid
    /// [`EntryPath`](crate::entry::EntryPath).
    pub path: Vec<u8>,
    /// What was tried, as a verb with its object: `"open"`, `"list the directory"`,
    /// `"set the owner of"`.
    pub action: &'static str,
    /// What the system answered.
    #[source]
    pub error: io::Error,
}

impl FileState {
    /// Whether a file whose entry is `entry` still is what it was when the entry was made.
    #[must_use]
    pub fn matches(&self, entry: &Entry) -> bool {
        entry.size() == Some(self.size)
            && entry.modified == self.modified
            && entry.changed == self.changed
            && entry.inode == self.inode
    }
}
