//! Random access: from a range of plaintext to the frames that hold it, and back.
//!
//! [`FrameMap`] knows where frames lie, [`FrameSpan`] which ciphertext to read for a range, [`open_span`]
//! turns that ciphertext into the plaintext of the range, and [`RangeReader`] does it all over anything
//! that can be read at an offset. Every byte that comes out has been authenticated by its frame's tag.
//!
//! What random access cannot know by itself is how long the message is: a message cut at a frame looks
//! like a shorter one until its final frame is opened. So a range that reaches the end of the plaintext
//! always opens the final frame, also when that is empty.

use std::ops::Range;

use bytes::Bytes;
use zeroize::{Zeroize, Zeroizing};

use crate::engine::FrameOpener;
use crate::error::{Error, Fault, Region, Result};
use crate::message::footer::Footer;
use crate::message::frame::{
    FINAL_OVERHEAD_BYTES, FrameNumber, Kind, Prefix, REGULAR_OVERHEAD_BYTES,
};

mod reader;

#[cfg(feature = "object-store")]
pub mod object;

pub use reader::{RangeReader, ReadAt};

/// Where the frames of one message lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameMap {
    header_length: u64,
    frame_length: u32,
    /// Frames before the final one.
    regular_frames: u32,
    /// Bytes of plaintext in the final frame.
    final_length: u32,
}

impl FrameMap {
    /// The map of an unsigned message of `message_length` bytes, header included.
    ///
    /// # Errors
    /// [`Fault::MessageLength`] when no sequence of frames is that long.
    pub fn from_message_length(
        header_length: u64,
        frame_length: u32,
        message_length: u64,
    ) -> Result<Self> {
        let fault = || Error::Malformed {
            region: Region::Header,
            fault: Fault::MessageLength(message_length),
        };
        let regular_bytes = u64::from(frame_length).saturating_add(REGULAR_OVERHEAD_BYTES as u64);
        let body = message_length.checked_sub(header_length).ok_or_else(fault)?;
        let content = body.checked_sub(FINAL_OVERHEAD_BYTES as u64).ok_or_else(fault)?;
        // The final frame's content is at most a frame, a regular frame takes more: one way to divide.
        let regular = content / regular_bytes;
        let last = content % regular_bytes;
        let last = u32::try_from(last).map_err(|_| fault())?;
        if frame_length == 0 || last > frame_length {
            return Err(fault());
        }
        let regular_frames = u32::try_from(regular).map_err(|_| fault())?;
        Self { header_length, frame_length, regular_frames, final_length: last }.checked()
    }

    /// The map of a message that this crate writes for `plaintext_length` bytes: one whose final frame
    /// is full, not empty, when the plaintext is a multiple of the frame length.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] when there are not enough frame numbers.
    pub fn from_plaintext_length(
        header_length: u64,
        frame_length: u32,
        plaintext_length: u64,
    ) -> Result<Self> {
        let frame = u64::from(frame_length.max(1));
        let regular = plaintext_length.saturating_sub(1) / frame;
        let regular_frames = u32::try_from(regular).map_err(|_| too_many_frames(regular))?;
        let last = plaintext_length.saturating_sub(regular.saturating_mul(frame));
        let final_length = u32::try_from(last).map_err(|_| too_many_frames(regular))?;
        Self { header_length, frame_length, regular_frames, final_length }.checked()
    }

    fn checked(self) -> Result<Self> {
        match self.regular_frames.checked_add(1) {
            Some(_) => Ok(self),
            None => Err(too_many_frames(u64::from(self.regular_frames))),
        }
    }

    /// Bytes of plaintext in the whole message.
    ///
    /// What the length of the message says: proven once the final frame has been opened.
    #[must_use]
    pub fn plaintext_length(&self) -> u64 {
        u64::from(self.regular_frames) * u64::from(self.frame_length) + u64::from(self.final_length)
    }

    /// Bytes of the message from the start of its header to the end of its final frame: all of it, when
    /// it is not signed.
    #[must_use]
    pub fn message_length(&self) -> u64 {
        let last = u64::from(self.final_length) + FINAL_OVERHEAD_BYTES as u64;
        self.frame_offset(self.regular_frames) + last
    }

