//! The bytes of one local file, holes known.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{Advice, Mode, OFlags, SeekFrom};
use rustix::io::Errno;

use crate::entry::{Entry, EntryPath};
use crate::source::{FileState, SourceFile};

use super::beneath::Beneath;
use super::capture::{Examined, examine};

/// Files of at least this many bytes are announced to the kernel as read from end to end.
const READ_AHEAD_BYTES_MIN: u64 = 1 << 20;

const REPLACED: &str = "another object has taken its place";

/// A regular file, open for reading.
#[derive(Debug)]
pub(super) struct LocalFile {
    file: File,
    size: u64,
    /// Fewer blocks are allocated than the size needs: there may be holes.
    sparse: bool,
}

impl LocalFile {
    /// Opens `path` below `root`, which must be the regular file that `entry` describes.
    pub(super) fn open(root: &Beneath, path: &EntryPath, entry: &Entry) -> io::Result<Self> {
        // A FIFO that took the file's place must not block the reader: hence NONBLOCK.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let opened = match root.open_at(path, flags | OFlags::NOATIME, Mode::empty()) {
            // Only the owner may leave the access time alone.
            Err(error) if error.raw_os_error() == Some(Errno::PERM.raw_os_error()) => {
                root.open_at(path, flags, Mode::empty())?
            }
            other => other?,
        };
        let (file, state) = Self::examined(opened)?;
        if state.inode != entry.inode {
            return Err(io::Error::other(REPLACED));
        }
        Ok(file)
    }

    /// The regular file that is open.
    pub(super) fn of_opened(opened: OwnedFd) -> io::Result<Self> {
        Ok(Self::examined(opened)?.0)
    }

    fn examined(opened: OwnedFd) -> io::Result<(Self, FileState)> {
        let Examined { state, allocated, regular } = examine(opened.as_fd())?;
        if !regular {
            return Err(io::Error::other(REPLACED));
        }
        if state.size >= READ_AHEAD_BYTES_MIN {
            // Advice only: a file system that takes none is no reason to fail.
            let _ = rustix::fs::fadvise(&opened, 0, None, Advice::Sequential);
        }
        let sparse = allocated < state.size;
        Ok((Self { file: File::from(opened), size: state.size, sparse }, state))
    }
}

impl SourceFile for LocalFile {
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.file.read_at(buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    fn next_data(&mut self, from: u64) -> io::Result<Option<Range<u64>>> {
        if from >= self.size {
            return Ok(None);
        }
        if !self.sparse {
            return Ok(Some(from..self.size));
        }
        let start = match rustix::fs::seek(&self.file, SeekFrom::Data(from)) {
            Ok(start) => start,
            Err(Errno::NXIO) => return Ok(None),
            // A file system that keeps no holes says that it does not know the question.
            Err(Errno::INVAL) => return Ok(Some(from..self.size)),
            Err(error) => return Err(error.into()),
        };
        let end = rustix::fs::seek(&self.file, SeekFrom::Hole(start))?;
        Ok((start < self.size).then(|| start..end.min(self.size)))
    }

    fn state(&mut self) -> io::Result<FileState> {
        Ok(examine(self.file.as_fd())?.state)
    }
}
