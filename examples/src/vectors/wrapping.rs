//! From key descriptions to keyrings and CMMs.

use std::sync::Arc;
use std::time::Duration;

use strongroom_sdk::clock::SystemClock;
use strongroom_sdk::cmm::{
    CachingCmm, CachingLimits, DefaultCmm, MaterialsCache, MaterialsManager, RequiredContextCmm,
};
use strongroom_sdk::keyring::aws_kms::DiscoveryFilter;
use strongroom_sdk::keyring::{
    AwsKmsDiscoveryKeyring, AwsKmsKeyring, AwsKmsMrkDiscoveryKeyring, AwsKmsMrkKeyring, Keyring,
    MultiKeyring, RawAesKeyring,
};
use strongroom_sdk::kms::KmsClient;

use super::asymmetric::{kms_ecdh, kms_rsa, raw_ecdh, raw_rsa};
use super::description::{Discovery, KeyDescription, RawKey};
use super::error::Error;
use super::keys::{Key, Keys};
use super::kms::KmsAccess;
use super::static_branch_key::hierarchical;
use super::static_material::StaticMaterialKeyring;

/// How many materials the cache of a test holds: those of one vector.
const CACHE_ENTRIES_MAX: usize = 10;

/// Why there is no keyring for a description.
pub(super) enum Obstacle {
    /// Nothing here can use such a key: the vector is skipped, for this reason.
    Skip(String),
    /// The vector is wrong: it fails.
    Fault(String),
    /// The manifest is wrong: there is nothing to test.
    Malformed(Error),
}

impl From<Error> for Obstacle {
    fn from(error: Error) -> Self {
        Self::Malformed(error)
    }
}

impl From<strongroom_sdk::Error> for Obstacle {
    fn from(error: strongroom_sdk::Error) -> Self {
        Self::Fault(error.to_string())
    }
}

/// What a keyring is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Encrypt,
    Decrypt,
}

/// Makes keyrings of the keys of one manifest.
pub(super) struct Wrapping<'a> {
    pub(super) keys: &'a Keys,
    pub(super) kms: &'a KmsAccess,
}

/// A CMM, and what it lacks: of several keys to read with, those that nothing here can use are left out.
pub(super) struct Manager {
    pub(super) cmm: Arc<dyn MaterialsManager>,
    pub(super) missing: Vec<String>,
}

