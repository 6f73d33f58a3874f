//! Every surface of the SDK over the message of a [`Bench`].

use std::hint::black_box;
use std::io::{BufRead, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use rustix::time::ClockId;
use strongroom_sdk::engine::{Decryptor, Encryptor, FrameOpener, SignatureStaysUnverified};
use strongroom_sdk::message::frame::REGULAR_OVERHEAD_BYTES;
use strongroom_sdk::options::DecryptOptions;
use strongroom_sdk::range::RangeReader;
use strongroom_sdk::stream::{EncryptWriter, PendingReader};
use strongroom_sdk::{oneshot, parallel};

use super::{Bench, Outcome, Stopwatch, wait};

const MEBIBYTE: usize = 1 << 20;
/// Bytes that are read at a time, as programs do that copy from a reader to a writer.
const READ_BYTES: usize = 256 * 1024;

impl Bench {
    pub(super) fn seal_frames(&self) -> Outcome<Duration> {
        let mut encryptor = Encryptor::new(self.materials()?, &self.options)?;
        let mut frame = vec![0; self.frame_length() + REGULAR_OVERHEAD_BYTES];
        let started = Stopwatch::start();
        for _ in 0..self.frames() {
            encryptor.seal_frame(&mut frame)?;
        }
        black_box(&frame);
        Ok(started.elapsed())
    }

    pub(super) fn encrypt_bytes(&self) -> Outcome<Duration> {
        let materials = self.materials()?;
        let started = Stopwatch::start();
        black_box(oneshot::seal(&self.plaintext, materials, &self.options)?);
        Ok(started.elapsed())
    }

    /// Over a vector that has served before.
    pub(super) fn encrypt_bytes_into(&self, message: &mut Vec<u8>) -> Outcome<Duration> {
        let materials = self.materials()?;
        let started = Stopwatch::start();
        oneshot::seal_into(&self.plaintext, materials, &self.options, message)?;
        black_box(message);
        Ok(started.elapsed())
    }

    pub(super) fn encrypt_stream(&self) -> Outcome<Duration> {
        let materials = self.materials()?;
        let started = Stopwatch::start();
        let mut writer = EncryptWriter::new(std::io::sink(), materials, &self.options)?;
        for piece in self.plaintext.chunks(MEBIBYTE) {
            writer.write_all(piece)?;
        }
        writer.finish()?;
        Ok(started.elapsed())
    }

    pub(super) fn open_frames(&self) -> Outcome<Duration> {
        let (parsed, materials) = self.parsed()?;
        let body = parsed.length;
        let mut decryptor = Decryptor::new(parsed.header.verify(materials)?);
        let mut message = self.message.clone();
        let (_, mut rest) = message.split_at_mut(body);
        let started = Stopwatch::start();
        for _ in 0..self.frames() {
            let length = usize::try_from(decryptor.peek(rest)?.total_bytes())?;
            let (frame, more) = rest.split_at_mut(length);
            black_box(decryptor.open_in_place(frame)?);
            rest = more;
        }
        Ok(started.elapsed())
    }

    pub(super) fn decrypt_bytes(&self) -> Outcome<Duration> {
        let (parsed, materials) = self.parsed()?;
        let started = Stopwatch::start();
        black_box(oneshot::open(&self.message, parsed, materials)?);
        Ok(started.elapsed())
    }

    /// Over a vector that has served before.
    pub(super) fn decrypt_bytes_into(&self, plaintext: &mut Vec<u8>) -> Outcome<Duration> {
        let (parsed, materials) = self.parsed()?;
        let started = Stopwatch::start();
        oneshot::open_into(&self.message, parsed, materials, plaintext)?;
        black_box(plaintext);
        Ok(started.elapsed())
    }

    pub(super) fn decrypt_stream(&self) -> Outcome<Duration> {
        let pending = PendingReader::read_header(&self.message[..], &DecryptOptions::default())?;
        let materials = wait_for(self, &pending)?;
        let started = Stopwatch::start();
        let mut reader = pending.verify(materials)?;
        loop {
            let ready = reader.fill_buf()?.len();
            if ready == 0 {
                return Ok(started.elapsed());
            }
            reader.consume(ready);
        }
    }

    /// Into a buffer of the caller's, in which frames are opened that fit.
    pub(super) fn decrypt_read(&self) -> Outcome<Duration> {
        let pending = PendingReader::read_header(&self.message[..], &DecryptOptions::default())?;
        let materials = wait_for(self, &pending)?;
        let mut plaintext = vec![0; READ_BYTES];
        let started = Stopwatch::start();
        let mut reader = pending.verify(materials)?;
        while reader.read(&mut plaintext)? > 0 {
            black_box(&plaintext);
        }
        Ok(started.elapsed())
    }

    pub(super) fn decrypt_buffered(&self) -> Outcome<Duration> {
        let pending = PendingReader::read_header(&self.message[..], &DecryptOptions::default())?;
        let materials = wait_for(self, &pending)?;
        let started = Stopwatch::start();
        let mut reader = pending.verify(materials)?.buffered();
        loop {
            let ready = reader.fill_buf()?.len();
            if ready == 0 {
                return Ok(started.elapsed());
            }
            reader.consume(ready);
        }
    }

    pub(super) fn read_ranges(&self) -> Outcome<Duration> {
        let (parsed, materials) = self.parsed()?;
        let header = parsed.header.verify(materials)?;
        let opener = Arc::new(FrameOpener::of_signed(header, SignatureStaysUnverified)?);
        let reader = RangeReader::new(&self.message, opener)?;
        let (mut plaintext, count) = (vec![0; MEBIBYTE], self.plaintext.len() / MEBIBYTE);
        let started = Stopwatch::start();
        for index in 0..count {
            // A stride that is coprime with any power of two visits every mebibyte once.
            reader.read_exact_at(&mut plaintext, (index * 37 % count * MEBIBYTE) as u64)?;
            black_box(&plaintext);
        }
        Ok(started.elapsed())
    }

    /// On a pool, over a vector that has served before: wall time and processor time of all threads.
    pub(super) fn encrypt_parallel(
        &self,
        pool: &rayon::ThreadPool,
        message: &mut Vec<u8>,
    ) -> Outcome<(Duration, Duration)> {
        let materials = self.materials()?;
        let clocks = [ClockId::Monotonic, ClockId::ProcessCPUTime].map(Stopwatch::on);
        parallel::seal_into(&self.plaintext, materials, &self.options, pool, message)?;
        Ok((clocks[0].elapsed(), clocks[1].elapsed()))
    }

    /// As [`encrypt_parallel`](Self::encrypt_parallel).
    pub(super) fn decrypt_parallel(
        &self,
        pool: &rayon::ThreadPool,
        plaintext: &mut Vec<u8>,
    ) -> Outcome<(Duration, Duration)> {
        let (parsed, materials) = self.parsed()?;
        let clocks = [ClockId::Monotonic, ClockId::ProcessCPUTime].map(Stopwatch::on);
        parallel::open_into(&self.message, parsed, materials, pool, plaintext)?;
        Ok((clocks[0].elapsed(), clocks[1].elapsed()))
    }
}

fn wait_for<R: Read>(
    bench: &Bench,
    pending: &PendingReader<R>,
) -> Outcome<strongroom_sdk::materials::DecryptionMaterials> {
    use strongroom_sdk::cmm::MaterialsManager;
    Ok(wait(bench.manager.decryption_materials(pending.request()))?)
}
