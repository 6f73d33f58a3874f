//! What comes out of a pipe, as a tree of one file.
//!
//! A thread of its own reads the pipe, so that a reader that waits for more can still be stopped.
//! Nobody knows how long the file is before it has ended, and a pipe cannot be read twice: whatever
//! goes wrong with it makes the whole archive fail rather than leave a part of it.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::control::Control;
use crate::entry::{Entry, EntryKind, EntryPath, InodeId, Timestamp};
use crate::error::{Error, Result};
use crate::source::{FileState, Found, SIZE_UNKNOWN, Source, SourceFile};

use super::names::Names;
use super::roots::Roots;

/// Bytes that are read from the pipe at a time.
const BLOCK_BYTES: usize = 256 << 10;

/// Blocks between the pipe and whoever cuts them into chunks.
const BLOCKS_QUEUED_MAX: usize = 8;

/// How often a reader that waits looks whether it shall stop.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Permissions of the file: its owner's, since nobody knows what is in it.
const MODE: u32 = 0o600;

/// Says whether everything came out of the pipe; called once, when it has ended.
pub type End = Box<dyn FnOnce() -> io::Result<()> + Send>;

/// A pipe to archive.
pub struct Stream {
    entry: Entry,
    control: Control,
    unread: Mutex<Option<Box<dyn Read + Send>>>,
    end: Mutex<Option<End>>,
    failure: Arc<Mutex<Option<io::Error>>>,
}

/// A name that no file in an archive can have.
#[derive(Debug, thiserror::Error)]
#[error("\"{name}\" is no file name: it must not be empty, `.` or `..`, nor have a slash in it")]
pub struct NoName {
    /// What was given.
    pub name: String,
}

impl Stream {
    /// The bytes of `input`, as a file called `name` that was made at `now`. `end` is asked when they
    /// have ended: a program whose output they were may have failed. `control` stops the reading.
    ///
    /// # Errors
    /// [`NoName`].
    pub fn new(
        name: &str,
        input: impl Read + Send + 'static,
        end: End,
        now: Timestamp,
        control: Control,
    ) -> std::result::Result<Self, NoName> {
        let path = EntryPath::root().child(name.as_bytes());
        let path = path.ok_or_else(|| NoName { name: name.to_owned() })?;
        let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        let names = Names::default();
        let entry = Entry {
            path,
            kind: EntryKind::File { size: SIZE_UNKNOWN },
            mode: MODE,
            uid,
            gid,
            user: names.user(uid),
            group: names.group(gid),
            modified: now,
            changed: now,
            born: None,
            inode: InodeId { device: 0, inode: 0 },
            links: 1,
            xattrs: Vec::new(),
            flags: 0,
        };
        Ok(Self {
            entry,
            control,
            unread: Mutex::new(Some(Box::new(input))),
            end: Mutex::new(Some(end)),
            failure: Arc::default(),
        })
    }
}

impl Source for Stream {
    fn walk(&self) -> Box<dyn Iterator<Item = Found> + Send + '_> {
        let entries = [Roots::made_up(), self.entry.clone()];
        Box::new(entries.into_iter().map(Found::Entry))
    }

    fn open(&self, _entry: &Entry) -> io::Result<Box<dyn SourceFile>> {
        let input = lock(&self.unread).take();
        let mut input = input.ok_or_else(|| io::Error::other("a pipe is read only once"))?;
        let (sender, blocks) = sync_channel(BLOCKS_QUEUED_MAX);
        // Not waited for: it may hang in a read for as long as nobody writes, and ends with its input
        // or with the process.
        std::thread::Builder::new().name("pipe".to_owned()).spawn(move || {
            loop {
                let block = read_block(&mut *input);
                let goes_on = block.as_ref().is_ok_and(|block| !block.is_empty());
                // The end is told by hanging up; an error has to be told.
                let told = (!goes_on && block.is_ok()) || sender.send(block).is_ok();
                if !goes_on || !told {
                    return;
                }
            }
        })?;
        Ok(Box::new(StreamFile {
            blocks,
            block: Vec::new(),
            used: 0,
            position: 0,
            ended: false,
            state: FileState {
                size: SIZE_UNKNOWN,
                modified: self.entry.modified,
                changed: self.entry.changed,
                inode: self.entry.inode,
            },
            failure: Arc::clone(&self.failure),
            control: self.control.clone(),
        }))
    }

    fn finish(&self) -> Result<()> {
        if let Some(source) = lock(&self.failure).take() {
            return Err(Error::Source { source });
        }
        let end = lock(&self.end).take();
        end.map_or(Ok(()), |end| end()).map_err(|source| Error::Source { source })
    }
}

/// One block, full unless it is the last one; an empty one at the end.
fn read_block(input: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    input.take(BLOCK_BYTES as u64).read_to_end(&mut block)?;
    Ok(block)
}

