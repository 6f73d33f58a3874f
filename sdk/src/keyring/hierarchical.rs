//! The hierarchical keyring: data keys wrapped by keys that are derived from a branch key.
//!
//! The branch key is unwrapped by the KMS once and kept for a while; wrapping a data key then costs no
//! call of anybody. Who reads with a branch key is decided by who may unwrap it, and when a version is
//! replaced, messages need no rewriting.
//!
//! Source: `framework/aws-kms/aws-kms-hierarchical-keyring.md`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{Keyring, existing_data_key, failed, not_configured, random_data_key};
use crate::cache::{EntryId, Identity, LocalCache, Resource, Scope};
use crate::crypto::{AeadKey, CryptoProvider, Iv, Tag};
use crate::error::{Error, KeyAttempt, Region, Result};
use crate::key_store::{
    BRANCH_KEY_BYTES, BranchKey, BranchKeyId, BranchKeyStore, BranchKeyVersion, VERSION_BYTES,
};
use crate::materials::{DecryptionMaterials, EncryptionMaterials};
use crate::message::codec::Reader;
use crate::message::encrypted_data_key::EncryptedDataKey;
use crate::message::encryption_context::EncryptionContext;
use crate::message::suite::{AeadAlgorithm, HashAlgorithm, IV_BYTES};
use crate::secret::{DataKey, SecretBytes};

/// The provider id of hierarchical keyrings; also the label of the derivation, and what the wrapped key's
/// authenticated data begins with.
pub const PROVIDER_ID: &str = "aws-kms-hierarchy";
/// Entries in the cache of a keyring, for those who do not know better.
pub const CACHE_ENTRIES_DEFAULT: usize = 1000;
/// Bytes in the salt of one wrapped data key.
const SALT_BYTES: usize = 16;
/// Bytes in the random partition of a keyring that was not given one.
const PARTITION_BYTES: usize = 16;

/// A cache that hierarchical keyrings keep branch keys in, and may share.
pub type BranchKeyCache = LocalCache<Arc<BranchKey>>;

/// Decides which branch key a message belongs to.
pub trait BranchKeySupplier: Send + Sync {
    /// The branch key for messages of this encryption context, e.g. that of the tenant whom it names.
    ///
    /// # Errors
    /// When there is none.
    fn branch_key_id(&self, context: &EncryptionContext) -> Result<BranchKeyId>;
}

/// The same branch key for all messages.
impl BranchKeySupplier for BranchKeyId {
    fn branch_key_id(&self, _context: &EncryptionContext) -> Result<BranchKeyId> {
        Ok(self.clone())
    }
}

/// Wraps and unwraps data keys with the branch keys of one key store.
pub struct HierarchicalKeyring {
    store: Arc<dyn BranchKeyStore>,
    supplier: Arc<dyn BranchKeySupplier>,
    cache: Arc<BranchKeyCache>,
    age_max: Duration,
    partition: Vec<u8>,
}

impl HierarchicalKeyring {
    /// A keyring of the branch keys of `store` that `supplier` chooses.
    ///
    /// Branch keys are kept in `cache` for `age_max`, apart from what others keep there. For so long a new
    /// version may stay unnoticed, and a branch key be used by somebody who may not unwrap it any more.
    ///
    /// # Errors
    /// [`Error::CacheAgeZero`]; [`Error::Provider`] when there is no randomness.
    pub fn new(
        store: Arc<dyn BranchKeyStore>,
        supplier: Arc<dyn BranchKeySupplier>,
        cache: Arc<BranchKeyCache>,
        age_max: Duration,
        provider: &dyn CryptoProvider,
    ) -> Result<Self> {
        //= framework/aws-kms/aws-kms-hierarchical-keyring.md#cache-limit-ttl
        //# This value MUST be greater than zero.
        if age_max.is_zero() {
            return Err(Error::CacheAgeZero);
        }
        let mut partition = vec![0; PARTITION_BYTES];
        provider.fill_random(&mut partition)?;
        Ok(Self { store, supplier, cache, age_max, partition })
    }

