//! Records of branch keys, made and opened by a KMS.
//!
//! Source: `framework/branch-key-store.md`.

use std::sync::Arc;

use super::record::{BranchKeyRecord, Description, Kind};
use super::{BRANCH_KEY_BYTES, BranchKey, BranchKeyId, BranchKeyVersion};
use crate::error::{BranchKeyFault, Error, KeyringFault, Result};
use crate::kms::arn::KmsArn;
use crate::kms::{KmsClient, KmsError, KmsRequest};
use crate::message::encryption_context::EncryptionContext;

/// Which KMS keys a key store may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KmsConfiguration {
    /// This key.
    Key(KmsArn),
    /// This key; if it is a multi-Region key, also for records made with its copies.
    MultiRegionKey(KmsArn),
    /// The key that a record names. Makes no branch keys.
    Discovery,
    /// The key that a record names; of a multi-Region key, the copy in `region`. Makes no branch keys.
    MultiRegionDiscovery {
        /// The Region of the KMS client.
        region: String,
    },
}

impl KmsConfiguration {
    /// The key to name in requests about a record that names `recorded`.
    fn key_for(&self, recorded: &KmsArn) -> Option<KmsArn> {
        // `framework/branch-key-store.md#aws-key-arn-compatibility`: of a single Region, two ARNs must be
        // equal; under discovery nothing is compared.
        match self {
            Self::Key(ours) => (ours == recorded).then(|| ours.clone()),
            Self::MultiRegionKey(ours) => ours.matches_for_decrypt(recorded).then(|| ours.clone()),
            Self::Discovery => Some(recorded.clone()),
            Self::MultiRegionDiscovery { region } => Some(recorded.in_region(region)),
        }
    }

    /// The key that new branch keys are wrapped with.
    fn own_key(&self) -> Option<&KmsArn> {
        match self {
            Self::Key(ours) | Self::MultiRegionKey(ours) => Some(ours),
            Self::Discovery | Self::MultiRegionDiscovery { .. } => None,
        }
    }
}

/// The KMS behind a key store.
pub struct BranchKeyWrapping {
    client: Arc<dyn KmsClient>,
    configuration: KmsConfiguration,
    grant_tokens: Vec<String>,
    logical_name: String,
}

/// The two records of a new version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVersion {
    /// The record that the version keeps for good.
    pub decrypt_only: BranchKeyRecord,
    /// The record that makes it the active one.
    pub active: BranchKeyRecord,
}

impl BranchKeyWrapping {
    /// Wraps branch keys of the store `logical_name` with the keys of `configuration`.
    ///
    /// # Errors
    /// [`Error::Keyring`] when an ARN names an alias, which may one day name another key, or a Region is
    /// empty.
    pub fn new(
        client: Arc<dyn KmsClient>,
        configuration: KmsConfiguration,
        logical_name: impl Into<String>,
    ) -> Result<Self> {
        //= framework/branch-key-store.md#aws-kms-configuration
        //# This ARN MUST NOT be an Alias.
        if let Some(alias) = configuration.own_key().filter(|key| !key.is_key()) {
            return Err(KeyringFault::KeyIdentifier(alias.to_string()).into());
        }
        if matches!(&configuration, KmsConfiguration::MultiRegionDiscovery { region } if region.is_empty())
        {
            return Err(KeyringFault::Region.into());
        }
        let logical_name = logical_name.into();
        Ok(Self { client, configuration, grant_tokens: Vec::new(), logical_name })
    }

    /// Sends `grant_tokens` with every request.
    #[must_use]
    pub fn grant_tokens(mut self, grant_tokens: Vec<String>) -> Self {
        self.grant_tokens = grant_tokens;
        self
    }

    /// The name that is bound to every branch key.
    #[must_use]
    pub fn logical_name(&self) -> &str {
        &self.logical_name
    }

    /// The KMS key that new branch keys are wrapped with.
    ///
    /// # Errors
    /// [`BranchKeyFault::NoKmsKey`].
    pub fn own_key(&self, id: &BranchKeyId) -> Result<&KmsArn> {
        self.configuration.own_key().ok_or_else(|| id.error(BranchKeyFault::NoKmsKey))
    }

