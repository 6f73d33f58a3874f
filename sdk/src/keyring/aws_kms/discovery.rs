//! Discovery keyrings: they ask for whatever key the message names. They only read.
//!
//! What a message says then decides which key is called; a [`DiscoveryFilter`] keeps that to the
//! caller's own accounts, and every caller who knows them should use one.
//!
//! Source: `framework/aws-kms/aws-kms-discovery-keyring.md`,
//! `framework/aws-kms/aws-kms-mrk-discovery-keyring.md`.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;

use super::Caller;
use crate::error::{KeyringFault, Result};
use crate::keyring::Keyring;
use crate::kms::KmsClient;
use crate::kms::arn::KmsArn;
use crate::materials::{DecryptionMaterials, EncryptionMaterials};
use crate::message::encrypted_data_key::EncryptedDataKey;

/// Whose keys a discovery keyring may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiscoveryFilter {
    partition: String,
    accounts: BTreeSet<String>,
}

impl DiscoveryFilter {
    /// Keys of `accounts` in `partition`, e.g. `aws`.
    ///
    /// # Errors
    /// [`Error::Keyring`](crate::Error::Keyring) when there is no account, or one is empty, or the partition
    /// is.
    pub fn new<A: Into<String>>(
        partition: impl Into<String>,
        accounts: impl IntoIterator<Item = A>,
    ) -> Result<Self> {
        let partition = partition.into();
        let accounts: BTreeSet<String> = accounts.into_iter().map(Into::into).collect();
        let nameless = partition.is_empty() || accounts.iter().any(String::is_empty);
        if nameless || accounts.is_empty() {
            return Err(KeyringFault::DiscoveryFilter.into());
        }
        Ok(Self { partition, accounts })
    }

    /// Whether `key` is one of those that may be asked for.
    #[must_use]
    pub fn admits(&self, key: &KmsArn) -> bool {
        self.partition == key.partition() && self.accounts.contains(key.account())
    }
}

/// Unwraps with whatever KMS key the message names, through one client.
pub struct AwsKmsDiscoveryKeyring {
    caller: Caller,
    filter: Option<DiscoveryFilter>,
}

impl AwsKmsDiscoveryKeyring {
    /// A keyring that asks `client` for every key that `filter` admits; for any key without a filter.
    #[must_use]
    pub fn new(client: Arc<dyn KmsClient>, filter: Option<DiscoveryFilter>) -> Self {
        Self { caller: Caller::new(client), filter }
    }

    /// Sends `grant_tokens` with every request.
    #[must_use]
    pub fn grant_tokens(mut self, grant_tokens: Vec<String>) -> Self {
        self.caller.grant_tokens = grant_tokens;
        self
    }
}

#[async_trait]
impl Keyring for AwsKmsDiscoveryKeyring {
    async fn on_encrypt(&self, _materials: &mut EncryptionMaterials) -> Result<()> {
        //= framework/aws-kms/aws-kms-discovery-keyring.md#onencrypt
        //# This function MUST fail.
        Err(KeyringFault::DiscoveryEncrypts.into())
    }

    async fn on_decrypt(
        &self,
        materials: &mut DecryptionMaterials,
        keys: &[EncryptedDataKey],
    ) -> Result<()> {
        let choose = |recorded: &KmsArn| {
            admitted(self.filter.as_ref(), recorded).then(|| recorded.to_string())
        };
        self.caller.unwrap_first(materials, keys, &choose).await
    }

    fn name(&self) -> String {
        "aws-kms discovery".to_owned()
    }
}

/// Unwraps with whatever KMS key of its Region the message names, and with its Region's copy of a
/// multi-Region key.
pub struct AwsKmsMrkDiscoveryKeyring {
    caller: Caller,
    region: String,
    filter: Option<DiscoveryFilter>,
}

impl AwsKmsMrkDiscoveryKeyring {
    /// A keyring that asks `client`, which is one for `region`, for every key that `filter` admits.
    ///
    /// # Errors
    /// [`Error::Keyring`](crate::Error::Keyring) when `region` is empty.
    pub fn new(
        client: Arc<dyn KmsClient>,
        region: impl Into<String>,
        filter: Option<DiscoveryFilter>,
    ) -> Result<Self> {
        let region = region.into();
        if region.is_empty() {
            return Err(KeyringFault::Region.into());
        }
        Ok(Self { caller: Caller::new(client), region, filter })
    }

    /// Sends `grant_tokens` with every request.
    #[must_use]
    pub fn grant_tokens(mut self, grant_tokens: Vec<String>) -> Self {
        self.caller.grant_tokens = grant_tokens;
        self
    }

    /// The key of this keyring's Region that can unwrap what `recorded` wrapped.
    fn choose(&self, recorded: &KmsArn) -> Option<String> {
        //= framework/aws-kms/aws-kms-mrk-discovery-keyring.md#ondecrypt
        //# If the provider info is not identified as a multi-Region key,
        //# then the provider info's Region MUST match the AWS KMS client region.
        let here = recorded.in_region(&self.region);
        let ours = here.region() == self.region && admitted(self.filter.as_ref(), recorded);
        ours.then(|| here.to_string())
    }
}

#[async_trait]
impl Keyring for AwsKmsMrkDiscoveryKeyring {
    async fn on_encrypt(&self, _materials: &mut EncryptionMaterials) -> Result<()> {
        //= framework/aws-kms/aws-kms-mrk-discovery-keyring.md#onencrypt
        //# This function MUST fail.
        Err(KeyringFault::DiscoveryEncrypts.into())
    }

    async fn on_decrypt(
        &self,
        materials: &mut DecryptionMaterials,
        keys: &[EncryptedDataKey],
    ) -> Result<()> {
        self.caller.unwrap_first(materials, keys, &|recorded| self.choose(recorded)).await
    }

    fn name(&self) -> String {
        format!("aws-kms discovery in {}", self.region)
    }
}

fn admitted(filter: Option<&DiscoveryFilter>, key: &KmsArn) -> bool {
    //= framework/aws-kms/aws-kms-discovery-keyring.md#ondecrypt
    //# If a discovery filter is configured, its partition and the provider info partition MUST match.
    //= framework/aws-kms/aws-kms-discovery-keyring.md#ondecrypt
    //# If a discovery filter is configured, its set of accounts MUST contain the provider info account.
    filter.is_none_or(|filter| filter.admits(key))
}
