//! Archival locations: making one, opening one, and what all work on it shares.

mod branch;
mod exchange;
mod format;
mod recipients;
mod remove;
pub mod role;
mod secrets;

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use strongroom_sdk::cmm::MaterialsManager;
use zeroize::Zeroizing;

use self::branch::{BranchMaterials, Place, Sealed, Versions};
pub(crate) use self::exchange::Exchange;
pub use self::exchange::{NewKeys, Succession};
use self::format::FORMAT_BYTES_MAX;
pub(crate) use self::format::Use;
pub use self::format::{DataKeys, FORMAT_VERSION, Features, Format};
pub use self::recipients::{Recipients, RecoveryKey};
pub use self::remove::{Removal, plan_removal};
use self::secrets::Secrets;
use crate::cache::LocalCache;
use crate::chunk::{ChunkHasher, ChunkerParameters, Chunkers};
use crate::envelope::{Envelope, Wrapping, claimed_branches, claimed_format, claimed_location};
use crate::epochs::Epochs;
use crate::error::{Error, Result};
use crate::id::ObjectId;
use crate::index::{Catalog, IndexStore, PackRecord};
use crate::pack::{Codec, PackReader};
use crate::store::{Family, Kind, ObjectName, Put, Store, preflight};

/// Most bytes of a `keys/<epoch>` object.
const KEYS_BYTES_MAX: u64 = 1 << 20;

/// zstd level unless the caller chooses.
const ZSTD_LEVEL_DEFAULT: i32 = 3;

const KEYS: ObjectName = ObjectName::Keys(0);

/// How often it is looked again which epoch counts when an exchange of keys completes meanwhile.
const LOOKS_MAX: usize = 4;

/// An archival location that was opened.
pub struct Location {
    store: Arc<Store>,
    envelope: Arc<Envelope>,
    format: Format,
    /// Opens `keys/`.
    root: Arc<dyn MaterialsManager>,
    /// Its branch keys, if it has any.
    branches: Option<Sealed>,
    /// The keys that `keys/` is wrapped under, and unless there are branch keys all that is written now.
    wrapping: Wrapping,
    /// Earlier epochs, while an exchange of keys is not complete.
    earlier: Vec<u32>,
    hasher: Arc<ChunkHasher>,
    chunkers: Arc<Chunkers>,
    codec: Arc<Codec>,
    index: Arc<IndexStore>,
    /// Snapshots that were read before.
    snapshots: Option<LocalCache>,
    /// Where that is kept, and other things worth keeping.
    cache: Option<PathBuf>,
}

/// What a new location is to be like.
#[derive(Clone)]
pub struct CreateOptions {
    /// How files are cut.
    pub chunker: ChunkerParameters,
    /// The zstd level of segments, 1 to 22.
    pub zstd_level: i32,
    /// Who can open it, if that is not one CMK alone; what the materials wrap for.
    pub recipients: Recipients,
    /// What wraps data keys.
    pub data_keys: DataKeys,
    /// Materials each of which has to open the location alone before it is made.
    pub readers: Vec<Arc<dyn MaterialsManager>>,
}

/// What the format of a place says, read without a key and so not authenticated yet.
#[derive(Clone, Debug)]
pub struct UnverifiedFormat {
    /// Where it is.
    name: ObjectName,
    bytes: Bytes,
    format: Format,
    /// Where the secrets are that go with it, and what is there.
    keys: (ObjectName, Bytes),
    /// The branch keys that go with it, if it has any.
    branches: Option<Sealed>,
    earlier: Vec<Earlier>,
}

/// What a location that was opened is under.
struct Keys {
    root: Arc<dyn MaterialsManager>,
    branches: Option<Sealed>,
    wrapping: Wrapping,
    earlier: Vec<u32>,
}

/// An earlier epoch whose keys still open something.
#[derive(Clone, Debug)]
struct Earlier {
    epoch: u32,
    wrapping: Wrapping,
}

/// How a location is to be opened.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// A folder for what is worth keeping between runs; may be deleted at any time.
    pub cache: Option<PathBuf>,
}

impl Default for CreateOptions {
    fn default() -> Self {
        Self {
            chunker: ChunkerParameters::default(),
            zstd_level: ZSTD_LEVEL_DEFAULT,
            recipients: Recipients::default(),
            data_keys: DataKeys::default(),
            readers: Vec::new(),
        }
    }
}

