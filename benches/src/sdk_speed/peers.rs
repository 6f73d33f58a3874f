//! The implementations of the AWS Encryption SDK side by side: ours, each peer that is installed, and the
//! raw cipher below ours.
//!
//! Everybody does the same: a raw AES-256 keyring, the same suites, frames and lengths, one message at a
//! time, timed on the wall by its own clock after a message that is not counted, so that no start-up is
//! measured. Rounds go around all contenders, so that what else the machine does meets each; the best
//! round counts. Who has no caching materials manager is measured without one where the others cache.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rayon::{ThreadPool, ThreadPoolBuilder};
use strongroom_peers::esdk::{
    Base64, EsdkDriver, Implementation, Keyring, Manager, Measure, Message, Refusal, Work,
};
use strongroom_sdk::clock::SystemClock;
use strongroom_sdk::cmm::{
    CachingCmm, CachingLimits, DefaultCmm, MaterialsCache, MaterialsManager,
};
use strongroom_sdk::keyring::RawAesKeyring;
use strongroom_sdk::materials::{DecryptionRequest, EncryptionRequest};
use strongroom_sdk::message::header::Header;
use strongroom_sdk::message::suite::AlgorithmSuite;
use strongroom_sdk::options::{DecryptOptions, EncryptOptions};
use strongroom_sdk::secret::SecretBytes;
use strongroom_sdk::{oneshot, parallel};

use super::{Outcome, wait};

/// The key that everybody wraps data keys with, and encrypts with when raw.
const KEY: [u8; 32] = [1; 32];
/// Bytes in a small message.
const SMALL_BYTES: usize = 1024;
/// How long everybody's caches keep data keys, and how many.
const CACHE_AGE: Duration = Duration::from_secs(600);
const CACHE_ENTRIES_MAX: usize = 10;
/// Marks the figure of one that should have cached and could not.
const UNCACHED_MARK: &str = "\\*";
/// Bytes that are authenticated with a frame, about as many as the format has.
const FRAME_AAD: [u8; 64] = [0; 64];

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// MiB in a large message.
    pub mebibytes: usize,
    /// Small messages in a round.
    pub messages: u64,
    /// Rounds, of which the best counts.
    pub rounds: usize,
    /// Threads of the parallel surface.
    pub threads: usize,
}

/// Measures everybody, and returns the figures as Markdown tables with the names of the peers that are not
/// installed below.
///
/// # Errors
///
/// What an implementation fails with, and what a peer does that is there and broken.
pub fn side_by_side(extent: Extent) -> Outcome<String> {
    let mut contenders: Vec<Box<dyn Contender>> = vec![
        Box::new(Ours::new(Output::Fresh)?),
        Box::new(Ours::new(Output::Reused(Vec::new()))?),
        Box::new(Ours::new(Output::Parallel(pool(extent.threads)?, Vec::new()))?),
    ];
    let mut absent = Vec::new();
    for implementation in Implementation::ALL {
        match EsdkDriver::start(implementation, []) {
            Ok(driver) => contenders.push(Box::new(Peer { implementation, driver })),
            Err(error) if error.is_absence() => absent.push(error.to_string()),
            Err(error) => return Err(error.into()),
        }
    }
    contenders.push(Box::new(RawCipher::new()?));
    let mut text = table(&mut contenders, &large_messages(extent), extent.rounds, megabytes)?;
    text += "\n";
    text += &table(&mut contenders, &small_messages(extent), extent.rounds, messages)?;
    text +=
        &format!("\n{UNCACHED_MARK} it has no caching materials manager: measured without one\n");
    for peer in absent {
        text += &format!("\nnot measured: {peer}\n");
    }
    Ok(text)
}

/// One figure: what is done, and how often.
#[derive(Clone, Copy, Debug)]
struct Task {
    what: Work,
    suite: AlgorithmSuite,
    frame_length: u32,
    bytes: usize,
    messages: u64,
    caching: bool,
}

fn large_messages(extent: Extent) -> Vec<Task> {
    let mut tasks = Vec::new();
    for suite in [
        AlgorithmSuite::Aes256GcmHkdfSha512CommitKey,
        AlgorithmSuite::Aes256GcmHkdfSha512CommitKeyEcdsaP384,
    ] {
        for frame_length in [4096, 65_536] {
            for what in [Work::Encrypt, Work::Decrypt] {
                let bytes = extent.mebibytes << 20;
                tasks.push(Task { what, suite, frame_length, bytes, messages: 1, caching: false });
            }
        }
    }
    tasks
}

fn small_messages(extent: Extent) -> Vec<Task> {
    let (suite, bytes) = (AlgorithmSuite::Aes256GcmHkdfSha512CommitKey, SMALL_BYTES);
    let mut tasks = Vec::new();
    for caching in [false, true] {
        for what in [Work::Encrypt, Work::Decrypt] {
            let messages = extent.messages;
            tasks.push(Task { what, suite, frame_length: 4096, bytes, messages, caching });
        }
    }
    tasks
}

