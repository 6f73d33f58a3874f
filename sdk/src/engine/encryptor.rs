//! Writing one message, frame after frame, into the caller's buffers.
//!
//! Source: `client-apis/encrypt.md`.

use super::signature::Signer;
use super::{BodyKey, key_schedule};
use crate::error::{Error, Fault, KeyringFault, Region, Result};
use crate::materials::EncryptionMaterials;
use crate::message::footer::Footer;
use crate::message::frame::{
    FINAL_OVERHEAD_BYTES, FrameNumber, Kind, REGULAR_OVERHEAD_BYTES, write_prefix,
};
use crate::message::header::{self, Content, Fields, MessageId};
use crate::message::suite::TAG_BYTES;
use crate::options::EncryptOptions;

/// Writes one message: the [header](Self::header), any number of regular frames, one final frame, and
/// the footer that [`finish`](Self::finish) returns.
///
/// It numbers the frames itself and cannot be cloned, so no number, and with it no IV, comes twice.
pub struct Encryptor {
    header: Vec<u8>,
    body_key: BodyKey,
    frame_length: u32,
    /// `None` when the final frame has been sealed, or no number is left.
    next: Option<FrameNumber>,
    final_sealed: bool,
    /// Bytes of plaintext that may still be sealed.
    plaintext_bytes_left: Option<u64>,
    signer: Option<Signer>,
}

impl Encryptor {
    /// Begins a message; `materials` are used up by it.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a frame length of zero, [`Error::Keyring`] for materials without a data
    /// key or without a wrapped copy of it, [`Error::LimitExceeded`] when the header would not fit its
    /// length fields, and what the provider returns.
    pub fn new(mut materials: EncryptionMaterials, options: &EncryptOptions) -> Result<Self> {
        let frame_length = checked_frame_length(options.frame_length)?;
        let suite = materials.suite();
        let provider = materials.provider().clone();
        let message_id = MessageId::fill_with(suite.version(), |id| provider.fill_random(id))?;
        let data_key = materials.data_key().ok_or(KeyringFault::DataKeyState("missing"))?;
        let keys = key_schedule::derive(&*provider, suite, &message_id, data_key)?;
        let body_key = BodyKey::new(&*provider, suite, message_id, &keys.cipher_key)?;
        let fields = Fields {
            suite,
            message_id,
            encryption_context: materials.header_context(),
            encrypted_data_keys: wrapped_keys(&mut materials)?,
            content: Content::Framed(frame_length),
            commitment: keys.commitment,
        };
        let header = authenticated_header(&fields, &materials, &body_key)?;
        let mut signer = match (suite.signature(), materials.take_signing_key()) {
            (Some(algorithm), Some(key)) => Some(Signer::new(&*provider, algorithm, key)),
            (None, None) => None,
            _ => return Err(malformed_header(Fault::VerificationKey)),
        };
        if let Some(signer) = &mut signer {
            signer.update(&header);
        }
        Ok(Self {
            header,
            body_key,
            frame_length,
            next: Some(FrameNumber::FIRST),
            final_sealed: false,
            plaintext_bytes_left: materials.plaintext_bytes_max(),
            signer,
        })
    }

    /// The serialised header with its tag: the first bytes of the message.
    #[must_use]
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// Bytes of plaintext in a regular frame.
    #[must_use]
    pub fn frame_length(&self) -> usize {
        self.frame_length as usize
    }

    /// Seals the next regular frame in place.
    ///
    /// `frame` is [`REGULAR_OVERHEAD_BYTES`] longer than the frame length and holds the plaintext after
    /// the first [`REGULAR_PREFIX_BYTES`](crate::message::frame::REGULAR_PREFIX_BYTES) bytes; it becomes
    /// the frame as it stands in the message.
    ///
    /// # Errors
    /// [`Error::BufferSize`], [`Error::OutOfOrder`] after the final frame, [`Error::LimitExceeded`] when
    /// the message has no number left.
    pub fn seal_frame(&mut self, frame: &mut [u8]) -> Result<()> {
        require_size(frame, self.frame_length() + REGULAR_OVERHEAD_BYTES)?;
        self.seal(Kind::Regular, None, frame)
    }

    /// Seals the next regular frame from `plaintext`, of exactly the frame length, into `frame`, which
    /// is [`REGULAR_OVERHEAD_BYTES`] longer.
    ///
    /// # Errors
    /// As [`seal_frame`](Self::seal_frame).
    pub fn seal_frame_into(&mut self, plaintext: &[u8], frame: &mut [u8]) -> Result<()> {
        require_size(frame, self.frame_length() + REGULAR_OVERHEAD_BYTES)?;
        require_size(plaintext, self.frame_length())?;
        self.seal(Kind::Regular, Some(plaintext), frame)
    }

