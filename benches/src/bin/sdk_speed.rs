//! Measures the SDK on one core beside the raw cipher that it uses, in one run, and prints the ratio.
//!
//! Time is processor time of the one thread that does all the work, so that a busy machine changes the
//! figures little. The raw figure is AES-256-GCM of `aws-lc-rs` over buffers of the frame length: the most that a message
//! format around it could reach.

use std::hint::black_box;
use std::io::{BufRead, Write};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use clap::Parser;
use rustix::time::{ClockId, clock_gettime};
use strongroom_sdk::cmm::{DefaultCmm, MaterialsManager};
use strongroom_sdk::engine::{Encryptor, FrameOpener};
use strongroom_sdk::keyring::RawAesKeyring;
use strongroom_sdk::materials::{
    DecryptionMaterials, DecryptionRequest, EncryptionMaterials, EncryptionRequest,
};
use strongroom_sdk::message::frame::REGULAR_OVERHEAD_BYTES;
use strongroom_sdk::message::header::{Header, Parsed};
use strongroom_sdk::message::suite::AlgorithmSuite;
use strongroom_sdk::oneshot;
use strongroom_sdk::options::{DecryptOptions, EncryptOptions};
use strongroom_sdk::range::RangeReader;
use strongroom_sdk::secret::SecretBytes;
use strongroom_sdk::stream::{EncryptWriter, PendingReader};

/// Measures every surface of the SDK beside the raw cipher.
#[derive(Parser)]
struct Arguments {
    /// MiB of plaintext in a message.
    #[arg(long, default_value_t = 64)]
    mebibytes: usize,
    /// How often each figure is measured; the best counts.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Frame lengths in bytes.
    #[arg(long, default_values_t = [4096, 65536])]
    frame_length: Vec<u32>,
}

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let arguments = Arguments::parse();
    let mut out = std::io::stdout();
    writeln!(
        out,
        "one core, {} MiB, best of {}; GB/s of plaintext, and the part of the raw cipher's speed\n",
        arguments.mebibytes, arguments.rounds
    )?;
    writeln!(out, "| suite | frame | what | GB/s | of raw |\n|---|---|---|---|---|")?;
    for frame_length in &arguments.frame_length {
        for suite in [
            AlgorithmSuite::Aes256GcmHkdfSha512CommitKey,
            AlgorithmSuite::Aes256GcmHkdfSha512CommitKeyEcdsaP384,
        ] {
            let bench = Bench::new(suite, *frame_length, &arguments)?;
            let raw_seal = bench.best(|| bench.raw_seal())?;
            let raw_open = bench.best(|| bench.raw_open())?;
            for (what, raw, figure) in [
                ("raw cipher, seal", raw_seal, raw_seal),
                ("seal frames in place", raw_seal, bench.best(|| bench.seal_frames())?),
                ("encrypt bytes", raw_seal, bench.best(|| bench.encrypt_bytes())?),
                ("encrypt std::io", raw_seal, bench.best(|| bench.encrypt_stream())?),
                ("raw cipher, open", raw_open, raw_open),
                ("open frames in place", raw_open, bench.best(|| bench.open_frames())?),
                ("decrypt bytes", raw_open, bench.best(|| bench.decrypt_bytes())?),
                ("decrypt std::io", raw_open, bench.best(|| bench.decrypt_stream())?),
                ("random 1 MiB ranges", raw_open, bench.best(|| bench.read_ranges())?),
            ] {
                let part = 100.0 * figure / raw;
                writeln!(out, "| {suite} | {frame_length} | {what} | {figure:.2} | {part:.0} % |")?;
            }
        }
    }
    Ok(())
}

struct Bench {
    manager: DefaultCmm,
    request: EncryptionRequest,
    options: EncryptOptions,
    plaintext: Vec<u8>,
    message: Vec<u8>,
    raw: LessSafeKey,
    rounds: usize,
}

