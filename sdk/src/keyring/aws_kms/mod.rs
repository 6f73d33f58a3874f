//! Keyrings of AWS KMS, by how they choose the key that unwraps.
//!
//! | keyring | asks for |
//! |---|---|
//! | [`AwsKmsKeyring`] | the keys that it was built with |
//! | [`AwsKmsMrkKeyring`] | the key that it was built with, also for its copies in other Regions |
//! | [`AwsKmsDiscoveryKeyring`] | whatever key the message names, within a filter |
//! | [`AwsKmsMrkDiscoveryKeyring`] | the same; of multi-Region keys, the copy in its own Region |
//!
//! [`RegionalKeyrings`] puts one of these for each of several Regions into one keyring.

use std::sync::Arc;

use super::{existing_data_key, failed, not_configured};
use crate::error::{Error, KeyAttempt, KeyringFault, Result};
use crate::kms::arn::{KeyIdentifier, KmsArn};
use crate::kms::{KmsClient, KmsError, KmsRequest};
use crate::materials::{DecryptionMaterials, EncryptionMaterials};
use crate::message::encrypted_data_key::EncryptedDataKey;
use crate::message::encryption_context::EncryptionContext;
use crate::secret::DataKey;

mod discovery;
mod mrk;
mod regions;
mod strict;

pub use discovery::{AwsKmsDiscoveryKeyring, AwsKmsMrkDiscoveryKeyring, DiscoveryFilter};
pub use mrk::AwsKmsMrkKeyring;
pub use regions::RegionalKeyrings;
pub use strict::AwsKmsKeyring;

/// The provider id of AWS KMS.
pub const PROVIDER_ID: &str = "aws-kms";

/// A client and what goes with each of its requests.
struct Caller {
    client: Arc<dyn KmsClient>,
    grant_tokens: Vec<String>,
}

impl Caller {
    fn new(client: Arc<dyn KmsClient>) -> Self {
        Self { client, grant_tokens: Vec::new() }
    }

    /// Has the KMS make the data key, or wrap the one that there is, under `key_id`.
    async fn generate_or_wrap(
        &self,
        key_id: &KeyIdentifier,
        materials: &mut EncryptionMaterials,
    ) -> Result<()> {
        if materials.data_key().is_none() {
            self.generate(key_id, materials).await
        } else {
            self.wrap(key_id, materials).await
        }
    }

    async fn generate(
        &self,
        key_id: &KeyIdentifier,
        materials: &mut EncryptionMaterials,
    ) -> Result<()> {
        let bytes = materials.suite().data_key_bytes();
        let request = self.request(key_id.as_str(), materials.encryption_context());
        let answer = self.client.generate_data_key(request, bytes).await;
        let answer = answer.map_err(kms_error(key_id.as_str()))?;
        let wrapped = wrapped_by(key_id, answer.key_id, answer.ciphertext)?;
        materials.set_data_key(DataKey::new(answer.plaintext))?;
        materials.push_encrypted_data_key(wrapped);
        Ok(())
    }

    async fn wrap(
        &self,
        key_id: &KeyIdentifier,
        materials: &mut EncryptionMaterials,
    ) -> Result<()> {
        let request = self.request(key_id.as_str(), materials.encryption_context());
        let data_key = existing_data_key(materials)?.secret();
        let answer = self.client.encrypt(request, data_key).await;
        let answer = answer.map_err(kms_error(key_id.as_str()))?;
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

    /// Unwraps the first of `keys` that it can; `choose` names the key to ask for, if there is one that
    /// the keyring may ask for.
    async fn unwrap_first(
        &self,
        materials: &mut DecryptionMaterials,
        keys: &[EncryptedDataKey],
        choose: &(dyn Fn(&KmsArn) -> Option<String> + Sync),
    ) -> Result<()> {
        super::require_no_data_key(materials)?;
        let choices = choices(keys, choose)?;
        let mut attempts: Vec<KeyAttempt> = Vec::new();
        for (key, choice) in keys.iter().zip(choices) {
            let Some(key_id) = choice else {
                attempts.push(not_configured(key, key.key_name()));
                continue;
            };
            match self.unwrap(&key_id, &key.ciphertext, materials).await {
                Ok(()) => return Ok(()),
                Err(error) => attempts.push(failed(key, key_id, error)),
            }
        }
        Err(Error::NoDataKey { attempts })
    }

    fn request<'a>(&'a self, key_id: &'a str, context: &'a EncryptionContext) -> KmsRequest<'a> {
        KmsRequest { key_id, encryption_context: context, grant_tokens: &self.grant_tokens }
    }
}

/// Which key to ask for, for each of `keys`.
fn choices(
    keys: &[EncryptedDataKey],
    choose: &(dyn Fn(&KmsArn) -> Option<String> + Sync),
) -> Result<Vec<Option<String>>> {
    let choice = |key: &EncryptedDataKey| {
        if key.provider_id != PROVIDER_ID {
            return Ok(None);
        }
        //= framework/aws-kms/aws-kms-keyring.md#ondecrypt
        //# The provider info MUST be a valid AWS KMS ARN with a resource type of `key`
        //# or OnDecrypt MUST fail.
        match KmsArn::parse_key(&key.key_name()) {
            Ok(arn) => Ok(choose(&arn)),
            Err(error) => {
                Err(Error::NoDataKey { attempts: vec![failed(key, key.key_name(), error)] })
            }
        }
    };
    keys.iter().map(choice).collect()
}

fn kms_error(key_id: &str) -> impl FnOnce(KmsError) -> Error {
    let key = key_id.to_owned();
    move |error| Error::Kms { key, source: Box::new(error) }
}

/// The wrapped data key that a KMS answered with, under the key ARN that it says it used.
fn wrapped_by(
    asked: &KeyIdentifier,
    answered: String,
    ciphertext: Vec<u8>,
) -> Result<EncryptedDataKey> {
    //= framework/aws-kms/aws-kms-keyring.md#onencrypt
    //# The Generate Data Key response’s `KeyId` MUST be a valid AWS KMS key ARN.
    let other_key = asked.key_arn().is_some() && asked.as_str() != answered;
    if other_key || KmsArn::parse_key(&answered).is_err() {
        let expected = asked.as_str().to_owned();
        return Err(KeyringFault::OtherKey { expected, found: answered }.into());
    }
    Ok(EncryptedDataKey {
        provider_id: PROVIDER_ID.to_owned(),
        provider_info: answered.into_bytes(),
        ciphertext,
    })
}
