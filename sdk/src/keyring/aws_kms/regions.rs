//! Keyrings of keys in several Regions, each asked through a client of its own Region.
//!
//! Source: `framework/aws-kms/aws-kms-multi-keyrings.md`,
//! `framework/aws-kms/aws-kms-mrk-multi-keyrings.md`.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{
    AwsKmsDiscoveryKeyring, AwsKmsKeyring, AwsKmsMrkDiscoveryKeyring, AwsKmsMrkKeyring,
    DiscoveryFilter, kms_error,
};
use crate::error::{KeyringFault, Result};
use crate::keyring::{Keyring, MultiKeyring};
use crate::kms::arn::{KeyIdentifier, KmsArn, require_unique_multi_region_keys};
use crate::kms::{ClientSupplier, KmsClient};

/// Builds multi-keyrings of KMS keys in several Regions.
pub struct RegionalKeyrings<'a> {
    supplier: &'a dyn ClientSupplier,
    grant_tokens: Vec<String>,
}

impl<'a> RegionalKeyrings<'a> {
    /// Keyrings with the clients of `supplier`.
    #[must_use]
    pub fn new(supplier: &'a dyn ClientSupplier) -> Self {
        Self { supplier, grant_tokens: Vec::new() }
    }

    /// Has every keyring send `grant_tokens` with every request.
    #[must_use]
    pub fn grant_tokens(mut self, grant_tokens: Vec<String>) -> Self {
        self.grant_tokens = grant_tokens;
        self
    }

    /// A strict keyring of the keys `generator` and `children`, each an ARN, for only that names a Region.
    ///
    /// # Errors
    /// [`Error::Keyring`](crate::Error::Keyring) when an identifier is no ARN of a KMS key or alias, and when there is none at all;
    /// what the supplier returns.
    pub fn strict(&self, generator: Option<&str>, children: &[&str]) -> Result<MultiKeyring> {
        let keyring = |arn: &str| -> Result<Arc<dyn Keyring>> {
            let keyring = AwsKmsKeyring::new(self.client_for(arn)?, arn)?;
            Ok(Arc::new(keyring.grant_tokens(self.grant_tokens.clone())))
        };
        multi(generator, children, keyring)
    }

    /// An MRK-aware keyring of the keys `generator` and `children`, each an ARN.
    ///
    /// # Errors
    /// As [`strict`](Self::strict), and when two of them are copies of one multi-Region key.
    pub fn mrk_aware(&self, generator: Option<&str>, children: &[&str]) -> Result<MultiKeyring> {
        let keys = generator.into_iter().chain(children.iter().copied());
        let keys = keys.map(KeyIdentifier::parse).collect::<Result<Vec<_>>>()?;
        //= framework/aws-kms/aws-kms-mrk-multi-keyrings.md#aws-kms-mrk-multi-keyring
        //# All AWS KMS identifiers are passed to Assert AWS KMS MRK are unique
        //# and the function MUST return success otherwise this MUST fail.
        require_unique_multi_region_keys(&keys)?;
        let keyring = |arn: &str| -> Result<Arc<dyn Keyring>> {
            let keyring = AwsKmsMrkKeyring::new(self.client_for(arn)?, arn)?;
            Ok(Arc::new(keyring.grant_tokens(self.grant_tokens.clone())))
        };
        multi(generator, children, keyring)
    }

    /// A discovery keyring for each of `regions`; it only reads.
    ///
    /// # Errors
    /// [`Error::Keyring`](crate::Error::Keyring) when there is no Region, or one is empty; what the supplier returns.
    pub fn discovery(
        &self,
        regions: &[&str],
        filter: Option<&DiscoveryFilter>,
    ) -> Result<MultiKeyring> {
        multi_of_regions(regions, |region| {
            let client = self.supplier.client(region).map_err(kms_error(region))?;
            let keyring = AwsKmsDiscoveryKeyring::new(client, filter.cloned());
            Ok(Arc::new(keyring.grant_tokens(self.grant_tokens.clone())))
        })
    }

    /// An MRK-aware discovery keyring for each of `regions`; it only reads.
    ///
    /// # Errors
    /// As [`discovery`](Self::discovery).
    pub fn mrk_aware_discovery(
        &self,
        regions: &[&str],
        filter: Option<&DiscoveryFilter>,
    ) -> Result<MultiKeyring> {
        multi_of_regions(regions, |region| {
            let client = self.supplier.client(region).map_err(kms_error(region))?;
            let keyring = AwsKmsMrkDiscoveryKeyring::new(client, region, filter.cloned())?;
            Ok(Arc::new(keyring.grant_tokens(self.grant_tokens.clone())))
        })
    }

    fn client_for(&self, arn: &str) -> Result<Arc<dyn KmsClient>> {
        //= framework/aws-kms/aws-kms-multi-keyrings.md#aws-kms-multi-keyring
        //# If any of the AWS KMS key identifiers is not a valid AWS KMS key ARN, this function MUST fail.
        self.supplier.client(KmsArn::parse(arn)?.region()).map_err(kms_error(arn))
    }
}

fn multi(
    generator: Option<&str>,
    children: &[&str],
    keyring: impl Fn(&str) -> Result<Arc<dyn Keyring>>,
) -> Result<MultiKeyring> {
    let generator = generator.map(&keyring).transpose()?;
    let children = children.iter().map(|arn| keyring(arn)).collect::<Result<_>>()?;
    MultiKeyring::new(generator, children)
}

fn multi_of_regions(
    regions: &[&str],
    keyring: impl Fn(&str) -> Result<Arc<dyn Keyring>>,
) -> Result<MultiKeyring> {
    //= framework/aws-kms/aws-kms-multi-keyrings.md#aws-kms-discovery-multi-keyring
    //# If an empty set of Region is provided this function MUST fail.
    //= framework/aws-kms/aws-kms-multi-keyrings.md#aws-kms-discovery-multi-keyring
    //# If any element of the set of regions is null or an empty string this function MUST fail.
    let regions: BTreeSet<&str> = regions.iter().copied().collect();
    if regions.is_empty() || regions.contains("") {
        return Err(KeyringFault::Region.into());
    }
    let children = regions.into_iter().map(keyring).collect::<Result<_>>()?;
    MultiKeyring::new(None, children)
}
