//! Keys from a file, for tests: with ids, aliases and, if wanted, material that are known beforehand.
//!
//! ```json
//! { "keys": [ {
//!     "keyId": "1234abcd-12ab-34cd-56ef-1234567890ab",
//!     "accountId": "000000000000", "region": "us-east-1",
//!     "keySpec": "SYMMETRIC_DEFAULT", "keyUsage": "ENCRYPT_DECRYPT",
//!     "description": "", "aliases": ["alias/test"], "tags": {"team": "a"}, "policy": { … },
//!     "material": "000102…1f"
//! } ] }
//! ```
//! Only `keyId` must be there. `material` is hexadecimal: 32 bytes of a symmetric encryption key, or an HMAC
//! key. Whoever reads the file has the key, so it is for tests alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use serde::Deserialize;
use strongroom_hsm::{HashFunction, ImportParameters, ImportWrapping, KeyKind, RsaSize};
use zeroize::Zeroizing;

use crate::ids::{AccountId, AliasName, KeyId, RealmId, Region};
use crate::keystore::WrappedMaterial;
use crate::kms::Kms;
use crate::policy::{KeyPolicy, default_key_policy};
use crate::records::{Alias, Key, KeyManager, KeySpec, KeyUsage, Lifecycle, Material, Origin};

/// Largest seed file, in bytes.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// What binds the wrapping key to seeding; it never leaves the server.
const BINDING: &[u8] = b"seed";

/// A seed file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the seed file {} cannot be used: {reason}", path.display())]
pub struct SeedError {
    path: PathBuf,
    reason: String,
}

/// The keys of a seed file.
pub(crate) struct Seed {
    path: PathBuf,
    keys: Vec<SeededKey>,
}

struct SeededKey {
    key: Key,
    kind: KeyKind,
    material: Option<Zeroizing<Vec<u8>>>,
    aliases: Vec<AliasName>,
}

impl Seed {
    /// Reads a seed file; keys that name no account or Region are of these.
    ///
    /// # Errors
    /// `SeedError`, which names the file and the key.
    pub(crate) fn read(
        path: &Path,
        account: AccountId,
        region: &Region,
    ) -> Result<Self, SeedError> {
        let problem = |reason: String| SeedError { path: path.to_owned(), reason };
        let length = std::fs::metadata(path).map_err(|error| problem(error.to_string()))?.len();
        if length > FILE_BYTES_MAX {
            return Err(problem(format!("it is larger than {FILE_BYTES_MAX} bytes")));
        }
        let text = std::fs::read(path).map(Zeroizing::new);
        let text = text.map_err(|error| problem(error.to_string()))?;
        let file: File =
            serde_json::from_slice(&text).map_err(|error| problem(error.to_string()))?;
        let home = RealmId { account, region: region.clone() };
        let mut keys = Vec::with_capacity(file.keys.len());
        for entry in file.keys {
            let id = entry.key_id.clone();
            let key =
                entry.parse(&home).map_err(|reason| problem(format!("key {id}: {reason}")))?;
            keys.push(key);
        }
        Ok(Self { path: path.to_owned(), keys })
    }

    /// Makes the keys that are not there yet.
    ///
    /// # Errors
    /// `SeedError` for material that is none of its spec, or when the HSM or the storage fails.
    pub(crate) async fn sow(&self, kms: &Kms) -> Result<(), SeedError> {
        let state = kms.registry.state();
        let is_there = |key: &Key| state.key(&key.realm, key.id).is_some();
        let missing: Vec<&SeededKey> =
            self.keys.iter().filter(|seeded| !is_there(&seeded.key)).collect();
        let mut wrapping = None;
        for seeded in missing {
            let id = seeded.key.id;
            let sown = sow_key(kms, seeded, &mut wrapping).await;
            sown.map_err(|reason| SeedError {
                path: self.path.clone(),
                reason: format!("key {id}: {reason}"),
            })?;
        }
        Ok(())
    }
}

async fn sow_key(
    kms: &Kms,
    seeded: &SeededKey,
    wrapping: &mut Option<ImportParameters>,
) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| error.to_string();
    let material = match &seeded.material {
        None => kms.key_stores.fleet().create_kind(seeded.kind).await.map_err(|e| failed(&e))?,
        Some(bytes) => {
            let parameters = match wrapping {
                Some(parameters) => parameters,
                None => {
                    let fleet = kms.key_stores.fleet();
                    let made = fleet.import_parameters(RsaSize::Bits2048, BINDING.to_vec()).await;
                    wrapping.insert(made.map_err(|error| failed(&error))?)
                }
            };
            import(kms, seeded, bytes, parameters).await?
        }
    };
    let created = kms.clock.now();
    let (material, last_usage) = (Arc::new(material), Arc::default());
    let key = Key { created, material, last_usage, ..seeded.key.clone() };
    let aliases = seeded.aliases.clone();
    let update = kms.registry.update(move |draft| {
        draft.put_key(key.clone());
        for name in &aliases {
            draft.put_alias(Alias {
                realm: key.realm.clone(),
                name: name.clone(),
                target: key.id,
                created,
                updated: created,
            });
        }
        Ok::<(), std::convert::Infallible>(())
    });
    update.await.map_err(|error| format!("{error:?}"))
}

