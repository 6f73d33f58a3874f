//! The state of a streaming reader, apart from how bytes arrive: shared by the `std::io` and the
//! `tokio` surfaces.

use std::ops::Range;

use zeroize::Zeroize;

use super::Decryptor;
use crate::error::{Error, Result};
use crate::message::frame::{Kind, REGULAR_OVERHEAD_BYTES};
use crate::message::header::{Content, Header, HeaderFields, Verified};
use crate::message::limits::{Limits, SIGNATURE_BYTES_MAX, within};

/// How much room is made at once, in bytes, beyond what is there already: a header that lies about its
/// frame length costs as much memory as bytes arrive, at most doubled.
const ROOM_BYTES_MIN: usize = 64 * 1024 + REGULAR_OVERHEAD_BYTES;
/// How many bytes are asked for at least: short frames come several with one read.
const READ_BYTES_MIN: usize = 32 * 1024;

/// What a [`Pull`] needs, or has.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Plaintext is ready.
    Plaintext,
    /// More bytes of the message are needed.
    More,
    /// The message is complete and its plaintext has been taken.
    End,
}

/// Takes the body of a message in pieces of any size, and gives out authenticated plaintext.
///
/// The plaintext of the last frame is withheld until the end of the message has been verified: its
/// signature, if it is signed, and that nothing follows.
pub(crate) struct Pull {
    decryptor: Decryptor,
    /// Bytes of the message: the current frame begins at `start`, what is there ends at `filled`.
    buffer: Vec<u8>,
    start: usize,
    filled: usize,
    /// How many bytes must be there from `start` on before it is worth looking again.
    wanted: usize,
    at_end_of_input: bool,
    /// Plaintext in `buffer` that may be given out.
    ready: Range<usize>,
    stage: Stage,
    first_guess: usize,
    content_bytes_max: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    /// Frames are due; `opened` bytes of the buffer, from `start` on, are one that is done with.
    Frames {
        opened: usize,
    },
    /// The last frame is open, at the start of the buffer, and its plaintext withheld; the footer begins
    /// at `footer`.
    Footer {
        plaintext: Range<usize>,
        footer: usize,
    },
    /// Nothing but the end of the input may come at `end`.
    EndOfInput {
        plaintext: Range<usize>,
        end: usize,
    },
    Done,
    /// An error was returned: nothing comes out any more.
    Failed,
}

impl Pull {
    /// Reads the body that follows `header`; `already` are bytes of it that came with the header.
    pub(crate) fn new(header: Header<Verified>, already: Vec<u8>, limits: &Limits) -> Self {
        Self::resume(Decryptor::new(header), already, limits)
    }

    /// Reads the rest of a body, from the frame on that is due; `already` are bytes of it.
    pub(crate) fn resume(decryptor: Decryptor, already: Vec<u8>, limits: &Limits) -> Self {
        let first_guess = match decryptor.header_fields().content {
            Content::Framed(length) => (length as usize).saturating_add(REGULAR_OVERHEAD_BYTES),
            Content::SingleBlock => REGULAR_OVERHEAD_BYTES,
        };
        Self {
            decryptor,
            start: 0,
            filled: already.len(),
            buffer: already,
            wanted: 0,
            at_end_of_input: false,
            ready: 0..0,
            stage: Stage::Frames { opened: 0 },
            first_guess,
            content_bytes_max: u64::from(limits.frame_bytes_max),
        }
    }

    /// What the header says.
    pub(crate) fn header_fields(&self) -> &HeaderFields {
        self.decryptor.header_fields()
    }

    /// Plaintext that is ready.
    pub(crate) fn plaintext(&self) -> &[u8] {
        //= client-apis/decrypt.md#behavior
        //# Output MUST NOT be released until otherwise indicated.
        self.buffer.get(self.ready.clone()).unwrap_or(&[])
    }

    /// Gives up the first `bytes` of the plaintext that is ready.
    pub(crate) fn consume(&mut self, bytes: usize) {
        self.ready.start = self.ready.start.saturating_add(bytes).min(self.ready.end);
    }

