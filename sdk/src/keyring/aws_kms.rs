//! The strict AWS KMS keyring: data keys wrapped by KMS keys that the caller names.
//!
//! Strict: a message says which KMS keys wrapped it, and this keyring asks only for those that it was
//! built with. What a message says is never a reason to call a key.
//!
//! Source: `framework/aws-kms/aws-kms-keyring.md`, `framework/aws-kms/aws-kms-key-arn.md`.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Keyring, existing_data_key, failed, not_configured};
use crate::error::{Error, KeyAttempt, KeyringFault, Result};
use crate::kms::{KmsClient, KmsError, KmsRequest};
use crate::materials::{DecryptionMaterials, EncryptionMaterials};
use crate::message::encrypted_data_key::EncryptedDataKey;
use crate::message::encryption_context::EncryptionContext;
use crate::secret::DataKey;

/// The provider id of AWS KMS.
pub const PROVIDER_ID: &str = "aws-kms";

/// KMS keys of one client: the first makes data keys, all wrap them, each can unwrap.
pub struct AwsKmsKeyring {
    client: Arc<dyn KmsClient>,
    key_ids: Vec<String>,
    grant_tokens: Vec<String>,
}

impl AwsKmsKeyring {
    /// A keyring of one key: key ARN, key id, alias name or alias ARN.
    ///
    /// To read, it must be the key ARN, for that is what a message records.
    ///
    /// # Errors
    /// [`Error::Keyring`] when `key_id` is empty or an ARN that names no KMS key or alias.
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
        let key_ids: Vec<String> = key_ids.into_iter().map(Into::into).collect();
        if key_ids.is_empty() {
            return Err(KeyringFault::Empty.into());
        }
        if let Some(bad) = key_ids.iter().find(|id| !is_key_identifier(id)) {
            return Err(KeyringFault::KeyIdentifier(bad.clone()).into());
        }
        Ok(Self { client, key_ids, grant_tokens: Vec::new() })
    }

    /// Sends `grant_tokens` with every request.
    #[must_use]
    pub fn grant_tokens(mut self, grant_tokens: Vec<String>) -> Self {
        self.grant_tokens = grant_tokens;
        self
    }

    fn request<'a>(&'a self, key_id: &'a str, context: &'a EncryptionContext) -> KmsRequest<'a> {
        KmsRequest { key_id, encryption_context: context, grant_tokens: &self.grant_tokens }
    }

    async fn generate(&self, key_id: &str, materials: &mut EncryptionMaterials) -> Result<()> {
        let bytes = materials.suite().data_key_bytes();
        let request = self.request(key_id, materials.encryption_context());
        let answer =
            self.client.generate_data_key(request, bytes).await.map_err(kms_error(key_id))?;
        let wrapped = wrapped_by(key_id, answer.key_id, answer.ciphertext)?;
        materials.set_data_key(DataKey::new(answer.plaintext))?;
        materials.push_encrypted_data_key(wrapped);
        Ok(())
    }

    async fn wrap(&self, key_id: &str, materials: &mut EncryptionMaterials) -> Result<()> {
        let request = self.request(key_id, materials.encryption_context());
        let data_key = existing_data_key(materials)?.secret();
        let answer = self.client.encrypt(request, data_key).await.map_err(kms_error(key_id))?;
        materials.push_encrypted_data_key(wrapped_by(key_id, answer.key_id, answer.ciphertext)?);
        Ok(())
    }

    async fn unwrap(
        &self,
        key_id: &str,
        ciphertext: &[u8],
        materials: &mut DecryptionMaterials,
    ) -> Result<()> {
        let request = self.request(key_id, materials.encryption_context());
        let answer = self.client.decrypt(request, ciphertext).await.map_err(kms_error(key_id))?;
        //= framework/aws-kms/aws-kms-keyring.md#ondecrypt
        //# The `KeyId` field in the response MUST equal the configured AWS KMS key identifier.
        if answer.key_id != key_id {
            let (expected, found) = (key_id.to_owned(), answer.key_id);
            return Err(KeyringFault::OtherKey { expected, found }.into());
        }
        materials.set_data_key(DataKey::new(answer.plaintext))
    }

    /// The configured key that wrapped `key`, if there is one.
    fn configured<'a>(&'a self, key: &EncryptedDataKey) -> Option<&'a str> {
        if key.provider_id != PROVIDER_ID {
            return None;
        }
        let recorded = std::str::from_utf8(&key.provider_info).ok()?;
        let ours = self.key_ids.iter().find(|id| *id == recorded)?;
        is_key_arn(ours).then_some(ours.as_str())
    }
}

