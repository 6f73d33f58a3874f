//! The SDK beside the raw cipher and hash that it uses, in one process.
//!
//! Each figure stands beside one of the raw cipher that reads and writes the same memory: what a message
//! format around it could reach at most. And, on the wall, the SDK beside the other implementations.

mod peers;
mod raw;
mod rows;
mod surfaces;

pub use peers::{Extent, side_by_side};
pub use rows::{Row, measure, measure_cores, write_head, write_rows};

use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use strongroom_sdk::cmm::{DefaultCmm, MaterialsManager};
use strongroom_sdk::keyring::RawAesKeyring;
use strongroom_sdk::materials::{
    DecryptionMaterials, DecryptionRequest, EncryptionMaterials, EncryptionRequest,
};
use strongroom_sdk::message::header::{Header, Parsed};
use strongroom_sdk::message::suite::AlgorithmSuite;
use strongroom_sdk::oneshot;
use strongroom_sdk::options::{DecryptOptions, EncryptOptions};
use strongroom_sdk::secret::SecretBytes;

/// What goes wrong in a measurement ends it.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// One message, and what it takes to write and read it.
pub struct Bench {
    manager: DefaultCmm,
    request: EncryptionRequest,
    options: EncryptOptions,
    plaintext: Vec<u8>,
    message: Vec<u8>,
}

impl Bench {
    /// A message of `plaintext_bytes`, which is a multiple of the frame length.
    ///
    /// # Errors
    /// What the SDK returns.
    pub fn new(suite: AlgorithmSuite, frame_length: u32, plaintext_bytes: usize) -> Outcome<Self> {
        let keyring = RawAesKeyring::new("bench", "key", SecretBytes::copy_of(&[1; 32]))?;
        let manager = DefaultCmm::new(Arc::new(keyring));
        let request = EncryptionRequest { suite: Some(suite), ..EncryptionRequest::default() };
        let options = EncryptOptions { frame_length };
        let plaintext = vec![0x5a; plaintext_bytes];
        let message = wait(oneshot::encrypt(&plaintext, &manager, &request, &options))?;
        Ok(Self { manager, request, options, plaintext, message })
    }

    /// Bytes of plaintext.
    #[must_use]
    pub fn plaintext_bytes(&self) -> usize {
        self.plaintext.len()
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
}

/// Measures time by one of the system's clocks.
struct Stopwatch(ClockId, Duration);

impl Stopwatch {
    /// Processor time of this thread: a busy machine changes it little.
    fn start() -> Self {
        Self::on(ClockId::ThreadCPUTime)
    }

    fn on(clock: ClockId) -> Self {
        Self(clock, Self::now(clock))
    }

    fn elapsed(&self) -> Duration {
        Self::now(self.0).saturating_sub(self.1)
    }

    fn now(clock: ClockId) -> Duration {
        let time = clock_gettime(clock);
        Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
    }
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
