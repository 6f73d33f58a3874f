//! The plaintext of one frame, with room around it for what makes it a frame.

use crate::engine::Encryptor;
use crate::error::Result;
use crate::message::frame::{FINAL_PREFIX_BYTES, REGULAR_PREFIX_BYTES};
use crate::message::suite::TAG_BYTES;

/// Plaintext stands where it does in a final frame, whose prefix is the longer one. So it can become a
/// frame of either kind in place.
///
/// Grows with what is written, up to one frame.
pub(crate) struct FrameBuffer {
    bytes: Vec<u8>,
    frame_length: usize,
    filled: usize,
}

/// A regular frame begins here in the buffer.
const REGULAR_START: usize = FINAL_PREFIX_BYTES - REGULAR_PREFIX_BYTES;

impl FrameBuffer {
    pub(crate) fn new(frame_length: usize) -> Self {
        Self { bytes: Vec::new(), frame_length, filled: 0 }
    }

    /// Whether there is a whole frame of plaintext.
    pub(crate) fn is_full(&self) -> bool {
        self.filled == self.frame_length
    }

    /// Whether there is no plaintext.
    pub(crate) fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Takes as much of `input` as fits, and returns how much that is.
    pub(crate) fn fill(&mut self, input: &[u8]) -> usize {
        let taken = input.len().min(self.frame_length - self.filled);
        let start = FINAL_PREFIX_BYTES + self.filled;
        let end = start + taken;
        self.require(end + TAG_BYTES);
        if let (Some(room), Some(input)) = (self.bytes.get_mut(start..end), input.get(..taken)) {
            room.copy_from_slice(input);
            self.filled += taken;
        }
        taken
    }

    /// The plaintext as the next regular frame of `encryptor`.
    pub(crate) fn seal_regular(&mut self, encryptor: &mut Encryptor) -> Result<&[u8]> {
        let end = self.end();
        let frame = self.bytes.get_mut(REGULAR_START..end).unwrap_or_default();
        encryptor.seal_frame(frame)?;
        Ok(frame)
    }

    /// The plaintext as the final frame of `encryptor`.
    pub(crate) fn seal_final(&mut self, encryptor: &mut Encryptor) -> Result<&[u8]> {
        let end = self.end();
        self.require(end);
        let frame = self.bytes.get_mut(..end).unwrap_or_default();
        encryptor.seal_final_frame(frame)?;
        Ok(frame)
    }

    /// Forgets the plaintext, which has become a frame in its place.
    pub(crate) fn clear(&mut self) {
        self.filled = 0;
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    fn end(&self) -> usize {
        FINAL_PREFIX_BYTES + self.filled + TAG_BYTES
    }

    /// Makes the buffer at least `length` long: doubling, so that little input takes little memory.
    fn require(&mut self, length: usize) {
        if self.bytes.len() < length {
            let most = FINAL_PREFIX_BYTES + self.frame_length + TAG_BYTES;
            let target = (self.bytes.len() * 2).max(length).min(most.max(length));
            self.bytes.resize(target, 0);
        }
    }
}
