//! Writing one message on several cores.

use std::io::{self, Write};
use std::mem;
use std::sync::Arc;

use rayon::ThreadPool;
use zeroize::Zeroizing;

use super::run_frames;
use super::tasks::{Failure, spawn_sealing};
use crate::engine::Encryptor;
use crate::error::{Error, Result};
use crate::materials::EncryptionMaterials;
use crate::memory::resize_for_overwrite;
use crate::message::frame::{FINAL_OVERHEAD_BYTES, REGULAR_OVERHEAD_BYTES};
use crate::message::header::HeaderFields;
use crate::options::EncryptOptions;

/// Encrypts what is written to it into a message on `W`, on the threads of a pool.
///
/// The message is the one that [`EncryptWriter`](crate::stream::EncryptWriter) would write. Frames are
/// written while those after them are sealed; pieces of more than a run are sealed without a copy.
///
/// Only [`finish`](Self::finish) completes the message. Dropping the writer before leaves a truncated one,
/// which every reader refuses.
pub struct ParallelEncryptor<W: Write> {
    inner: W,
    encryptor: Encryptor,
    pool: Arc<ThreadPool>,
    /// What has been written and is not sealed yet, at most a run.
    plaintext: Zeroizing<Vec<u8>>,
    run_bytes: usize,
    /// The run that was sealed last: neither signed nor written yet.
    sealed: Vec<u8>,
    /// Where the next run is sealed.
    next: Vec<u8>,
    failed: bool,
}

impl<W: Write> ParallelEncryptor<W> {
    /// Begins a message on `inner`, and writes its header.
    ///
    /// # Errors
    /// As [`Encryptor::new`]; [`Error::Io`].
    pub fn new(
        mut inner: W,
        materials: EncryptionMaterials,
        options: &EncryptOptions,
        pool: Arc<ThreadPool>,
    ) -> Result<Self> {
        let encryptor = Encryptor::new(materials, options)?;
        inner.write_all(encryptor.header()).map_err(Error::io("writing the header"))?;
        let frame_length = encryptor.frame_length();
        let run_bytes =
            run_frames(pool.current_num_threads(), frame_length).saturating_mul(frame_length);
        Ok(Self {
            inner,
            encryptor,
            pool,
            plaintext: Zeroizing::new(Vec::new()),
            run_bytes,
            sealed: Vec::new(),
            next: Vec::new(),
            failed: false,
        })
    }

    /// The header that has been written.
    #[must_use]
    pub fn header(&self) -> &[u8] {
        self.encryptor.header()
    }

    /// What the header says: the suite, the encryption context and all else that the materials brought.
    #[must_use]
    pub fn header_fields(&self) -> &HeaderFields {
        self.encryptor.header_fields()
    }

    /// Writes what remains, the final frame and the footer, flushes, and gives back the writer below.
    ///
    /// # Errors
    /// As [`Encryptor::seal_final_frame`]; [`Error::Io`].
    pub fn finish(mut self) -> Result<W> {
        self.require_whole()?;
        let plaintext = mem::take(&mut self.plaintext);
        let frame_length = self.encryptor.frame_length();
        let regular_bytes = plaintext.len().saturating_sub(1) / frame_length * frame_length;
        let (regular, last) =
            plaintext.split_at_checked(regular_bytes).unwrap_or((&plaintext, &[]));
        if !regular.is_empty() {
            self.seal_run(regular)?;
        }
        self.write_sealed()?;
        resize_for_overwrite(&mut self.next, last.len() + FINAL_OVERHEAD_BYTES);
        self.encryptor.seal_final_frame_into(last, &mut self.next)?;
        self.inner.write_all(&self.next).map_err(Error::io("writing the final frame"))?;
        let footer = self.encryptor.finish()?;
        self.inner.write_all(&footer).map_err(Error::io("writing the footer"))?;
        self.inner.flush().map_err(Error::io("flushing the message"))?;
        Ok(self.inner)
    }