impl UnverifiedFormat {
    /// Reads it, as far as one has to know it to choose the materials for [`Location::open_as`].
    ///
    /// # Errors
    /// [`Error::NotALocation`], [`Error::FormatVersion`], [`Error::Damaged`], [`Error::Store`].
    pub async fn read(store: &Store) -> Result<Self> {
        let first = read_format(store).await?;
        for _ in 1..LOOKS_MAX {
            match Self::of_epoch(store, &first).await {
                // An exchange of keys has just been completed.
                Err(error) if error.is_gone() => {}
                other => return other,
            }
        }
        Self::of_epoch(store, &first).await
    }

    /// The format of the epoch that counts, which is `first` until keys are exchanged.
    async fn of_epoch(store: &Store, first: &Bytes) -> Result<Self> {
        let epochs = Epochs::list(store).await?;
        let epoch = epochs.current().ok_or(Error::ObjectMissing { object: KEYS })?;
        let keys = ObjectName::Keys(epoch);
        let message = store.get(keys, KEYS_BYTES_MAX).await?;
        let (name, bytes) = match epoch {
            0 => (ObjectName::Format, first.clone()),
            _ => {
                let what = "its header is not readable";
                let id = claimed_format(&message).ok_or(Error::Damaged { object: keys, what })?;
                let name = ObjectName::EpochFormat(epoch, id);
                (name, store.get(name, FORMAT_BYTES_MAX).await?)
            }
        };
        demand_version(store, &bytes)?;
        let what = "it is not readable";
        let format = Format::parse(&bytes).ok_or(Error::Damaged { object: name, what })?;
        let branches = match format.data_keys {
            DataKeys::Direct => None,
            DataKeys::Hierarchical => {
                let what = "it does not name the location's branch keys";
                let id = claimed_branches(&message).ok_or(Error::Damaged { object: keys, what })?;
                Some(Sealed::read(store, Place { epoch, id }).await?)
            }
        };
        let mut earlier = Vec::new();
        for epoch in epochs.earlier() {
            let message = store.get(ObjectName::Keys(epoch), KEYS_BYTES_MAX).await?;
            let wrapping = Wrapping::of(&message).unwrap_or_default();
            earlier.push(Earlier { epoch, wrapping });
        }
        Ok(Self { name, bytes, format, keys: (keys, message), branches, earlier })
    }

    /// What it says.
    #[must_use]
    pub fn format(&self) -> &Format {
        &self.format
    }

    /// Earlier keys that are to be had for reading too, while an exchange of keys is not complete.
    #[must_use]
    pub fn retiring(&self) -> Option<&Recipients> {
        (!self.earlier.is_empty()).then_some(&self.format.retiring)
    }
}

impl Location {
    /// Makes a location in `store` after a preflight of store and key.
    ///
    /// `keys/0` is written first and has the format inside, so that an attempt that was
    /// interrupted between the two objects is completed by the next one.
    ///
    /// # Errors
    /// [`Error::LocationExists`]; [`Error::Store`] and [`Error::Preflight`] for a store, and
    /// [`Error::Encrypt`] and [`Error::Decrypt`] for a key, that will not do.
    pub async fn create(
        store: Arc<Store>,
        materials: Arc<dyn MaterialsManager>,
        options: &CreateOptions,
    ) -> Result<Self> {
        let exists = || Error::LocationExists { store: store.url().to_owned() };
        if store.size(ObjectName::Format).await?.is_some() {
            return Err(exists());
        }
        let capabilities = preflight(&store).await?;
        let id = ObjectId::random();
        let (recipients, data_keys) = (options.recipients.clone(), options.data_keys);
        let format = Format::new(
            id,
            options.chunker,
            options.zstd_level,
            capabilities,
            recipients,
            data_keys,
        );
        let format = match store.size(KEYS).await? {
            Some(_) => interrupted(&store, &materials).await?,
            None => write_keys(&store, &materials, &options.readers, id, &format).await?,
        };
        if store.create(ObjectName::Format, format.into()).await? == Put::Occupied {
            return Err(exists());
        }
        Self::open(store, materials, &OpenOptions::default()).await
    }

