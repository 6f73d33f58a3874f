//! The strict AWS KMS keyring: data keys wrapped by KMS keys that the caller names.
//!
//! Strict: a message says which KMS keys wrapped it, and this keyring asks only for those that it was
//! built with. What a message says is never a reason to call a key.
//!
//! Source: `framework/aws-kms/aws-kms-keyring.md`.

use std::sync::Arc;

use async_trait::async_trait;

use super::Caller;
use crate::error::{KeyringFault, Result};
use crate::keyring::Keyring;
use crate::kms::KmsClient;
use crate::kms::arn::{KeyIdentifier, KmsArn};
use crate::materials::{DecryptionMaterials, EncryptionMaterials};
use crate::message::encrypted_data_key::EncryptedDataKey;

/// KMS keys of one client: the first makes data keys, all wrap them, each can unwrap.
pub struct AwsKmsKeyring {
    caller: Caller,
    keys: Vec<KeyIdentifier>,
}

impl AwsKmsKeyring {
    /// A keyring of one key: key ARN, key id, alias name or alias ARN.
    ///
    /// To read, it must be the key ARN, for that is what a message records.
    ///
    /// # Errors
    /// [`Error::Keyring`](crate::Error::Keyring) when `key_id` is empty or an ARN that names no KMS key or
    /// alias.
    pub fn new(client: Arc<dyn KmsClient>, key_id: impl Into<String>) -> Result<Self> {
        Self::with_keys(client, [key_id])
    }

    /// A keyring of several keys; the first is the generator.
    ///
    /// # Errors
    /// As [`new`](Self::new), and when there is no key at all.
    pub fn with_keys<K: Into<String>>(
        client: Arc<dyn KmsClient>,
        key_ids: impl IntoIterator<Item = K>,
    ) -> Result<Self> {
        let keys = key_ids.into_iter().map(KeyIdentifier::parse).collect::<Result<Vec<_>>>()?;
        if keys.is_empty() {
            return Err(KeyringFault::Empty.into());
        }
        Ok(Self { caller: Caller::new(client), keys })
    }

    /// Sends `grant_tokens` with every request.
    #[must_use]
    pub fn grant_tokens(mut self, grant_tokens: Vec<String>) -> Self {
        self.caller.grant_tokens = grant_tokens;
        self
    }

    /// The configured key that is `recorded`, if there is one.
    fn configured(&self, recorded: &KmsArn) -> Option<String> {
        let ours = self.keys.iter().find(|key| key.key_arn() == Some(recorded))?;
        Some(ours.as_str().to_owned())
    }
}

#[async_trait]
impl Keyring for AwsKmsKeyring {
    async fn on_encrypt(&self, materials: &mut EncryptionMaterials) -> Result<()> {
        for key in &self.keys {
            self.caller.generate_or_wrap(key, materials).await?;
        }
        Ok(())
    }

    async fn on_decrypt(
        &self,
        materials: &mut DecryptionMaterials,
        keys: &[EncryptedDataKey],
    ) -> Result<()> {
        self.caller.unwrap_first(materials, keys, &|recorded| self.configured(recorded)).await
    }

    fn name(&self) -> String {
        let keys: Vec<&str> = self.keys.iter().map(KeyIdentifier::as_str).collect();
        format!("aws-kms {}", keys.join(", "))
    }
}
