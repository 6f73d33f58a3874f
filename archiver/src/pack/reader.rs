//! Reads packs: ranges of segments with one request and one cached data key.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use strongroom_sdk::engine::FrameOpener;
use strongroom_sdk::range::{FrameMap, FrameSpan, open_span};
use tokio::sync::{Mutex as AsyncMutex, OnceCell};

use super::{ChunkRef, Codec, Decoded, SegmentAt, pack_name};
use crate::chunk::ChunkHasher;
use crate::envelope::Envelope;
use crate::error::{Error, Result};
use crate::id::ObjectId;
use crate::index::{Catalog, IndexStore};
use crate::snapshot::BlockSource;
use crate::store::{Kind, ObjectName, Store};

/// How much of a pack is read to find its header, which is some 700 bytes under one CMK…
const HEADER_BYTES_FIRST: u64 = 4 << 10;
/// … and how much at most: the limit that the message format's readers have.
const HEADER_BYTES_MAX: u64 = 256 << 10;

/// Data keys that are kept; each pack has one.
const PACKS_OPEN_MAX: usize = 512;

/// Decompressed segments that are kept: a walk needs one of each level of the tree.
const SEGMENTS_KEPT_MAX: usize = 8;

/// Reads the packs of one location, from any number of tasks.
pub struct PackReader {
    store: Arc<Store>,
    envelope: Arc<Envelope>,
    codec: Arc<Codec>,
    hasher: Arc<ChunkHasher>,
    index: Arc<IndexStore>,
    catalog: Option<Arc<Catalog>>,
    /// The index as it was when last something was not where it was expected.
    latest: AsyncMutex<Option<Latest>>,
    /// Packs that were found not to be there.
    gone: Mutex<HashSet<ObjectName>>,
    packs: Mutex<HashMap<ObjectName, Arc<OnceCell<Arc<OpenPack>>>>>,
    kept: Mutex<Vec<(SegmentAt, Arc<Decoded>)>>,
}

/// The index with the names of its runs.
struct Latest {
    names: Vec<ObjectName>,
    catalog: Arc<Catalog>,
}

/// How recent the index must be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// As it was read last will do.
    Known,
    /// As it is now.
    Anew,
}

/// A pack whose data key is at hand.
struct OpenPack {
    name: ObjectName,
    opener: FrameOpener,
    frames: FrameMap,
}

/// Ciphertext that was read and waits to be opened, on whatever thread.
pub struct Fetched {
    pack: Arc<OpenPack>,
    span: FrameSpan,
    ciphertext: Bytes,
}

impl PackReader {
    pub(crate) fn new(
        store: Arc<Store>,
        envelope: Arc<Envelope>,
        codec: Arc<Codec>,
        hasher: Arc<ChunkHasher>,
        index: Arc<IndexStore>,
        catalog: Option<Arc<Catalog>>,
    ) -> Self {
        Self {
            store,
            envelope,
            codec,
            hasher,
            index,
            catalog,
            latest: AsyncMutex::default(),
            gone: Mutex::default(),
            packs: Mutex::default(),
            kept: Mutex::default(),
        }
    }

    /// Reads the bytes `plain` of a pack's plaintext, encrypted as they are.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Decrypt`] without its key, [`Error::Damaged`] when the pack is
    /// too short.
    pub async fn fetch(&self, kind: Kind, pack: ObjectId, plain: Range<u64>) -> Result<Fetched> {
        let name = pack_name(kind, pack);
        if self.gone().contains(&name) {
            return Err(Error::ObjectMissing { object: name });
        }
        let fetched = self.fetch_there(name, plain).await;
        if fetched.as_ref().is_err_and(Error::is_gone) {
            // For good: no name is used twice.
            self.gone().insert(name);
        }
        fetched
    }

    async fn fetch_there(&self, name: ObjectName, plain: Range<u64>) -> Result<Fetched> {
        let pack = self.pack(name).await?;
        let fail = |source| Error::Decrypt { object: name, source: Box::new(source) };
        let span = pack.frames.span(plain).map_err(fail)?;
        let ciphertext = self.store.get_range(name, span.ciphertext()).await?;
        Ok(Fetched { pack, span, ciphertext })
    }

