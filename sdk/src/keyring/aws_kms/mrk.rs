//! The multi-Region-key-aware (MRK-aware) keyring: reads in one Region what was written in another.
//!
//! The copies of a multi-Region key have the same id and the same material. A message names the copy
//! that wrapped it; this keyring asks for its own.
//!
//! Source: `framework/aws-kms/aws-kms-mrk-keyring.md`.

use std::sync::Arc;

use async_trait::async_trait;

use super::Caller;
use crate::error::Result;
use crate::keyring::Keyring;
use crate::kms::KmsClient;
use crate::kms::arn::{KeyIdentifier, KmsArn};
use crate::materials::{DecryptionMaterials, EncryptionMaterials};
use crate::message::encrypted_data_key::EncryptedDataKey;

/// One KMS key, which also unwraps for its copies in other Regions if it is a multi-Region key.
pub struct AwsKmsMrkKeyring {
    caller: Caller,
    key: KeyIdentifier,
}

impl AwsKmsMrkKeyring {
    /// A keyring of one key, as [`AwsKmsKeyring::new`](super::AwsKmsKeyring::new).
    ///
    /// # Errors
    /// [`Error::Keyring`](crate::Error::Keyring) when `key_id` is empty or an ARN that names no KMS key or
    /// alias.
    pub fn new(client: Arc<dyn KmsClient>, key_id: impl Into<String>) -> Result<Self> {
        Ok(Self { caller: Caller::new(client), key: KeyIdentifier::parse(key_id)? })
    }

    /// Sends `grant_tokens` with every request.
    #[must_use]
    pub fn grant_tokens(mut self, grant_tokens: Vec<String>) -> Self {
        self.caller.grant_tokens = grant_tokens;
        self
    }

    /// This keyring's key, if it can unwrap what `recorded` wrapped.
    fn configured(&self, recorded: &KmsArn) -> Option<String> {
        //= framework/aws-kms/aws-kms-mrk-keyring.md#ondecrypt
        //# The the function AWS KMS MRK Match for Decrypt
        //# called with the configured AWS KMS key identifier and the provider info MUST return `true`.
        let ours = self.key.key_arn().filter(|ours| ours.matches_for_decrypt(recorded))?;
        Some(ours.to_string())
    }
}

#[async_trait]
impl Keyring for AwsKmsMrkKeyring {
    async fn on_encrypt(&self, materials: &mut EncryptionMaterials) -> Result<()> {
        self.caller.generate_or_wrap(&self.key, materials).await
    }

    async fn on_decrypt(
        &self,
        materials: &mut DecryptionMaterials,
        keys: &[EncryptedDataKey],
    ) -> Result<()> {
        self.caller.unwrap_first(materials, keys, &|recorded| self.configured(recorded)).await
    }

    fn name(&self) -> String {
        format!("aws-kms {}", self.key.as_str())
    }
}