    /// Copies as much plaintext that is ready as fits into `out`, and returns how much that is.
    pub(crate) fn give(&mut self, out: &mut [u8]) -> usize {
        let ready = self.plaintext();
        let count = ready.len().min(out.len());
        if let (Some(to), Some(from)) = (out.get_mut(..count), ready.get(..count)) {
            to.copy_from_slice(from);
        }
        self.consume(count);
        count
    }

    /// Where the next bytes of the message go; never empty after [`Step::More`].
    pub(crate) fn room(&mut self) -> &mut [u8] {
        let until = self.start.saturating_add(self.wanted.max(READ_BYTES_MIN));
        if self.buffer.len() < until {
            self.compact();
        }
        let growth = self.filled.max(ROOM_BYTES_MIN);
        let until = self.start.saturating_add(self.wanted.max(READ_BYTES_MIN));
        let until = until.min(self.filled.saturating_add(growth)).max(self.filled);
        if self.buffer.len() < until {
            self.buffer.resize(until, 0);
        }
        self.buffer.get_mut(self.filled..until).unwrap_or_default()
    }

    /// `bytes` of the message have been put into the room; none means the end of the input.
    pub(crate) fn filled(&mut self, bytes: usize) {
        self.filled = self.filled.saturating_add(bytes).min(self.buffer.len());
        self.at_end_of_input |= bytes == 0;
    }

    /// Opens the next frame right into `out`, if it is a regular one that is there as a whole, and fits;
    /// returns how many bytes of plaintext it has.
    pub(crate) fn open_into(&mut self, out: &mut [u8]) -> Result<Option<usize>> {
        let Stage::Frames { opened } = self.stage else { return Ok(None) };
        if !self.ready.is_empty() {
            return Ok(None);
        }
        let start = self.start.saturating_add(opened).min(self.filled);
        let there = self.buffer.get(start..self.filled).unwrap_or_default();
        let frame = open_regular(&mut self.decryptor, there, out).inspect_err(|_| self.fail())?;
        Ok(frame.map(|OpenedApart { frame_bytes, content_bytes }| {
            (self.start, self.wanted) = (start, 0);
            self.stage = Stage::Frames { opened: frame_bytes };
            content_bytes
        }))
    }

    /// As [`take_from`](Self::take_from), but a frame that fits into `out` is opened there; returns how
    /// many bytes were taken, and how many of plaintext were written.
    pub(crate) fn take_into(&mut self, input: &[u8], out: &mut [u8]) -> Result<(usize, usize)> {
        if self.is_between_frames() {
            let opened = open_regular(&mut self.decryptor, input, out);
            if let Some(opened) = opened.inspect_err(|_| self.fail())? {
                return Ok((opened.frame_bytes, opened.content_bytes));
            }
        }
        Ok((self.take_from(input)?, 0))
    }

    /// Whether nothing of the next frame is there yet.
    fn is_between_frames(&self) -> bool {
        self.available() == 0 && self.stage == (Stage::Frames { opened: 0 })
    }

    /// Takes bytes of the message from `input`, which holds what comes next, after [`Step::More`]; returns
    /// how many. A regular frame that is there as a whole is opened without a copy of it.
    pub(crate) fn take_from(&mut self, input: &[u8]) -> Result<usize> {
        if self.is_between_frames()
            && let Some(frame_bytes) = self.open_apart(input).inspect_err(|_| self.fail())?
        {
            return Ok(frame_bytes);
        }
        // No more than the current frame lacks: those after it may need no copy.
        let missing = self.wanted.saturating_sub(self.available()).max(1);
        let room = self.room();
        let count = missing.min(room.len()).min(input.len());
        if let (Some(to), Some(from)) = (room.get_mut(..count), input.get(..count)) {
            to.copy_from_slice(from);
        }
        self.filled(count);
        Ok(count)
    }

    /// Opens the regular frame that `input` begins with into the empty buffer; returns its length.
    fn open_apart(&mut self, input: &[u8]) -> Result<Option<usize>> {
        let Some(content_bytes) = whole_regular_frame(&self.decryptor, input) else {
            return Ok(None);
        };
        if self.buffer.len() < content_bytes {
            self.buffer.resize(content_bytes, 0);
        }
        let opened = open_regular(&mut self.decryptor, input, &mut self.buffer)?;
        (self.start, self.filled, self.wanted) = (0, 0, 0);
        self.ready = 0..content_bytes;
        Ok(opened.map(|opened| opened.frame_bytes))
    }

