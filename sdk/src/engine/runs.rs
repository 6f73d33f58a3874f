//! Runs of consecutive regular frames, which several threads seal or open at a time.
//!
//! A message's [`Encryptor`](super::Encryptor) or [`Decryptor`](super::Decryptor) gives out the numbers
//! of a run in order; what is done with the frames then needs no order.

use super::BodyKey;
use super::decryptor::content_and_tag;
use super::signature::{SignatureCheck, Signer};
use crate::error::{Error, Fault, Result};
use crate::message::frame::{FrameNumber, Kind, Prefix, REGULAR_OVERHEAD_BYTES};

/// The numbers of consecutive regular frames. Whoever has it may use each number once: it cannot be
/// cloned.
#[derive(Debug)]
pub(crate) struct FrameRun {
    first: FrameNumber,
    frames: u32,
}

impl FrameRun {
    pub(super) fn new(first: FrameNumber, frames: u32) -> Self {
        Self { first, frames }
    }

    /// How many frames.
    pub(crate) fn frames(&self) -> usize {
        self.frames as usize
    }

    /// The first `frames` of them at most, and the rest.
    pub(crate) fn split_at(self, frames: u32) -> (Self, Self) {
        let frames = frames.min(self.frames);
        let number = self.first.get().saturating_add(frames);
        let first = FrameNumber::new(number).unwrap_or(FrameNumber::LAST);
        (Self { frames, ..self }, Self { first, frames: self.frames - frames })
    }

    /// The numbers, in order.
    fn numbers(self) -> impl Iterator<Item = FrameNumber> {
        let first = self.first.get();
        (first..=u32::MAX).take(self.frames as usize).filter_map(FrameNumber::new)
    }
}

/// Seals the frames of runs, from any thread.
#[derive(Clone, Copy)]
pub(crate) struct Sealing<'a> {
    body_key: &'a BodyKey,
    frame_length: usize,
}

impl<'a> Sealing<'a> {
    pub(super) fn new(body_key: &'a BodyKey, frame_length: usize) -> Self {
        Self { body_key, frame_length }
    }

    /// Bytes of plaintext in each frame.
    pub(crate) fn frame_length(self) -> usize {
        self.frame_length
    }

    /// Seals `plaintext`, the content of all frames of `run` one after another, into `frames`, where they
    /// stand as in the message.
    ///
    /// # Errors
    /// [`Error::BufferSize`], and what the provider returns.
    pub(crate) fn seal_run(self, run: FrameRun, plaintext: &[u8], frames: &mut [u8]) -> Result<()> {
        let count = run.frames as usize;
        require_size("plaintext of a run", plaintext, count * self.frame_length)?;
        let frame_bytes = self.frame_length + REGULAR_OVERHEAD_BYTES;
        require_size("frames of a run", frames, count * frame_bytes)?;
        let contents = plaintext.chunks_exact(self.frame_length);
        for ((number, content), frame) in
            run.numbers().zip(contents).zip(frames.chunks_exact_mut(frame_bytes))
        {
            self.body_key.seal_frame(Kind::Regular, number, Some(content), frame)?;
        }
        Ok(())
    }
}

/// Signs what has been sealed, in the order of the message.
pub(crate) struct Signing<'a>(Option<&'a mut Signer>);

impl<'a> Signing<'a> {
    pub(super) fn new(signer: Option<&'a mut Signer>) -> Self {
        Self(signer)
    }

    /// Whether the message is signed at all.
    pub(crate) fn is_due(&self) -> bool {
        self.0.is_some()
    }

    /// Takes the next bytes of the message.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        if let Some(signer) = &mut self.0 {
            signer.update(bytes);
        }
    }
}

/// Opens the frames of runs, from any thread.
#[derive(Clone, Copy)]
pub(crate) struct Opening<'a> {
    body_key: &'a BodyKey,
    frame_length: u32,
}

impl<'a> Opening<'a> {
    pub(super) fn new(body_key: &'a BodyKey, frame_length: u32) -> Self {
        Self { body_key, frame_length }
    }

    /// Bytes of plaintext in each frame.
    pub(crate) fn frame_length(self) -> usize {
        self.frame_length as usize
    }

    /// Opens `frames`, those of `run` one after another, into `plaintext`, one content after another.
    ///
    /// # Errors
    /// How many bytes of plaintext had been authenticated before the first frame that was not, and what
    /// is wrong with that: [`Error::Malformed`] when it is another frame or not regular,
    /// [`Error::TagMismatch`], [`Error::BufferSize`].
    pub(crate) fn open_run(
        self,
        run: FrameRun,
        frames: &[u8],
        plaintext: &mut [u8],
    ) -> Result<(), (usize, Error)> {
        let (count, length) = (run.frames as usize, self.frame_length as usize);
        let frame_bytes = length + REGULAR_OVERHEAD_BYTES;
        require_size("frames of a run", frames, count * frame_bytes).map_err(|e| (0, e))?;
        require_size("plaintext of a run", plaintext, count * length).map_err(|e| (0, e))?;
        let rooms = plaintext.chunks_exact_mut(length);
        for (index, ((number, frame), room)) in
            run.numbers().zip(frames.chunks_exact(frame_bytes)).zip(rooms).enumerate()
        {
            self.open_frame(number, frame, room).map_err(|error| (index * length, error))?;
        }
        Ok(())
    }

    fn open_frame(self, number: FrameNumber, frame: &[u8], content: &mut [u8]) -> Result<()> {
        let prefix = Prefix::parse_framed(frame, number, self.frame_length)?;
        if prefix.kind != Kind::Regular {
            let region = Kind::Regular.region(number);
            return Err(Error::Malformed { region, fault: Fault::FrameKind });
        }
        let (ciphertext, tag) = content_and_tag(&prefix, frame)?;
        self.body_key.open_into(&prefix, ciphertext, tag, content)
    }
}

/// Feeds the signature's digest with what is being opened, in the order of the message.
pub(crate) struct Checking<'a>(Option<&'a mut SignatureCheck>);

impl<'a> Checking<'a> {
    pub(super) fn new(check: Option<&'a mut SignatureCheck>) -> Self {
        Self(check)
    }

    /// Whether the message is signed at all.
    pub(crate) fn is_due(&self) -> bool {
        self.0.is_some()
    }

    /// Takes the next bytes of the message.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        if let Some(check) = &mut self.0 {
            check.update(bytes);
        }
    }
}

fn require_size(buffer: &'static str, bytes: &[u8], needed: usize) -> Result<()> {
    if bytes.len() == needed {
        return Ok(());
    }
    Err(Error::BufferSize { buffer, needed: needed as u64, found: bytes.len() as u64 })
}
