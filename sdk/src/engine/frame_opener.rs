//! Opening any frame of a message, in any order, from any thread.

use super::BodyKey;
use super::decryptor::{content_and_tag, require_content_size, require_frame_size};
use crate::error::{Error, Fault, Result};
use crate::message::encryption_context::EncryptionContext;
use crate::message::frame::{FrameNumber, Kind, Prefix};
use crate::message::header::{Content, Header, Verified};
use crate::message::suite::AlgorithmSuite;

/// A caller's word that the signature of a signed message stays unverified.
///
/// Every frame is still authenticated by its tag: only whoever has a data key of the message, which
/// includes every reader, can have forged it. What is lost is that readers cannot be the forgers.
#[derive(Debug, Clone, Copy)]
pub struct SignatureStaysUnverified;

/// Opens frames of one message in any order.
///
/// `Send + Sync`, without state that changes: share it in an [`Arc`](std::sync::Arc), keep it in a cache.
pub struct FrameOpener {
    body_key: BodyKey,
    suite: AlgorithmSuite,
    encryption_context: EncryptionContext,
    frame_length: u32,
    header_length: usize,
}

impl FrameOpener {
    /// An opener for the unsigned, framed message that `header` begins.
    ///
    /// # Errors
    /// [`Error::SignedSuiteRefused`], [`Error::NotFramed`].
    pub fn new(header: Header<Verified>) -> Result<Self> {
        match header.suite().signature() {
            None => Self::without_signature(header),
            Some(_) => Err(Error::SignedSuiteRefused { suite: header.suite() }),
        }
    }

    /// An opener for a framed message that may be signed, and whose signature nobody checks.
    ///
    /// # Errors
    /// [`Error::NotFramed`].
    pub fn of_signed(header: Header<Verified>, _word: SignatureStaysUnverified) -> Result<Self> {
        Self::without_signature(header)
    }

    fn without_signature(header: Header<Verified>) -> Result<Self> {
        let Content::Framed(frame_length) = header.content() else {
            return Err(Error::NotFramed);
        };
        Ok(Self {
            suite: header.suite(),
            frame_length,
            header_length: header.length(),
            encryption_context: header.fields.encryption_context,
            body_key: header.state.body_key,
        })
    }

    /// Bytes of plaintext in a regular frame.
    #[must_use]
    pub fn frame_length(&self) -> u32 {
        self.frame_length
    }

    /// Bytes of the message's header; frames begin there.
    #[must_use]
    pub fn header_length(&self) -> usize {
        self.header_length
    }

    /// The suite of the message.
    #[must_use]
    pub fn suite(&self) -> AlgorithmSuite {
        self.suite
    }

    /// The authenticated encryption context.
    #[must_use]
    pub fn encryption_context(&self) -> &EncryptionContext {
        &self.encryption_context
    }

    /// Opens frame `number` of kind `kind` in place and returns its plaintext, which lies after the
    /// prefix. `frame` is exactly the frame.
    ///
    /// # Errors
    /// [`Error::Malformed`] when `frame` is another frame or of the other kind, [`Error::Truncated`],
    /// [`Error::BufferSize`] when it is longer, [`Error::TagMismatch`]; the content is zeroed then.
    pub fn open_in_place<'a>(
        &self,
        number: FrameNumber,
        kind: Kind,
        frame: &'a mut [u8],
    ) -> Result<&'a mut [u8]> {
        let prefix = self.begin(number, kind, frame)?;
        let truncated = || Error::Truncated { region: prefix.region() };
        let (_, rest) = frame.split_at_mut_checked(kind.prefix_bytes()).ok_or_else(truncated)?;
        let (content, tag) = rest.split_last_chunk_mut().ok_or_else(truncated)?;
        self.body_key.open_in_place(&prefix, content, tag)?;
        Ok(content)
    }

    /// Opens frame `number` of kind `kind` into `plaintext`, which is as long as the frame's content.
    ///
    /// # Errors
    /// As [`open_in_place`](Self::open_in_place); `plaintext` is zeroed when the tag does not verify.
    pub fn open_into(
        &self,
        number: FrameNumber,
        kind: Kind,
        frame: &[u8],
        plaintext: &mut [u8],
    ) -> Result<()> {
        let prefix = self.begin(number, kind, frame)?;
        require_content_size(&prefix, plaintext)?;
        let (content, tag) = content_and_tag(&prefix, frame)?;
        self.body_key.open_into(&prefix, content, tag, plaintext)
    }

    fn begin(&self, number: FrameNumber, kind: Kind, frame: &[u8]) -> Result<Prefix> {
        let prefix = Prefix::parse_framed(frame, number, self.frame_length)?;
        if prefix.kind != kind {
            return Err(Error::Malformed { region: kind.region(number), fault: Fault::FrameKind });
        }
        require_frame_size(&prefix, frame)?;
        Ok(prefix)
    }
}