/// A pipe that is being read.
struct StreamFile {
    blocks: Receiver<io::Result<Vec<u8>>>,
    block: Vec<u8>,
    /// Bytes of the block that were handed out.
    used: usize,
    position: u64,
    ended: bool,
    state: FileState,
    failure: Arc<Mutex<Option<io::Error>>>,
    control: Control,
}

impl Drop for StreamFile {
    fn drop(&mut self) {
        if !self.ended {
            let error = io::Error::other("it was not read to its end");
            lock(&self.failure).get_or_insert(error);
        }
    }
}

impl StreamFile {
    /// Fetches the next block; none at the end.
    fn fetch(&mut self) -> io::Result<bool> {
        loop {
            match self.blocks.recv_timeout(LOOK_EVERY) {
                Ok(block) => {
                    self.block = block?;
                    self.used = 0;
                    return Ok(true);
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(false),
                Err(RecvTimeoutError::Timeout) if self.control.is_stopped() => {
                    return Err(io::Error::other("the archive is being stopped"));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn read(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if offset != self.position {
            return Err(io::Error::other("a pipe is read from its beginning to its end"));
        }
        if self.used >= self.block.len() && !self.fetch()? {
            self.ended = true;
            return Ok(0);
        }
        let rest = self.block.get(self.used..).unwrap_or_default();
        let mut rest: &[u8] = rest;
        let count = rest.read(buffer)?;
        self.used += count;
        self.position += count as u64;
        Ok(count)
    }
}

impl SourceFile for StreamFile {
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.read(offset, buffer).inspect_err(|error| {
            let copy = io::Error::new(error.kind(), error.to_string());
            lock(&self.failure).get_or_insert(copy);
        })
    }

    fn next_data(&mut self, from: u64) -> io::Result<Option<Range<u64>>> {
        Ok(Some(from..SIZE_UNKNOWN))
    }

    fn state(&mut self) -> io::Result<FileState> {
        Ok(self.state)
    }
}

/// Poisoning is no concern: what is inside is whole or absent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(input: impl Read + Send + 'static, end: End, control: Control) -> Stream {
        Stream::new("name", input, end, Timestamp::default(), control).unwrap()
    }

    fn read_all(stream: &Stream) -> io::Result<Vec<u8>> {
        let mut file = stream.open(&stream.entry)?;
        let (mut all, mut buffer) = (Vec::new(), vec![0; 100_000]);
        loop {
            match file.read_at(all.len() as u64, &mut buffer)? {
                0 => return Ok(all),
                count => all.extend_from_slice(&buffer[..count]),
            }
        }
    }

    #[test]
    fn every_byte_comes_out_once() {
        let bytes: Vec<u8> = (0..3 * BLOCK_BYTES + 5).map(|n| (n % 251) as u8).collect();
        let input = io::Cursor::new(bytes.clone());
        let stream = stream(input, Box::new(|| Ok(())), Control::default());
        assert_eq!(read_all(&stream).unwrap(), bytes);
        stream.finish().unwrap();
        assert!(stream.open(&stream.entry).is_err(), "a pipe has no second reading");
    }

    #[test]
    fn a_pipe_that_fails_or_whose_writer_failed_fails_the_archive() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::ConnectionReset.into())
            }
        }
        let broken = stream(Broken, Box::new(|| Ok(())), Control::default());
        assert!(read_all(&broken).is_err());
        assert!(matches!(broken.finish(), Err(Error::Source { .. })));
        let end: End = Box::new(|| Err(io::Error::other("exit status: 3")));
        let failed = stream(io::empty(), end, Control::default());
        assert_eq!(read_all(&failed).unwrap(), b"");
        assert!(failed.finish().unwrap_err().to_string().contains("exit status: 3"));
    }

    #[test]
    fn a_pipe_that_is_left_early_fails_the_archive() {
        let stream = stream(io::repeat(7), Box::new(|| Ok(())), Control::default());
        let mut file = stream.open(&stream.entry).unwrap();
        assert_eq!(file.read_at(0, &mut [0; 10]).unwrap(), 10);
        assert!(file.read_at(0, &mut [0; 10]).is_err(), "a pipe has no way back");
        drop(file);
        assert!(stream.finish().is_err());
    }

    #[test]
    fn a_reader_that_waits_can_be_stopped() {
        let control = Control::default();
        let (reader, writer) = io::pipe().unwrap();
        let stream = stream(reader, Box::new(|| Ok(())), control.clone());
        control.stop();
        assert!(read_all(&stream).unwrap_err().to_string().contains("stopped"));
        drop(writer);
    }

    #[test]
    fn names_with_slashes_are_refused() {
        for bad in ["", ".", "..", "a/b", "/a"] {
            let input = io::empty();
            let end: End = Box::new(|| Ok(()));
            assert!(
                Stream::new(bad, input, end, Timestamp::default(), Control::default()).is_err()
            );
        }
    }
}