    /// Takes the stored segment at the beginning of `stored` apart.
    ///
    /// # Errors
    /// [`Error::Damaged`] naming the pack.
    pub fn decode(&self, kind: Kind, at: &SegmentAt, stored: &[u8]) -> Result<Decoded> {
        let damaged = || Error::Damaged { object: pack_name(kind, at.pack), what: "a bad segment" };
        let decoded = self.codec.decode(stored).ok_or_else(damaged)?;
        let fits = decoded.plain().len() == at.plain_len as usize;
        if fits { Ok(decoded) } else { Err(damaged()) }
    }

    /// The bytes of `chunk` in its decoded segment, checked against its id.
    ///
    /// # Errors
    /// [`Error::Damaged`] naming the pack.
    pub fn chunk<'a>(
        &self,
        kind: Kind,
        chunk: &ChunkRef,
        segment: &'a Decoded,
    ) -> Result<&'a [u8]> {
        let what = "a chunk is not what its id says";
        let damaged = || Error::Damaged { object: pack_name(kind, chunk.at.segment.pack), what };
        let bytes = segment.chunk(chunk.at.offset, chunk.at.len).ok_or_else(damaged)?;
        if self.hasher.id(bytes) == chunk.id { Ok(bytes) } else { Err(damaged()) }
    }

    /// Reads and decodes one segment.
    ///
    /// # Errors
    /// As [`PackReader::fetch`] and [`PackReader::decode`].
    pub async fn segment(&self, kind: Kind, at: &SegmentAt) -> Result<Decoded> {
        let fetched = self.fetch(kind, at.pack, at.offset..at.end()).await?;
        self.decode(kind, at, &fetched.open()?)
    }

    /// Reads one chunk, from wherever it is: where it lay when it was referred to is a hint, and a
    /// collector may have moved it.
    ///
    /// # Errors
    /// As [`PackReader::segment`] and [`PackReader::chunk`] for the place of the hint, when no copy can
    /// be read.
    pub async fn read(&self, kind: Kind, chunk: &ChunkRef) -> Result<Vec<u8>> {
        match self.read_at(kind, chunk).await {
            Err(error) if error.is_about_one_object() => {
                self.read_elsewhere(kind, chunk).await.ok_or(error)
            }
            other => other,
        }
    }

    async fn read_at(&self, kind: Kind, chunk: &ChunkRef) -> Result<Vec<u8>> {
        let segment = self.segment_kept(kind, &chunk.at.segment).await?;
        self.chunk(kind, chunk, &segment).map(<[u8]>::to_vec)
    }

    /// An index that cannot be read knows no other copy: what was met first is what should be told.
    async fn read_elsewhere(&self, kind: Kind, chunk: &ChunkRef) -> Option<Vec<u8>> {
        for look in [Look::Known, Look::Anew] {
            let places = self.index(look).await.ok()?.places(kind, &chunk.id);
            for at in places.into_iter().filter(|at| *at != chunk.at) {
                if let Ok(bytes) = self.read_at(kind, &ChunkRef { id: chunk.id, at }).await {
                    return Some(bytes);
                }
            }
        }
        None
    }

    /// The index, for chunks that are not where they were expected.
    ///
    /// # Errors
    /// As [`IndexStore::read_all`].
    pub(crate) async fn index(&self, look: Look) -> Result<Arc<Catalog>> {
        let mut latest = self.latest.lock().await;
        if let Some(known) = &*latest
            && (look == Look::Known || self.index.list().await? == known.names)
        {
            return Ok(known.catalog.clone());
        }
        let (names, runs): (Vec<_>, Vec<_>) = self.index.look_up_all().await?.into_iter().unzip();
        let catalog = Arc::new(Catalog::over(runs, None));
        *latest = Some(Latest { names, catalog: catalog.clone() });
        Ok(catalog)
    }

    /// Length of a pack's plaintext in bytes, as its length in the store implies.
    ///
    /// # Errors
    /// As [`PackReader::fetch`].
    pub(crate) async fn plain_len(&self, kind: Kind, pack: ObjectId) -> Result<u64> {
        Ok(self.pack(pack_name(kind, pack)).await?.frames.plaintext_length())
    }

    /// The header of a pack's message, as the index keeps it.
    ///
    /// # Errors
    /// As [`PackReader::fetch`].
    pub(crate) async fn header(&self, kind: Kind, pack: ObjectId) -> Result<Bytes> {
        let name = pack_name(kind, pack);
        let header_len = self.pack(name).await?.opener.header_length() as u64;
        self.store.get_range(name, 0..header_len).await
    }

    async fn pack(&self, name: ObjectName) -> Result<Arc<OpenPack>> {
        let cell = {
            let mut packs = self.packs.lock().unwrap_or_else(PoisonError::into_inner);
            if packs.len() >= PACKS_OPEN_MAX {
                // Who still reads one has it; who comes back asks for its key again.
                packs.clear();
            }
            packs.entry(name).or_default().clone()
        };
        cell.get_or_try_init(|| self.open_pack(name)).await.cloned()
    }

    async fn open_pack(&self, name: ObjectName) -> Result<Arc<OpenPack>> {
        let known = self.catalog.as_ref().and_then(|catalog| catalog.pack(name));
        let fail = |source| Error::Decrypt { object: name, source: Box::new(source) };
        let (frames, opener) = match known {
            Some(known) => {
                let opener = self.envelope.frame_opener(name, &known.header).await?;
                let header_len = opener.header_length() as u64;
                let map = FrameMap::from_plaintext_length;
                (map(header_len, opener.frame_length(), known.plain_len), opener)
            }
            None => {
                let missing = Error::ObjectMissing { object: name };
                let message_len = self.store.size(name).await?.ok_or(missing)?;
                let opener = self.read_header(name, message_len).await?;
                let header_len = opener.header_length() as u64;
                let map = FrameMap::from_message_length;
                (map(header_len, opener.frame_length(), message_len), opener)
            }
        };
        Ok(Arc::new(OpenPack { name, opener, frames: frames.map_err(fail)? }))
    }

    async fn read_header(&self, name: ObjectName, message_len: u64) -> Result<FrameOpener> {
        let first = HEADER_BYTES_FIRST.min(message_len);
        let bytes = self.store.get_range(name, 0..first).await?;
        match self.envelope.frame_opener(name, &bytes).await {
            Err(Error::Decrypt { source, .. })
                if matches!(*source, strongroom_sdk::Error::Truncated { .. }) => {}
            other => return other,
        }
        let bytes = self.store.get_range(name, 0..HEADER_BYTES_MAX.min(message_len)).await?;
        self.envelope.frame_opener(name, &bytes).await
    }

    /// Reads and decodes one segment unless it was met a moment ago.
    async fn segment_kept(&self, kind: Kind, at: &SegmentAt) -> Result<Arc<Decoded>> {
        if let Some(segment) = self.kept(at) {
            return Ok(segment);
        }
        let segment = Arc::new(self.segment(kind, at).await?);
        self.keep(*at, segment.clone());
        Ok(segment)
    }

    fn gone(&self) -> MutexGuard<'_, HashSet<ObjectName>> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self, at: &SegmentAt) -> Option<Arc<Decoded>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let index = kept.iter().position(|(known, _)| known == at)?;
        // Least recently used first.
        let found = kept.remove(index);
        let segment = found.1.clone();
        kept.push(found);
        Some(segment)
    }

    fn keep(&self, at: SegmentAt, segment: Arc<Decoded>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= SEGMENTS_KEPT_MAX {
            kept.remove(0);
        }
        kept.push((at, segment));
    }
}

#[async_trait]
impl BlockSource for PackReader {
    async fn block(&self, block: &ChunkRef) -> Result<Vec<u8>> {
        self.read(Kind::Meta, block).await
    }
}

impl Fetched {
    /// Decrypts it; every frame is authenticated before any byte of it is given out.
    ///
    /// # Errors
    /// [`Error::Decrypt`] naming the pack.
    pub fn open(self) -> Result<Bytes> {
        let name = self.pack.name;
        open_span(&self.pack.opener, &self.span, &self.ciphertext)
            .map_err(|source| Error::Decrypt { object: name, source: Box::new(source) })
    }
}
