//! The caching CMM: data keys used for more than one message, within limits.
//!
//! A cached data key costs no call of a KMS, and shares its fate with more than one message. What a policy
//! allows is decided anew for every message, found in the cache or not: the policy is part of an entry's
//! identity, and the materials of a message are made from its own request.
//!
//! Source: `framework/caching-cmm.md`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::MaterialsManager;
use crate::cache::{EntryId, Identity, LocalCache, Resource, Scope};
use crate::crypto::CryptoProvider;
use crate::error::{Error, Result};
use crate::materials::{
    DecryptionMaterials, DecryptionRequest, EncryptionMaterials, EncryptionRequest,
};
use crate::message::encrypted_data_key::EncryptedDataKey;
use crate::message::limits::within;
use crate::message::suite::AlgorithmSuite;
use crate::policy::CommitmentPolicy;

/// Default of [`CachingLimits::messages_max`].
pub const MESSAGES_MAX: u64 = 1 << 32;
/// Default of [`CachingLimits::bytes_max`].
pub const BYTES_MAX: u64 = (1 << 63) - 1;
/// Bytes in the random partition of a manager that was not given one.
const PARTITION_BYTES: usize = 16;

/// How far one data key may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CachingLimits {
    /// How long it is used, to write and to read.
    pub age_max: Duration,
    /// How many messages are written with it, the first one counted.
    pub messages_max: u64,
    /// How many bytes of plaintext are written with it.
    pub bytes_max: u64,
}

impl CachingLimits {
    /// No more than `age_max`, with the most messages and bytes that there can be.
    #[must_use]
    pub fn of_age(age_max: Duration) -> Self {
        Self { age_max, messages_max: MESSAGES_MAX, bytes_max: BYTES_MAX }
    }
}

/// A cache that caching managers keep materials in, and may share.
pub type MaterialsCache = LocalCache<CachedMaterials>;

/// One entry of a [`MaterialsCache`].
pub struct CachedMaterials(Cached);

enum Cached {
    Encryption { materials: Arc<EncryptionMaterials>, usage: Usage },
    Decryption(Arc<DecryptionMaterials>),
}

/// What has been written with one data key.
#[derive(Clone, Copy)]
struct Usage {
    messages: u64,
    bytes: u64,
}

impl Usage {
    /// This and one message of `bytes` more, if `limits` allow it.
    fn and(self, bytes: u64, limits: &CachingLimits) -> Option<Self> {
        let messages =
            self.messages.checked_add(1).filter(|count| *count <= limits.messages_max)?;
        let bytes = self.bytes.checked_add(bytes).filter(|count| *count <= limits.bytes_max)?;
        Some(Self { messages, bytes })
    }
}

/// A materials manager that asks another one only for what its cache does not have.
///
/// Messages whose writer does not say how long they may get
/// ([`plaintext_length_max`](EncryptionRequest::plaintext_length_max)) get a data key of their own, for what
/// they would use of a shared one cannot be counted; so do suites that use the data key as it is.
pub struct CachingCmm {
    underlying: Arc<dyn MaterialsManager>,
    cache: Arc<MaterialsCache>,
    limits: CachingLimits,
    partition: Vec<u8>,
    provider: Arc<dyn CryptoProvider>,
}

impl CachingCmm {
    /// A manager that keeps what `underlying` returns in `cache`, apart from what others keep there.
    ///
    /// # Errors
    /// [`Error::CacheAgeZero`]; [`Error::LimitExceeded`] for limits above [`MESSAGES_MAX`] and [`BYTES_MAX`];
    /// [`Error::Provider`] when there is no randomness.
    #[cfg(any(feature = "aws-lc", feature = "pure-rust"))]
    pub fn new(
        underlying: Arc<dyn MaterialsManager>,
        cache: Arc<MaterialsCache>,
        limits: CachingLimits,
    ) -> Result<Self> {
        Self::with_provider(underlying, cache, limits, crate::crypto::default_provider())
    }

