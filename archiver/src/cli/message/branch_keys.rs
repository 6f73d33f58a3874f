//! The keyring of a branch key that lies in a key store.

use std::sync::Arc;
use std::time::Duration;

use strongroom::store::connect::{StoreOptions, objects_at};
use strongroom_sdk::Result as SdkResult;
use strongroom_sdk::clock::SystemClock;
use strongroom_sdk::crypto::default_provider;
use strongroom_sdk::key_store::object::ObjectKeyStore;
use strongroom_sdk::key_store::{BranchKeyId, BranchKeyWrapping, KmsConfiguration};
use strongroom_sdk::keyring::HierarchicalKeyring;
use strongroom_sdk::keyring::hierarchical::{BranchKeyCache, CACHE_ENTRIES_DEFAULT};
use strongroom_sdk::kms::KmsClient;
use strongroom_sdk::kms::arn::KmsArn;

use super::failure::MessageFailure;
use super::wrapping_keys::{BranchKey, Reach};
use crate::cli::connect::store_credentials;
use crate::cli::exit::Failure;

/// How long one command uses a branch key before it looks for a new version.
const AGE_MAX: Duration = Duration::from_secs(10 * 60);

/// The keyring of `branch_key`, which `kms` unwraps.
pub(super) async fn keyring(
    branch_key: &BranchKey,
    reach: &Reach,
    kms: Arc<dyn KmsClient>,
) -> Result<HierarchicalKeyring, Failure> {
    let options = StoreOptions {
        endpoint: branch_key.store_endpoint.clone(),
        region: reach.region.clone(),
        aws: store_credentials(
            &branch_key.store,
            reach.profile.as_deref(),
            reach.region.as_deref(),
        )
        .await,
        ..StoreOptions::default()
    };
    let (objects, prefix) = objects_at(&branch_key.store, &options)?;
    let keyring = (|| {
        let (clock, provider) = (Arc::new(SystemClock::default()), default_provider());
        let configuration = configuration(branch_key, reach)?;
        let wrapping = BranchKeyWrapping::new(kms, configuration, branch_key.store_name.as_str())?;
        let cache = Arc::new(BranchKeyCache::new(CACHE_ENTRIES_DEFAULT, clock.clone())?);
        let id = Arc::new(BranchKeyId::new(branch_key.id.as_str())?);
        let store = ObjectKeyStore::new(objects, prefix, wrapping, clock, provider.clone());
        HierarchicalKeyring::new(Arc::new(store), id, cache, AGE_MAX, &*provider)
    })();
    Ok(keyring.map_err(MessageFailure::Keyring)?)
}

/// Which KMS key the branch key may be wrapped by: the one that was named or a copy of it, otherwise the
/// one that its record names.
fn configuration(branch_key: &BranchKey, reach: &Reach) -> SdkResult<KmsConfiguration> {
    Ok(match (&branch_key.kms_key, &reach.region) {
        (Some(key), _) => KmsConfiguration::MultiRegionKey(KmsArn::parse_key(key)?),
        (None, Some(region)) => KmsConfiguration::MultiRegionDiscovery { region: region.clone() },
        (None, None) => KmsConfiguration::Discovery,
    })
}
