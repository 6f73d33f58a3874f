//! Where one message, or its plaintext, goes.
//!
//! A file gets its name only when everything has been written, verified and is on the disk. Whatever
//! happens meanwhile, under the name stands what stood there before.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd as _;
use std::path::Path;

use base64::engine::GeneralPurpose;
use base64::prelude::BASE64_STANDARD;
use base64::write::EncoderWriter;
use zeroize::Zeroizing;

use self::new_file::NewFile;
use super::paths::same_as_standard;

mod new_file;

/// Bytes gathered before they are written.
const WRITE_BYTES: usize = 256 * 1024;

/// Most bytes that `--buffer` holds back in memory.
pub(super) const HELD_BYTES_MAX: u64 = 1 << 30;

/// Bytes in one piece of what is held back.
const HELD_PIECE_BYTES: usize = 1 << 20;

/// How a destination is written to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// Replace a file that is there.
    pub(super) replace: bool,
    /// Hold everything back until the end where it could not be taken back.
    pub(super) hold_back: bool,
    /// Encode in Base64.
    pub(super) encode: bool,
}

/// A destination that is being written.
///
/// Dropped before [`finish`](Self::finish), it leaves nothing under its name.
pub(super) enum Destination {
    /// As it comes.
    Plain(BufWriter<Place>),
    /// In Base64.
    Encoded(Box<EncoderWriter<'static, GeneralPurpose, BufWriter<Place>>>),
}

/// Where the bytes end up.
pub(super) enum Place {
    /// A pipe, a terminal, a device: what has been written is out.
    Stream(File),
    /// What is held back for one of those.
    Held(Held),
    /// A file without its name yet.
    New(NewFile),
}

impl Destination {
    /// Opens `path`, which may stand for standard output.
    pub(super) fn open(path: &Path, manner: Manner) -> io::Result<Self> {
        let place = BufWriter::with_capacity(WRITE_BYTES, Place::open(path, manner)?);
        Ok(match manner.encode {
            false => Self::Plain(place),
            true => Self::Encoded(Box::new(EncoderWriter::new(place, &BASE64_STANDARD))),
        })
    }

    /// Lets out what was held back; gives a file its name once it is on the disk.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] when the name was taken meanwhile and is not to be replaced.
    pub(super) fn finish(self) -> io::Result<()> {
        let buffered = match self {
            Self::Plain(place) => place,
            Self::Encoded(mut encoder) => encoder.finish()?,
        };
        match buffered.into_inner().map_err(io::IntoInnerError::into_error)? {
            Place::Stream(mut stream) => stream.flush(),
            Place::Held(held) => held.release(),
            Place::New(file) => file.commit(),
        }
    }
}

impl Write for Destination {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(place) => place.write(bytes),
            Self::Encoded(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(place) => place.flush(),
            Self::Encoded(encoder) => encoder.flush(),
        }
    }
}

impl Place {
    fn open(path: &Path, manner: Manner) -> io::Result<Self> {
        let Some(stream) = open_stream(path)? else {
            return Ok(Self::New(NewFile::create(path, manner.replace)?));
        };
        match manner.hold_back {
            true => Ok(Self::Held(Held { stream, pieces: Vec::new(), bytes: 0 })),
            false => Ok(Self::Stream(stream)),
        }
    }
}

impl Write for Place {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stream(stream) => stream.write(bytes),
            Self::Held(held) => held.push(bytes),
            Self::New(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Standard output, or what stands at `path` and is neither a file nor absent.
fn open_stream(path: &Path) -> io::Result<Option<File>> {
    if same_as_standard(path) {
        // Not by way of `Stdout`, which looks for the end of a line in everything.
        return Ok(Some(File::from(io::stdout().as_fd().try_clone_to_owned()?)));
    }
    match fs::metadata(path) {
        Ok(stat) if !stat.is_file() => File::options().write(true).open(path).map(Some),
        _ => Ok(None),
    }
}

/// Bytes in memory, wiped when dropped, in pieces so that none is ever moved.
pub(super) struct Held {
    stream: File,
    pieces: Vec<Zeroizing<Vec<u8>>>,
    bytes: u64,
}

impl Held {
    fn push(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes == HELD_BYTES_MAX {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let is_full = |piece: &Zeroizing<Vec<u8>>| piece.len() == piece.capacity();
        if self.pieces.last().is_none_or(is_full) {
            self.pieces.push(Zeroizing::new(Vec::with_capacity(HELD_PIECE_BYTES)));
        }
        let Some(piece) = self.pieces.last_mut() else { return Ok(0) };
        let room = (piece.capacity() - piece.len()) as u64;
        let room = room.min(HELD_BYTES_MAX - self.bytes);
        let taken = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        piece.extend(bytes.iter().take(taken));
        self.bytes += taken as u64;
        Ok(taken)
    }

    fn release(mut self) -> io::Result<()> {
        for piece in self.pieces.drain(..) {
            self.stream.write_all(&piece)?;
        }
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANNER: Manner = Manner { replace: false, hold_back: false, encode: false };

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_has_its_name_only_when_it_is_finished() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut new = Destination::open(&path, MANNER).unwrap();
        new.write_all(b"abc").unwrap();
        assert!(!path.exists());
        drop(new);
        assert_eq!(names(folder.path()), [""; 0]);
        let mut new = Destination::open(&path, MANNER).unwrap();
        new.write_all(b"abc").unwrap();
        new.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"abc");
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn what_is_held_back_comes_out_whole_or_not_at_all() {
        let (mut reader, writer) = io::pipe().unwrap();
        let stream = File::from(std::os::fd::OwnedFd::from(writer));
        let mut held = Held { stream, pieces: Vec::new(), bytes: 0 };
        let text = vec![7; HELD_PIECE_BYTES + 1];
        let mut rest = &text[..];
        while !rest.is_empty() {
            rest = &rest[held.push(rest).unwrap()..];
        }
        held.bytes = HELD_BYTES_MAX - 1;
        assert_eq!(held.push(b"ab").unwrap(), 1);
        assert_eq!(held.push(b"b").unwrap_err().kind(), io::ErrorKind::QuotaExceeded);
        let read = std::thread::spawn(move || {
            let mut out = Vec::new();
            io::Read::read_to_end(&mut reader, &mut out).map(|_| out)
        });
        held.release().unwrap();
        assert_eq!(read.join().unwrap().unwrap(), [text, vec![b'a']].concat());
    }

    #[test]
    fn a_device_is_written_to_and_stays_what_it_is() {
        let mut null = Destination::open(Path::new("/dev/null"), MANNER).unwrap();
        null.write_all(b"abc").unwrap();
        null.finish().unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }
}