    /// As [`new`](Self::new), with a chosen provider.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_provider(
        underlying: Arc<dyn MaterialsManager>,
        cache: Arc<MaterialsCache>,
        limits: CachingLimits,
        provider: Arc<dyn CryptoProvider>,
    ) -> Result<Self> {
        check_limits(&limits)?;
        //= framework/caching-cmm.md#partition-id
        //# If this parameter is not set, the caching CMM MUST set a partition ID
        //# that uniquely identifies the respective caching CMM.
        let mut partition = vec![0; PARTITION_BYTES];
        provider.fill_random(&mut partition)?;
        Ok(Self { underlying, cache, limits, partition, provider })
    }

    /// Shares entries with every manager of the same cache that was given the same `partition`.
    ///
    /// They then share data keys, whatever their underlying managers may do.
    #[must_use]
    pub fn partition(mut self, partition: impl Into<String>) -> Self {
        self.partition = partition.into().into_bytes();
        self
    }

    /// Whether a message of at most `bytes` with `suite` may use a data key that others use.
    fn is_cacheable(&self, suite: AlgorithmSuite, bytes: u64) -> bool {
        //= framework/caching-cmm.md#get-encryption-materials
        //# If the algorithm suite requested contains an Identity KDF,
        //# the caching CMM MUST NOT store the encryption materials in the underlying CMC.
        let alone = Usage { messages: 0, bytes: 0 }.and(bytes, &self.limits);
        suite.kdf().is_some() && alone.is_some()
    }

    fn identity(&self, scope: Scope, policy: CommitmentPolicy) -> Identity {
        let provider = &*self.provider;
        let begun = Identity::new(provider, Resource::CachingCmm, scope, &self.partition);
        begun.field(policy.to_string().as_bytes())
    }

    fn encryption_id(&self, request: &EncryptionRequest) -> Result<EntryId> {
        let suite = request.suite.map(|suite| suite.id().to_be_bytes());
        self.identity(Scope::Encrypt, request.commitment_policy)
            .fields(suite.iter().map(|id| &id[..]))
            .fields(request.required_context_keys.iter().map(String::as_bytes))
            .field(&request.encryption_context.serialize()?)
            .finish()
    }

    fn decryption_id(&self, request: &DecryptionRequest) -> Result<EntryId> {
        let keys = request.encrypted_data_keys();
        let mut serialized =
            keys.iter().map(EncryptedDataKey::to_bytes).collect::<Result<Vec<_>>>()?;
        serialized.sort_unstable();
        self.identity(Scope::Decrypt, request.commitment_policy())
            .field(&request.suite().id().to_be_bytes())
            .fields(serialized.iter().map(Vec::as_slice))
            .fields(request.reproduced_keys().iter().map(String::as_bytes))
            .field(&request.encryption_context().serialize()?)
            .finish()
    }
}

#[async_trait]
impl MaterialsManager for CachingCmm {
    async fn encryption_materials(
        &self,
        request: &EncryptionRequest,
    ) -> Result<EncryptionMaterials> {
        let suite = request.permitted_suite()?.suite();
        let bytes = request.plaintext_length_max.filter(|bytes| self.is_cacheable(suite, *bytes));
        let Some(bytes) = bytes else {
            return self.underlying.encryption_materials(request).await;
        };
        let id = self.encryption_id(request)?;
        let pick = |entry: &mut CachedMaterials| entry.write(bytes, &self.limits);
        let fetch = async {
            let materials = Arc::new(self.underlying.encryption_materials(request).await?);
            let usage = Usage { messages: 1, bytes };
            let entry = Cached::Encryption { materials: materials.clone(), usage };
            let keep = materials.suite().kdf().is_some();
            Ok((keep.then_some(CachedMaterials(entry)), materials))
        };
        let age_max = self.limits.age_max;
        self.cache.get_or_fetch(id, age_max, pick, fetch).await?.share_for(request)
    }

    async fn decryption_materials(
        &self,
        request: &DecryptionRequest,
    ) -> Result<DecryptionMaterials> {
        //= framework/caching-cmm.md#decrypt-materials
        //# If the algorithm suite requested contains an Identity KDF,
        //# the caching CMM MUST NOT store the decryption materials in the underlying CMC.
        if request.suite().kdf().is_none() {
            return self.underlying.decryption_materials(request).await;
        }
        let id = self.decryption_id(request)?;
        let fetch = async {
            let materials = Arc::new(self.underlying.decryption_materials(request).await?);
            Ok((Some(CachedMaterials(Cached::Decryption(materials.clone()))), materials))
        };
        let age_max = self.limits.age_max;
        let found = self.cache.get_or_fetch(id, age_max, CachedMaterials::read, fetch).await?;
        Ok(found.share_for(request))
    }
}

impl CachedMaterials {
    /// The materials for one more message of at most `bytes`, which is counted.
    fn write(&mut self, bytes: u64, limits: &CachingLimits) -> Option<Arc<EncryptionMaterials>> {
        let Cached::Encryption { materials, usage } = &mut self.0 else { return None };
        //= framework/caching-cmm.md#usage-stats
        //# When the caching CMM obtains encryption materials from the cryptographic materials cache,
        //# the caching CMM MUST update the usage stats for the cache entry retrieved.
        *usage = usage.and(bytes, limits)?;
        Some(materials.clone())
    }

    fn read(&mut self) -> Option<Arc<DecryptionMaterials>> {
        let Cached::Decryption(materials) = &self.0 else { return None };
        Some(materials.clone())
    }
}

fn check_limits(limits: &CachingLimits) -> Result<()> {
    // `framework/caching-cmm.md#cache-limit-ttl`: it must be greater than zero.
    if limits.age_max.is_zero() {
        return Err(Error::CacheAgeZero);
    }
    within("messages of a data key", limits.messages_max, MESSAGES_MAX)?;
    within("bytes of a data key", limits.bytes_max, BYTES_MAX)
}
