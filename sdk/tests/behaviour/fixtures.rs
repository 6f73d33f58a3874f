//! What the tests share: keyrings of fixed keys, both providers, messages.

use std::io::{BufReader, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures::TryStreamExt;
use rayon::{ThreadPool, ThreadPoolBuilder};
use strongroom_sdk::clock::Clock;
use strongroom_sdk::cmm::{DefaultCmm, MaterialsManager};
use strongroom_sdk::crypto::{self, CryptoProvider};
use strongroom_sdk::futures_stream::DecryptStream;
use strongroom_sdk::keyring::{Keyring, RawAesKeyring};
use strongroom_sdk::materials::{
    DecryptionMaterials, DecryptionRequest, EncryptionMaterials, EncryptionRequest,
};
use strongroom_sdk::message::encrypted_data_key::EncryptedDataKey;
use strongroom_sdk::message::encryption_context::EncryptionContext;
use strongroom_sdk::message::header::{Header, Parsed, Verified};
use strongroom_sdk::message::limits::Limits;
use strongroom_sdk::message::suite::AlgorithmSuite;
use strongroom_sdk::options::{DecryptOptions, EncryptOptions};
use strongroom_sdk::parallel::{self, ParallelDecryptor};
use strongroom_sdk::policy::CommitmentPolicy;
use strongroom_sdk::secret::{DataKey, SecretBytes};
use strongroom_sdk::stream::PendingReader;
use strongroom_sdk::tokio_stream::AsyncDecryptReader;
use strongroom_sdk::{Error, Result, oneshot};
use tokio::io::AsyncReadExt;

/// The two suites that the default policy allows.
pub(crate) const COMMITTING: [AlgorithmSuite; 2] = [
    AlgorithmSuite::Aes256GcmHkdfSha512CommitKey,
    AlgorithmSuite::Aes256GcmHkdfSha512CommitKeyEcdsaP384,
];

pub(crate) const UNSIGNED: AlgorithmSuite = COMMITTING[0];
pub(crate) const SIGNED: AlgorithmSuite = COMMITTING[1];

pub(crate) fn providers() -> Vec<Arc<dyn CryptoProvider>> {
    vec![
        #[cfg(feature = "aws-lc")]
        crypto::aws_lc::provider(),
        #[cfg(feature = "pure-rust")]
        crypto::pure_rust::provider(),
    ]
}

pub(crate) fn raw_keyring() -> Arc<RawAesKeyring> {
    let key = SecretBytes::copy_of(&[7; 32]);
    Arc::new(RawAesKeyring::new("strongroom-tests", "key-1", key).unwrap())
}

/// The raw AES key `name` of `testdata/keys.json`.
pub(crate) fn testdata_keyring(name: &str) -> RawAesKeyring {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/keys.json");
    let keys: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let material = keys["keys"][name]["material"].as_str().unwrap();
    let mut key = BASE64_STANDARD.decode(material).unwrap();
    RawAesKeyring::new("strongroom-testdata", name, SecretBytes::take(&mut key)).unwrap()
}

pub(crate) fn manager() -> DefaultCmm {
    DefaultCmm::new(raw_keyring())
}

/// The policy under which `suite` may be written.
pub(crate) fn policy(suite: AlgorithmSuite) -> CommitmentPolicy {
    if suite.commits() {
        CommitmentPolicy::RequireEncryptRequireDecrypt
    } else {
        CommitmentPolicy::ForbidEncryptAllowDecrypt
    }
}

pub(crate) fn request(suite: AlgorithmSuite) -> EncryptionRequest {
    EncryptionRequest {
        encryption_context: EncryptionContext::from_pairs([("purpose", "tests"), ("n", "1")])
            .unwrap(),
        commitment_policy: policy(suite),
        suite: Some(suite),
        ..EncryptionRequest::default()
    }
}

pub(crate) fn reading(suite: AlgorithmSuite) -> DecryptOptions {
    DecryptOptions { commitment_policy: policy(suite), ..DecryptOptions::default() }
}

/// Runs a future on this thread.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    }
    RUNTIME.with(|runtime| runtime.block_on(future))
}

