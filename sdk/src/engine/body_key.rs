//! The key of one message's header tag and body.

use crate::crypto::{AeadKey, CryptoProvider, Iv, Tag, TagMismatch};
use crate::error::{Error, Region, Result};
use crate::message::frame::{BodyAad, FrameNumber, Kind, Prefix, write_prefix};
use crate::message::header::{Authentication, MessageId};
use crate::message::suite::{AlgorithmSuite, IV_BYTES, TAG_BYTES};
use crate::secret::SecretBytes;

/// The IV that ends the header; frames are numbered from 1, so no frame has it.
const HEADER_IV: Iv = [0; IV_BYTES];

/// The cipher key of one message, which knows how frames are bound to their place in it.
pub(crate) struct BodyKey {
    aead: Box<dyn AeadKey>,
    message_id: MessageId,
}

impl BodyKey {
    pub(crate) fn new(
        provider: &dyn CryptoProvider,
        suite: AlgorithmSuite,
        message_id: MessageId,
        cipher_key: &SecretBytes,
    ) -> Result<Self> {
        Ok(Self { aead: provider.aead_key(suite.aead(), cipher_key)?, message_id })
    }

    /// The end of a header whose authenticated data is `aad`. Called once for each message.
    pub(crate) fn authenticate_header(&self, aad: &[u8]) -> Result<Authentication> {
        //= client-apis/encrypt.md#construct-the-header
        //# The value of this MUST be the output of the authenticated encryption algorithm specified
        //# by the algorithm suite, with the following inputs:
        let tag = self.aead.seal_in_place(&HEADER_IV, aad, &mut [])?;
        Ok(Authentication { iv: HEADER_IV, tag })
    }

    pub(crate) fn verify_header(&self, aad: &[u8], end: &Authentication) -> Result<()> {
        let mismatch = |_: TagMismatch| Error::TagMismatch { region: Region::HeaderTag };
        //= client-apis/decrypt.md#verify-the-header
        //# Once a valid message header is deserialized and decryption materials are available, this
        //# operation MUST validate the message header body by using the authenticated encryption
        //# algorithm to decrypt with the following inputs:
        self.aead.open_in_place(&end.iv, aad, &mut [], &end.tag).map_err(mismatch)
    }

    /// Makes `frame` the frame `number`: its prefix, its content and its tag. The content is `plaintext`,
    /// or what stands in its place already. Once for each number: it makes the IV.
    pub(super) fn seal_frame(
        &self,
        kind: Kind,
        number: FrameNumber,
        plaintext: Option<&[u8]>,
        frame: &mut [u8],
    ) -> Result<()> {
        let (found, overhead) = (frame.len() as u64, kind.prefix_bytes() + TAG_BYTES);
        let too_small = || Error::BufferSize { buffer: "frame", needed: overhead as u64, found };
        write_prefix(frame, kind, number, frame.len().saturating_sub(overhead))?;
        let (_prefix, rest) =
            frame.split_at_mut_checked(kind.prefix_bytes()).ok_or_else(too_small)?;
        let (content, tag) = rest.split_last_chunk_mut().ok_or_else(too_small)?;
        let aad = BodyAad::new(&self.message_id, kind, number, content.len() as u64);
        *tag = match plaintext {
            //= client-apis/encrypt.md#construct-a-frame
            //# To construct a regular or final frame that represents the next frame in the
            //# encrypted message's body, this operation MUST calculate the encrypted content and an
            //# authentication tag using the authenticated encryption algorithm specified by the
            //# algorithm suite, with the following inputs:
            //= client-apis/encrypt.md#construct-a-frame
            //# The content length MUST have a value equal to the length of the plaintext being
            //# encrypted.
            //= client-apis/encrypt.md#construct-a-frame
            //# IV: MUST be the IV used when calculating the encrypted content above
            None => self.aead.seal_in_place(&number.iv(), aad.as_bytes(), content)?,
            Some(plaintext) => {
                self.aead.seal_into(&number.iv(), aad.as_bytes(), plaintext, content)?
            }
        };
        Ok(())
    }

    /// Decrypts the content of the frame of `prefix` in place; zeros are left when its tag is wrong.
    pub(crate) fn open_in_place(
        &self,
        prefix: &Prefix,
        content: &mut [u8],
        tag: &Tag,
    ) -> Result<()> {
        let aad = self.aad(prefix, content.len());
        self.aead
            .open_in_place(&prefix.iv, aad.as_bytes(), content, tag)
            .map_err(|_| Error::TagMismatch { region: prefix.region() })
    }

    /// As [`open_in_place`](Self::open_in_place), from one buffer into another of the same length.
    pub(crate) fn open_into(
        &self,
        prefix: &Prefix,
        content: &[u8],
        tag: &Tag,
        plaintext: &mut [u8],
    ) -> Result<()> {
        let aad = self.aad(prefix, content.len());
        self.aead
            .open_into(&prefix.iv, aad.as_bytes(), content, tag, plaintext)
            .map_err(|_| Error::TagMismatch { region: prefix.region() })
    }

    fn aad(&self, prefix: &Prefix, content_bytes: usize) -> BodyAad {
        //= client-apis/decrypt.md#decrypt-the-message-body
        //# The content length MUST have a value equal to the length of the plaintext that was
        //# encrypted.
        BodyAad::new(&self.message_id, prefix.kind, prefix.number, content_bytes as u64)
    }
}
