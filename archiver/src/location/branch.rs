//! Data keys under branch keys, which are under the CMK: the choice `hierarchical`.
//!
//! ```text
//! keys/<epoch>.<id>.<kind>   the branch key of one kind of object: magic "SRB1", then of each version
//!                            its number 16 · key 32; the last one wraps
//! ```
//!
//! Each kind has its own branch key, sealed with the kind in the encryption context like an object of that kind, so that a
//! key policy still tells who reads what. Who writes a kind can read it, though: wrapping takes the key that unwraps.
//! Nothing but these objects and `keys/<epoch>` is under the CMK: writing asks no KMS, and an exchange of keys writes these
//! anew. It adds a version, so that what is written from then on is under no key that was ever under the earlier CMK.
//!
//! Messages are those of the SDK's hierarchical keyring (`framework/aws-kms/aws-kms-hierarchical-keyring.md`).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use strongroom_sdk::cache::LocalCache;
use strongroom_sdk::clock::SystemClock;
use strongroom_sdk::cmm::{DefaultCmm, MaterialsManager};
use strongroom_sdk::crypto::default_provider;
use strongroom_sdk::error::BranchKeyFault;
use strongroom_sdk::key_store::{
    BRANCH_KEY_BYTES, BranchKey, BranchKeyId, BranchKeyStore, BranchKeyVersion, VERSION_BYTES,
};
use strongroom_sdk::keyring::hierarchical::{HierarchicalKeyring, PROVIDER_ID};
use strongroom_sdk::materials::{
    DecryptionMaterials, DecryptionRequest, EncryptionMaterials, EncryptionRequest,
};
use strongroom_sdk::message::encryption_context::EncryptionContext;
use strongroom_sdk::secret::SecretBytes;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use super::KEYS_BYTES_MAX;
use crate::codec::Reader;
use crate::envelope::{CONTEXT_KIND, Envelope, Wrapping};
use crate::error::{Error, Result};
use crate::id::ObjectId;
use crate::store::{Kind, ObjectName, Put, Store};

const MAGIC: &[u8; 4] = b"SRB1";
/// Branch keys in the cache of a keyring: every version of one.
const CACHED_MAX: usize = 64;
/// How long a keyring keeps one. They stay in memory beside it as long as the location is open.
const CACHE_AGE_MAX: Duration = Duration::from_secs(3600);

/// Every version of the branch key of one kind, the one that wraps last.
#[derive(Default)]
pub(super) struct Versions(Vec<(BranchKeyVersion, SecretBytes)>);

/// Where the branch keys of an epoch lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) epoch: u32,
    pub(super) id: ObjectId,
}

/// The branch keys of an epoch, sealed, in the order of [`Kind::BRANCHED`].
#[derive(Clone, Debug)]
pub(super) struct Sealed {
    pub(super) place: Place,
    messages: Vec<Bytes>,
}

/// Materials under the branch keys of a location, each of which is opened when it is first needed: not everybody may
/// open all of them.
pub(super) struct BranchMaterials {
    /// Opens `keys/`, under the CMK.
    root: Envelope,
    sealed: Sealed,
    managers: [OnceCell<DefaultCmm>; Kind::BRANCHED.len()],
}

impl Versions {
    /// These and one more, from the system's randomness.
    pub(super) fn and_a_new_one(mut self) -> io::Result<Self> {
        let mut version = [0; VERSION_BYTES];
        getrandom::fill(&mut version).map_err(io::Error::other)?;
        let key = SecretBytes::fill_with(BRANCH_KEY_BYTES, getrandom::fill);
        let key = key.map_err(io::Error::other)?;
        self.0.push((BranchKeyVersion::from_bytes(version), key));
        Ok(self)
    }

    fn serialize(&self) -> Zeroizing<Vec<u8>> {
        let each = VERSION_BYTES + BRANCH_KEY_BYTES;
        // Reserved whole, so that growing leaves no copy of a key behind.
        let mut out = Zeroizing::new(Vec::with_capacity(MAGIC.len() + self.0.len() * each));
        out.extend_from_slice(MAGIC);
        for (version, key) in &self.0 {
            out.extend_from_slice(version.as_bytes());
            out.extend_from_slice(key.expose());
        }
        out
    }