    /// Goes on as far as the bytes that are there allow.
    pub(crate) fn step(&mut self) -> Result<Step> {
        if !self.ready.is_empty() {
            return Ok(Step::Plaintext);
        }
        //= client-apis/decrypt.md#decrypt-the-message-body
        //# While there MAY still be message body left to deserialize and decrypt, this operation
        //# MUST either wait for more of the encrypted message bytes to become consumable, wait for
        //# the end to the encrypted message to be indicated, or to deserialize and/or decrypt the
        //# consumable bytes.
        if self.available() < self.wanted && !self.at_end_of_input {
            return Ok(Step::More);
        }
        self.advance().inspect_err(|_| self.fail())
    }

    /// Nothing comes out any more.
    fn fail(&mut self) {
        self.stage = Stage::Failed;
        //= client-apis/decrypt.md#authenticated-data
        //# This operation MUST NOT release any unauthenticated plaintext or unauthenticated
        //# associated data.
        self.ready = 0..0;
        // Wiping empties the buffer too: nothing is there, and nothing more is wanted.
        self.buffer.zeroize();
        (self.start, self.filled, self.wanted) = (0, 0, 0);
    }

    fn advance(&mut self) -> Result<Step> {
        loop {
            match self.stage.clone() {
                Stage::Frames { opened } => {
                    self.start = self.start.saturating_add(opened).min(self.filled);
                    self.stage = Stage::Frames { opened: 0 };
                    match self.open_frame() {
                        Err(error @ Error::Truncated { .. }) => return self.more_or(error),
                        other => other?,
                    }
                    // An empty regular frame does not exist, but an empty final one does.
                    if !self.ready.is_empty() {
                        return Ok(Step::Plaintext);
                    }
                }
                Stage::Footer { plaintext, footer } => {
                    let bytes = self.buffer.get(footer..self.filled).unwrap_or(&[]);
                    match self.decryptor.check_footer(bytes) {
                        Err(error @ Error::Truncated { .. }) => {
                            //= client-apis/decrypt.md#verify-the-signature
                            //# If there are not enough consumable bytes to deserialize the message
                            //# footer and the caller has not yet indicated an end to the encrypted
                            //# message, this operation MUST wait for enough bytes to become
                            //# consumable or for the caller to indicate an end to the encrypted
                            //# message.
                            self.wanted = footer + 2 + SIGNATURE_BYTES_MAX;
                            return self.more_or(error);
                        }
                        length => {
                            let end = footer + length?;
                            self.stage = Stage::EndOfInput { plaintext, end };
                        }
                    }
                }
                Stage::EndOfInput { plaintext, end } => {
                    if self.filled > end {
                        //= client-apis/decrypt.md#behavior
                        //# If this operation successfully completes the above steps but there are
                        //# consumable bytes which are intended to be decrypted, this operation MUST
                        //# fail.
                        return Err(Error::TrailingBytes);
                    }
                    if !self.at_end_of_input {
                        self.wanted = end + 1;
                        return Ok(Step::More);
                    }
                    self.ready = plaintext;
                    self.stage = Stage::Done;
                    if !self.ready.is_empty() {
                        return Ok(Step::Plaintext);
                    }
                }
                Stage::Done => return Ok(Step::End),
                Stage::Failed => {
                    return Err(Error::OutOfOrder("the message has been refused already"));
                }
            }
        }
    }

    /// Asks for more bytes, or, when there are none, returns the `error` that says what is missing.
    fn more_or(&self, error: Error) -> Result<Step> {
        if self.at_end_of_input { Err(error) } else { Ok(Step::More) }
    }

