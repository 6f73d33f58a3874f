//! Archival locations: making one, opening one, and what all work on it shares.

mod format;
mod recipients;
mod remove;
pub mod role;
mod secrets;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use strongroom_sdk::cmm::MaterialsManager;
use zeroize::Zeroizing;

use self::format::FORMAT_BYTES_MAX;
pub(crate) use self::format::Use;
pub use self::format::{FORMAT_VERSION, Features, Format};
pub use self::recipients::{Recipients, RecoveryKey};
pub use self::remove::{Removal, plan_removal};
use self::secrets::Secrets;
use crate::cache::LocalCache;
use crate::chunk::{ChunkHasher, ChunkerParameters, Chunkers};
use crate::envelope::{Envelope, claimed_location};
use crate::error::{Error, Result};
use crate::id::ObjectId;
use crate::index::{Catalog, IndexStore};
use crate::pack::{Codec, PackReader};
use crate::store::{Family, ObjectName, Put, Store, preflight};

/// Most bytes of a `keys/<epoch>` object.
const KEYS_BYTES_MAX: u64 = 1 << 20;

/// zstd level unless the caller chooses.
const ZSTD_LEVEL_DEFAULT: i32 = 3;

const KEYS: ObjectName = ObjectName::Keys(0);

/// An archival location that was opened.
pub struct Location {
    store: Arc<Store>,
    envelope: Arc<Envelope>,
    format: Format,
    hasher: Arc<ChunkHasher>,
    chunkers: Arc<Chunkers>,
    codec: Arc<Codec>,
    index: Arc<IndexStore>,
    /// Snapshots that were read before.
    snapshots: Option<LocalCache>,
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
    /// Materials each of which has to open the location alone before it is made.
    pub readers: Vec<Arc<dyn MaterialsManager>>,
}

/// What the `format` object of a place says, read without a key and so not authenticated yet.
#[derive(Clone, Debug)]
pub struct UnverifiedFormat {
    bytes: Bytes,
    format: Format,
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
        let bytes = read_format(store).await?;
        let what = "it is not readable";
        let format = Format::parse(&bytes);
        let format = format.ok_or(Error::Damaged { object: ObjectName::Format, what })?;
        Ok(Self { bytes, format })
    }

    /// What it says.
    #[must_use]
    pub fn format(&self) -> &Format {
        &self.format
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
        let recipients = options.recipients.clone();
        let format = Format::new(id, options.chunker, options.zstd_level, capabilities, recipients);
        let format = match store.size(KEYS).await? {
            Some(_) => interrupted(&store, &materials).await?,
            None => {
                write_keys(&store, &materials, &options.readers, id, format.serialize()).await?
            }
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
        let message = get_keys(&store).await?;
        // The keys are asked for the location that *they* claim, so that damage to `format` is
        // blamed on `format`.
        let id = claimed_location(&message)
            .ok_or(Error::Damaged { object: KEYS, what: "its header is not readable" })?;
        let envelope = Envelope::new(id, materials);
        let secrets = open_keys(&envelope, &message).await?;
        if secrets.format != format.bytes {
            let what = "it is not the one that `keys/0` was made with";
            return Err(Error::Damaged { object: ObjectName::Format, what });
        }
        let location = Self::assemble(store, envelope, format.format, secrets, options)?;
        location.demand(Use::Read)?;
        Ok(location)
    }

    fn assemble(
        store: Arc<Store>,
        envelope: Envelope,
        format: Format,
        secrets: Secrets,
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
            index: Arc::new(IndexStore::new(store.clone(), envelope.clone(), index)),
            snapshots,
            store,
            envelope,
            codec: Arc::new(Codec::new(format.zstd_level)),
            chunkers: Arc::new(chunkers),
            format,
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
        let runs = self.index.read_all().await?;
        Ok(Catalog::new(runs.into_iter().map(|named| named.run).collect()))
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
        let condemned = crate::condemned::all(self).await?;
        let runs = self.index.read_all().await?;
        let mut usable: HashSet<ObjectName> = self.packs().await?.into_keys().collect();
        usable.retain(|pack| !condemned.contains(pack));
        Ok(Catalog::of_packs(runs.into_iter().map(|named| named.run).collect(), usable))
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
    match Format::version_of(&bytes) {
        Some(version) if version != FORMAT_VERSION => Err(Error::FormatVersion {
            store: store.url().to_owned(),
            version,
            supported: FORMAT_VERSION,
        }),
        _ => Ok(bytes),
    }
}

async fn get_keys(store: &Store) -> Result<Bytes> {
    match store.size(KEYS).await? {
        Some(_) => store.get(KEYS, KEYS_BYTES_MAX).await,
        None => Err(Error::ObjectMissing { object: KEYS }),
    }
}

async fn open_keys(envelope: &Envelope, message: &[u8]) -> Result<Secrets> {
    let plain = Zeroizing::new(envelope.open(KEYS, message).await?);
    Secrets::parse(&plain)
        .ok_or(Error::Damaged { object: KEYS, what: "it does not hold a location's keys" })
}

/// Writes `keys/0`, reads it back through the key and through each of `readers`, and returns the format that now is binding.
async fn write_keys(
    store: &Arc<Store>,
    materials: &Arc<dyn MaterialsManager>,
    readers: &[Arc<dyn MaterialsManager>],
    id: ObjectId,
    format: Vec<u8>,
) -> Result<Vec<u8>> {
    let envelope = Envelope::new(id, materials.clone());
    let random = |source| Error::Cache { path: "the system's randomness".into(), source };
    let secrets = Secrets::generate(format).map_err(random)?;
    let message = envelope.seal(KEYS, &secrets.serialize()).await?;
    // A key that encrypts and does not decrypt makes a location that nobody restores from.
    open_keys(&envelope, &message).await?;
    for reader in readers {
        open_keys(&Envelope::new(id, reader.clone()), &message).await?;
    }
    match store.create(KEYS, message).await? {
        Put::Created => Ok(secrets.format),
        Put::Occupied => Err(Error::LocationExists { store: store.url().to_owned() }),
    }
}

/// The format of a location whose creation ended after `keys/0`.
async fn interrupted(store: &Arc<Store>, materials: &Arc<dyn MaterialsManager>) -> Result<Vec<u8>> {
    let message = get_keys(store).await?;
    let id = claimed_location(&message)
        .ok_or(Error::Damaged { object: KEYS, what: "its header is not readable" })?;
    let secrets = open_keys(&Envelope::new(id, materials.clone()), &message).await?;
    Ok(secrets.format)
}