pub(crate) fn encrypt(plaintext: &[u8], suite: AlgorithmSuite, frame_length: u32) -> Vec<u8> {
    let options = EncryptOptions { frame_length };
    wait(oneshot::encrypt(plaintext, &manager(), &request(suite), &options)).unwrap()
}

/// `length` bytes that look like nothing and are the same every time.
pub(crate) fn sample(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

pub(crate) fn parse(message: &[u8]) -> Parsed {
    Header::parse(message, &Limits::default()).unwrap()
}

pub(crate) fn decryption_materials(
    manager: &dyn MaterialsManager,
    parsed: &Parsed,
) -> DecryptionMaterials {
    let request = DecryptionRequest::new(&parsed.header, &reading(parsed.header.suite())).unwrap();
    wait(manager.decryption_materials(&request)).unwrap()
}

pub(crate) fn verified(message: &[u8]) -> Header<Verified> {
    let parsed = parse(message);
    let materials = decryption_materials(&manager(), &parsed);
    parsed.header.verify(materials).unwrap()
}

/// A keyring that knows the data key, whatever wraps it: for messages whose wrapping key nobody has.
pub(crate) struct KnownDataKey(pub(crate) Vec<u8>);

#[async_trait::async_trait]
impl Keyring for KnownDataKey {
    async fn on_encrypt(&self, materials: &mut EncryptionMaterials) -> Result<()> {
        materials.set_data_key(DataKey::new(SecretBytes::copy_of(&self.0)))?;
        materials.push_encrypted_data_key(EncryptedDataKey {
            provider_id: "known".into(),
            provider_info: b"known".to_vec(),
            ciphertext: vec![0],
        });
        Ok(())
    }

    async fn on_decrypt(
        &self,
        materials: &mut DecryptionMaterials,
        _keys: &[EncryptedDataKey],
    ) -> Result<()> {
        materials.set_data_key(DataKey::new(SecretBytes::copy_of(&self.0)))
    }
}

/// What one surface made of a message: its plaintext, or what had been released before the error.
pub(crate) struct Outcome {
    pub(crate) surface: &'static str,
    pub(crate) released: Vec<u8>,
    pub(crate) error: Option<Error>,
}

/// Reads `message` through every surface that reads from its start.
pub(crate) fn read_everywhere(
    message: &[u8],
    manager: &dyn MaterialsManager,
    options: &DecryptOptions,
) -> Vec<Outcome> {
    let one_shot = match wait(oneshot::decrypt(message, manager, options)) {
        Ok(opened) => Outcome { surface: "bytes", released: opened.plaintext, error: None },
        Err(error) => Outcome { surface: "bytes", released: Vec::new(), error: Some(error) },
    };
    vec![
        one_shot,
        read_parallel_bytes(message, manager, options),
        read_stream(message, manager, options),
        read_buffered(message, manager, options),
        read_parallel(message, manager, options),
        read_tokio(message, manager, options),
        read_futures(message, manager, options),
    ]
}

/// Reads `message` through the surfaces that do so on several cores.
pub(crate) fn read_in_parallel(
    message: &[u8],
    manager: &dyn MaterialsManager,
    options: &DecryptOptions,
) -> [Outcome; 2] {
    [read_parallel_bytes(message, manager, options), read_parallel(message, manager, options)]
}

/// Whether a surface releases nothing before everything has been verified.
pub(crate) fn releases_at_once(surface: &str) -> bool {
    surface.ends_with("bytes")
}

/// The pool of the parallel surfaces: more threads than this machine may have.
pub(crate) fn pool() -> Arc<ThreadPool> {
    static POOL: LazyLock<Arc<ThreadPool>> =
        LazyLock::new(|| Arc::new(ThreadPoolBuilder::new().num_threads(3).build().unwrap()));
    POOL.clone()
}

fn read_parallel_bytes(
    message: &[u8],
    manager: &dyn MaterialsManager,
    options: &DecryptOptions,
) -> Outcome {
    let surface = "parallel bytes";
    match wait(parallel::decrypt(message, manager, options, &pool())) {
        Ok(opened) => Outcome { surface, released: opened.plaintext, error: None },
        Err(error) => Outcome { surface, released: Vec::new(), error: Some(error) },
    }
}

fn read_parallel(
    message: &[u8],
    manager: &dyn MaterialsManager,
    options: &DecryptOptions,
) -> Outcome {
    let mut released = Vec::new();
    let result = (|| {
        let pending = PendingReader::read_header(message, options)?;
        let materials = wait(manager.decryption_materials(pending.request()))?;
        let mut reader = ParallelDecryptor::new(pending, materials, pool())?;
        reader.read_to_end(&mut released).map(drop).map_err(unpack)
    })();
    Outcome { surface: "parallel", released, error: result.err() }
}

/// In pieces of a few bytes: no frame comes as a whole.
fn read_futures(
    message: &[u8],
    manager: &dyn MaterialsManager,
    options: &DecryptOptions,
) -> Outcome {
    let mut released = Vec::new();
    let pieces: Vec<std::io::Result<Bytes>> = message
        .chunks((message.len() / 512).max(7))
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    let result = wait(async {
        let mut stream =
            DecryptStream::open(futures::stream::iter(pieces), manager, options).await?;
        while let Some(plaintext) = stream.try_next().await? {
            released.extend_from_slice(&plaintext);
        }
        Ok(())
    });
    Outcome { surface: "futures", released, error: result.err() }
}

fn read_stream(
    message: &[u8],
    manager: &dyn MaterialsManager,
    options: &DecryptOptions,
) -> Outcome {
    let mut released = Vec::new();
    let result = (|| {
        let pending = PendingReader::read_header(message, options)?;
        let materials = wait(manager.decryption_materials(pending.request()))?;
        let mut reader = pending.verify(materials)?;
        reader.read_to_end(&mut released).map(drop).map_err(unpack)
    })();
    Outcome { surface: "std::io", released, error: result.err() }
}

/// Behind a buffer of 41 bytes: some frames lie in it as a whole, others do not.
fn read_buffered(
    message: &[u8],
    manager: &dyn MaterialsManager,
    options: &DecryptOptions,
) -> Outcome {
    let mut released = Vec::new();
    let result = (|| {
        let source = BufReader::with_capacity(41, message);
        let pending = PendingReader::read_header(source, options)?;
        let materials = wait(manager.decryption_materials(pending.request()))?;
        let mut reader = pending.verify(materials)?.buffered();
        reader.read_to_end(&mut released).map(drop).map_err(unpack)
    })();
    Outcome { surface: "std::io, buffered", released, error: result.err() }
}

fn read_tokio(message: &[u8], manager: &dyn MaterialsManager, options: &DecryptOptions) -> Outcome {
    let mut released = Vec::new();
    let result = wait(async {
        let mut reader = AsyncDecryptReader::open(message, manager, options).await?;
        reader.read_to_end(&mut released).await.map(drop).map_err(unpack)
    });
    Outcome { surface: "tokio", released, error: result.err() }
}

/// The SDK's error inside an I/O error.
pub(crate) fn unpack(error: std::io::Error) -> Error {
    error.downcast::<Error>().unwrap_or_else(|source| Error::Io { operation: "reading", source })
}

/// A clock that a test moves, in seconds.
#[derive(Default)]
pub(crate) struct Hand(AtomicU64);

impl Hand {
    pub(crate) fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for Hand {
    fn elapsed(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::SeqCst))
    }

    fn since_epoch(&self) -> Duration {
        Duration::from_secs(1_700_000_000) + self.elapsed()
    }
}

/// One line that the test harness does not swallow.
pub(crate) fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{line}");
}