    /// Opens the frame at the start of the buffer.
    ///
    /// On [`Error::Truncated`] `wanted` says how many bytes it takes to try again.
    fn open_frame(&mut self) -> Result<()> {
        self.wanted = self.first_guess.max(self.available().saturating_add(1));
        let there = self.buffer.get(self.start..self.filled).unwrap_or_default();
        let prefix = self.decryptor.peek(there)?;
        let region = prefix.region();
        // Frames are within it since the header was read; a single block says only now how long it is.
        within("content bytes held in memory", prefix.content_bytes, self.content_bytes_max)?;
        let too_long = |_| Error::LimitExceeded {
            quantity: "frame bytes",
            value: prefix.total_bytes(),
            max: usize::MAX as u64,
        };
        let frame_bytes = usize::try_from(prefix.total_bytes()).map_err(too_long)?;
        self.wanted = frame_bytes;
        if self.available() < frame_bytes {
            return Err(Error::Truncated { region });
        }
        if prefix.kind != Kind::Regular {
            self.compact();
        }
        let frame = self.buffer.get_mut(self.start..self.start + frame_bytes).unwrap_or_default();
        //= client-apis/decrypt.md#decrypt-the-message-body
        //# This operation MUST NOT release any unauthenticated plaintext.
        let content_bytes = self.decryptor.open_in_place(frame)?.len();
        let start = self.start + prefix.kind.prefix_bytes();
        let plaintext = start..start + content_bytes;
        //= client-apis/decrypt.md#decrypt-the-message-body
        //# If this operation is using an algorithm suite without a signature algorithm, plaintext
        //# SHOULD be released as soon as the above calculation, including tag verification,
        //# succeeds.
        //= client-apis/decrypt.md#decrypt-the-message-body
        //# If this operation is using an algorithm suite with a signature algorithm, all plaintext
        //# decrypted from regular frames SHOULD be released as soon as the above calculation,
        //# including tag verification, succeeds.
        if prefix.kind == Kind::Regular {
            self.ready = plaintext;
            self.stage = Stage::Frames { opened: frame_bytes };
            self.wanted = 0;
        } else {
            //= client-apis/decrypt.md#decrypt-the-message-body
            //# Any plaintext decrypted from unframed data or a final frame MUST NOT be released
            //# until signature verification successfully completes.
            self.stage = Stage::Footer { plaintext, footer: frame_bytes };
        }
        Ok(())
    }

    /// Bytes that are there from the current frame on.
    fn available(&self) -> usize {
        self.filled.saturating_sub(self.start)
    }

    /// Moves the current frame, which is not open yet, to the start of the buffer.
    fn compact(&mut self) {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.filled, 0);
            self.filled = self.available();
            self.start = 0;
        }
    }
}

/// A frame that was opened out of its place.
struct OpenedApart {
    frame_bytes: usize,
    content_bytes: usize,
}

/// Opens the frame that `bytes` begins with into the start of `out`, if it is a regular one that is there
/// as a whole, and fits. Of one that does not verify zeros are left in `out`.
fn open_regular(
    decryptor: &mut Decryptor,
    bytes: &[u8],
    out: &mut [u8],
) -> Result<Option<OpenedApart>> {
    let Some(content_bytes) = whole_regular_frame(decryptor, bytes) else { return Ok(None) };
    let frame_bytes = content_bytes.saturating_add(REGULAR_OVERHEAD_BYTES);
    match (bytes.get(..frame_bytes), out.get_mut(..content_bytes)) {
        (Some(frame), Some(room)) => {
            decryptor.open_into(frame, room)?;
            Ok(Some(OpenedApart { frame_bytes, content_bytes }))
        }
        _ => Ok(None),
    }
}

/// Bytes of plaintext in the frame that `bytes` begins with, if it is a regular one and all there.
fn whole_regular_frame(decryptor: &Decryptor, bytes: &[u8]) -> Option<usize> {
    let prefix = decryptor.peek(bytes).ok().filter(|prefix| prefix.kind == Kind::Regular)?;
    let frame_bytes = usize::try_from(prefix.total_bytes()).ok()?;
    (frame_bytes <= bytes.len()).then_some(frame_bytes.saturating_sub(REGULAR_OVERHEAD_BYTES))
}

/// What has been given out has been wiped too, as far as the buffer still held it.
impl Drop for Pull {
    fn drop(&mut self) {
        self.buffer.zeroize();
    }
}