impl Bench {
    fn new(suite: AlgorithmSuite, frame_length: u32, arguments: &Arguments) -> Outcome<Self> {
        let keyring = RawAesKeyring::new("bench", "key", SecretBytes::copy_of(&[1; 32]))?;
        let manager = DefaultCmm::new(Arc::new(keyring));
        let request = EncryptionRequest { suite: Some(suite), ..EncryptionRequest::default() };
        let options = EncryptOptions { frame_length };
        let plaintext = vec![0x5a; arguments.mebibytes << 20];
        let message = wait(oneshot::encrypt(&plaintext, &manager, &request, &options))?;
        let raw = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[2; 32])?);
        Ok(Self { manager, request, options, plaintext, message, raw, rounds: arguments.rounds })
    }

    /// GB/s of the fastest round of `work`, which returns what it took for the whole plaintext.
    fn best(&self, work: impl Fn() -> Outcome<Duration>) -> Outcome<f64> {
        let mut best = Duration::MAX;
        for _ in 0..self.rounds {
            best = best.min(work()?);
        }
        Ok(self.plaintext.len() as f64 / best.as_secs_f64() / 1e9)
    }

    fn frame_length(&self) -> usize {
        self.options.frame_length as usize
    }

    fn frames(&self) -> usize {
        self.plaintext.len() / self.frame_length()
    }

    fn materials(&self) -> Outcome<EncryptionMaterials> {
        Ok(wait(self.manager.encryption_materials(&self.request))?)
    }

    fn parsed(&self) -> Outcome<(Parsed, DecryptionMaterials)> {
        let options = DecryptOptions::default();
        let parsed = Header::parse(&self.message, &options.limits)?;
        let request = DecryptionRequest::new(&parsed.header, &options)?;
        Ok((parsed, wait(self.manager.decryption_materials(&request))?))
    }

    fn raw_seal(&self) -> Outcome<Duration> {
        let mut buffer = vec![0; self.frame_length()];
        let started = Stopwatch::start();
        for number in 0..self.frames() as u64 {
            let nonce = raw_nonce(number);
            let aad = Aad::from(&[0; 64]);
            let tag = self.raw.seal_in_place_separate_tag(nonce, aad, &mut buffer)?;
            black_box(tag.as_ref());
        }
        black_box(&buffer);
        Ok(started.elapsed())
    }

    fn raw_open(&self) -> Outcome<Duration> {
        let mut sealed = vec![0; self.frame_length()];
        let aad = || Aad::from(&[0; 64]);
        let tag = self.raw.seal_in_place_separate_tag(raw_nonce(1), aad(), &mut sealed)?;
        let mut plaintext = sealed.clone();
        let started = Stopwatch::start();
        for _ in 0..self.frames() {
            let nonce = raw_nonce(1);
            self.raw.open_separate_gather(nonce, aad(), &sealed, tag.as_ref(), &mut plaintext)?;
        }
        black_box(&plaintext);
        Ok(started.elapsed())
    }

    fn seal_frames(&self) -> Outcome<Duration> {
        let mut encryptor = Encryptor::new(self.materials()?, &self.options)?;
        let mut frame = vec![0; self.frame_length() + REGULAR_OVERHEAD_BYTES];
        let started = Stopwatch::start();
        for _ in 0..self.frames() {
            encryptor.seal_frame(&mut frame)?;
        }
        black_box(&frame);
        Ok(started.elapsed())
    }

    fn encrypt_bytes(&self) -> Outcome<Duration> {
        let materials = self.materials()?;
        let started = Stopwatch::start();
        black_box(oneshot::seal(&self.plaintext, materials, &self.options)?);
        Ok(started.elapsed())
    }

    fn encrypt_stream(&self) -> Outcome<Duration> {
        let materials = self.materials()?;
        let started = Stopwatch::start();
        let mut writer = EncryptWriter::new(std::io::sink(), materials, &self.options)?;
        for piece in self.plaintext.chunks(1 << 20) {
            writer.write_all(piece)?;
        }
        writer.finish()?;
        Ok(started.elapsed())
    }

    fn open_frames(&self) -> Outcome<Duration> {
        let (parsed, materials) = self.parsed()?;
        let body = parsed.length;
        let mut decryptor =
            strongroom_sdk::engine::Decryptor::new(parsed.header.verify(materials)?);
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

    fn decrypt_bytes(&self) -> Outcome<Duration> {
        let (parsed, materials) = self.parsed()?;
        let started = Stopwatch::start();
        black_box(oneshot::open(&self.message, parsed, materials)?);
        Ok(started.elapsed())
    }

    fn decrypt_stream(&self) -> Outcome<Duration> {
        let started = Stopwatch::start();
        let pending = PendingReader::read_header(&self.message[..], &DecryptOptions::default())?;
        let materials = wait(self.manager.decryption_materials(pending.request()))?;
        let mut reader = pending.verify(materials)?;
        loop {
            let ready = reader.fill_buf()?.len();
            if ready == 0 {
                return Ok(started.elapsed());
            }
            reader.consume(ready);
        }
    }

    fn read_ranges(&self) -> Outcome<Duration> {
        let (parsed, materials) = self.parsed()?;
        let header = parsed.header.verify(materials)?;
        let word = strongroom_sdk::engine::SignatureStaysUnverified;
        let opener = Arc::new(FrameOpener::of_signed(header, word)?);
        let reader = RangeReader::new(&self.message, opener)?;
        let (mebibyte, count) = (1 << 20, self.plaintext.len() >> 20);
        let started = Stopwatch::start();
        for index in 0..count {
            // A stride that is coprime with any power of two visits every mebibyte once.
            let start = (index * 37 % count) as u64 * mebibyte;
            black_box(reader.read(start..start + mebibyte)?);
        }
        Ok(started.elapsed())
    }
}

/// Measures the processor time of this thread.
struct Stopwatch(Duration);

impl Stopwatch {
    fn start() -> Self {
        Self(Self::now())
    }

    fn elapsed(&self) -> Duration {
        Self::now().saturating_sub(self.0)
    }

    fn now() -> Duration {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
    }
}

fn raw_nonce(number: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

/// Runs a future that waits for nothing but the CPU.
fn wait<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}
