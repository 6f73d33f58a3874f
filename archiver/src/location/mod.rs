//! Archival locations: making one, opening one, and what all work on it shares.

mod format;
mod remove;
pub mod role;
mod secrets;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use strongroom_sdk::cmm::MaterialsManager;
use zeroize::Zeroizing;

use self::format::FORMAT_BYTES_MAX;
pub use self::format::{FORMAT_VERSION, Features, Format};
pub use self::remove::{Removal, plan_removal, unverified_format};
use self::secrets::Secrets;
use crate::cache::LocalCache;
use crate::chunk::{ChunkHasher, ChunkerParameters, Chunkers};
use crate::codec::Reader;
use crate::envelope::{Envelope, claimed_location};
use crate::error::{Error, Result};
use crate::id::ObjectId;
use crate::index::{Catalog, Run};
use crate::pack::{Codec, PackReader};
use crate::store::{Family, ObjectName, Put, Store, preflight};

/// Most bytes of a `keys/<epoch>` object.
const KEYS_BYTES_MAX: u64 = 1 << 20;

/// Most bytes of a stored index run.
const INDEX_BYTES_MAX: u64 = 1 << 30;

/// How many index runs are read at once.
const INDEX_READS_IN_FLIGHT: usize = 8;

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
    caches: Option<Caches>,
}

/// What is kept locally of objects that were read before.
struct Caches {
    index: LocalCache,
    snapshots: LocalCache,
}

/// What a new location is to be like.
#[derive(Clone, Debug)]
pub struct CreateOptions {
    /// How files are cut.
    pub chunker: ChunkerParameters,
    /// The zstd level of segments, 1 to 22.
    pub zstd_level: i32,
}

/// How a location is to be opened.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// A folder for what is worth keeping between runs; may be deleted at any time.
    pub cache: Option<PathBuf>,
}

impl Default for CreateOptions {
    fn default() -> Self {
        Self { chunker: ChunkerParameters::default(), zstd_level: ZSTD_LEVEL_DEFAULT }
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
        let format = Format::new(id, options.chunker, options.zstd_level, capabilities);
        let format = match store.size(KEYS).await? {
            Some(_) => interrupted(&store, &materials).await?,
            None => write_keys(&store, &materials, id, format.serialize()).await?,
        };
        if store.create(ObjectName::Format, format.into()).await? == Put::Occupied {
            return Err(exists());
        }
        Self::open(store, materials, &OpenOptions::default()).await
    }

    /// Opens the location in `store`.
    ///
    /// # Errors
    /// [`Error::NotALocation`], [`Error::FormatVersion`], [`Error::Decrypt`] when the key does not
    /// open it, [`Error::Damaged`] when `format` is not what it was made as.
    pub async fn open(
        store: Arc<Store>,
        materials: Arc<dyn MaterialsManager>,
        options: &OpenOptions,
    ) -> Result<Self> {
        let bytes = read_format(&store).await?;
        let message = get_keys(&store).await?;
        // The keys are asked for the location that *they* claim, so that damage to `format` is
        // blamed on `format`.
        let id = claimed_location(&message)
            .ok_or(Error::Damaged { object: KEYS, what: "its header is not readable" })?;
        let envelope = Envelope::new(id, materials);
        let secrets = open_keys(&envelope, &message).await?;
        if secrets.format != bytes {
            let what = "it is not the one that `keys/0` was made with";
            return Err(Error::Damaged { object: ObjectName::Format, what });
        }
        Self::assemble(store, envelope, &bytes, secrets, options)
    }

