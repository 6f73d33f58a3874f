//! Writing one message whose body is a single block.
//!
//! Source: `client-apis/encrypt.md#un-framed-message-body-encryption`, `data-format/message-body.md`.

use super::beginning::Beginning;
use super::finish_signature;
use crate::error::{Error, Result};
use crate::materials::EncryptionMaterials;
use crate::message::frame::{FrameNumber, Kind, SINGLE_BLOCK_OVERHEAD_BYTES};
use crate::message::header::{Content, HeaderFields};
use crate::message::limits::{SINGLE_BLOCK_BYTES_MAX, within};

/// Writes one message without frames: the [header](Self::header), the block, and the footer that sealing
/// the block returns.
///
/// For readers that know nothing else, and for test vectors. The specification keeps its own
/// implementations from writing such messages: a reader must hold the whole block before it may release
/// a byte of it, and nothing of it can be read by itself.
///
/// The block is sealed by value, so there is no second one.
pub struct SingleBlockEncryptor {
    beginning: Beginning,
}

impl SingleBlockEncryptor {
    /// Begins a message; `materials` are used up by it.
    ///
    /// # Errors
    /// As [`Encryptor::new`](super::Encryptor::new).
    pub fn new(materials: EncryptionMaterials) -> Result<Self> {
        Ok(Self { beginning: Beginning::new(materials, Content::SingleBlock)? })
    }

    /// The serialised header with its tag: the first bytes of the message.
    #[must_use]
    pub fn header(&self) -> &[u8] {
        &self.beginning.header
    }

    /// What the header says: the suite, the encryption context and all else that the materials brought.
    #[must_use]
    pub fn header_fields(&self) -> &HeaderFields {
        &self.beginning.fields
    }

    /// Seals `plaintext`, of at most [`SINGLE_BLOCK_BYTES_MAX`] bytes, into `block`, which is
    /// [`SINGLE_BLOCK_OVERHEAD_BYTES`] longer; returns the footer, empty when the suite is not signed.
    ///
    /// # Errors
    /// [`Error::BufferSize`]; [`Error::LimitExceeded`] for more plaintext than the format has room for,
    /// or than the materials were asked for; what the provider returns.
    pub fn seal_into(self, plaintext: &[u8], block: &mut [u8]) -> Result<Vec<u8>> {
        let needed = block_bytes(plaintext.len() as u64)?;
        let found = block.len() as u64;
        if needed != found {
            return Err(Error::BufferSize { buffer: "single block", needed, found });
        }
        self.seal(Some(plaintext), block)
    }

    /// Seals in place: `block` is [`SINGLE_BLOCK_OVERHEAD_BYTES`] longer than the plaintext, and holds it
    /// after the first [`SINGLE_BLOCK_PREFIX_BYTES`](crate::message::frame::SINGLE_BLOCK_PREFIX_BYTES)
    /// bytes; returns the footer, as [`seal_into`](Self::seal_into).
    ///
    /// # Errors
    /// As [`seal_into`](Self::seal_into).
    pub fn seal_in_place(self, block: &mut [u8]) -> Result<Vec<u8>> {
        self.seal(None, block)
    }

    fn seal(self, plaintext: Option<&[u8]>, block: &mut [u8]) -> Result<Vec<u8>> {
        let Beginning { body_key, mut signer, mut bound, .. } = self.beginning;
        let (needed, found) = (SINGLE_BLOCK_OVERHEAD_BYTES as u64, block.len() as u64);
        let too_small = Error::BufferSize { buffer: "single block", needed, found };
        let plaintext_bytes = found.checked_sub(needed).ok_or(too_small)?;
        within("single-block content bytes", plaintext_bytes, SINGLE_BLOCK_BYTES_MAX)?;
        bound.take(plaintext_bytes)?;
        //= client-apis/encrypt.md#un-framed-message-body-encryption
        //# Encrypted Content: MUST be the output of the authenticated encryption algorithm
        //# specified by the algorithm suite, with the following inputs:
        //= client-apis/encrypt.md#un-framed-message-body-encryption
        //# Authentication Tag: MUST be the authentication tag returned by the above encryption.
        body_key.seal_frame(Kind::SingleBlock, FrameNumber::FIRST, plaintext, block)?;
        if let Some(signer) = &mut signer {
            signer.update(block);
        }
        finish_signature(signer)
    }
}

/// Bytes of the block that holds so many bytes of plaintext.
fn block_bytes(plaintext_bytes: u64) -> Result<u64> {
    within("single-block content bytes", plaintext_bytes, SINGLE_BLOCK_BYTES_MAX)?;
    Ok(plaintext_bytes + SINGLE_BLOCK_OVERHEAD_BYTES as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_limit_holds_at_max_and_not_beyond() {
        assert_eq!(block_bytes(SINGLE_BLOCK_BYTES_MAX).unwrap(), (1 << 36) - 32 + 36);
        let error = block_bytes(SINGLE_BLOCK_BYTES_MAX + 1).unwrap_err();
        assert!(matches!(error, Error::LimitExceeded { .. }), "{error}");
    }
}