    /// Seals the final frame in place.
    ///
    /// `frame` is [`FINAL_OVERHEAD_BYTES`] longer than its plaintext, which is at most the frame length
    /// and possibly empty, and holds it after the first
    /// [`FINAL_PREFIX_BYTES`](crate::message::frame::FINAL_PREFIX_BYTES) bytes.
    ///
    /// # Errors
    /// As [`seal_frame`](Self::seal_frame).
    pub fn seal_final_frame(&mut self, frame: &mut [u8]) -> Result<()> {
        self.require_final_size(frame)?;
        self.seal(Kind::Final, None, frame)
    }

    /// Seals the final frame from `plaintext`, of at most the frame length, into `frame`, which is
    /// [`FINAL_OVERHEAD_BYTES`] longer.
    ///
    /// # Errors
    /// As [`seal_frame`](Self::seal_frame).
    pub fn seal_final_frame_into(&mut self, plaintext: &[u8], frame: &mut [u8]) -> Result<()> {
        require_size(frame, plaintext.len() + FINAL_OVERHEAD_BYTES)?;
        self.require_final_size(frame)?;
        self.seal(Kind::Final, Some(plaintext), frame)
    }

    /// Ends the message: the footer with the signature, empty when the suite is not signed.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] without a final frame: what has been written is a truncated message, which
    /// every reader refuses.
    pub fn finish(self) -> Result<Vec<u8>> {
        if !self.final_sealed {
            return Err(Error::OutOfOrder("the message has no final frame yet"));
        }
        match self.signer {
            None => Ok(Vec::new()),
            Some(signer) => Footer::serialize(&signer.finish()?),
        }
    }

    fn seal(&mut self, kind: Kind, plaintext: Option<&[u8]>, frame: &mut [u8]) -> Result<()> {
        let number = self.take_number(kind)?;
        let content_bytes = frame.len().saturating_sub(kind.prefix_bytes() + TAG_BYTES);
        self.take_plaintext(content_bytes as u64)?;
        write_prefix(frame, kind, number, content_bytes)?;
        let too_small = || Error::BufferSize {
            buffer: "frame",
            needed: (kind.prefix_bytes() + TAG_BYTES) as u64,
            found: content_bytes as u64,
        };
        let (_prefix, rest) =
            frame.split_at_mut_checked(kind.prefix_bytes()).ok_or_else(too_small)?;
        let (content, tag) = rest.split_last_chunk_mut().ok_or_else(too_small)?;
        *tag = match plaintext {
            None => self.body_key.seal_in_place(kind, number, content)?,
            Some(plaintext) => self.body_key.seal_into(kind, number, plaintext, content)?,
        };
        if let Some(signer) = &mut self.signer {
            signer.update(frame);
        }
        self.final_sealed = kind == Kind::Final;
        Ok(())
    }

    /// Counts `bytes` of plaintext against the bound that the writer gave.
    fn take_plaintext(&mut self, bytes: u64) -> Result<()> {
        //= client-apis/encrypt.md#plaintext-length-bound
        //# If this input is provided, this operation MUST NOT encrypt a plaintext with length
        //# greater than this value.
        if let Some(left) = &mut self.plaintext_bytes_left {
            let exceeded =
                Error::LimitExceeded { quantity: "plaintext bytes", value: bytes, max: *left };
            *left = left.checked_sub(bytes).ok_or(exceeded)?;
        }
        Ok(())
    }

    /// The number of the next frame, which is never given again: not even when sealing it fails.
    fn take_number(&mut self, kind: Kind) -> Result<FrameNumber> {
        if self.final_sealed {
            return Err(Error::OutOfOrder("the final frame has been sealed already"));
        }
        let exhausted = Error::LimitExceeded {
            quantity: "frames",
            value: u64::from(u32::MAX) + 1,
            max: u64::from(u32::MAX),
        };
        // The last number belongs to the final frame alone.
        match self.next.take() {
            Some(FrameNumber::LAST) if kind == Kind::Regular => {
                self.next = Some(FrameNumber::LAST);
                Err(exhausted)
            }
            Some(number) => {
                self.next = number.next();
                Ok(number)
            }
            None => Err(exhausted),
        }
    }

    fn require_final_size(&self, frame: &[u8]) -> Result<()> {
        let max = self.frame_length() + FINAL_OVERHEAD_BYTES;
        if (FINAL_OVERHEAD_BYTES..=max).contains(&frame.len()) {
            return Ok(());
        }
        let (needed, found) = (max as u64, frame.len() as u64);
        Err(Error::BufferSize { buffer: "final frame", needed, found })
    }
}

fn malformed_header(fault: Fault) -> Error {
    Error::Malformed { region: Region::Header, fault }
}

fn checked_frame_length(frame_length: u32) -> Result<u32> {
    if frame_length == 0 {
        return Err(malformed_header(Fault::FrameLength(0)));
    }
    Ok(frame_length)
}

fn wrapped_keys(
    materials: &mut EncryptionMaterials,
) -> Result<Vec<crate::message::encrypted_data_key::EncryptedDataKey>> {
    let keys = materials.take_encrypted_data_keys();
    if keys.is_empty() {
        return Err(KeyringFault::DataKeyState("wrapped by no key").into());
    }
    Ok(keys)
}

