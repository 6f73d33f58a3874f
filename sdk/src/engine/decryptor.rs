//! Reading one message from its start to its end, out of the caller's buffers.
//!
//! Source: `client-apis/decrypt.md#decrypt-the-message-body`.

use super::runs::{Checking, FrameRun, Opening};
use super::{BodyKey, SignatureCheck};
use crate::error::{Error, Result};
use crate::message::footer::Footer;
use crate::message::frame::REGULAR_OVERHEAD_BYTES;
use crate::message::frame::{FrameNumber, Kind, Prefix};
use crate::message::header::{Content, Header, HeaderFields, Verified};
use crate::message::suite::TAG_BYTES;

/// Opens the frames of one message in their order, then checks its signature.
pub struct Decryptor {
    body_key: BodyKey,
    header_fields: HeaderFields,
    due: Due,
    signature_check: Option<SignatureCheck>,
}

/// What the next bytes of the message must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Frame(FrameNumber),
    Footer,
    Nothing,
}

impl Decryptor {
    /// Reads the message that `header` begins.
    #[must_use]
    pub fn new(header: Header<Verified>) -> Self {
        let Header { fields: header_fields, state } = header;
        let Verified { body_key, signature_check, .. } = state;
        Self { body_key, header_fields, due: Due::Frame(FrameNumber::FIRST), signature_check }
    }

    /// What the header says.
    #[must_use]
    pub fn header_fields(&self) -> &HeaderFields {
        &self.header_fields
    }

    /// What the header says, when the message has been read.
    pub(crate) fn into_header_fields(self) -> HeaderFields {
        self.header_fields
    }

    /// Looks at the frame that begins with `bytes`: its kind, and how many bytes it takes.
    ///
    /// # Errors
    /// [`Error::Truncated`] when `bytes` ends inside the frame's prefix; [`Error::Malformed`] when it is
    /// not the frame that is due; [`Error::OutOfOrder`] after the final frame.
    pub fn peek(&self, bytes: &[u8]) -> Result<Prefix> {
        //= client-apis/decrypt.md#decrypt-the-message-body
        //# Once the message header is successfully parsed, the next sequential bytes MUST be
        //# deserialized according to the message body spec.
        let Due::Frame(number) = self.due else {
            return Err(Error::OutOfOrder("the final frame has been opened already"));
        };
        //= client-apis/decrypt.md#decrypt-the-message-body
        //# The content type field parsed from the message header above determines whether these
        //# bytes MUST be deserialized as framed data or un-framed data.
        match self.header_fields.content {
            Content::Framed(frame_length) => Prefix::parse_framed(bytes, number, frame_length),
            Content::SingleBlock => Prefix::parse_single_block(bytes),
        }
    }

