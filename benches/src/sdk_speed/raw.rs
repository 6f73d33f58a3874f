//! The raw cipher and hash of `aws-lc-rs`, over the buffers that a surface reads and writes.

use std::hint::black_box;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::digest;

use super::{Outcome, Stopwatch};

/// Bytes of authenticated data with each frame, about as many as the format has.
const AAD_BYTES: usize = 64;

/// A plaintext and its frames, sealed with a key of its own.
pub(super) struct Raw {
    key: LessSafeKey,
    frame_length: usize,
    plaintext: Vec<u8>,
    sealed: Vec<u8>,
    tags: Vec<[u8; 16]>,
}

impl Raw {
    pub(super) fn new(plaintext_bytes: usize, frame_length: usize) -> Outcome<Self> {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[2; 32])?);
        let plaintext = vec![0x5a; plaintext_bytes];
        let (sealed, tags) =
            (vec![0; plaintext_bytes], vec![[0; 16]; plaintext_bytes / frame_length]);
        let mut raw = Self { key, frame_length, plaintext, sealed, tags };
        raw.seal_apart()?;
        Ok(raw)
    }

    /// One buffer in the cache, in place.
    pub(super) fn seal_in_place(&self) -> Outcome<Duration> {
        let mut buffer = vec![0; self.frame_length];
        let started = Stopwatch::start();
        for number in 0..self.tags.len() {
            let tag = self.key.seal_in_place_separate_tag(nonce(number), aad(), &mut buffer)?;
            black_box(tag.as_ref());
        }
        black_box(&buffer);
        Ok(started.elapsed())
    }

    /// From the whole plaintext into a buffer of the same size.
    pub(super) fn seal_apart(&mut self) -> Outcome<Duration> {
        let started = Stopwatch::start();
        let frames = self.plaintext.chunks_exact(self.frame_length);
        let rooms = self.sealed.chunks_exact_mut(self.frame_length);
        for (number, ((content, room), tag)) in frames.zip(rooms).zip(&mut self.tags).enumerate() {
            self.key.seal_out_of_place_scatter(nonce(number), aad(), content, room, &[], tag)?;
        }
        black_box(&self.sealed);
        Ok(started.elapsed())
    }

    /// From the whole plaintext into one buffer in the cache.
    pub(super) fn seal_through(&self) -> Outcome<Duration> {
        let (mut room, mut tag) = (vec![0; self.frame_length], [0; 16]);
        let started = Stopwatch::start();
        for (number, content) in self.plaintext.chunks_exact(self.frame_length).enumerate() {
            let (nonce, room) = (nonce(number), &mut room);
            self.key.seal_out_of_place_scatter(nonce, aad(), content, room, &[], &mut tag)?;
            black_box(&tag);
        }
        black_box(&room);
        Ok(started.elapsed())
    }

    /// The whole message in place, once.
    pub(super) fn open_in_place(&self) -> Outcome<Duration> {
        let mut frames = self.sealed.clone();
        let started = Stopwatch::start();
        for (number, (frame, tag)) in
            frames.chunks_exact_mut(self.frame_length).zip(&self.tags).enumerate()
        {
            self.key.open_in_place_separate_tag(nonce(number), aad(), tag, frame)?;
        }
        black_box(&frames);
        Ok(started.elapsed())
    }

    /// From the whole message into a buffer of the same size.
    pub(super) fn open_apart(&self, plaintext: &mut [u8]) -> Outcome<Duration> {
        let started = Stopwatch::start();
        let frames = self.sealed.chunks_exact(self.frame_length).zip(&self.tags);
        let rooms = plaintext.chunks_exact_mut(self.frame_length);
        for (number, ((frame, tag), room)) in frames.zip(rooms).enumerate() {
            self.key.open_separate_gather(nonce(number), aad(), frame, tag, room)?;
        }
        black_box(&plaintext);
        Ok(started.elapsed())
    }

    /// From the whole message into one buffer in the cache.
    pub(super) fn open_through(&self) -> Outcome<Duration> {
        let mut room = vec![0; self.frame_length];
        let started = Stopwatch::start();
        let frames = self.sealed.chunks_exact(self.frame_length).zip(&self.tags);
        for (number, (frame, tag)) in frames.enumerate() {
            self.key.open_separate_gather(nonce(number), aad(), frame, tag, &mut room)?;
        }
        black_box(&room);
        Ok(started.elapsed())
    }

    /// SHA-384 over the whole message: more than that a signed suite cannot reach.
    pub(super) fn sha_384(&self) -> Duration {
        let started = Stopwatch::start();
        black_box(digest::digest(&digest::SHA384, &self.sealed));
        started.elapsed()
    }
}

fn aad() -> Aad<[u8; AAD_BYTES]> {
    Aad::from([0; AAD_BYTES])
}

fn nonce(number: usize) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&(number as u64).to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}