fn authenticated_header(
    fields: &Fields,
    materials: &EncryptionMaterials,
    body_key: &BodyKey,
) -> Result<Vec<u8>> {
    let mut bytes = header::serialize_body(fields)?;
    let body_bytes = bytes.len();
    bytes.extend_from_slice(&materials.required_context().serialize()?);
    let end = body_key.authenticate_header(&bytes)?;
    bytes.truncate(body_bytes);
    header::push_authentication(&mut bytes, fields.suite.version(), end);
    Ok(bytes)
}

fn require_size(buffer: &[u8], needed: usize) -> Result<()> {
    if buffer.len() == needed {
        return Ok(());
    }
    let (needed, found) = (needed as u64, buffer.len() as u64);
    Err(Error::BufferSize { buffer: "frame", needed, found })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::crypto::default_provider;
    use crate::materials::EncryptionRequest;
    use crate::message::encrypted_data_key::EncryptedDataKey;
    use crate::message::frame::FINAL_PREFIX_BYTES;
    use crate::message::suite::AlgorithmSuite;
    use crate::secret::{DataKey, SecretBytes};

    fn materials() -> EncryptionMaterials {
        let suite = Some(AlgorithmSuite::Aes256GcmHkdfSha512CommitKey);
        let request = EncryptionRequest { suite, ..EncryptionRequest::default() };
        let mut materials = EncryptionMaterials::new(&request, default_provider()).unwrap();
        materials.set_data_key(DataKey::new(SecretBytes::copy_of(&[4; 32]))).unwrap();
        materials.push_encrypted_data_key(EncryptedDataKey {
            provider_id: "p".into(),
            provider_info: Vec::new(),
            ciphertext: Vec::new(),
        });
        materials
    }

    fn encryptor(frame_length: u32) -> Encryptor {
        Encryptor::new(materials(), &EncryptOptions { frame_length }).unwrap()
    }

    #[test]
    fn the_last_number_is_only_for_the_final_frame_and_none_comes_after() {
        let mut encryptor = encryptor(4);
        encryptor.next = FrameNumber::new(u32::MAX - 1);
        let mut frame = [0; 4 + REGULAR_OVERHEAD_BYTES];
        encryptor.seal_frame(&mut frame).unwrap();
        assert_eq!(frame[..4], (u32::MAX - 1).to_be_bytes());
        for _ in 0..2 {
            let error = encryptor.seal_frame(&mut frame).unwrap_err();
            assert!(matches!(error, Error::LimitExceeded { quantity: "frames", .. }), "{error}");
        }
        let mut last = [0; 4 + FINAL_OVERHEAD_BYTES];
        encryptor.seal_final_frame(&mut last).unwrap();
        assert_eq!(last[..FINAL_PREFIX_BYTES - 4 - 12], [0xff; 8]);
        assert!(encryptor.seal_final_frame(&mut last).is_err());
        assert!(encryptor.finish().unwrap().is_empty());
    }

    #[test]
    fn steps_out_of_order_and_wrong_sizes_are_refused() {
        let mut encryptor = encryptor(4);
        assert!(matches!(encryptor.seal_frame(&mut [0; 35]), Err(Error::BufferSize { .. })));
        assert!(matches!(encryptor.seal_final_frame(&mut [0; 45]), Err(Error::BufferSize { .. })));
        assert!(matches!(encryptor.seal_final_frame(&mut [0; 39]), Err(Error::BufferSize { .. })));
        encryptor.seal_final_frame(&mut [0; 44]).unwrap();
        assert!(matches!(encryptor.seal_frame(&mut [0; 36]), Err(Error::OutOfOrder(_))));
        let unfinished = Encryptor::new(materials(), &EncryptOptions::default()).unwrap();
        assert!(matches!(unfinished.finish(), Err(Error::OutOfOrder(_))));
    }

    #[test]
    fn incomplete_materials_are_refused() {
        let request = EncryptionRequest {
            suite: Some(AlgorithmSuite::Aes256GcmHkdfSha512CommitKey),
            ..EncryptionRequest::default()
        };
        let options = EncryptOptions::default();
        let none = EncryptionMaterials::new(&request, default_provider()).unwrap();
        assert!(matches!(Encryptor::new(none, &options), Err(Error::Keyring(_))));
        let mut unwrapped = EncryptionMaterials::new(&request, default_provider()).unwrap();
        unwrapped.set_data_key(DataKey::new(SecretBytes::copy_of(&[4; 32]))).unwrap();
        assert!(matches!(Encryptor::new(unwrapped, &options), Err(Error::Keyring(_))));
        let zero = EncryptOptions { frame_length: 0 };
        assert!(matches!(Encryptor::new(materials(), &zero), Err(Error::Malformed { .. })));
    }

    #[test]
    fn engines_may_be_shared_between_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<Encryptor>();
        shared::<crate::engine::Decryptor>();
        shared::<Arc<crate::engine::FrameOpener>>();
    }
}
