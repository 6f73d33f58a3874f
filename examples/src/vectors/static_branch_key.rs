//! A store of one branch key that is given: what test vectors call a static branch key.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use strongroom_sdk::clock::SystemClock;
use strongroom_sdk::crypto::default_provider;
use strongroom_sdk::error::BranchKeyFault;
use strongroom_sdk::key_store::{BranchKey, BranchKeyId, BranchKeyStore, BranchKeyVersion};
use strongroom_sdk::keyring::HierarchicalKeyring;
use strongroom_sdk::keyring::hierarchical::BranchKeyCache;
use strongroom_sdk::{EncryptionContext, Error, Result, SecretBytes};

use super::keys::Key;
use super::wrapping::Obstacle;

/// How long the branch key is cached: longer than the vectors of any manifest take.
const AGE_MAX: Duration = Duration::from_secs(3600);

/// One version of one branch key, which no KMS protects. For test vectors only.
struct StaticBranchKeyStore {
    id: BranchKeyId,
    version: BranchKeyVersion,
    secret: SecretBytes,
}

/// The keyring of the branch key in `key`.
pub(super) fn hierarchical(key: &Key<'_>) -> Result<HierarchicalKeyring, Obstacle> {
    let id = BranchKeyId::new(&key.id)?;
    let version = BranchKeyVersion::parse(key.required_text("branchKeyVersion")?);
    let version = version.map_err(|fault| Obstacle::Fault(fault.to_string()))?;
    let mut secret = key.base64("branchKey")?.unwrap_or_default();
    let secret = SecretBytes::take(&mut secret);
    let store = Arc::new(StaticBranchKeyStore { id: id.clone(), version, secret });
    let cache = Arc::new(BranchKeyCache::new(1, Arc::new(SystemClock::default()))?);
    Ok(HierarchicalKeyring::new(store, Arc::new(id), cache, AGE_MAX, &*default_provider())?)
}

#[async_trait]
impl BranchKeyStore for StaticBranchKeyStore {
    fn logical_name(&self) -> &str {
        "static branch keys of test vectors"
    }

    async fn active_branch_key(&self, id: &BranchKeyId) -> Result<BranchKey> {
        self.branch_key_version(id, self.version).await
    }

    async fn branch_key_version(
        &self,
        id: &BranchKeyId,
        version: BranchKeyVersion,
    ) -> Result<BranchKey> {
        if *id != self.id || version != self.version {
            return Err(Error::BranchKey { id: id.to_string(), fault: BranchKeyFault::NotFound });
        }
        let secret = SecretBytes::copy_of(self.secret.expose());
        BranchKey::new(id.clone(), version, EncryptionContext::new(), secret)
    }
}
