//! Messages to mutate, and the manager that opens them.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use strongroom_sdk::cmm::DefaultCmm;
use strongroom_sdk::crypto::CryptoProvider;
use strongroom_sdk::keyring::Keyring;
use strongroom_sdk::materials::{DecryptionMaterials, EncryptionMaterials, EncryptionRequest};
use strongroom_sdk::message::encrypted_data_key::EncryptedDataKey;
use strongroom_sdk::message::suite::AlgorithmSuite;
use strongroom_sdk::options::{DecryptOptions, EncryptOptions};
use strongroom_sdk::secret::{DataKey, SecretBytes};
use strongroom_sdk::{CommitmentPolicy, EncryptionContext, Result, oneshot};

use super::permissive;

/// A keyring whose data key is all zeros, whatever a message says about it.
struct ZeroKeyring;

#[async_trait::async_trait]
impl Keyring for ZeroKeyring {
    async fn on_encrypt(&self, materials: &mut EncryptionMaterials) -> Result<()> {
        materials.set_data_key(zero_key(materials.suite()))?;
        materials.push_encrypted_data_key(EncryptedDataKey {
            provider_id: "zero".into(),
            provider_info: b"zero".to_vec(),
            ciphertext: vec![0; 3],
        });
        Ok(())
    }

    async fn on_decrypt(
        &self,
        materials: &mut DecryptionMaterials,
        _keys: &[EncryptedDataKey],
    ) -> Result<()> {
        materials.set_data_key(zero_key(materials.suite()))
    }
}

fn zero_key(suite: AlgorithmSuite) -> DataKey {
    DataKey::new(SecretBytes::copy_of(&vec![0; suite.data_key_bytes()]))
}

/// A manager of data keys of zeros, with the cryptography of `provider`.
pub(super) fn manager(provider: Arc<dyn CryptoProvider>) -> DefaultCmm {
    DefaultCmm::with_provider(Arc::new(ZeroKeyring), provider)
}

/// A request to write with `suite`, whichever it is.
pub(super) fn request(suite: AlgorithmSuite, context: EncryptionContext) -> EncryptionRequest {
    let commitment_policy = if suite.commits() {
        CommitmentPolicy::RequireEncryptRequireDecrypt
    } else {
        CommitmentPolicy::ForbidEncryptAllowDecrypt
    };
    EncryptionRequest {
        encryption_context: context,
        commitment_policy,
        suite: Some(suite),
        ..EncryptionRequest::default()
    }
}

/// Reads messages of every suite.
pub(super) fn reading() -> DecryptOptions {
    DecryptOptions {
        commitment_policy: CommitmentPolicy::RequireEncryptAllowDecrypt,
        ..DecryptOptions::default()
    }
}

/// The outcome of `future`, which waits for nothing.
pub(super) fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a future waits, though nothing here is worth waiting for"),
    }
}

/// A message of each suite with no, one and several frames.
pub(super) fn all() -> Vec<Vec<u8>> {
    let manager = manager(permissive::provider());
    let mut messages = Vec::new();
    for suite in AlgorithmSuite::ALL {
        for length in [0, 7, 40] {
            let pairs = [("a", "1"), ("b", "22")].into_iter().take(length % 3);
            let context = EncryptionContext::from_pairs(pairs).expect("distinct keys");
            let options = EncryptOptions { frame_length: 16 };
            let plaintext = vec![0x61; length];
            let message =
                now(oneshot::encrypt(&plaintext, &manager, &request(suite, context), &options));
            messages.push(message.expect("nothing stands in the way"));
        }
    }
    messages.push(single_block());
    messages
}

/// A message of version 1 that is a single block, which nobody writes any more.
fn single_block() -> Vec<u8> {
    let mut message = vec![1, 0x80, 0, 0x78];
    message.extend([4; 16]);
    message.extend([0, 0, 0, 1, 0, 1, b'p', 0, 1, b'i', 0, 1, 0]);
    message.extend([1, 0, 0, 0, 0, 12, 0, 0, 0, 0]);
    message.extend([[0; 12].as_slice(), &[1; 16]].concat());
    message.extend([[0; 12].as_slice(), &9_u64.to_be_bytes(), &[0x61; 9], &[1; 16]].concat());
    message
}