    /// `None` unless there is at least one.
    fn parse(plain: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(plain);
        (&reader.array::<4>().ok()? == MAGIC).then_some(())?;
        let each = VERSION_BYTES + BRANCH_KEY_BYTES;
        let lines = reader.rest().chunks(each);
        let read = |line: &[u8]| {
            let (version, key) = line.split_first_chunk::<VERSION_BYTES>()?;
            let key = <&[u8; BRANCH_KEY_BYTES]>::try_from(key).ok()?;
            Some((BranchKeyVersion::from_bytes(*version), SecretBytes::copy_of(key)))
        };
        let versions: Vec<_> = lines.map(read).collect::<Option<_>>()?;
        (!versions.is_empty()).then_some(Self(versions))
    }

    /// Creates the object of `kind`, sealed by `root`, after it was seen to open.
    pub(super) async fn create(
        &self,
        store: &Store,
        root: &Envelope,
        place: Place,
        kind: Kind,
    ) -> Result<()> {
        let name = place.name(kind);
        let message = root.seal(name, &self.serialize()).await?;
        root.open(name, &message).await.map(Zeroizing::new)?;
        match store.create(name, message).await? {
            Put::Created => Ok(()),
            Put::Occupied => Err(Error::NameTaken { object: name }),
        }
    }
}

impl Sealed {
    /// Reads them all: who has begun does not need them in the store any more.
    pub(super) async fn read(store: &Store, place: Place) -> Result<Self> {
        let reads = Kind::BRANCHED.map(|kind| store.get(place.name(kind), KEYS_BYTES_MAX));
        Ok(Self { place, messages: futures::future::try_join_all(reads).await? })
    }

    /// The branch key of `kind`, opened by `root`.
    pub(super) async fn open(&self, root: &Envelope, kind: Kind) -> Result<Versions> {
        let name = self.place.name(kind);
        let mut all = Kind::BRANCHED.into_iter().zip(&self.messages);
        let (_, message) =
            all.find(|(its, _)| *its == kind).ok_or(Error::ObjectMissing { object: name })?;
        let plain = Zeroizing::new(root.open(name, message).await?);
        let what = "it does not hold a branch key";
        Versions::parse(&plain).ok_or(Error::Damaged { object: name, what })
    }
}

impl Place {
    /// A new one.
    pub(super) fn random(epoch: u32) -> Self {
        Self { epoch, id: ObjectId::random() }
    }

    pub(super) fn name(self, kind: Kind) -> ObjectName {
        ObjectName::BranchKeys(self.epoch, self.id, kind)
    }

    /// Removes what was created here: nothing refers to it.
    pub(super) async fn clear(self, store: &Store) -> Result<()> {
        for kind in Kind::BRANCHED {
            store.delete(self.name(kind)).await?;
        }
        Ok(())
    }
}

/// The names that the branch keys of `location` have in messages.
pub(super) fn wrapping(location: ObjectId) -> Wrapping {
    let names = Kind::BRANCHED.map(|kind| branch_key_name(location, kind).into_bytes());
    Wrapping::of_names(names.into_iter().map(|name| (PROVIDER_ID.to_owned(), name)))
}

fn branch_key_name(location: ObjectId, kind: Kind) -> String {
    format!("strongroom/{location}/{}", kind.as_str())
}

impl BranchMaterials {
    pub(super) fn new(root: Envelope, sealed: Sealed) -> Self {
        Self { root, sealed, managers: std::array::from_fn(|_| OnceCell::new()) }
    }

    /// What works under the branch key of the kind that `context` names; `None` where that has none.
    async fn manager(
        &self,
        context: &EncryptionContext,
    ) -> strongroom_sdk::Result<Option<&DefaultCmm>> {
        let named = context.get(CONTEXT_KIND);
        let mut all = Kind::BRANCHED.into_iter().zip(&self.managers);
        let Some((kind, cell)) = all.find(|(kind, _)| Some(kind.as_str()) == named) else {
            return Ok(None);
        };
        cell.get_or_try_init(|| self.make(kind)).await.map(Some)
    }