    /// Shares branch keys with every keyring of the same cache that was given the same `partition` and has
    /// a key store of the same logical name.
    ///
    /// They can then use each other's branch keys, whatever their KMS clients may do.
    #[must_use]
    pub fn partition(mut self, partition: impl Into<String>) -> Self {
        self.partition = partition.into().into_bytes();
        self
    }

    /// The active version of `id`, cached or from the store.
    async fn active(
        &self,
        provider: &dyn CryptoProvider,
        id: &BranchKeyId,
    ) -> Result<Arc<BranchKey>> {
        let entry = self.identity(provider, Scope::Encrypt, id).finish()?;
        self.cached(entry, async { self.store.active_branch_key(id).await }).await
    }

    /// One version of `id`, cached or from the store.
    async fn version(
        &self,
        provider: &dyn CryptoProvider,
        id: &BranchKeyId,
        version: BranchKeyVersion,
    ) -> Result<Arc<BranchKey>> {
        let identity = self.identity(provider, Scope::Decrypt, id).field(version.as_bytes());
        let fetch = async { self.store.branch_key_version(id, version).await };
        self.cached(identity.finish()?, fetch).await
    }

    async fn cached(
        &self,
        entry: EntryId,
        fetch: impl Future<Output = Result<BranchKey>> + Send,
    ) -> Result<Arc<BranchKey>> {
        let fetch = async {
            let key = Arc::new(fetch.await?);
            Ok((Some(key.clone()), key))
        };
        let pick = |kept: &mut Arc<BranchKey>| Some(kept.clone());
        self.cache.get_or_fetch(entry, self.age_max, pick, fetch).await
    }

    fn identity(&self, provider: &dyn CryptoProvider, scope: Scope, id: &BranchKeyId) -> Identity {
        Identity::new(provider, Resource::HierarchicalKeyring, scope, &self.partition)
            .field(self.store.logical_name().as_bytes())
            .field(id.as_str().as_bytes())
    }

    async fn unwrap(
        &self,
        id: &BranchKeyId,
        ciphertext: &[u8],
        materials: &mut DecryptionMaterials,
    ) -> Result<()> {
        let wrapped = Wrapped::parse(ciphertext, materials.suite().data_key_bytes())?;
        let provider = materials.provider().clone();
        let branch_key = self.version(&*provider, id, wrapped.version).await?;
        let aad = aad(&branch_key, materials.encryption_context())?;
        let cipher = derive(&*provider, &branch_key, wrapped.salt)?;
        let opened = SecretBytes::fill_with(wrapped.data_key.len(), |out| {
            cipher.open_into(wrapped.iv, &aad, wrapped.data_key, wrapped.tag, out)
        });
        let region = Region::EncryptedDataKeys;
        let secret = opened.map_err(|_mismatch| Error::TagMismatch { region })?;
        materials.set_data_key(DataKey::new(secret))
    }
}

#[async_trait]
impl Keyring for HierarchicalKeyring {
    async fn on_encrypt(&self, materials: &mut EncryptionMaterials) -> Result<()> {
        let provider = materials.provider().clone();
        let id = self.supplier.branch_key_id(materials.encryption_context())?;
        let branch_key = self.active(&*provider, &id).await?;
        if materials.data_key().is_none() {
            materials.set_data_key(random_data_key(&*provider, materials.suite())?)?;
        }
        let data_key = existing_data_key(materials)?;
        let wrapped = wrap(&*provider, &branch_key, materials.encryption_context(), data_key)?;
        materials.push_encrypted_data_key(wrapped);
        Ok(())
    }

    async fn on_decrypt(
        &self,
        materials: &mut DecryptionMaterials,
        keys: &[EncryptedDataKey],
    ) -> Result<()> {
        super::require_no_data_key(materials)?;
        let id = self.supplier.branch_key_id(materials.encryption_context())?;
        let mut attempts: Vec<KeyAttempt> = Vec::new();
        for key in keys {
            //= framework/aws-kms/aws-kms-hierarchical-keyring.md#ondecrypt
            //# The deserialized key provider info MUST be UTF8 Decoded
            //# and MUST match this keyring's configured `Branch Key Identifier`.
            let ours =
                key.provider_id == PROVIDER_ID && key.provider_info == id.as_str().as_bytes();
            if !ours {
                attempts.push(not_configured(key, key.key_name()));
                continue;
            }
            match self.unwrap(&id, &key.ciphertext, materials).await {
                Ok(()) => return Ok(()),
                Err(error) => attempts.push(failed(key, id.to_string(), error)),
            }
        }
        Err(Error::NoDataKey { attempts })
    }