impl Wrapping<'_> {
    /// The CMM that `description` describes.
    pub(super) fn manager(
        &self,
        description: &KeyDescription,
        usage: Use,
    ) -> Result<Manager, Obstacle> {
        let mut missing = Vec::new();
        let cmm = self.cmm(description, usage, &mut missing)?;
        Ok(Manager { cmm, missing })
    }

    fn cmm(
        &self,
        description: &KeyDescription,
        usage: Use,
        missing: &mut Vec<String>,
    ) -> Result<Arc<dyn MaterialsManager>, Obstacle> {
        match description {
            KeyDescription::RequiredContext { keys, underlying } => {
                let underlying = self.cmm(underlying, usage, missing)?;
                Ok(Arc::new(RequiredContextCmm::new(underlying, keys.clone())?))
            }
            KeyDescription::Caching(caching) if caching.replaces_identifiers => {
                let reason = "caching-cmm: the identifiers of cache entries cannot be replaced";
                Err(Obstacle::Skip(reason.to_owned()))
            }
            KeyDescription::Caching(caching) => {
                let underlying = self.cmm(&caching.underlying, usage, missing)?;
                let clock = Arc::new(SystemClock::default());
                let cache = Arc::new(MaterialsCache::new(CACHE_ENTRIES_MAX, clock)?);
                let limits = CachingLimits::of_age(Duration::from_secs(caching.seconds));
                Ok(Arc::new(CachingCmm::new(underlying, cache, limits)?))
            }
            keyring => Ok(Arc::new(DefaultCmm::new(self.keyring(keyring, usage, missing)?))),
        }
    }

    fn keyring(
        &self,
        description: &KeyDescription,
        usage: Use,
        missing: &mut Vec<String>,
    ) -> Result<Arc<dyn Keyring>, Obstacle> {
        match description {
            KeyDescription::RawAes(raw) => self.raw_aes(raw, usage),
            KeyDescription::RawRsa(raw, padding) => {
                let key = self.usable(&raw.key, usage)?;
                let name = name_of(raw, &key);
                Ok(Arc::new(raw_rsa(&raw.namespace, name, padding, &key, usage)?))
            }
            KeyDescription::RawEcdh(agreement) => {
                Ok(Arc::new(raw_ecdh(agreement, |name| self.keys.find(name), usage)?))
            }
            KeyDescription::Kms { key } => self.kms_strict(key, usage),
            KeyDescription::KmsMrk { key } => {
                let key = self.usable(key, usage)?;
                let client = self.kms_client("aws-kms-mrk-aware")?;
                Ok(Arc::new(AwsKmsMrkKeyring::new(client, key.id)?))
            }
            KeyDescription::KmsDiscovery(discovery) => {
                let client = self.kms_client("aws-kms-discovery")?;
                Ok(Arc::new(AwsKmsDiscoveryKeyring::new(client, filter(discovery)?)))
            }
            KeyDescription::KmsMrkDiscovery { region, discovery } => {
                let client = self.kms_client("aws-kms-mrk-aware-discovery")?;
                let filter = filter(discovery)?;
                Ok(Arc::new(AwsKmsMrkDiscoveryKeyring::new(client, region, filter)?))
            }
            KeyDescription::KmsRsa { key, algorithm } => {
                let key = self.usable(key, usage)?;
                // Who only writes needs no KMS.
                let client = match usage {
                    Use::Encrypt => None,
                    Use::Decrypt => Some(self.kms_client("aws-kms-rsa")?),
                };
                Ok(Arc::new(kms_rsa(&key, algorithm, client)?))
            }
            KeyDescription::KmsEcdh(agreement) => {
                let client = self.kms_client("aws-kms-ecdh")?;
                Ok(Arc::new(kms_ecdh(agreement, |name| self.keys.find(name), client, usage)?))
            }
            KeyDescription::Hierarchy { key } => {
                Ok(Arc::new(hierarchical(&self.usable(key, usage)?)?))
            }
            KeyDescription::StaticMaterial { key } => self.static_material(key),
            KeyDescription::Multi { generator, children } => {
                self.multi(generator.as_deref(), children, usage, missing)
            }
            KeyDescription::RequiredContext { .. } | KeyDescription::Caching(_) => {
                Err(Obstacle::Fault("a CMM stands where a keyring has to".to_owned()))
            }
            KeyDescription::Unknown { name } => {
                Err(Obstacle::Skip(format!("`{name}` is no type of keyring that is known here")))
            }
        }
    }

    fn raw_aes(&self, raw: &RawKey, usage: Use) -> Result<Arc<dyn Keyring>, Obstacle> {
        let key = self.usable(&raw.key, usage)?;
        let material = key.material("material")?;
        Ok(Arc::new(RawAesKeyring::new(&raw.namespace, name_of(raw, &key), material)?))
    }

    fn kms_strict(&self, key: &str, usage: Use) -> Result<Arc<dyn Keyring>, Obstacle> {
        let key = self.usable(key, usage)?;
        Ok(Arc::new(AwsKmsKeyring::new(self.kms_client("aws-kms")?, key.id)?))
    }

    fn static_material(&self, key: &str) -> Result<Arc<dyn Keyring>, Obstacle> {
        let key = self.keys.find(key)?;
        let data_key = key.base64("plaintextDataKey")?;
        Ok(Arc::new(StaticMaterialKeyring {
            data_key: data_key.map(|mut bytes| strongroom_sdk::SecretBytes::take(&mut bytes)),
            encrypted_data_keys: key.encrypted_data_keys()?,
        }))
    }

    fn multi(
        &self,
        generator: Option<&KeyDescription>,
        children: &[KeyDescription],
        usage: Use,
        missing: &mut Vec<String>,
    ) -> Result<Arc<dyn Keyring>, Obstacle> {
        if usage == Use::Encrypt {
            // A message must be readable with every key that it was written for: none is left out.
            let mut build = |one| self.keyring(one, usage, missing);
            let generator = generator.map(&mut build).transpose()?;
            let children = children.iter().map(build).collect::<Result<_, _>>()?;
            return Ok(Arc::new(MultiKeyring::new(generator, children)?));
        }
        let mut usable = Vec::new();
        for one in generator.into_iter().chain(children) {
            match self.keyring(one, usage, missing) {
                Ok(keyring) => usable.push(keyring),
                Err(Obstacle::Skip(reason)) => missing.push(reason),
                Err(obstacle) => return Err(obstacle),
            }
        }
        match missing.first() {
            Some(reason) if usable.is_empty() => Err(Obstacle::Skip(reason.clone())),
            _ => Ok(Arc::new(MultiKeyring::new(None, usable)?)),
        }
    }

    /// The key `name`, unless the manifest says that messages cannot be opened with it.
    fn usable(&self, name: &str, usage: Use) -> Result<Key<'_>, Obstacle> {
        let key = self.keys.find(name)?;
        if usage == Use::Decrypt && !key.may_decrypt()? {
            let reason = "the key is not for decrypting, says the keys manifest";
            return Err(Obstacle::Skip(reason.to_owned()));
        }
        Ok(key)
    }

    fn kms_client(&self, kind: &str) -> Result<Arc<dyn KmsClient>, Obstacle> {
        let reason = || Obstacle::Skip(format!("{kind}: a KMS key, and no --kms-endpoint"));
        self.kms.client().ok_or_else(reason)
    }
}

/// The name that messages have for the key.
fn name_of<'a>(raw: &'a RawKey, key: &'a Key<'_>) -> &'a str {
    raw.key_id.as_deref().unwrap_or(&key.id)
}

/// Whose keys a discovery keyring may use; anybody's, if the description does not say.
fn filter(discovery: &Discovery) -> Result<Option<DiscoveryFilter>, Obstacle> {
    let Some(partition) = &discovery.partition else { return Ok(None) };
    Ok(Some(DiscoveryFilter::new(partition, &discovery.accounts)?))
}