    /// Opens the location in `store`. Who writes has to bring `materials` that wrap for all of its
    /// [`Recipients`]; where these are not known beforehand, [`Location::open_as`] serves.
    ///
    /// # Errors
    /// [`Error::NotALocation`], [`Error::FormatVersion`], [`Error::UnknownFeature`], [`Error::Decrypt`] when
    /// the key does not open it, [`Error::Damaged`] when `format` is not what it was made as.
    pub async fn open(
        store: Arc<Store>,
        materials: Arc<dyn MaterialsManager>,
        options: &OpenOptions,
    ) -> Result<Self> {
        let format = UnverifiedFormat::read(&store).await?;
        Self::open_as(store, format, materials, options).await
    }

    /// Opens the location whose `format` was read, and verifies that.
    ///
    /// # Errors
    /// As [`Location::open`].
    pub async fn open_as(
        store: Arc<Store>,
        format: UnverifiedFormat,
        materials: Arc<dyn MaterialsManager>,
        options: &OpenOptions,
    ) -> Result<Self> {
        let (keys, message) = format.keys;
        // The keys are asked for the location that *they* claim, so that damage to `format` is
        // blamed on `format`.
        let id = claimed_location(&message)
            .ok_or(Error::Damaged { object: keys, what: "its header is not readable" })?;
        let mut envelope = Envelope::new(id, materials.clone());
        let secrets = open_keys(&envelope, keys, &message).await?;
        if secrets.format != format.bytes || keys != ObjectName::Keys(format.format.epoch) {
            let what = match keys {
                KEYS => "it is not the one that `keys/0` was made with",
                _ => "it is not the one that the secrets of its epoch were made with",
            };
            return Err(Error::Damaged { object: format.name, what });
        }
        // What the header says has been authenticated by now.
        let wrapping = Wrapping::of(&message)
            .ok_or(Error::Damaged { object: keys, what: "its header is not readable" })?;
        if let Some(sealed) = &format.branches {
            let under = BranchMaterials::new(envelope, sealed.clone());
            envelope = Envelope::new(id, Arc::new(under));
        }
        if format.format.epoch > 0 {
            let earlier = format.earlier.iter().map(|earlier| &earlier.wrapping);
            let mut left = earlier.fold(wrapping.clone(), Wrapping::and);
            if format.branches.is_some() {
                left = left.and(&branch::wrapping(id));
            }
            envelope = envelope.with_only(left);
        }
        let earlier = format.earlier.iter().map(|earlier| earlier.epoch).collect();
        let keys = Keys { root: materials, branches: format.branches, wrapping, earlier };
        let location = Self::assemble(store, envelope, format.format, secrets, keys, options)?;
        location.demand(Use::Read)?;
        Ok(location)
    }

    fn assemble(
        store: Arc<Store>,
        envelope: Envelope,
        format: Format,
        secrets: Secrets,
        keys: Keys,
        options: &OpenOptions,
    ) -> Result<Self> {
        let what = "its chunker parameters are not possible";
        let chunkers = Chunkers::new(&secrets.chunker_key, format.chunker)
            .ok_or(Error::Damaged { object: ObjectName::Format, what })?;
        let hasher = Arc::new(ChunkHasher::new(secrets.id_key));
        let location = envelope.location();
        let cache = |name: &str| {
            let folder = options.cache.as_ref().map(|f| f.join(location.to_string()).join(name));
            folder.map(|folder| LocalCache::open(folder, hasher.clone())).transpose()
        };
        let (index, snapshots) = (cache("index")?, cache("snapshots")?);
        let envelope = Arc::new(envelope);
        Ok(Self {
            index: Arc::new(IndexStore::new(store.clone(), envelope.clone(), format.epoch, index)),
            snapshots,
            cache: options.cache.clone(),
            store,
            envelope,
            codec: Arc::new(Codec::new(format.zstd_level)),
            chunkers: Arc::new(chunkers),
            format,
            root: keys.root,
            branches: keys.branches,
            wrapping: keys.wrapping,
            earlier: keys.earlier,
            hasher,
        })
    }

    /// The store that it is in.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The location's name.
    #[must_use]
    pub fn id(&self) -> ObjectId {
        self.envelope.location()
    }

    /// What the location is.
    #[must_use]
    pub fn format(&self) -> &Format {
        &self.format
    }

    /// The epochs in which an object can lie that was written before the keys were exchanged, the latest first.
    pub(crate) fn epochs(&self) -> impl Iterator<Item = u32> {
        let earlier = self.earlier.iter().rev().copied();
        std::iter::once(self.format.epoch).chain(earlier).filter(|epoch| *epoch > 0)
    }

