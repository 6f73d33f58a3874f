//! The raw AES keyring: data keys wrapped with AES-GCM under a key that the caller holds.
//!
//! Provider information is `name || tag length in bits(4) || IV length(4) || IV`; the encryption
//! context is the authenticated data.
//!
//! Source: `framework/raw-aes-keyring.md`.

use async_trait::async_trait;

use super::{
    KMS_NAMESPACE, Keyring, existing_data_key, failed, not_configured, random_data_key,
    raw_namespace,
};
use crate::crypto::{CryptoProvider, Iv, Tag};
use crate::error::{Error, KeyAttempt, KeyringFault, Region, Result};
use crate::materials::{DecryptionMaterials, EncryptionMaterials};
use crate::message::encrypted_data_key::EncryptedDataKey;
use crate::message::encryption_context::EncryptionContext;
use crate::message::suite::{AeadAlgorithm, IV_BYTES, TAG_BYTES};
use crate::secret::{DataKey, SecretBytes};

/// One AES wrapping key of 16, 24 or 32 bytes, known by namespace and name.
pub struct RawAesKeyring {
    namespace: String,
    name: String,
    algorithm: AeadAlgorithm,
    wrapping_key: SecretBytes,
}

impl RawAesKeyring {
    /// A keyring of `wrapping_key`; readers must use the same `namespace` and `name`.
    ///
    /// # Errors
    /// [`Error::Keyring`] for a key that is not 16, 24 or 32 bytes long and for the namespace
    /// `aws-kms`.
    pub fn new(
        namespace: impl Into<String>,
        name: impl Into<String>,
        wrapping_key: SecretBytes,
    ) -> Result<Self> {
        let (namespace, name) = (raw_namespace(namespace.into())?, name.into());
        let algorithm = match wrapping_key.len() {
            16 => AeadAlgorithm::Aes128Gcm,
            24 => AeadAlgorithm::Aes192Gcm,
            32 => AeadAlgorithm::Aes256Gcm,
            found => {
                let allowed = "16, 24 or 32";
                return Err(KeyringFault::WrappingKeyLength { name, allowed, found }.into());
            }
        };
        Ok(Self { namespace, name, algorithm, wrapping_key })
    }

    fn wrap(
        &self,
        provider: &dyn CryptoProvider,
        context: &EncryptionContext,
        data_key: &DataKey,
    ) -> Result<EncryptedDataKey> {
        let mut iv: Iv = [0; IV_BYTES];
        provider.fill_random(&mut iv)?;
        let key = provider.aead_key(self.algorithm, &self.wrapping_key)?;
        let plaintext = data_key.secret().expose();
        let mut ciphertext = vec![0; plaintext.len()];
        let tag = key.seal_into(&iv, &context.serialize()?, plaintext, &mut ciphertext)?;
        ciphertext.extend_from_slice(&tag);
        Ok(EncryptedDataKey {
            provider_id: self.namespace.clone(),
            provider_info: self.provider_info(&iv),
            ciphertext,
        })
    }

    fn unwrap(
        &self,
        provider: &dyn CryptoProvider,
        context: &[u8],
        iv: &Iv,
        ciphertext: &[u8],
    ) -> Result<DataKey> {
        let region = Region::EncryptedDataKeys;
        let (wrapped, tag): (&[u8], &Tag) =
            ciphertext.split_last_chunk().ok_or(Error::Truncated { region })?;
        let key = provider.aead_key(self.algorithm, &self.wrapping_key)?;
        let secret = SecretBytes::fill_with(wrapped.len(), |out| {
            key.open_into(iv, context, wrapped, tag, out)
        });
        secret.map(DataKey::new).map_err(|_mismatch| Error::TagMismatch { region })
    }

    fn provider_info(&self, iv: &Iv) -> Vec<u8> {
        let mut info = self.provider_info_prefix();
        info.extend_from_slice(iv);
        info
    }

    /// The provider information without the IV, which is the same for every data key.
    fn provider_info_prefix(&self) -> Vec<u8> {
        let mut info = self.name.as_bytes().to_vec();
        info.extend_from_slice(&(TAG_BYTES as u32 * 8).to_be_bytes());
        info.extend_from_slice(&(IV_BYTES as u32).to_be_bytes());
        info
    }

    /// The IV of `key`, if this keyring's key wrapped it.
    fn iv_if_ours(&self, key: &EncryptedDataKey) -> Option<Iv> {
        if key.provider_id != self.namespace {
            return None;
        }
        key.provider_info.strip_prefix(self.provider_info_prefix().as_slice())?.try_into().ok()
    }

    /// The name of the key that wrapped `key`, for messages to people: the rest is no text.
    fn readable_name(&self, key: &EncryptedDataKey) -> String {
        let lengths_and_iv = 8 + IV_BYTES;
        let end = key.provider_info.len().saturating_sub(lengths_and_iv);
        let name = if key.provider_id == KMS_NAMESPACE || end == 0 {
            &key.provider_info[..]
        } else {
            key.provider_info.split_at_checked(end).map_or(&key.provider_info[..], |(n, _)| n)
        };
        String::from_utf8_lossy(name).into_owned()
    }
}

#[async_trait]
impl Keyring for RawAesKeyring {
    async fn on_encrypt(&self, materials: &mut EncryptionMaterials) -> Result<()> {
        let provider = materials.provider().clone();
        if materials.data_key().is_none() {
            materials.set_data_key(random_data_key(&*provider, materials.suite())?)?;
        }
        let data_key = existing_data_key(materials)?;
        let wrapped = self.wrap(&*provider, materials.encryption_context(), data_key)?;
        materials.push_encrypted_data_key(wrapped);
        Ok(())
    }

    async fn on_decrypt(
        &self,
        materials: &mut DecryptionMaterials,
        keys: &[EncryptedDataKey],
    ) -> Result<()> {
        super::require_no_data_key(materials)?;
        let provider = materials.provider().clone();
        let context = materials.encryption_context().serialize()?;
        let mut attempts: Vec<KeyAttempt> = Vec::new();
        for key in keys {
            let name = self.readable_name(key);
            let Some(iv) = self.iv_if_ours(key) else {
                attempts.push(not_configured(key, name));
                continue;
            };
            let unwrapped = self.unwrap(&*provider, &context, &iv, &key.ciphertext);
            match unwrapped.and_then(|data_key| materials.set_data_key(data_key)) {
                Ok(()) => return Ok(()),
                Err(error) => attempts.push(failed(key, name, error)),
            }
        }
        Err(Error::NoDataKey { attempts })
    }

    fn name(&self) -> String {
        format!("raw-aes {}/{}", self.namespace, self.name)
    }
}