    /// What to read for the plaintext bytes `range`.
    ///
    /// # Errors
    /// [`Error::RangeOutside`] when `range` is not inside the plaintext, or ends before it starts.
    pub fn span(&self, range: Range<u64>) -> Result<FrameSpan> {
        let Range { start, end } = range;
        let length = self.plaintext_length();
        if start > end || end > length {
            return Err(Error::RangeOutside { start, end, length });
        }
        let frame = u64::from(self.frame_length.max(1));
        let last_index = u64::from(self.regular_frames);
        let first = (start / frame).min(last_index);
        // The end of the plaintext is only proven by the final frame, so it is part of such a range.
        let last =
            if end == length { last_index } else { (end.saturating_sub(1) / frame).max(first) };
        let until = if last == last_index {
            self.message_length()
        } else {
            self.frame_offset_u64(last + 1)
        };
        Ok(FrameSpan {
            ciphertext: self.frame_offset_u64(first)..until,
            first_index: narrow(first)?,
            frames: narrow(last - first + 1)?,
            final_frame: (last == last_index).then_some(self.final_length),
            frame_length: self.frame_length,
            skip: start - first * frame,
            length: end - start,
        })
    }

    /// Offset in the message of the frame with `index` (number minus 1).
    fn frame_offset(&self, index: u32) -> u64 {
        self.frame_offset_u64(u64::from(index))
    }

    fn frame_offset_u64(&self, index: u64) -> u64 {
        let regular_bytes = u64::from(self.frame_length) + REGULAR_OVERHEAD_BYTES as u64;
        self.header_length.saturating_add(index.saturating_mul(regular_bytes))
    }
}

/// A number of frames, which [`FrameMap::checked`] has bounded.
fn narrow(frames: u64) -> Result<u32> {
    u32::try_from(frames).map_err(|_| too_many_frames(frames))
}

fn too_many_frames(value: u64) -> Error {
    Error::LimitExceeded { quantity: "frames", value, max: u64::from(u32::MAX) }
}

/// The frames that hold one range of plaintext.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameSpan {
    ciphertext: Range<u64>,
    first_index: u32,
    frames: u32,
    /// Content length of the final frame, if that is the last of these frames.
    final_frame: Option<u32>,
    frame_length: u32,
    /// Plaintext bytes of the first frame before the range.
    skip: u64,
    length: u64,
}

impl FrameSpan {
    /// The bytes of the message to read.
    #[must_use]
    pub fn ciphertext(&self) -> Range<u64> {
        self.ciphertext.clone()
    }

    /// How many frames that is.
    #[must_use]
    pub fn frames(&self) -> u32 {
        self.frames
    }

    /// Number of the first of them, from 1.
    #[must_use]
    pub fn first_frame(&self) -> u32 {
        self.first_index.saturating_add(1)
    }

    /// Bytes of plaintext in the range.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Bytes of plaintext in the range, if memory has so many.
    fn length_in_memory(&self) -> Result<usize> {
        usize::try_from(self.length).map_err(|_| Error::BufferSize {
            buffer: "plaintext of the range",
            needed: self.length,
            found: usize::MAX as u64,
        })
    }

    /// Number, kind and content length of each frame.
    fn iter(&self) -> impl Iterator<Item = (Option<FrameNumber>, Kind, u32)> + '_ {
        (0..self.frames).map(|at| {
            let number = self.first_index.checked_add(at).and_then(|i| i.checked_add(1));
            let number = number.and_then(FrameNumber::new);
            match self.final_frame {
                Some(length) if at + 1 == self.frames => (number, Kind::Final, length),
                _ => (number, Kind::Regular, self.frame_length),
            }
        })
    }
}

/// The plaintext of a range, from the `ciphertext` that its span asked for.
///
/// Pure work of the CPU: `ciphertext` may come from one read or be put together from several. All its
/// frames are authenticated before anything is returned.
///
/// # Errors
/// [`Error::BufferSize`] when `ciphertext` is not what the span asked for; otherwise as
/// [`FrameOpener::open_into`].
pub fn open_span(opener: &FrameOpener, span: &FrameSpan, ciphertext: &[u8]) -> Result<Bytes> {
    let mut plaintext = vec![0; span.length_in_memory()?];
    open_span_into(opener, span, ciphertext, &mut plaintext)?;
    Ok(Bytes::from(plaintext))
}

/// As [`open_span`], into `plaintext`, which is as long as the range.
///
/// Frames that lie in the range as a whole are opened where they belong; of those at its two ends a copy
/// is cut.
///
/// # Errors
/// As [`open_span`], [`Error::BufferSize`] also for `plaintext`, which is zeroed when a tag does not
/// verify.
pub fn open_span_into(
    opener: &FrameOpener,
    span: &FrameSpan,
    ciphertext: &[u8],
    plaintext: &mut [u8],
) -> Result<()> {
    let needed = span.ciphertext.end - span.ciphertext.start;
    let found = ciphertext.len() as u64;
    if needed != found || span.frame_length != opener.frame_length() {
        return Err(Error::BufferSize { buffer: "ciphertext of the span", needed, found });
    }
    let (needed, found) = (span.length, plaintext.len() as u64);
    if needed != found {
        return Err(Error::BufferSize { buffer: "plaintext of the range", needed, found });
    }
    open_frames(opener, span, ciphertext, plaintext).inspect_err(|_| plaintext.zeroize())
}

