//! The raw RSA keyring: data keys encrypted with RSA under a key that the caller holds.
//!
//! The public key alone writes and the private key alone reads: a machine that only backs up does not need the
//! key that opens its backups. Nothing binds the encryption context to the wrapped data key; the header
//! tag of the message authenticates it.
//!
//! Source: `framework/raw-rsa-keyring.md`.

use async_trait::async_trait;

use super::{Keyring, existing_data_key, failed, not_configured, random_data_key, raw_namespace};
use crate::crypto::rsa::RsaPadding;
use crate::error::{Error, KeyAttempt, KeyringFault, Result};
use crate::keys::{RsaPrivateKey, RsaPublicKey};
use crate::materials::{DecryptionMaterials, EncryptionMaterials};
use crate::message::encrypted_data_key::EncryptedDataKey;
use crate::message::suite::AlgorithmSuite;
use crate::secret::DataKey;

/// Which halves of an RSA key a keyring has.
pub enum RsaKeys {
    /// It writes and cannot read.
    Public(RsaPublicKey),
    /// It reads and cannot write: the public key is not derived from the private.
    Private(RsaPrivateKey),
    /// It writes and reads.
    Pair(RsaPublicKey, RsaPrivateKey),
}

impl RsaKeys {
    fn public(&self) -> Option<&RsaPublicKey> {
        match self {
            Self::Public(key) | Self::Pair(key, _) => Some(key),
            Self::Private(_) => None,
        }
    }

    fn private(&self) -> Option<&RsaPrivateKey> {
        match self {
            Self::Private(key) | Self::Pair(_, key) => Some(key),
            Self::Public(_) => None,
        }
    }
}

/// One RSA wrapping key, known by namespace and name.
pub struct RawRsaKeyring {
    namespace: String,
    name: String,
    padding: RsaPadding,
    keys: RsaKeys,
}

impl RawRsaKeyring {
    /// A keyring of `keys`; readers must use the same `namespace`, `name` and `padding`.
    ///
    /// # Errors
    /// [`Error::Keyring`] for the namespace `aws-kms`.
    pub fn new(
        namespace: impl Into<String>,
        name: impl Into<String>,
        padding: RsaPadding,
        keys: RsaKeys,
    ) -> Result<Self> {
        let namespace = raw_namespace(namespace.into())?;
        Ok(Self { namespace, name: name.into(), padding, keys })
    }

    /// The data key in `ciphertext`.
    ///
    /// One error for every cause, a data key of another length among them: telling them apart would help
    /// whoever sends altered ciphertexts to learn from the answers.
    fn unwrap(&self, suite: AlgorithmSuite, ciphertext: &[u8]) -> Result<DataKey> {
        //= framework/raw-rsa-keyring.md#ondecrypt
        //# OnDecrypt MUST fail if this keyring does not have a specified [private key](#private-key).
        let private = self.keys.private().ok_or(KeyringFault::CannotUnwrap("no private key"))?;
        let secret = private.decrypt(self.padding, ciphertext).ok();
        let secret = secret.filter(|secret| secret.len() == suite.data_key_bytes());
        secret.map(DataKey::new).ok_or_else(|| KeyringFault::NotUnwrapped.into())
    }

    //= framework/raw-rsa-keyring.md#ondecrypt
    //# For each encrypted data key, the keyring MUST attempt to decrypt the encrypted data key into plaintext
    //# using RSA if and only if the following is true:
    fn is_ours(&self, key: &EncryptedDataKey) -> bool {
        key.provider_id == self.namespace && key.provider_info == self.name.as_bytes()
    }
}

#[async_trait]
impl Keyring for RawRsaKeyring {
    async fn on_encrypt(&self, materials: &mut EncryptionMaterials) -> Result<()> {
        //= framework/raw-rsa-keyring.md#onencrypt
        //# OnEncrypt MUST fail if this keyring does not have a specified [public key](#public-key).
        let public = self.keys.public().ok_or(KeyringFault::CannotWrap("no public key"))?;
        if materials.data_key().is_none() {
            let provider = materials.provider().clone();
            materials.set_data_key(random_data_key(&*provider, materials.suite())?)?;
        }
        let secret = existing_data_key(materials)?.secret();
        let ciphertext = public.encrypt(self.padding, secret)?;
        materials.push_encrypted_data_key(EncryptedDataKey {
            provider_id: self.namespace.clone(),
            provider_info: self.name.as_bytes().to_vec(),
            ciphertext,
        });
        Ok(())
    }

    async fn on_decrypt(
        &self,
        materials: &mut DecryptionMaterials,
        keys: &[EncryptedDataKey],
    ) -> Result<()> {
        super::require_no_data_key(materials)?;
        let mut attempts: Vec<KeyAttempt> = Vec::new();
        //= framework/raw-rsa-keyring.md#ondecrypt
        //# The keyring MUST attempt to decrypt the input encrypted data keys, in list order, until it successfully
        //# decrypts one.
        for key in keys {
            if !self.is_ours(key) {
                attempts.push(not_configured(key, key.key_name()));
                continue;
            }
            match self.unwrap(materials.suite(), &key.ciphertext) {
                Ok(data_key) => return materials.set_data_key(data_key),
                Err(error) => attempts.push(failed(key, self.name.clone(), error)),
            }
        }
        Err(Error::NoDataKey { attempts })
    }

    fn name(&self) -> String {
        format!("raw-rsa {}/{}", self.namespace, self.name)
    }
}
