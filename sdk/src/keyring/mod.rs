//! Keyrings: who makes, wraps and unwraps data keys.
//!
//! Source: `framework/keyring-interface.md`.

use async_trait::async_trait;

use crate::crypto::CryptoProvider;
use crate::error::{Error, KeyAttempt, KeyringFault, Result};
use crate::materials::{DecryptionMaterials, EncryptionMaterials};
use crate::message::encrypted_data_key::EncryptedDataKey;
use crate::message::suite::AlgorithmSuite;
use crate::secret::{DataKey, SecretBytes};

pub mod aws_kms;
mod ecdh;
pub mod hierarchical;
pub mod multi;
pub mod raw_aes;
pub mod raw_ecdh;
pub mod raw_rsa;

pub use aws_kms::{
    AwsKmsDiscoveryKeyring, AwsKmsEcdhKeyring, AwsKmsKeyring, AwsKmsMrkDiscoveryKeyring,
    AwsKmsMrkKeyring, AwsKmsRsaKeyring, DiscoveryFilter, KmsEcKey, RegionalKeyrings,
};
pub use hierarchical::HierarchicalKeyring;
pub use multi::MultiKeyring;
pub use raw_aes::RawAesKeyring;
pub use raw_ecdh::RawEcdhKeyring;
pub use raw_rsa::{RawRsaKeyring, RsaKeys};

/// The provider id that belongs to AWS KMS.
const KMS_NAMESPACE: &str = "aws-kms";

/// Makes data keys, wraps them, unwraps them.
#[async_trait]
pub trait Keyring: Send + Sync {
    /// Makes the data key if there is none, and adds a wrapped copy for each of its wrapping keys.
    ///
    /// # Errors
    /// When any of its wrapping keys fails: a message must be readable with every key it was written
    /// for. `materials` must not be used then.
    async fn on_encrypt(&self, materials: &mut EncryptionMaterials) -> Result<()>;

    /// Unwraps the first of `keys` that it can, into `materials`.
    ///
    /// # Errors
    /// [`Error::NoDataKey`] with one entry for each of `keys` when none could be unwrapped.
    async fn on_decrypt(
        &self,
        materials: &mut DecryptionMaterials,
        keys: &[EncryptedDataKey],
    ) -> Result<()>;

    /// What messages about failures call this keyring: its kind, and which key it is for. No secret.
    fn name(&self) -> String {
        std::any::type_name::<Self>().to_owned()
    }
}

/// The namespace of a raw keyring.
fn raw_namespace(namespace: String) -> Result<String> {
    if namespace == KMS_NAMESPACE {
        return Err(KeyringFault::ReservedNamespace.into());
    }
    Ok(namespace)
}

/// A random data key for `suite`.
fn random_data_key(provider: &dyn CryptoProvider, suite: AlgorithmSuite) -> Result<DataKey> {
    let secret = SecretBytes::fill_with(suite.data_key_bytes(), |out| provider.fill_random(out))?;
    Ok(DataKey::new(secret))
}

/// The data key that must be there before it can be wrapped again.
fn existing_data_key(materials: &EncryptionMaterials) -> Result<&DataKey> {
    materials.data_key().ok_or_else(|| KeyringFault::DataKeyState("missing").into())
}

/// Refuses materials whose data key is known already.
fn require_no_data_key(materials: &DecryptionMaterials) -> Result<()> {
    match materials.data_key() {
        None => Ok(()),
        Some(_) => Err(KeyringFault::DataKeyState("already there").into()),
    }
}

/// The attempt at a key that is not the keyring's.
fn not_configured(key: &EncryptedDataKey, name: String) -> KeyAttempt {
    KeyAttempt { provider_id: key.provider_id.clone(), key: name, failure: None }
}

/// The attempt at a key that failed.
fn failed(key: &EncryptedDataKey, name: String, failure: Error) -> KeyAttempt {
    KeyAttempt { provider_id: key.provider_id.clone(), key: name, failure: Some(Box::new(failure)) }
}
