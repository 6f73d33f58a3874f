//! What the tests share: keyrings of fixed keys, both providers, messages.

use std::sync::Arc;

use strongroom_sdk::cmm::{DefaultCmm, MaterialsManager};
use strongroom_sdk::crypto::{self, CryptoProvider};
use strongroom_sdk::keyring::RawAesKeyring;
use strongroom_sdk::materials::{DecryptionMaterials, DecryptionRequest, EncryptionRequest};
use strongroom_sdk::message::encryption_context::EncryptionContext;
use strongroom_sdk::message::header::{Header, Parsed, Verified};
use strongroom_sdk::message::limits::Limits;
use strongroom_sdk::message::suite::AlgorithmSuite;
use strongroom_sdk::oneshot;
use strongroom_sdk::options::{DecryptOptions, EncryptOptions};
use strongroom_sdk::policy::CommitmentPolicy;
use strongroom_sdk::secret::SecretBytes;

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
    }
}

pub(crate) fn reading(suite: AlgorithmSuite) -> DecryptOptions {
    DecryptOptions { commitment_policy: policy(suite), ..DecryptOptions::default() }
}

/// Runs a future on this thread; nothing in these tests waits for anything but the CPU.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
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