    /// Whether an exchange of keys is not complete.
    #[must_use]
    pub fn is_in_exchange(&self) -> bool {
        !self.earlier.is_empty()
    }

    /// Whether its data keys are wrapped by branch keys.
    pub(crate) fn has_branch_keys(&self) -> bool {
        self.branches.is_some()
    }

    /// The keys that everything is wrapped under that is written now, unless it has branch keys.
    pub(crate) fn wrapping(&self) -> &Wrapping {
        &self.wrapping
    }

    /// The packs of these records that are not under the location's present keys; none if it never had others, or has branch
    /// keys, of which no version is given up.
    pub(crate) fn outlived<P: Borrow<PackRecord>>(
        &self,
        records: impl Iterator<Item = P>,
    ) -> HashSet<ObjectName> {
        let is_outlived =
            |pack: &P| Wrapping::of(&pack.borrow().header).as_ref() != Some(&self.wrapping);
        match self.format.epoch {
            0 => HashSet::new(),
            _ if self.has_branch_keys() => HashSet::new(),
            _ => records.filter(is_outlived).map(|pack| pack.borrow().name()).collect(),
        }
    }

    /// Requires that the location's keys have not been exchanged since it was opened; when to ask is told at
    /// [`Epochs::confirm`].
    pub(crate) async fn confirm_epoch(&self) -> Result<()> {
        Epochs::confirm(&self.store, self.format.epoch).await
    }

    /// Refuses a use that has to know a feature of the location which this program does not know.
    pub(crate) fn demand(&self, wanted: Use) -> Result<()> {
        match self.format.features.unknown(wanted) {
            None => Ok(()),
            Some(feature) => Err(Error::UnknownFeature {
                store: self.store.url().to_owned(),
                action: wanted.done(),
                feature: feature.to_owned(),
            }),
        }
    }

    /// Seals and opens its objects.
    #[must_use]
    pub fn envelope(&self) -> &Arc<Envelope> {
        &self.envelope
    }

    pub(crate) fn hasher(&self) -> &Arc<ChunkHasher> {
        &self.hasher
    }

    pub(crate) fn chunkers(&self) -> &Arc<Chunkers> {
        &self.chunkers
    }

    pub(crate) fn codec(&self) -> &Arc<Codec> {
        &self.codec
    }

    /// Its index runs.
    #[must_use]
    pub fn index(&self) -> &Arc<IndexStore> {
        &self.index
    }

    /// A reader of the location's packs; `catalog` spares it a request for each pack.
    #[must_use]
    pub fn reader(&self, catalog: Option<Arc<Catalog>>) -> PackReader {
        let (store, envelope) = (self.store.clone(), self.envelope.clone());
        let (codec, hasher) = (self.codec.clone(), self.hasher.clone());
        PackReader::new(store, envelope, codec, hasher, self.index.clone(), catalog)
    }

    /// Reads the whole index, from the cache as far as that has it.
    ///
    /// # Errors
    /// As [`IndexStore::read_all`].
    pub async fn catalog(&self) -> Result<Catalog> {
        let runs = self.index.look_up_all().await?;
        Ok(Catalog::over(runs.into_iter().map(|(_, run)| run), None))
    }

    /// The index as far as a writer may rely on it: of packs that are there and that no collector
    /// is about to remove.
    ///
    /// A run can name packs that are gone: whoever wrote it may have slept while they were
    /// collected. So the packs are listed, after the runs were read.
    ///
    /// # Errors
    /// As [`IndexStore::read_all`], and for the condemned packs.
    pub(crate) async fn usable_catalog(&self) -> Result<Catalog> {
        let relies_on_earlier = self.is_in_exchange()
            && !Epochs::list(&self.store).await?.is_closing(self.format.epoch);
        let condemned = crate::condemned::all(self).await?;
        let runs = self.index.look_up_all().await?;
        let mut usable: HashSet<ObjectName> = self.packs().await?.into_keys().collect();
        // Until an exchange of keys is complete, whoever carries it out looks after packs under the keys before.
        let outlived = match relies_on_earlier {
            true => HashSet::new(),
            false => self.outlived(runs.iter().flat_map(|(_, run)| run.packs())),
        };
        usable.retain(|pack| !condemned.contains(pack) && !outlived.contains(pack));
        Ok(Catalog::over(runs.into_iter().map(|(_, run)| run), Some(usable)))
    }