    /// As [`finish`](Self::finish), but a plaintext of whole frames ends with an empty final frame, as
    /// [`EncryptWriter::finish_with_short_frame`] writes it.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    ///
    /// [`EncryptWriter::finish_with_short_frame`]: crate::stream::EncryptWriter::finish_with_short_frame
    pub fn finish_with_short_frame(mut self) -> Result<W> {
        let plaintext = mem::take(&mut self.plaintext);
        if plaintext.len().is_multiple_of(self.encryptor.frame_length()) && !plaintext.is_empty() {
            self.seal_run(&plaintext)?;
        } else {
            self.plaintext = plaintext;
        }
        self.finish()
    }

    /// Seals `plaintext`, a run of whole frames, while the run before it is signed and written.
    fn seal_run(&mut self, plaintext: &[u8]) -> Result<()> {
        self.require_whole()?;
        self.failed = true;
        let frames = plaintext.len() / self.encryptor.frame_length();
        let run = self.encryptor.take_run(frames)?;
        resize_for_overwrite(&mut self.next, plaintext.len() + frames * REGULAR_OVERHEAD_BYTES);
        let (sealing, mut signing) = self.encryptor.lanes();
        let (inner, sealed, next) = (&mut self.inner, &self.sealed[..], &mut self.next[..]);
        let failure = Failure::default();
        let written = self.pool.in_place_scope(|scope| {
            if signing.is_due() {
                scope.spawn(|_| signing.update(sealed));
            }
            spawn_sealing(scope, sealing, run, plaintext, next, &failure);
            inner.write_all(sealed)
        });
        written.map_err(Error::io("writing frames"))?;
        failure.into_result().map_err(|(_, error)| error)?;
        mem::swap(&mut self.sealed, &mut self.next);
        self.failed = false;
        Ok(())
    }

    /// Signs and writes the run that was sealed last.
    fn write_sealed(&mut self) -> Result<()> {
        self.require_whole()?;
        self.failed = true;
        self.encryptor.lanes().1.update(&self.sealed);
        self.inner.write_all(&self.sealed).map_err(Error::io("writing frames"))?;
        self.sealed.clear();
        self.failed = false;
        Ok(())
    }

    /// Takes `bytes` to the plaintext that is to be sealed. What it leaves behind when it grows is wiped.
    fn collect(&mut self, bytes: &[u8]) {
        let needed = self.plaintext.len() + bytes.len();
        if needed > self.plaintext.capacity() {
            let room = (self.plaintext.capacity() * 2).clamp(needed, self.run_bytes.max(needed));
            let mut larger = Zeroizing::new(Vec::with_capacity(room));
            larger.extend_from_slice(&self.plaintext);
            self.plaintext = larger;
        }
        self.plaintext.extend_from_slice(bytes);
    }

    /// Refuses to go on after a failed write: part of a run may be lost.
    fn require_whole(&self) -> Result<()> {
        if self.failed {
            return Err(Error::OutOfOrder("writing the message has failed already"));
        }
        Ok(())
    }
}

impl<W: Write> Write for ParallelEncryptor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.require_whole()?;
        // A full run waits until more comes: its last frame could be the final one.
        if self.plaintext.len() == self.run_bytes && !bytes.is_empty() {
            let mut plaintext = mem::take(&mut self.plaintext);
            self.seal_run(&plaintext)?;
            plaintext.clear();
            self.plaintext = plaintext;
        }
        // More than a run at once: the first of it has no final frame, and needs no copy.
        if let Some((run, [_more, ..])) = bytes.split_at_checked(self.run_bytes)
            && self.plaintext.is_empty()
        {
            self.seal_run(run)?;
            return Ok(run.len());
        }
        let taken = bytes.len().min(self.run_bytes - self.plaintext.len());
        self.collect(bytes.get(..taken).unwrap_or_default());
        Ok(taken)
    }

    /// Writes what has been sealed, and flushes the writer below; plaintext that is not a run stays here.
    fn flush(&mut self) -> io::Result<()> {
        self.write_sealed()?;
        self.inner.flush()
    }
}
