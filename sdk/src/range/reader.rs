//! Reading ranges from anything that can be read at an offset.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::{FrameMap, FrameSpan, locate_final_frame, open_span, open_span_into};
use crate::cmm::MaterialsManager;
use crate::engine::FrameOpener;
use crate::error::{Error, Result};
use crate::materials::DecryptionRequest;
use crate::message::frame::{FINAL_OVERHEAD_BYTES, REGULAR_OVERHEAD_BYTES};
use crate::message::header::Parsed;
use crate::message::limits::{Limits, SIGNATURE_BYTES_MAX};
use crate::options::DecryptOptions;
use crate::stream::HeaderSearch;

/// Bytes that can be read at any offset, from several threads at once.
pub trait ReadAt {
    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// # Errors
    /// When there are not that many bytes, and when reading fails.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()>;

    /// How many bytes there are.
    ///
    /// # Errors
    /// When that cannot be found out.
    fn length(&self) -> std::io::Result<u64>;

    /// All the bytes, when they are in memory: they are opened where they are, without a copy.
    fn in_memory(&self) -> Option<&[u8]> {
        None
    }
}

impl ReadAt for [u8] {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
        let end_early = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        let start = usize::try_from(offset).map_err(|_| end_early())?;
        let end = start.checked_add(buffer.len()).ok_or_else(end_early)?;
        buffer.copy_from_slice(self.get(start..end).ok_or_else(end_early)?);
        Ok(())
    }

    fn length(&self) -> std::io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn in_memory(&self) -> Option<&[u8]> {
        Some(self)
    }
}

impl ReadAt for Vec<u8> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
        self.as_slice().read_exact_at(buffer, offset)
    }

    fn length(&self) -> std::io::Result<u64> {
        self.as_slice().length()
    }

    fn in_memory(&self) -> Option<&[u8]> {
        Some(self)
    }
}

impl<T: ReadAt + ?Sized> ReadAt for &T {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
        (**self).read_exact_at(buffer, offset)
    }

    fn length(&self) -> std::io::Result<u64> {
        (**self).length()
    }

    fn in_memory(&self) -> Option<&[u8]> {
        (**self).in_memory()
    }
}

#[cfg(unix)]
impl ReadAt for std::fs::File {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, buffer, offset)
    }

    fn length(&self) -> std::io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

/// Reads ranges of the plaintext of one message, each with one read of its source.
pub struct RangeReader<R> {
    source: R,
    opener: Arc<FrameOpener>,
    map: FrameMap,
}

impl<R: ReadAt> RangeReader<R> {
    /// Opens the unsigned message in `source`, whose length is the message's: reads its header, gets its
    /// data key.
    ///
    /// # Errors
    /// [`Error::Io`], what `manager` returns, [`Error::SignedSuiteRefused`], [`Error::NotFramed`]; as
    /// [`Header::parse`](crate::message::header::Header::parse) and
    /// [`Header::verify`](crate::message::header::Header::verify).
    pub async fn open(
        source: R,
        manager: &dyn MaterialsManager,
        options: &DecryptOptions,
    ) -> Result<Self> {
        let parsed = read_header(&source, &options.limits)?;
        let request = DecryptionRequest::new(&parsed.header, options)?;
        let materials = manager.decryption_materials(&request).await?;
        Self::new(source, Arc::new(FrameOpener::new(parsed.header.verify(materials)?)?))
    }

    /// A reader of the message in `source`, whose length is the message's.
    ///
    /// The header in `source` is not read again: `opener` may come from a header kept elsewhere. For a
    /// signed message the last bytes are read once, to find the final frame before the footer.
    ///
    /// # Errors
    /// [`Fault::MessageLength`](crate::error::Fault::MessageLength), [`Error::Io`].
    pub fn new(source: R, opener: Arc<FrameOpener>) -> Result<Self> {
        let length = source.length().map_err(Error::io("finding the message's length"))?;
        let header_length = opener.header_length() as u64;
        let frame_length = opener.frame_length();
        let map = if opener.suite().signature().is_none() {
            FrameMap::from_message_length(header_length, frame_length, length)?
        } else {
            let offset = tail_offset(header_length, frame_length, length);
            let tail = read(&source, offset..length)?;
            locate_final_frame(header_length, frame_length, length, offset, &tail)?
        };
        Ok(Self { source, opener, map })
    }