    /// Every pack that is there, with its length in bytes.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn packs(&self) -> Result<HashMap<ObjectName, u64>> {
        let (data, meta) = (self.store.list(Family::DataPacks), self.store.list(Family::MetaPacks));
        let listed = futures::stream::select(data, meta);
        let named = listed.try_filter_map(|object| async move {
            Ok(object.name.map(|name| (name, object.size)))
        });
        named.try_collect().await
    }

    /// The plaintext of a snapshot that was read before.
    pub(crate) fn cached_snapshot(&self, id: &ObjectId) -> Option<Bytes> {
        self.snapshots.as_ref()?.get(id)
    }

    /// Drops what was kept of a snapshot that is forgotten.
    pub(crate) fn drop_snapshot(&self, id: &ObjectId) {
        if let Some(cache) = &self.snapshots {
            cache.remove(id);
        }
    }

    /// Keeps a snapshot's plaintext.
    pub(crate) fn keep_snapshot(&self, id: &ObjectId, plain: &[u8]) {
        if let Some(cache) = &self.snapshots {
            // Without room for a cache the next run only reads more.
            let _ = cache.put(id, plain);
        }
    }
}

async fn read_format(store: &Store) -> Result<Bytes> {
    if store.size(ObjectName::Format).await?.is_none() {
        return Err(Error::NotALocation { store: store.url().to_owned() });
    }
    let bytes = store.get(ObjectName::Format, FORMAT_BYTES_MAX).await?;
    demand_version(store, &bytes)?;
    Ok(bytes)
}

fn demand_version(store: &Store, format: &[u8]) -> Result<()> {
    match Format::version_of(format) {
        Some(version) if version != FORMAT_VERSION => Err(Error::FormatVersion {
            store: store.url().to_owned(),
            version,
            supported: FORMAT_VERSION,
        }),
        _ => Ok(()),
    }
}

async fn get_keys(store: &Store) -> Result<Bytes> {
    match store.size(KEYS).await? {
        Some(_) => store.get(KEYS, KEYS_BYTES_MAX).await,
        None => Err(Error::ObjectMissing { object: KEYS }),
    }
}

async fn open_keys(envelope: &Envelope, keys: ObjectName, message: &[u8]) -> Result<Secrets> {
    let plain = Zeroizing::new(envelope.open(keys, message).await?);
    let what = "it does not hold a location's keys";
    Secrets::parse(&plain).ok_or(Error::Damaged { object: keys, what })
}

/// Writes `keys/0`, reads it back through the key and through each of `readers`, and returns the format that now is binding.
async fn write_keys(
    store: &Arc<Store>,
    materials: &Arc<dyn MaterialsManager>,
    readers: &[Arc<dyn MaterialsManager>],
    id: ObjectId,
    format: &Format,
) -> Result<Vec<u8>> {
    let envelope = Envelope::new(id, materials.clone());
    let secrets = Secrets::generate(format.serialize()).map_err(no_randomness)?;
    let branches = (!format.data_keys.are_direct()).then(|| Place::random(0));
    if let Some(place) = branches {
        for kind in Kind::BRANCHED {
            let key = Versions::default().and_a_new_one().map_err(no_randomness)?;
            key.create(store, &envelope, place, kind).await?;
        }
    }
    let named = branches.map(|place| place.id);
    let message = envelope.seal_keys(KEYS, &secrets.serialize(), None, named).await?;
    // A key that encrypts and does not decrypt makes a location that nobody restores from.
    open_keys(&envelope, KEYS, &message).await?;
    for reader in readers {
        open_keys(&Envelope::new(id, reader.clone()), KEYS, &message).await?;
    }
    match store.create(KEYS, message).await? {
        Put::Created => Ok(secrets.format),
        Put::Occupied => {
            if let Some(place) = branches {
                place.clear(store).await?;
            }
            Err(Error::LocationExists { store: store.url().to_owned() })
        }
    }
}

fn no_randomness(source: std::io::Error) -> Error {
    Error::Cache { path: "the system's randomness".into(), source }
}

/// The format of a location whose creation ended after `keys/0`.
async fn interrupted(store: &Arc<Store>, materials: &Arc<dyn MaterialsManager>) -> Result<Vec<u8>> {
    let message = get_keys(store).await?;
    let id = claimed_location(&message)
        .ok_or(Error::Damaged { object: KEYS, what: "its header is not readable" })?;
    let secrets = open_keys(&Envelope::new(id, materials.clone()), KEYS, &message).await?;
    Ok(secrets.format)
}
