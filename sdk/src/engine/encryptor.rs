//! Writing one framed message, frame after frame, into the caller's buffers.
//!
//! Source: `client-apis/encrypt.md`.

use super::beginning::{Beginning, PlaintextBound};
use super::runs::{FrameRun, Sealing, Signing};
use super::signature::Signer;
use super::{BodyKey, finish_signature};
use crate::error::{Error, Result};
use crate::materials::EncryptionMaterials;
use crate::memory::resize_for_overwrite;
use crate::message::frame::{FINAL_OVERHEAD_BYTES, FrameNumber, Kind, REGULAR_OVERHEAD_BYTES};
use crate::message::header::{Content, HeaderFields};
use crate::options::EncryptOptions;

/// Writes one message: the [header](Self::header), any number of regular frames, one final frame, and
/// the footer that [`finish`](Self::finish) returns.
///
/// It numbers the frames itself and cannot be cloned, so no number, and with it no IV, comes twice.
///
/// A plaintext of whole frames can end either way: its last bytes as a full final frame, or as a regular
/// frame before an empty final one. Every surface of this crate writes the first, which is shorter, unless
/// asked for the second: a few old readers refuse the first.
pub struct Encryptor {
    header: Vec<u8>,
    header_fields: HeaderFields,
    body_key: BodyKey,
    frame_length: u32,
    /// `None` when the final frame has been sealed, or no number is left.
    next: Option<FrameNumber>,
    final_sealed: bool,
    signer: Option<Signer>,
    bound: PlaintextBound,
}

impl Encryptor {
    /// Begins a message; `materials` are used up by it.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a frame length of zero, [`Error::Keyring`] for materials without a data
    /// key or without a wrapped copy of it, [`Error::LimitExceeded`] when the header would not fit its
    /// length fields, and what the provider returns.
    pub fn new(materials: EncryptionMaterials, options: &EncryptOptions) -> Result<Self> {
        let frame_length = options.frame_length;
        let Beginning { header, fields: header_fields, body_key, signer, bound } =
            Beginning::new(materials, Content::Framed(frame_length))?;
        //= client-apis/encrypt.md#construct-a-frame
        //# If this is the first frame sequentially, this value MUST be 1.
        let next = Some(FrameNumber::FIRST);
        Ok(Self {
            header,
            header_fields,
            body_key,
            frame_length,
            next,
            final_sealed: false,
            signer,
            bound,
        })
    }

    /// The serialised header with its tag: the first bytes of the message.
    #[must_use]
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// What the header says: the suite, the encryption context and all else that the materials brought.
    #[must_use]
    pub fn header_fields(&self) -> &HeaderFields {
        &self.header_fields
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
    /// the message has no number left, or more plaintext than the materials were asked for.
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
        //= client-apis/encrypt.md#construct-a-frame
        //# For a regular frame the length of this plaintext MUST equal the frame length.
        //= client-apis/encrypt.md#construct-a-frame
        //# For a regular frame the length of this plaintext subsequence MUST equal the frame
        //# length.
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
        self.finish_with_fields().map(|(footer, _)| footer)
    }

    /// As [`finish`](Self::finish), and what the header says.
    pub(crate) fn finish_with_fields(self) -> Result<(Vec<u8>, HeaderFields)> {
        if !self.final_sealed {
            return Err(Error::OutOfOrder("the message has no final frame yet"));
        }
        Ok((finish_signature(self.signer)?, self.header_fields))
    }

    /// The numbers of the next `frames` regular frames, which [`Sealing::seal_run`] uses up.
    ///
    /// # Errors
    /// As [`seal_frame`](Self::seal_frame); no number has been taken then.
    pub(crate) fn take_run(&mut self, frames: usize) -> Result<FrameRun> {
        let first = self.due(Kind::Regular)?;
        let frames = u32::try_from(frames).map_err(|_| numbers_exhausted())?;
        let next = first.get().checked_add(frames).and_then(FrameNumber::new);
        let next = next.ok_or_else(numbers_exhausted)?;
        self.bound.take(u64::from(frames) * u64::from(self.frame_length))?;
        self.next = Some(next);
        Ok(FrameRun::new(first, frames))
    }

    /// Seals the next regular frames from `plaintext`, which are whole ones, over what `frames` held before.
    ///
    /// # Errors
    /// As [`seal_frame`](Self::seal_frame).
    pub(crate) fn seal_frames_over(
        &mut self,
        plaintext: &[u8],
        frames: &mut Vec<u8>,
    ) -> Result<()> {
        let count = plaintext.len() / self.frame_length();
        let run = self.take_run(count)?;
        resize_for_overwrite(frames, plaintext.len() + count * REGULAR_OVERHEAD_BYTES);
        let (sealing, mut signing) = self.lanes();
        sealing.seal_run(run, plaintext, frames)?;
        signing.update(frames);
        Ok(())
    }

    /// The two things that happen to a run, for two threads at a time: sealing its frames, in any order,
    /// and signing them, in theirs.
    pub(crate) fn lanes(&mut self) -> (Sealing<'_>, Signing<'_>) {
        (Sealing::new(&self.body_key, self.frame_length()), Signing::new(self.signer.as_mut()))
    }