    fn name(&self) -> String {
        format!("{PROVIDER_ID} of the key store {}", self.store.logical_name())
    }
}

/// The parts of a wrapped data key: salt, IV, version, data key, tag.
///
/// Source: `framework/aws-kms/aws-kms-hierarchical-keyring.md#ciphertext`.
struct Wrapped<'a> {
    salt: &'a [u8],
    iv: &'a Iv,
    version: BranchKeyVersion,
    data_key: &'a [u8],
    tag: &'a Tag,
}

impl<'a> Wrapped<'a> {
    /// Takes `ciphertext` apart, whose data key is `data_key_bytes` long.
    fn parse(ciphertext: &'a [u8], data_key_bytes: usize) -> Result<Self> {
        let region = Region::EncryptedDataKeys;
        let truncated = || Error::Truncated { region };
        let mut reader = Reader::new(ciphertext, region);
        let salt = reader.take(SALT_BYTES)?;
        let iv = reader.take(IV_BYTES)?.first_chunk().ok_or_else(truncated)?;
        let version = BranchKeyVersion::from_bytes(reader.array::<VERSION_BYTES>()?);
        let data_key = reader.take(data_key_bytes)?;
        let tag = reader.take(crate::message::suite::TAG_BYTES)?;
        if !reader.is_empty() {
            return Err(Error::TrailingBytes);
        }
        Ok(Self { salt, iv, version, data_key, tag: tag.first_chunk().ok_or_else(truncated)? })
    }
}

/// Wraps `data_key` with a key of its own, derived from `branch_key`.
///
/// Source: `framework/aws-kms/aws-kms-hierarchical-keyring.md#branch-key-wrapping`.
fn wrap(
    provider: &dyn CryptoProvider,
    branch_key: &BranchKey,
    context: &EncryptionContext,
    data_key: &DataKey,
) -> Result<EncryptedDataKey> {
    let (mut salt, mut iv): ([u8; SALT_BYTES], Iv) = ([0; SALT_BYTES], [0; IV_BYTES]);
    provider.fill_random(&mut salt)?;
    provider.fill_random(&mut iv)?;
    let cipher = derive(provider, branch_key, &salt)?;
    let plaintext = data_key.secret().expose();
    let mut wrapped = vec![0; plaintext.len()];
    let tag = cipher.seal_into(&iv, &aad(branch_key, context)?, plaintext, &mut wrapped)?;
    let version = branch_key.version();
    Ok(EncryptedDataKey {
        provider_id: PROVIDER_ID.to_owned(),
        provider_info: branch_key.id().as_str().as_bytes().to_vec(),
        ciphertext: [&salt[..], &iv, version.as_bytes(), &wrapped, &tag].concat(),
    })
}

/// The cipher key of one wrapped data key.
fn derive(
    provider: &dyn CryptoProvider,
    branch_key: &BranchKey,
    salt: &[u8],
) -> Result<Box<dyn AeadKey>> {
    let (secret, label) = (branch_key.secret(), PROVIDER_ID.as_bytes());
    let key = provider.kbkdf(HashAlgorithm::Sha256, secret, label, salt, BRANCH_KEY_BYTES)?;
    provider.aead_key(AeadAlgorithm::Aes256Gcm, &key)
}

/// What is authenticated with a wrapped data key.
///
/// Source: `framework/aws-kms/aws-kms-hierarchical-keyring.md#branch-key-wrapping-and-unwrapping-aad`.
fn aad(branch_key: &BranchKey, context: &EncryptionContext) -> Result<Vec<u8>> {
    let (id, version) = (branch_key.id().as_str().as_bytes(), branch_key.version());
    Ok([PROVIDER_ID.as_bytes(), id, version.as_bytes(), &context.serialize()?].concat())
}