/// Somebody who is measured.
trait Contender {
    fn name(&self) -> &'static str;

    /// The time for all messages of a task; `None` if the contender has no such thing.
    fn measure(&mut self, task: &Task) -> Outcome<Option<Took>>;
}

/// The time for all messages of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Took {
    time: Duration,
    /// Whether it was done without the cache that the task asks for.
    uncached: bool,
}

impl Took {
    fn as_asked(time: Duration) -> Self {
        Self { time, uncached: false }
    }
}

/// A line for each task and a column for each contender, with the ratio to the first in brackets.
fn table(
    contenders: &mut [Box<dyn Contender>],
    tasks: &[Task],
    rounds: usize,
    figure: fn(&Task, Duration) -> String,
) -> Outcome<String> {
    let mut text =
        format!("best of {rounds}; in brackets, how many times as long as the first took\n\n| |");
    for contender in &*contenders {
        text += &format!(" {} |", contender.name());
    }
    text += &format!("\n|---|{}\n", "---|".repeat(contenders.len()));
    for task in tasks {
        let mut best: Vec<Option<Took>> = vec![None; contenders.len()];
        for _ in 0..rounds {
            for (best, contender) in best.iter_mut().zip(&mut *contenders) {
                let took = contender.measure(task)?;
                *best = (*best).into_iter().chain(took).min();
            }
        }
        text += &format!("| {} |", describe(task));
        let first = best.first().copied().flatten();
        for took in best {
            text += &match (took, first) {
                (Some(took), Some(first)) => {
                    let ratio = took.time.as_secs_f64() / first.time.as_secs_f64();
                    let mark = if took.uncached { UNCACHED_MARK } else { "" };
                    format!(" {}{mark} ({ratio:.1}) |", figure(task, took.time))
                }
                _ => " – |".to_owned(),
            };
        }
        text += "\n";
    }
    Ok(text)
}

fn describe(task: &Task) -> String {
    let what = match task.what {
        Work::Encrypt => "encrypt",
        Work::Decrypt => "decrypt",
    };
    let size = match task.bytes {
        SMALL_BYTES => "1 KiB".to_owned(),
        bytes => format!("{} MiB", bytes >> 20),
    };
    let caching = if task.caching { ", cached materials" } else { "" };
    format!("{what} {size}, {}, frames of {}{caching}", task.suite, task.frame_length)
}

fn megabytes(task: &Task, took: Duration) -> String {
    format!("{:.0} MB/s", task.bytes as f64 * task.messages as f64 / took.as_secs_f64() / 1e6)
}

fn messages(task: &Task, took: Duration) -> String {
    format!("{:.0}/s", task.messages as f64 / took.as_secs_f64())
}

/// Another implementation, in a process of its own.
struct Peer {
    implementation: Implementation,
    driver: EsdkDriver,
}

impl Contender for Peer {
    fn name(&self) -> &'static str {
        self.implementation.name()
    }

    fn measure(&mut self, task: &Task) -> Outcome<Option<Took>> {
        match self.time(task)? {
            None if task.caching => {
                let time = self.time(&Task { caching: false, ..*task })?;
                Ok(time.map(|time| Took { time, uncached: true }))
            }
            time => Ok(time.map(Took::as_asked)),
        }
    }
}

impl Peer {
    fn time(&mut self, task: &Task) -> Outcome<Option<Duration>> {
        let keyring = Keyring::RawAes {
            namespace: "bench".to_owned(),
            name: "key".to_owned(),
            key: Base64(KEY.to_vec()),
        };
        let manager =
            Manager { caching: task.caching, ..Manager::new(keyring, Default::default()) };
        let message = Message { suite: task.suite.id(), frame_length: task.frame_length, manager };
        let job = Measure { what: task.what, message, bytes: task.bytes, messages: task.messages };
        match self.driver.measure(&job) {
            Ok(took) => Ok(Some(took)),
            Err(Refusal::Unsupported(_)) => Ok(None),
            Err(Refusal::Driver(error)) => Err(error.into()),
            Err(other) => Err(format!("{}: {other}", self.name()).into()),
        }
    }
}

/// Our SDK, in this process, and where it writes to.
struct Ours {
    manager: Arc<dyn MaterialsManager>,
    caching: CachingCmm,
    output: Output,
}

/// Where our SDK writes to.
enum Output {
    /// A new vector each time, as everybody else's interface has it.
    Fresh,
    /// One vector of the caller's.
    Reused(Vec<u8>),
    /// One vector of the caller's, by the threads of a pool.
    Parallel(ThreadPool, Vec<u8>),
}

fn pool(threads: usize) -> Outcome<ThreadPool> {
    Ok(ThreadPoolBuilder::new().num_threads(threads).build()?)
}

