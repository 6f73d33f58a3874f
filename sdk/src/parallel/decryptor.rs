//! Reading one message on several cores.

use std::io::{self, BufRead, Read};
use std::mem;
use std::ops::Range;
use std::sync::Arc;

use rayon::ThreadPool;
use zeroize::{Zeroize, Zeroizing};

use super::run_frames;
use super::tasks::{Failure, spawn_opening};
use crate::engine::Decryptor;
use crate::engine::pull::Pull;
use crate::error::{Error, Result};
use crate::materials::DecryptionMaterials;
use crate::memory::resize_for_overwrite;
use crate::message::frame::REGULAR_OVERHEAD_BYTES;
use crate::message::header::{Content, HeaderFields};
use crate::message::limits::Limits;
use crate::stream::{PendingReader, fill_from};

/// Decrypts the message that it reads from `R`, on the threads of a pool.
///
/// What comes out, and when, is as of [`DecryptReader`](crate::stream::DecryptReader): a frame's
/// plaintext when its tag and those of all frames before it have been verified, that of the last frame
/// when the end of the message has been. Frames are read ahead while those before them are opened.
pub struct ParallelDecryptor<R> {
    inner: R,
    pool: Arc<ThreadPool>,
    stage: Stage,
    run_frames: usize,
    frame_bytes: usize,
    /// Bytes of the message from the next frame on.
    frames: Vec<u8>,
    /// Where the bytes after those are read.
    ahead: Vec<u8>,
    plaintext: Zeroizing<Vec<u8>>,
    /// Plaintext that may be given out.
    ready: Range<usize>,
    /// What went wrong behind the plaintext that is ready.
    deferred: Option<io::Error>,
    header_fields: HeaderFields,
    limits: Limits,
}

enum Stage {
    /// Nothing of the body has been read.
    Begin(Decryptor),
    /// Runs of regular frames are due.
    Runs(Decryptor),
    /// What follows the last run: frame by frame, to the end of the message.
    Tail(Pull),
    /// An error was returned: nothing comes out any more.
    Failed,
}

impl<R: Read> ParallelDecryptor<R> {
    /// The reader of the plaintext of the message that `pending` has begun to read.
    ///
    /// # Errors
    /// As [`Header::verify`](crate::message::header::Header::verify).
    pub fn new(
        pending: PendingReader<R>,
        materials: DecryptionMaterials,
        pool: Arc<ThreadPool>,
    ) -> Result<Self> {
        let (inner, header, frames, limits) = pending.into_verified(materials)?;
        // A single block is no run.
        let frame_length = match header.content() {
            Content::Framed(length) => length as usize,
            Content::SingleBlock => 0,
        };
        Ok(Self {
            inner,
            run_frames: run_frames(pool.current_num_threads(), frame_length),
            pool,
            frame_bytes: frame_length.saturating_add(REGULAR_OVERHEAD_BYTES),
            frames,
            ahead: Vec::new(),
            plaintext: Zeroizing::new(Vec::new()),
            ready: 0..0,
            deferred: None,
            header_fields: header.fields().clone(),
            stage: Stage::Begin(Decryptor::new(header)),
            limits,
        })
    }

    /// Opens runs until there is plaintext, or something else than a run comes.
    fn open_runs(&mut self) -> io::Result<()> {
        while self.ready.is_empty() {
            if let Some(error) = self.deferred.take() {
                return Err(error);
            }
            match mem::replace(&mut self.stage, Stage::Failed) {
                Stage::Begin(decryptor) => {
                    let run_bytes = self.run_bytes();
                    let read = read_up_to(&mut self.inner, &mut self.frames, run_bytes);
                    let next = if read.is_ok() { Stage::Runs } else { Stage::Begin };
                    self.stage = next(decryptor);
                    read?;
                }
                Stage::Runs(decryptor) => self.open_run(decryptor),
                tail @ Stage::Tail(_) => {
                    self.stage = tail;
                    return Ok(());
                }
                Stage::Failed => {
                    return Err(Error::OutOfOrder("the message has been refused already").into());
                }
            }
        }
        Ok(())
    }

    /// Opens the run that `frames` begins with, while what follows is read and hashed.
    fn open_run(&mut self, mut decryptor: Decryptor) {
        let run = decryptor.take_run(&self.frames, self.run_frames);
        let sealed_bytes = run.frames() * self.frame_bytes;
        if sealed_bytes == 0 {
            let frames = mem::take(&mut self.frames);
            self.stage = Stage::Tail(Pull::resume(decryptor, frames, &self.limits));
            return;
        }
        let run_bytes = self.run_bytes();
        let (opening, mut checking) = decryptor.lanes();
        let content_bytes = run.frames() * opening.frame_length();
        resize_for_overwrite(&mut self.plaintext, content_bytes);
        let (frames, rest) = self.frames.split_at(sealed_bytes);
        let (inner, ahead, plaintext) = (&mut self.inner, &mut self.ahead, &mut self.plaintext);
        let failure = Failure::default();
        let read = self.pool.in_place_scope(|scope| {
            if checking.is_due() {
                scope.spawn(|_| checking.update(frames));
            }
            spawn_opening(scope, opening, run, frames, plaintext, &failure);
            ahead.clear();
            ahead.extend_from_slice(rest);
            read_up_to(inner, ahead, run_bytes)
        });
        mem::swap(&mut self.frames, &mut self.ahead);
        match failure.into_result() {
            Ok(()) => {
                self.ready = 0..content_bytes;
                self.deferred = read.err();
                self.stage = Stage::Runs(decryptor);
            }
            Err((authenticated, error)) => {
                // What stands behind the damage is authentic and yet not to be given out.
                self.plaintext.get_mut(authenticated..).unwrap_or_default().zeroize();
                self.ready = 0..authenticated;
                self.deferred = Some(error.into());
            }
        }
    }

    fn run_bytes(&self) -> usize {
        self.run_frames.saturating_mul(self.frame_bytes)
    }
}

impl<R> ParallelDecryptor<R> {
    /// What the header says, authenticated: the encryption context, the suite, and all else.
    #[must_use]
    pub fn header_fields(&self) -> &HeaderFields {
        &self.header_fields
    }
}

impl<R: Read> Read for ParallelDecryptor<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}

impl<R: Read> BufRead for ParallelDecryptor<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.open_runs()?;
        match &mut self.stage {
            Stage::Tail(pull) => fill_from(&mut self.inner, pull),
            _ => Ok(self.plaintext.get(self.ready.clone()).unwrap_or_default()),
        }
    }

    fn consume(&mut self, count: usize) {
        match &mut self.stage {
            Stage::Tail(pull) => pull.consume(count),
            _ => self.ready.start = self.ready.start.saturating_add(count).min(self.ready.end),
        }
    }
}

/// Reads until `buffer` holds `length` bytes or the input ends. What came before an error stays.
fn read_up_to(inner: &mut impl Read, buffer: &mut Vec<u8>, length: usize) -> io::Result<()> {
    let missing = length.saturating_sub(buffer.len()) as u64;
    inner.take(missing).read_to_end(buffer).map(drop)
}