#[async_trait]
impl Keyring for AwsKmsKeyring {
    async fn on_encrypt(&self, materials: &mut EncryptionMaterials) -> Result<()> {
        for key_id in &self.key_ids {
            if materials.data_key().is_none() {
                self.generate(key_id, materials).await?;
            } else {
                self.wrap(key_id, materials).await?;
            }
        }
        Ok(())
    }

    async fn on_decrypt(
        &self,
        materials: &mut DecryptionMaterials,
        keys: &[EncryptedDataKey],
    ) -> Result<()> {
        super::require_no_data_key(materials)?;
        let mut attempts: Vec<KeyAttempt> = Vec::new();
        for key in keys {
            let Some(key_id) = self.configured(key) else {
                attempts.push(not_configured(key, key.key_name()));
                continue;
            };
            match self.unwrap(key_id, &key.ciphertext, materials).await {
                Ok(()) => return Ok(()),
                Err(error) => attempts.push(failed(key, key_id.to_owned(), error)),
            }
        }
        Err(Error::NoDataKey { attempts })
    }
}

fn kms_error(key_id: &str) -> impl FnOnce(KmsError) -> Error {
    let key = key_id.to_owned();
    move |error| Error::Kms { key, source: Box::new(error) }
}

/// The wrapped data key that a KMS answered with, under the key ARN that it says it used.
fn wrapped_by(asked: &str, answered: String, ciphertext: Vec<u8>) -> Result<EncryptedDataKey> {
    //= framework/aws-kms/aws-kms-keyring.md#onencrypt
    //# The Generate Data Key response's `KeyId` MUST be a valid AWS KMS key ARN.
    let other_key = is_key_arn(asked) && asked != answered;
    if other_key || !is_key_arn(&answered) {
        return Err(KeyringFault::OtherKey { expected: asked.to_owned(), found: answered }.into());
    }
    Ok(EncryptedDataKey {
        provider_id: PROVIDER_ID.to_owned(),
        provider_info: answered.into_bytes(),
        ciphertext,
    })
}

/// Whether `id` can name a KMS key in a request.
fn is_key_identifier(id: &str) -> bool {
    if id.starts_with("arn:") { is_kms_arn(id, &["key", "alias"]) } else { !id.is_empty() }
}

/// Whether `id` is the ARN of a KMS key.
fn is_key_arn(id: &str) -> bool {
    is_kms_arn(id, &["key"])
}

/// `arn:partition:kms:region:account:type/id`, all parts there, the type one of `types`.
fn is_kms_arn(id: &str, types: &[&str]) -> bool {
    let parts: Vec<&str> = id.splitn(6, ':').collect();
    let ["arn", partition, "kms", region, account, resource] = parts[..] else {
        return false;
    };
    let Some((kind, name)) = resource.split_once('/') else {
        return false;
    };
    let all_there = [partition, region, account, name].iter().all(|part| !part.is_empty());
    all_there && types.contains(&kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_arns_and_identifiers_are_told_apart() {
        let key = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd";
        let alias = "arn:aws:kms:eu-central-1:111122223333:alias/backup";
        assert!(is_key_arn(key) && is_key_identifier(key));
        assert!(!is_key_arn(alias) && is_key_identifier(alias));
        assert!(is_key_identifier("alias/backup") && !is_key_arn("alias/backup"));
        for bad in ["", "arn:aws:s3:::bucket", "arn:aws:kms::1:key/x", "arn:aws:kms:r:1:key/"] {
            assert!(!is_key_identifier(bad), "{bad}");
        }
    }
}