impl Ours {
    fn new(output: Output) -> Outcome<Self> {
        let key = SecretBytes::copy_of(&KEY);
        let keyring = RawAesKeyring::new("bench", "key", key)?;
        let manager: Arc<dyn MaterialsManager> = Arc::new(DefaultCmm::new(Arc::new(keyring)));
        let clock = Arc::new(SystemClock::default());
        let cache = Arc::new(MaterialsCache::new(CACHE_ENTRIES_MAX, clock)?);
        let limits = CachingLimits::of_age(CACHE_AGE);
        let caching = CachingCmm::new(manager.clone(), cache, limits)?;
        Ok(Self { manager, caching, output })
    }

    fn encrypt(&mut self, plaintext: &[u8], task: &Task) -> Outcome<()> {
        let manager = if task.caching { &self.caching } else { &*self.manager };
        let options = EncryptOptions { frame_length: task.frame_length };
        let request = EncryptionRequest {
            suite: Some(task.suite),
            plaintext_length_max: Some(task.bytes as u64),
            ..EncryptionRequest::default()
        };
        let materials = wait(manager.encryption_materials(&request))?;
        match &mut self.output {
            Output::Fresh => {
                black_box(oneshot::seal(plaintext, materials, &options)?);
            }
            Output::Reused(message) => {
                oneshot::seal_into(plaintext, materials, &options, message)?;
            }
            Output::Parallel(pool, message) => {
                parallel::seal_into(plaintext, materials, &options, pool, message)?;
            }
        }
        Ok(())
    }

    fn decrypt(&mut self, message: &[u8], task: &Task) -> Outcome<()> {
        let manager = if task.caching { &self.caching } else { &*self.manager };
        let options = DecryptOptions::default();
        let parsed = Header::parse(message, &options.limits)?;
        let request = DecryptionRequest::new(&parsed.header, &options)?;
        let materials = wait(manager.decryption_materials(&request))?;
        match &mut self.output {
            Output::Fresh => {
                black_box(oneshot::open(message, parsed, materials)?);
            }
            Output::Reused(plaintext) => {
                oneshot::open_into(message, parsed, materials, plaintext)?;
            }
            Output::Parallel(pool, plaintext) => {
                parallel::open_into(message, parsed, materials, pool, plaintext)?;
            }
        }
        Ok(())
    }
}

impl Contender for Ours {
    fn name(&self) -> &'static str {
        match self.output {
            Output::Fresh => "strongroom-sdk",
            Output::Reused(_) => "into a vector of the caller's",
            Output::Parallel(..) => "the same, parallel",
        }
    }

    fn measure(&mut self, task: &Task) -> Outcome<Option<Took>> {
        let plaintext = vec![0x5a; task.bytes];
        let options = EncryptOptions { frame_length: task.frame_length };
        let request = EncryptionRequest { suite: Some(task.suite), ..EncryptionRequest::default() };
        let message = wait(oneshot::encrypt(&plaintext, &*self.manager, &request, &options))?;
        // One that is not counted, as everybody does.
        let mut started = Instant::now();
        for counted in 0..=task.messages {
            match task.what {
                Work::Encrypt => self.encrypt(&plaintext, task)?,
                Work::Decrypt => self.decrypt(&message, task)?,
            }
            if counted == 0 {
                started = Instant::now();
            }
        }
        Ok(Some(Took::as_asked(started.elapsed())))
    }
}

/// AES-256-GCM of `aws-lc-rs` over buffers of the frame length: the most that a format could reach.
struct RawCipher {
    key: LessSafeKey,
}

impl RawCipher {
    fn new() -> Outcome<Self> {
        let key = UnboundKey::new(&AES_256_GCM, &KEY)?;
        Ok(Self { key: LessSafeKey::new(key) })
    }

    fn work(&self, task: &Task) -> Outcome<Duration> {
        let nonce = || Nonce::assume_unique_for_key([0; 12]);
        let aad = || Aad::from(&FRAME_AAD);
        let length = task.bytes.min(task.frame_length as usize);
        let mut sealed = vec![0x5a; length];
        let mut plaintext = sealed.clone();
        let tag = self.key.seal_in_place_separate_tag(nonce(), aad(), &mut sealed)?;
        let started = Instant::now();
        for _ in 0..task.messages * (task.bytes / length) as u64 {
            match task.what {
                Work::Encrypt => {
                    let tag =
                        self.key.seal_in_place_separate_tag(nonce(), aad(), &mut plaintext)?;
                    black_box(tag.as_ref());
                }
                Work::Decrypt => self.key.open_separate_gather(
                    nonce(),
                    aad(),
                    &sealed,
                    tag.as_ref(),
                    black_box(&mut plaintext),
                )?,
            }
        }
        Ok(started.elapsed())
    }
}

impl Contender for RawCipher {
    fn name(&self) -> &'static str {
        "raw cipher"
    }

    fn measure(&mut self, task: &Task) -> Outcome<Option<Took>> {
        if task.caching {
            return Ok(None);
        }
        Ok(Some(Took::as_asked(self.work(task)?)))
    }
}
