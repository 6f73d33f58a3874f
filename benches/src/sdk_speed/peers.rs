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
use strongroom_peers::esdk::{
    Base64, EsdkDriver, Implementation, Keyring, Manager, Measure, Message, Refusal, Work,
};
use strongroom_sdk::clock::SystemClock;
use strongroom_sdk::cmm::{
    CachingCmm, CachingLimits, DefaultCmm, MaterialsCache, MaterialsManager,
};
use strongroom_sdk::keyring::RawAesKeyring;
use strongroom_sdk::materials::EncryptionRequest;
use strongroom_sdk::message::suite::AlgorithmSuite;
use strongroom_sdk::oneshot;
use strongroom_sdk::options::{DecryptOptions, EncryptOptions};
use strongroom_sdk::secret::SecretBytes;

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
}

/// Measures everybody, and returns the figures as Markdown tables with the names of the peers that are not
/// installed below.
///
/// # Errors
///
/// What an implementation fails with, and what a peer does that is there and broken.
pub fn side_by_side(extent: Extent) -> Outcome<String> {
    let mut contenders: Vec<Box<dyn Contender>> = vec![Box::new(Ours::new()?)];
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
        format!("best of {rounds}; in brackets, how many times slower than the first\n\n| |");
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

/// Our SDK, in this process.
struct Ours {
    manager: Arc<dyn MaterialsManager>,
    caching: CachingCmm,
}

impl Ours {
    fn new() -> Outcome<Self> {
        let key = SecretBytes::copy_of(&KEY);
        let keyring = RawAesKeyring::new("bench", "key", key)?;
        let manager: Arc<dyn MaterialsManager> = Arc::new(DefaultCmm::new(Arc::new(keyring)));
        let clock = Arc::new(SystemClock::default());
        let cache = Arc::new(MaterialsCache::new(CACHE_ENTRIES_MAX, clock)?);
        let limits = CachingLimits::of_age(CACHE_AGE);
        let caching = CachingCmm::new(manager.clone(), cache, limits)?;
        Ok(Self { manager, caching })
    }
}

impl Contender for Ours {
    fn name(&self) -> &'static str {
        "strongroom-sdk"
    }

    fn measure(&mut self, task: &Task) -> Outcome<Option<Took>> {
        let manager: &dyn MaterialsManager =
            if task.caching { &self.caching } else { &*self.manager };
        let plaintext = vec![0x5a; task.bytes];
        let options = EncryptOptions { frame_length: task.frame_length };
        let request = EncryptionRequest { suite: Some(task.suite), ..EncryptionRequest::default() };
        let seal = || wait(oneshot::encrypt(&plaintext, manager, &request, &options));
        let message = seal()?;
        let reading = DecryptOptions::default();
        let open = || wait(oneshot::decrypt(&message, manager, &reading));
        open()?;
        let started = Instant::now();
        for _ in 0..task.messages {
            match task.what {
                Work::Encrypt => drop(black_box(seal()?)),
                Work::Decrypt => drop(black_box(open()?)),
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