/// Brings material into the HSM on the one way that there is: wrapped.
async fn import(
    kms: &Kms,
    seeded: &SeededKey,
    bytes: &[u8],
    parameters: &ImportParameters,
) -> Result<Material, String> {
    let failed = |_| "the material cannot be wrapped".to_owned();
    let public =
        PublicEncryptingKey::from_der(&parameters.public_key).map_err(|error| error.to_string())?;
    let public = OaepPublicEncryptingKey::new(public).map_err(failed)?;
    let mut wrapped = vec![0; public.ciphertext_size()];
    public.encrypt(&OAEP_SHA256_MGF1SHA256, bytes, &mut wrapped, None).map_err(failed)?;
    let wrapped = WrappedMaterial {
        size: RsaSize::Bits2048,
        binding: BINDING.to_vec(),
        sealed_private_key: parameters.sealed_private_key.clone(),
        wrapping: ImportWrapping::Oaep(HashFunction::Sha256),
        wrapped,
        kind: seeded.kind,
        scope: seeded.key.id.to_string().into_bytes(),
    };
    kms.key_stores.fleet().import(wrapped, false).await.map_err(|error| error.to_string())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    keys: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    key_id: String,
    account_id: Option<String>,
    region: Option<String>,
    key_spec: Option<String>,
    key_usage: Option<String>,
    #[serde(default)]
    description: String,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    policy: Option<serde_json::Value>,
    material: Option<String>,
}

impl Entry {
    fn parse(self, home: &RealmId) -> Result<SeededKey, String> {
        fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
            member: &str,
            text: &str,
        ) -> Result<T, String> {
            text.parse().map_err(|error| format!("{member}: {error}"))
        }
        let account = match &self.account_id {
            None => home.account,
            Some(id) => parsed("accountId", id)?,
        };
        let region: Region = match &self.region {
            None => home.region.clone(),
            Some(name) => parsed("region", name)?,
        };
        let id: KeyId = parsed("keyId", &self.key_id)?;
        let spec = self.key_spec.as_deref().unwrap_or("SYMMETRIC_DEFAULT");
        let spec = KeySpec::from_wire(spec).ok_or_else(|| format!("no keySpec {spec:?}"))?;
        let usage = match (&self.key_usage, spec) {
            (None, KeySpec::SymmetricDefault) => KeyUsage::EncryptDecrypt,
            (None, KeySpec::Hmac(_)) => KeyUsage::GenerateVerifyMac,
            (None, _) => return Err("a keyUsage must be given for its keySpec".to_owned()),
            (Some(name), _) => {
                KeyUsage::from_wire(name).ok_or_else(|| format!("no keyUsage {name:?}"))?
            }
        };
        let kind = spec.kind(usage).ok_or("its keyUsage is not one of its keySpec")?;
        let aliases: Result<Vec<AliasName>, String> =
            self.aliases.iter().map(|name| parsed("aliases", name)).collect();
        let policy = match &self.policy {
            None => default_key_policy(account),
            Some(policy) => policy.to_string(),
        };
        let policy = KeyPolicy::parse(&policy).map_err(|error| format!("policy: {error}"))?;
        let is_multi_region = self.key_id.starts_with("mrk-");
        Ok(SeededKey {
            material: self
                .material
                .map(|text| material(spec, &Zeroizing::new(text)))
                .transpose()?,
            kind,
            aliases: aliases?,
            key: Key {
                id,
                created: crate::clock::Timestamp::from_millis(0),
                description: self.description.into(),
                lifecycle: Lifecycle::Enabled,
                spec,
                usage,
                origin: Origin::AwsKms,
                manager: KeyManager::Customer,
                custom_key_store: None,
                policy: Arc::new(policy),
                tags: Arc::new(self.tags),
                material: Arc::new(Material::awaited()),
                earlier: Arc::default(),
                pending: None,
                last_usage: Arc::default(),
                rotation: None,
                primary_region: is_multi_region.then(|| region.clone()),
                realm: RealmId { account, region },
            },
        })
    }
}

fn material(spec: KeySpec, text: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    let bytes = hex::decode(text).map(Zeroizing::new);
    let bytes = bytes.map_err(|_| "material is not hexadecimal".to_owned())?;
    match spec {
        KeySpec::SymmetricDefault if bytes.len() == 32 => Ok(bytes),
        KeySpec::SymmetricDefault => Err("material of a symmetric key has 32 bytes".to_owned()),
        KeySpec::Hmac(_) => Ok(bytes),
        _ => Err("only symmetric encryption and HMAC keys have material in a file".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Seed, SeedError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let account = "111122223333".parse().unwrap();
        Seed::read(file.path(), account, &"us-east-1".parse().unwrap())
    }

    #[test]
    fn the_culprit_is_named() {
        let with = |members: &str| {
            format!(r#"{{"keys":[{{"keyId":"1234abcd-12ab-34cd-56ef-1234567890ab"{members}}}]}}"#)
        };
        assert!(read(&with("")).is_ok());
        assert!(read(&with(r#","keySpec":"HMAC_256","material":"00""#)).is_ok());
        for (members, culprit) in [
            (r#","region":"nowhere""#, "region"),
            (r#","keySpec":"AES""#, "keySpec"),
            (r#","keySpec":"RSA_2048""#, "keyUsage"),
            (r#","keyUsage":"SIGN_VERIFY""#, "keyUsage"),
            (r#","material":"00""#, "32 bytes"),
            (r#","material":"xyz""#, "hexadecimal"),
            (r#","aliases":["a"]"#, "aliases"),
            (r#","policy":{}"#, "policy"),
            (r#","colour":"red""#, "colour"),
        ] {
            let message = read(&with(members)).err().unwrap().to_string();
            assert!(message.contains(culprit), "{members}: {message}");
        }
    }
}
