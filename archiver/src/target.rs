//! What the engine restores to: a tree below one root that no entry can leave.
//!
//! The engine creates every directory in [`EntryPath`] order, then
//! files and other objects from several threads in any order, hard links when the name they
//! link to is complete, and finishes directories last and deepest first, so that neither their
//! times nor their permissions are in the way of their children. What to do about a name that
//! exists is the target's decision, from its own options.

use std::io;

use crate::entry::{Entry, EntryPath};
use crate::source::{Source, SourceFile, Trouble};

/// A tree that is being restored.
///
/// A failure concerns one entry: the engine reports and counts it and goes on with the others.
/// Implementations must never follow a symbolic link below the root, never write outside of it,
/// and never trust that an entry is harmless.
pub trait Target: Send + Sync {
    /// Makes a directory, usable by its owner until [`Target::finish_directory`]. The root
    /// (the empty path) exists already or is made too.
    ///
    /// # Errors
    /// Whatever the system says.
    fn create_directory(&self, entry: &Entry) -> io::Result<Created>;

    /// Starts a regular file of the entry's size; its bytes arrive through the handle.
    ///
    /// # Errors
    /// Whatever the system says.
    fn create_file(&self, entry: &Entry) -> io::Result<CreatedFile>;

    /// Makes a symbolic link, FIFO or device with its attributes.
    ///
    /// # Errors
    /// Whatever the system says.
    fn create_special(&self, entry: &Entry) -> io::Result<Created>;

    /// Makes `entry` another name of `original`, which was restored before.
    ///
    /// # Errors
    /// Whatever the system says.
    fn create_link(&self, entry: &Entry, original: &EntryPath) -> io::Result<Created>;

    /// Gives a directory its attributes, after everything below it is complete.
    ///
    /// # Errors
    /// Whatever the system says.
    fn finish_directory(&self, entry: &Entry) -> io::Result<()>;

    /// Sets what forbids any further change, such as the flags of files and directories that were made;
    /// called when all else is done. Answers what could not be set.
    fn seal(&self) -> Vec<Trouble>;

    /// What stands in the tree now, restored or not, as a tree to walk.
    ///
    /// # Errors
    /// Whatever the system says.
    fn standing(&self) -> io::Result<Box<dyn Source>>;

    /// Removes what was walked under the entry's name; a directory only when it is empty.
    ///
    /// # Errors
    /// Whatever the system says.
    fn remove(&self, entry: &Entry) -> io::Result<()>;

    /// Opens the regular file under the entry's name to read what is really stored of it.
    ///
    /// # Errors
    /// Whatever the system says.
    fn read_back(&self, entry: &Entry) -> io::Result<Box<dyn SourceFile>>;
}

/// What became of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It now is what the snapshot says.
    Done,
    /// Something else stands there and the options say to leave it alone.
    Kept,
}

/// What became of a file's name.
pub enum CreatedFile {
    /// The file waits for its content.
    Write(Box<dyn TargetFile>),
    /// Something stands there and the options say to leave it alone; no content is fetched.
    Kept,
}

/// One file that is being written, from any thread and in any order.
///
/// Bytes that are never written read as zeroes: the engine does not write holes. Dropping the
/// handle without [`TargetFile::finish`] abandons the file; the target removes what it can, so
/// that no half-written file stands under a finished name.
pub trait TargetFile: Send + Sync {
    /// Writes all of `data` at byte `offset`.
    ///
    /// # Errors
    /// Whatever the system says, after retrying interruptions and short writes.
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()>;

    /// Says that all content has arrived: sets the length and the entry's attributes.
    ///
    /// # Errors
    /// Whatever the system says.
    fn finish(self: Box<Self>, entry: &Entry) -> io::Result<()>;
}