    async fn make(&self, kind: Kind) -> strongroom_sdk::Result<DefaultCmm> {
        let versions = self.sealed.open(&self.root, kind).await.map_err(into_sdk_error)?;
        let id = BranchKeyId::new(branch_key_name(self.root.location(), kind))?;
        let keys = Arc::new(InMemory { name: self.root.location().to_string(), versions });
        let cache = Arc::new(LocalCache::new(CACHED_MAX, Arc::new(SystemClock::default()))?);
        let provider = default_provider();
        let keyring =
            HierarchicalKeyring::new(keys, Arc::new(id), cache, CACHE_AGE_MAX, &*provider)?;
        Ok(DefaultCmm::new(Arc::new(keyring)))
    }
}

#[async_trait]
impl MaterialsManager for BranchMaterials {
    async fn encryption_materials(
        &self,
        request: &EncryptionRequest,
    ) -> strongroom_sdk::Result<EncryptionMaterials> {
        match self.manager(&request.encryption_context).await? {
            Some(manager) => manager.encryption_materials(request).await,
            None => self.root.materials().encryption_materials(request).await,
        }
    }

    async fn decryption_materials(
        &self,
        request: &DecryptionRequest,
    ) -> strongroom_sdk::Result<DecryptionMaterials> {
        match self.manager(request.encryption_context()).await? {
            Some(manager) => manager.decryption_materials(request).await,
            None => self.root.materials().decryption_materials(request).await,
        }
    }
}

/// What came of reading a branch key, for the SDK: an answer of the key service stays one.
fn into_sdk_error(error: Error) -> strongroom_sdk::Error {
    match error {
        Error::Encrypt { source, .. } | Error::Decrypt { source, .. } => *source,
        other => strongroom_sdk::Error::Io {
            operation: "open a branch key",
            source: io::Error::other(other),
        },
    }
}

/// The versions of one branch key, as the SDK's keyring asks for them.
struct InMemory {
    name: String,
    versions: Versions,
}

impl InMemory {
    fn key(
        &self,
        id: &BranchKeyId,
        found: Option<&(BranchKeyVersion, SecretBytes)>,
    ) -> strongroom_sdk::Result<BranchKey> {
        let missing = || strongroom_sdk::Error::BranchKey {
            id: id.to_string(),
            fault: BranchKeyFault::NotFound,
        };
        let (version, key) = found.ok_or_else(missing)?;
        let secret = SecretBytes::copy_of(key.expose());
        BranchKey::new(id.clone(), *version, EncryptionContext::default(), secret)
    }
}

#[async_trait]
impl BranchKeyStore for InMemory {
    fn logical_name(&self) -> &str {
        &self.name
    }

    async fn active_branch_key(&self, id: &BranchKeyId) -> strongroom_sdk::Result<BranchKey> {
        self.key(id, self.versions.0.last())
    }

    async fn branch_key_version(
        &self,
        id: &BranchKeyId,
        version: BranchKeyVersion,
    ) -> strongroom_sdk::Result<BranchKey> {
        self.key(id, self.versions.0.iter().find(|(known, _)| *known == version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn versions_read_back_and_the_last_one_wraps() {
        let one = Versions::default().and_a_new_one().unwrap();
        let first = one.0[0].0;
        let two = one.and_a_new_one().unwrap();
        let read = Versions::parse(&two.serialize()).unwrap();
        assert_eq!(read.0.len(), 2);
        for (read, made) in read.0.iter().zip(&two.0) {
            assert_eq!((read.0, read.1.expose()), (made.0, made.1.expose()));
        }
        assert_eq!(read.0[0].0, first);
        let bytes = two.serialize();
        for cut in [0, 3, 4, 5, 51, 53, 99] {
            assert!(Versions::parse(&bytes[..cut]).is_none(), "{cut} bytes");
        }
    }

    #[test]
    fn branch_keys_have_names_of_their_own() {
        let location = ObjectId::from_bytes([7; 16]);
        let names = BTreeSet::from(Kind::BRANCHED.map(|kind| branch_key_name(location, kind)));
        assert_eq!(names.len(), Kind::BRANCHED.len());
    }
}