    /// Has the KMS make a new version; nobody gets to see it.
    ///
    /// `kms_arn` is what its records name: the own key, or what earlier records of the branch key name.
    ///
    /// # Errors
    /// [`BranchKeyFault::NoKmsKey`], [`BranchKeyFault::OtherKmsKey`], [`Error::Kms`].
    pub async fn new_version(
        &self,
        id: &BranchKeyId,
        version: BranchKeyVersion,
        kms_arn: &KmsArn,
        create_time: &str,
        context: &EncryptionContext,
    ) -> Result<NewVersion> {
        self.own_key(id)?;
        let describe = |kind| Description::new(id, kind, version, kms_arn, create_time, context);
        let (decrypt_only, active) = (describe(Kind::DecryptOnly)?, describe(Kind::Active)?);
        let key = self.key_for(&decrypt_only)?.to_string();
        let kms_context = decrypt_only.kms_context(&self.logical_name)?;
        let request = self.request(&key, &kms_context);
        //= framework/branch-key-store.md#wrapped-branch-key-creation
        //# The operation MUST call AWS KMS API GenerateDataKeyWithoutPlaintext.
        let made = self.client.generate_data_key_without_plaintext(request, BRANCH_KEY_BYTES).await;
        let made = made.map_err(kms_error(&key))?;
        require_key(&key, made.key_id)?;
        let wrapped = self.re_encrypt(&key, &kms_context, &made.ciphertext, &active).await?;
        Ok(NewVersion {
            decrypt_only: BranchKeyRecord { description: decrypt_only, wrapped: made.ciphertext },
            active: BranchKeyRecord { description: active, wrapped },
        })
    }

    /// Has the KMS check that nothing in `record` was changed, without unwrapping it.
    ///
    /// # Errors
    /// As [`unwrap`](Self::unwrap).
    pub async fn authenticate(&self, record: &BranchKeyRecord) -> Result<()> {
        let key = self.key_for(&record.description)?.to_string();
        let context = record.description.kms_context(&self.logical_name)?;
        self.re_encrypt(&key, &context, &record.wrapped, &record.description).await.map(drop)
    }

    /// Has the KMS check and unwrap `record`.
    ///
    /// # Errors
    /// [`BranchKeyFault::OtherKmsKey`] before the KMS is called; [`Error::Kms`], also when any attribute is
    /// not what it was when the record was made; [`BranchKeyFault::Length`].
    pub async fn unwrap(&self, record: &BranchKeyRecord) -> Result<BranchKey> {
        let description = &record.description;
        let key = self.key_for(description)?.to_string();
        //= framework/branch-key-store.md#aws-kms-branch-key-decryption
        //# Every attribute except for `enc` on the AWS DDB response item
        //# MUST be authenticated in the decryption of `enc`
        let context = description.kms_context(&self.logical_name)?;
        let answer = self.client.decrypt(self.request(&key, &context), &record.wrapped).await;
        let answer = answer.map_err(kms_error(&key))?;
        require_key(&key, answer.key_id)?;
        let (id, version) = (description.id().clone(), description.version());
        BranchKey::new(id, version, description.encryption_context()?, answer.plaintext)
    }

    /// The wrapped key once more, bound to what `destination` says.
    async fn re_encrypt(
        &self,
        key: &str,
        context: &EncryptionContext,
        wrapped: &[u8],
        destination: &Description,
    ) -> Result<Vec<u8>> {
        let new_context = destination.kms_context(&self.logical_name)?;
        let (from, to) = (self.request(key, context), self.request(key, &new_context));
        let answer = self.client.re_encrypt(from, wrapped, to).await.map_err(kms_error(key))?;
        require_key(key, answer.source_key_id)?;
        require_key(key, answer.key_id)?;
        Ok(answer.ciphertext)
    }

    fn key_for(&self, description: &Description) -> Result<KmsArn> {
        let recorded = description.kms_arn();
        let other = || BranchKeyFault::OtherKmsKey(recorded.to_string());
        self.configuration.key_for(recorded).ok_or_else(|| description.id().error(other()))
    }

    fn request<'a>(&'a self, key_id: &'a str, context: &'a EncryptionContext) -> KmsRequest<'a> {
        KmsRequest { key_id, encryption_context: context, grant_tokens: &self.grant_tokens }
    }
}

/// Refuses an answer about another key than the one asked for.
fn require_key(expected: &str, found: String) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(KeyringFault::OtherKey { expected: expected.to_owned(), found }.into())
}

fn kms_error(key: &str) -> impl FnOnce(KmsError) -> Error {
    let key = key.to_owned();
    move |error| Error::Kms { key, source: Box::new(error) }
}