    fn seal(&mut self, kind: Kind, plaintext: Option<&[u8]>, frame: &mut [u8]) -> Result<()> {
        let overhead =
            if kind == Kind::Final { FINAL_OVERHEAD_BYTES } else { REGULAR_OVERHEAD_BYTES };
        let number = self.due(kind)?;
        self.bound.take(frame.len().saturating_sub(overhead) as u64)?;
        // Never given again: not even when sealing fails.
        self.next = number.next();
        //= client-apis/encrypt.md#construct-a-frame
        //# This operation MUST serialize a regular frame or final frame with the following
        //# specifics:
        //= client-apis/encrypt.md#construct-a-frame
        //# Encrypted Content: MUST be the encrypted content calculated above.
        //= client-apis/encrypt.md#construct-a-frame
        //# Authentication Tag: MUST be the authentication tag output when calculating the encrypted
        //# content above.
        self.body_key.seal_frame(kind, number, plaintext, frame)?;
        if let Some(signer) = &mut self.signer {
            //= client-apis/encrypt.md#construct-a-frame
            //# If the algorithm suite contains a signature algorithm and this operation is
            //# streaming the encrypted message output to the caller, this operation MUST input the
            //# serialized frame to the signature algorithm as soon as it is serialized, such that
            //# the serialized frame isn't required to remain in memory to construct the signature.
            //= client-apis/encrypt.md#construct-the-signature
            //# Note that the message header and message body MAY have already been input during
            //# previous steps.
            signer.update(frame);
        }
        self.final_sealed = kind == Kind::Final;
        Ok(())
    }

    /// The number of the next frame, if there may be one of `kind`.
    fn due(&self, kind: Kind) -> Result<FrameNumber> {
        //= data-format/message-body.md#final-frame
        //# Framed data MUST contain exactly one final frame.
        if self.final_sealed {
            return Err(Error::OutOfOrder("the final frame has been sealed already"));
        }
        match self.next {
            // The last number belongs to the final frame alone.
            Some(FrameNumber::LAST) if kind == Kind::Regular => Err(numbers_exhausted()),
            Some(number) => Ok(number),
            None => Err(numbers_exhausted()),
        }
    }

    fn require_final_size(&self, frame: &[u8]) -> Result<()> {
        let max = self.frame_length() + FINAL_OVERHEAD_BYTES;
        //= client-apis/encrypt.md#construct-a-frame
        //# For a final frame this MUST be the length of the remaining plaintext bytes which have
        //# not yet been encrypted, whose length MUST be equal to or less than the frame length.
        //= client-apis/encrypt.md#construct-a-frame
        //# For a final frame this MUST be the remaining plaintext bytes which have not yet been
        //# encrypted, whose length MUST be equal to or less than the frame length.
        if (FINAL_OVERHEAD_BYTES..=max).contains(&frame.len()) {
            return Ok(());
        }
        let (needed, found) = (max as u64, frame.len() as u64);
        Err(Error::BufferSize { buffer: "final frame", needed, found })
    }
}

fn numbers_exhausted() -> Error {
    let max = u64::from(u32::MAX);
    Error::LimitExceeded { quantity: "frames", value: max + 1, max }
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

    //= data-format/message-body.md#framed-data
    //= type=test
    //# The number of frames in a single message MUST be less than or equal to 2^32 - 1.
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
    fn a_run_takes_the_last_number_of_a_regular_frame_and_none_beyond() {
        let mut encryptor = encryptor(4);
        encryptor.next = FrameNumber::new(u32::MAX - 3);
        for frames in [4, usize::MAX] {
            let error = encryptor.take_run(frames).unwrap_err();
            assert!(matches!(error, Error::LimitExceeded { quantity: "frames", .. }), "{error}");
        }
        let run = encryptor.take_run(3).unwrap();
        let (mut frames, (sealing, _)) = ([0; 3 * (4 + REGULAR_OVERHEAD_BYTES)], encryptor.lanes());
        sealing.seal_run(run, &[7; 12], &mut frames).unwrap();
        let numbers = frames.chunks(4 + REGULAR_OVERHEAD_BYTES).map(|frame| &frame[..4]);
        let expected = [u32::MAX - 3, u32::MAX - 2, u32::MAX - 1].map(u32::to_be_bytes);
        assert!(numbers.eq(expected.iter().map(|number| &number[..])));
        assert!(encryptor.take_run(1).is_err());
        encryptor.seal_final_frame(&mut [0; 4 + FINAL_OVERHEAD_BYTES]).unwrap();
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

    //= client-apis/encrypt.md#frame-length
    //= type=test
    //# This value MUST be greater than 0 and MUST NOT exceed the value 2^32 - 1.
    //= client-apis/encrypt.md#get-the-encryption-materials
    //= type=test
    //# To construct the encrypted message, some fields MUST be constructed using information
    //# obtained from a set of valid encryption materials.
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