fn open_frames(
    opener: &FrameOpener,
    span: &FrameSpan,
    ciphertext: &[u8],
    plaintext: &mut [u8],
) -> Result<()> {
    // Plaintext of the next frame that comes before the range.
    let mut skip = usize::try_from(span.skip).unwrap_or(usize::MAX);
    let (mut from, mut to) = (ciphertext, plaintext);
    for (number, kind, content_bytes) in span.iter() {
        let number = number.ok_or_else(|| too_many_frames(u64::from(span.first_index)))?;
        let truncated = || Error::Truncated { region: kind.region(number) };
        let content_bytes = content_bytes as usize;
        let frame_bytes = content_bytes + kind.prefix_bytes() + crate::message::suite::TAG_BYTES;
        let (frame, more) = from.split_at_checked(frame_bytes).ok_or_else(truncated)?;
        let wanted = content_bytes.saturating_sub(skip).min(to.len());
        let (room, rest) = to.split_at_mut_checked(wanted).ok_or_else(truncated)?;
        if kind == Kind::Final {
            require_final_length(opener, number, frame, content_bytes)?;
        }
        if wanted == content_bytes {
            opener.open_into(number, kind, frame, room)?;
        } else {
            let mut content = Zeroizing::new(vec![0; content_bytes]);
            opener.open_into(number, kind, frame, &mut content)?;
            room.copy_from_slice(content.get(skip..skip + wanted).ok_or_else(truncated)?);
        }
        (from, to, skip) = (more, rest, 0);
    }
    Ok(())
}

/// Refuses a final frame that says itself that it is shorter than the map has it: that is what is wrong
/// with the message, not the caller's buffer. One that says it is longer is truncated.
fn require_final_length(
    opener: &FrameOpener,
    number: FrameNumber,
    frame: &[u8],
    expected: usize,
) -> Result<()> {
    let prefix = Prefix::parse_framed(frame, number, opener.frame_length())?;
    let (found, expected) = (prefix.content_bytes, expected as u64);
    if prefix.kind == Kind::Final && found < expected {
        let region = Kind::Final.region(number);
        return Err(Error::Malformed { region, fault: Fault::FinalLength { expected, found } });
    }
    Ok(())
}

/// The map of a signed message, whose footer's length is not known: `read` gets its last bytes.
///
/// The candidates for the place of the final frame are the few that leave room for a footer; the mark,
/// the number and the length of the final frame and the length in the footer decide.
pub(crate) fn locate_final_frame(
    header_length: u64,
    frame_length: u32,
    message_length: u64,
    tail_offset: u64,
    tail: &[u8],
) -> Result<FrameMap> {
    let fault =
        || Error::Malformed { region: Region::Header, fault: Fault::MessageLength(message_length) };
    let regular_bytes = u64::from(frame_length) + REGULAR_OVERHEAD_BYTES as u64;
    let first = tail_offset.saturating_sub(header_length).div_ceil(regular_bytes);
    let end = message_length.saturating_sub(FINAL_OVERHEAD_BYTES as u64 + 2);
    for index in first.. {
        let offset = header_length.saturating_add(index.saturating_mul(regular_bytes));
        if offset > end {
            break;
        }
        let at = usize::try_from(offset - tail_offset).map_err(|_| fault())?;
        let bytes = tail.get(at..).unwrap_or(&[]);
        let number = u32::try_from(index + 1).ok().and_then(FrameNumber::new).ok_or_else(fault)?;
        let Ok(prefix) = Prefix::parse_framed(bytes, number, frame_length) else { continue };
        let rest = usize::try_from(prefix.total_bytes()).ok().and_then(|n| bytes.get(n..));
        let footer = rest.and_then(|rest| Some((rest.len(), Footer::parse(rest).ok()?.length)));
        if prefix.kind == Kind::Final && footer.is_some_and(|(rest, length)| rest == length) {
            let final_length = u32::try_from(prefix.content_bytes).map_err(|_| fault())?;
            let regular_frames = u32::try_from(index).map_err(|_| fault())?;
            return FrameMap { header_length, frame_length, regular_frames, final_length }
                .checked();
        }
    }
    Err(fault())
}