    /// A reader of a message whose frames `map` knows; `source` is not asked for its length.
    #[must_use]
    pub fn with_map(source: R, opener: Arc<FrameOpener>, map: FrameMap) -> Self {
        Self { source, opener, map }
    }

    /// What opens the frames, for another reader of the same message.
    #[must_use]
    pub fn opener(&self) -> &Arc<FrameOpener> {
        &self.opener
    }

    /// Where the frames lie.
    #[must_use]
    pub fn map(&self) -> &FrameMap {
        &self.map
    }

    /// The plaintext bytes `range`, with one read of the source.
    ///
    /// # Errors
    /// [`Error::RangeOutside`], [`Error::Io`], and as [`open_span`].
    pub fn read(&self, range: Range<u64>) -> Result<Bytes> {
        let span = self.map.span(range)?;
        match self.lent(&span) {
            Some(ciphertext) => open_span(&self.opener, &span, ciphertext),
            None => open_span(&self.opener, &span, &read(&self.source, span.ciphertext())?),
        }
    }

    /// The plaintext from `offset` on into all of `plaintext`, with one read of the source.
    ///
    /// # Errors
    /// As [`read`](Self::read); `plaintext` is zeroed when a tag does not verify.
    pub fn read_exact_at(&self, plaintext: &mut [u8], offset: u64) -> Result<()> {
        let span = self.map.span(offset..offset.saturating_add(plaintext.len() as u64))?;
        match self.lent(&span) {
            Some(ciphertext) => open_span_into(&self.opener, &span, ciphertext, plaintext),
            None => {
                let ciphertext = read(&self.source, span.ciphertext())?;
                open_span_into(&self.opener, &span, &ciphertext, plaintext)
            }
        }
    }

    /// The ciphertext of `span`, when the source is in memory.
    fn lent(&self, span: &FrameSpan) -> Option<&[u8]> {
        let start = usize::try_from(span.ciphertext().start).ok()?;
        let end = usize::try_from(span.ciphertext().end).ok()?;
        self.source.in_memory()?.get(start..end)
    }
}

/// The header at the start of `source`.
fn read_header(source: &impl ReadAt, limits: &Limits) -> Result<Parsed> {
    let length = source.length().map_err(Error::io("finding the message's length"))?;
    let (mut search, mut offset) = (HeaderSearch::default(), 0);
    loop {
        let room = search.room(limits);
        let rest = usize::try_from(length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = room.len().min(rest);
        let room = room.get_mut(..count).unwrap_or_default();
        source.read_exact_at(room, offset).map_err(Error::io("reading the header"))?;
        offset = offset.saturating_add(count as u64);
        if let Some(parsed) = search.filled(count, limits)? {
            return Ok(parsed);
        }
    }
}

/// Where the bytes begin that hold the final frame and the footer of a signed message, however long
/// the footer is.
pub(crate) fn tail_offset(header_length: u64, frame_length: u32, message_length: u64) -> u64 {
    let frames = u64::from(frame_length) + (REGULAR_OVERHEAD_BYTES + FINAL_OVERHEAD_BYTES) as u64;
    let longest = frames + SIGNATURE_BYTES_MAX as u64 + 2;
    message_length.saturating_sub(longest).max(header_length)
}

fn read(source: &impl ReadAt, range: Range<u64>) -> Result<Vec<u8>> {
    let length = range.end.saturating_sub(range.start);
    let too_long =
        |_| Error::BufferSize { buffer: "ciphertext", needed: length, found: usize::MAX as u64 };
    let mut bytes = vec![0; usize::try_from(length).map_err(too_long)?];
    source
        .read_exact_at(&mut bytes, range.start)
        .map_err(Error::io("reading the frames of a range"))?;
    Ok(bytes)
}