    /// Opens `frame` in place and returns its plaintext, which lies after the prefix.
    ///
    /// `frame` is exactly the frame, of the length that [`peek`](Self::peek) says. The plaintext of the
    /// last frame of a signed message is not to be used before [`check_footer`](Self::check_footer).
    ///
    /// # Errors
    /// As [`peek`](Self::peek); [`Error::TagMismatch`], and the content is zeroed then.
    pub fn open_in_place<'a>(&mut self, frame: &'a mut [u8]) -> Result<&'a mut [u8]> {
        let prefix = self.begin(frame)?;
        let (_, rest) = frame
            .split_at_mut_checked(prefix.kind.prefix_bytes())
            .ok_or(Error::Truncated { region: prefix.region() })?;
        let (content, tag) =
            rest.split_last_chunk_mut().ok_or(Error::Truncated { region: prefix.region() })?;
        //= client-apis/decrypt.md#decrypt-the-message-body
        //# Once at least a single frame is deserialized (or the entire body in the un-framed case),
        //# this operation MUST decrypt and authenticate the frame (or body) using the authenticated
        //# encryption algorithm specified by the algorithm suite, with the following inputs:
        //= client-apis/decrypt.md#decrypt-the-message-body
        //# If this decryption fails, this operation MUST immediately halt and fail.
        self.body_key.open_in_place(&prefix, content, tag)?;
        self.advance(&prefix)?;
        Ok(content)
    }

    /// Opens `frame` into `plaintext`, which is as long as the frame's content.
    ///
    /// # Errors
    /// As [`open_in_place`](Self::open_in_place); `plaintext` is zeroed then. [`Error::BufferSize`].
    pub fn open_into(&mut self, frame: &[u8], plaintext: &mut [u8]) -> Result<()> {
        let prefix = self.begin(frame)?;
        require_content_size(&prefix, plaintext)?;
        let (content, tag) = content_and_tag(&prefix, frame)?;
        self.body_key.open_into(&prefix, content, tag, plaintext)?;
        self.advance(&prefix)
    }

    /// The numbers of the regular frames that `bytes` begins with, up to `frames_max`: those that are
    /// there as a whole. Whoever takes them opens them by [`Opening::open_run`] and goes on behind them.
    ///
    /// Empty when something else comes next, of which [`peek`](Self::peek) says what.
    #[cfg_attr(
        not(feature = "parallel"),
        allow(dead_code, reason = "only the parallel surface takes runs")
    )]
    pub(crate) fn take_run(&mut self, bytes: &[u8], frames_max: usize) -> FrameRun {
        let (Due::Frame(first), Content::Framed(frame_length)) =
            (self.due, self.header_fields.content)
        else {
            return FrameRun::new(FrameNumber::FIRST, 0);
        };
        let frames_max = u32::try_from(frames_max).unwrap_or(u32::MAX);
        let mut number = first;
        for frame in bytes.chunks_exact(frame_length as usize + REGULAR_OVERHEAD_BYTES) {
            let regular = Prefix::parse_framed(frame, number, frame_length)
                .is_ok_and(|prefix| prefix.kind == Kind::Regular);
            let next = number.next().filter(|_| regular && number.get() - first.get() < frames_max);
            let Some(next) = next else { break };
            number = next;
        }
        self.due = Due::Frame(number);
        FrameRun::new(first, number.get() - first.get())
    }

    /// The two things that happen to a run, for two threads at a time: opening its frames, in any order,
    /// and feeding them to the signature's digest, in theirs.
    #[cfg_attr(
        not(feature = "parallel"),
        allow(dead_code, reason = "only the parallel surface takes runs")
    )]
    pub(crate) fn lanes(&mut self) -> (Opening<'_>, Checking<'_>) {
        let frame_length = match self.header_fields.content {
            Content::Framed(length) => length,
            Content::SingleBlock => 0,
        };
        (Opening::new(&self.body_key, frame_length), Checking::new(self.signature_check.as_mut()))
    }

    /// Checks what follows the last frame, and returns how many bytes it takes: a footer after a signed
    /// message, nothing after another.
    ///
    /// # Errors
    /// [`Error::Truncated`] when `bytes` ends inside the footer: with more bytes it may succeed;
    /// [`Error::SignatureInvalid`]; [`Error::OutOfOrder`] before the last frame and when called again.
    pub fn check_footer(&mut self, bytes: &[u8]) -> Result<usize> {
        if self.due != Due::Footer {
            return Err(Error::OutOfOrder("the footer is not due"));
        }
        //= client-apis/decrypt.md#behavior
        //# Otherwise this operation MUST NOT perform this step.
        if self.signature_check.is_none() {
            self.due = Due::Nothing;
            return Ok(0);
        }
        let footer = Footer::parse(bytes)?;
        //= client-apis/decrypt.md#behavior
        //# If the message header contains an algorithm suite including a signature algorithm, this
        //# operation MUST perform this step.
        //= client-apis/decrypt.md#verify-the-signature
        //# If the algorithm suite has a signature algorithm, this operation MUST verify the message
        //# footer using the specified signature algorithm.
        if let Some(check) = self.signature_check.take() {
            check.finish(footer.signature)?;
        }
        self.due = Due::Nothing;
        Ok(footer.length)
    }

    /// What `frame` is, which must be all of it; its bytes go into the signature as they are.
    fn begin(&mut self, frame: &[u8]) -> Result<Prefix> {
        let prefix = self.peek(frame)?;
        require_frame_size(&prefix, frame)?;
        if let Some(check) = &mut self.signature_check {
            //= client-apis/decrypt.md#decrypt-the-message-body
            //# This operation SHOULD input the serialized frame to the signature algorithm as soon
            //# as it is deserialized, such that the serialized frame isn't required to remain in
            //# memory to complete the signature verification.
            //= client-apis/decrypt.md#verify-the-signature
            //# Note that the message header and message body MAY have already been input during
            //# previous steps.
            check.update(frame);
        }
        Ok(prefix)
    }

    fn advance(&mut self, opened: &Prefix) -> Result<()> {
        self.due = match opened.kind {
            //= data-format/message-body.md#final-frame
            //# The final frame MUST be the last frame.
            Kind::Final | Kind::SingleBlock => Due::Footer,
            Kind::Regular => Due::Frame(opened.number.next().ok_or(Error::OutOfOrder(
                "the message has more frames than there are sequence numbers",
            ))?),
        };
        Ok(())
    }
}

/// Splits a frame after its prefix and before its tag.
pub(super) fn content_and_tag<'a>(
    prefix: &Prefix,
    frame: &'a [u8],
) -> Result<(&'a [u8], &'a [u8; TAG_BYTES])> {
    let truncated = || Error::Truncated { region: prefix.region() };
    let (_, rest) = frame.split_at_checked(prefix.kind.prefix_bytes()).ok_or_else(truncated)?;
    rest.split_last_chunk().ok_or_else(truncated)
}

pub(super) fn require_frame_size(prefix: &Prefix, frame: &[u8]) -> Result<()> {
    let (needed, found) = (prefix.total_bytes(), frame.len() as u64);
    match found.cmp(&needed) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Less => Err(Error::Truncated { region: prefix.region() }),
        std::cmp::Ordering::Greater => Err(Error::BufferSize { buffer: "frame", needed, found }),
    }
}

pub(super) fn require_content_size(prefix: &Prefix, plaintext: &[u8]) -> Result<()> {
    let (needed, found) = (prefix.content_bytes, plaintext.len() as u64);
    if needed == found {
        return Ok(());
    }
    Err(Error::BufferSize { buffer: "plaintext", needed, found })
}