    fn assemble(
        store: Arc<Store>,
        envelope: Envelope,
        format: &[u8],
        secrets: Secrets,
        options: &OpenOptions,
    ) -> Result<Self> {
        let damaged = |what| Error::Damaged { object: ObjectName::Format, what };
        let format = Format::parse(format).ok_or(damaged("it is not readable"))?;
        let chunkers = Chunkers::new(&secrets.chunker_key, format.chunker)
            .ok_or(damaged("its chunker parameters are not possible"))?;
        let hasher = Arc::new(ChunkHasher::new(secrets.id_key));
        let caches = match &options.cache {
            Some(folder) => Some(Caches::open(folder, envelope.location(), &hasher)?),
            None => None,
        };
        Ok(Self {
            store,
            envelope: Arc::new(envelope),
            codec: Arc::new(Codec::new(format.zstd_level)),
            chunkers: Arc::new(chunkers),
            format,
            hasher,
            caches,
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

    /// A reader of the location's packs; `catalog` spares it a request for each pack.
    #[must_use]
    pub fn reader(&self, catalog: Option<Arc<Catalog>>) -> PackReader {
        let (store, envelope) = (self.store.clone(), self.envelope.clone());
        PackReader::new(store, envelope, self.codec.clone(), self.hasher.clone(), catalog)
    }

    /// Reads the whole index, from the cache as far as that has it.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Decrypt`], [`Error::Damaged`] with the run that is at fault.
    pub async fn catalog(&self) -> Result<Catalog> {
        let listed: Vec<_> = self.store.list(Family::Indexes).try_collect().await?;
        let names: Vec<ObjectName> = listed.into_iter().filter_map(|l| l.name).collect();
        let runs: Vec<(ObjectId, Run)> = futures::stream::iter(names)
            .map(|name| self.cached_run(name))
            .buffer_unordered(INDEX_READS_IN_FLIGHT)
            .try_filter_map(futures::future::ok)
            .try_collect()
            .await?;
        let ids: Vec<ObjectId> = runs.iter().map(|(id, _)| *id).collect();
        if let Some(caches) = &self.caches {
            caches.index.keep_only(&ids);
        }
        let superseded: Vec<ObjectId> =
            runs.iter().flat_map(|(_, run)| run.superseded().to_vec()).collect();
        let live = runs.into_iter().filter(|(id, _)| !superseded.contains(id));
        Ok(Catalog::new(live.collect()))
    }

    async fn cached_run(&self, name: ObjectName) -> Result<Option<(ObjectId, Run)>> {
        let ObjectName::Index(_, id) = name else { return Ok(None) };
        let cached = self.caches.as_ref().and_then(|caches| caches.index.get(&id));
        if let Some(run) = cached.and_then(|plain| Run::parse(&plain)) {
            return Ok(Some((id, run)));
        }
        let (plain, run) = self.read_run(name).await?;
        self.keep(|caches| &caches.index, &id, &plain);
        Ok(Some((id, run)))
    }

    /// Reads an index run from the store itself.
    pub(crate) async fn read_run(&self, name: ObjectName) -> Result<(Bytes, Run)> {
        let message = self.store.get(name, INDEX_BYTES_MAX).await?;
        let packed = self.envelope.open(name, &message).await?;
        let damaged = || Error::Damaged { object: name, what: "it is not an index run" };
        let plain = unpack_run(&packed).ok_or_else(damaged)?;
        let run = Run::parse(&plain).ok_or_else(damaged)?;
        Ok((plain, run))
    }

    /// The plaintext of a snapshot that was read before.
    pub(crate) fn cached_snapshot(&self, id: &ObjectId) -> Option<Bytes> {
        self.caches.as_ref()?.snapshots.get(id)
    }

    /// Keeps a snapshot's plaintext.
    pub(crate) fn keep_snapshot(&self, id: &ObjectId, plain: &[u8]) {
        self.keep(|caches| &caches.snapshots, id, plain);
    }

    /// Drops what was kept of a snapshot that is forgotten.
    pub(crate) fn drop_snapshot(&self, id: &ObjectId) {
        if let Some(caches) = &self.caches {
            caches.snapshots.remove(id);
        }
    }

    fn keep(&self, which: impl Fn(&Caches) -> &LocalCache, id: &ObjectId, plain: &[u8]) {
        if let Some(caches) = &self.caches {
            // Without room for a cache the next run only reads more.
            let _ = which(caches).put(id, plain);
        }
    }

    /// Writes an index run of level `level`; from then on its chunks are found.
    pub(crate) async fn write_run(&self, level: u8, plain: Vec<u8>) -> Result<(ObjectId, Run)> {
        let id = ObjectId::random();
        let name = ObjectName::Index(level, id);
        let packed = pack_run(&plain).map_err(|source| Error::Compress { source })?;
        let message = self.envelope.seal(name, &packed).await?;
        if self.store.create(name, message).await? == Put::Occupied {
            return Err(Error::NameTaken { object: name });
        }
        let plain = Bytes::from(plain);
        self.keep(|caches| &caches.index, &id, &plain);
        let damaged = Error::Damaged { object: name, what: "it was built wrong" };
        Run::parse(&plain).map(|run| (id, run)).ok_or(damaged)
    }
}

impl Caches {
    fn open(folder: &Path, location: ObjectId, hasher: &Arc<ChunkHasher>) -> Result<Self> {
        let folder = folder.join(location.to_string());
        let open = |name| LocalCache::open(folder.join(name), hasher.clone());
        Ok(Self { index: open("index")?, snapshots: open("snapshots")? })
    }
}

/// Length of the plain run, then one zstd frame: ids do not compress, places do.
fn pack_run(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut packed = (plain.len() as u64).to_le_bytes().to_vec();
    packed.extend(zstd::bulk::compress(plain, ZSTD_LEVEL_DEFAULT)?);
    Ok(packed)
}

fn unpack_run(packed: &[u8]) -> Option<Bytes> {
    let mut reader = Reader::new(packed);
    let plain_len = usize::try_from(reader.u64().ok()?).ok()?;
    if plain_len > crate::index::RUN_BYTES_MAX {
        return None;
    }
    let plain = zstd::bulk::decompress(reader.rest(), plain_len).ok()?;
    (plain.len() == plain_len).then(|| plain.into())
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

/// Writes `keys/0`, reads it back through the key, and returns the format that now is binding.
async fn write_keys(
    store: &Arc<Store>,
    materials: &Arc<dyn MaterialsManager>,
    id: ObjectId,
    format: Vec<u8>,
) -> Result<Vec<u8>> {
    let envelope = Envelope::new(id, materials.clone());
    let random = |source| Error::Cache { path: "the system's randomness".into(), source };
    let secrets = Secrets::generate(format).map_err(random)?;
    let message = envelope.seal(KEYS, &secrets.serialize()).await?;
    // A key that encrypts and does not decrypt makes a location that nobody restores from.
    open_keys(&envelope, &message).await?;
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
