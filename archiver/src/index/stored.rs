//! Index runs as objects: reading them all, from the cache as far as that has them, and writing
//! new ones.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryFutureExt, TryStreamExt};
use tokio::sync::Semaphore;

use super::paged::{self, PagedRun};
use super::{Lookup, RUN_BYTES_MAX, Run};
use crate::cache::LocalCache;
use crate::codec::Reader;
use crate::envelope::{Envelope, Wrapping};
use crate::epochs::Epochs;
use crate::error::{Cause, Error, Result};
use crate::id::ObjectId;
use crate::store::{Family, ObjectName, Put, Store};

/// Most bytes of a stored index run.
const STORED_BYTES_MAX: u64 = 1 << 30;

/// Smallest run that is looked up in the cache instead of in memory, in bytes: some 20,000 chunks.
const PAGED_BYTES_MIN: usize = 1 << 20;

/// How many runs are read at once.
const READS_IN_FLIGHT: usize = 8;

/// How much of runs is read at once that do not stay in memory, as stored, in MiB: each takes several times its size.
const READ_MIB_IN_FLIGHT: u32 = 32;

/// How often the runs are listed again when one of them is removed between listing and reading.
const LISTINGS_MAX: usize = 8;

/// zstd level of a run: ids do not compress, places do at any level.
const ZSTD_LEVEL: i32 = 3;

/// A run with the name that it has in the store.
#[derive(Clone)]
pub struct NamedRun {
    /// Where it is.
    pub name: ObjectName,
    /// What it says.
    pub run: Run,
}

/// The index runs of one location.
pub struct IndexStore {
    store: Arc<Store>,
    envelope: Arc<Envelope>,
    /// The epoch of the location's keys that `envelope` knows as the last one.
    epoch: u32,
    cache: Option<LocalCache>,
    /// A permit for each MiB that may be read at once.
    room: Semaphore,
}

impl IndexStore {
    pub(crate) fn new(
        store: Arc<Store>,
        envelope: Arc<Envelope>,
        epoch: u32,
        cache: Option<LocalCache>,
    ) -> Self {
        let room = Semaphore::new(READ_MIB_IN_FLIGHT as usize);
        Self { store, envelope, epoch, cache, room }
    }

    /// The names of all runs, sorted.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn list(&self) -> Result<Vec<ObjectName>> {
        Ok(self.list_sized().await?.into_iter().map(|(name, _)| name).collect())
    }

    /// The same with their lengths as stored.
    async fn list_sized(&self) -> Result<Vec<(ObjectName, u64)>> {
        let listed: Vec<_> = self.store.list(Family::Indexes).try_collect().await?;
        let named = listed.into_iter().filter_map(|object| Some((object.name?, object.size)));
        let is_run = |(name, _): &(ObjectName, u64)| matches!(name, ObjectName::Index(..));
        let mut names: Vec<_> = named.filter(is_run).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Reads all runs. A collector that merges runs removes the old ones behind the new one, so
    /// what is gone when its turn comes has all of the index listed again.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Decrypt`], [`Error::Damaged`] with the run that is at fault.
    pub async fn read_all(&self) -> Result<Vec<NamedRun>> {
        self.read_each(|name, _| self.read_cached(name).boxed()).await
    }

    /// Reads all runs as far as that is needed to look chunks up in them; with their names.
    ///
    /// # Errors
    /// As [`IndexStore::read_all`].
    pub(crate) async fn look_up_all(&self) -> Result<Vec<(ObjectName, Lookup)>> {
        self.read_each(|name, size| self.look_up(name, size).map_ok(move |run| (name, run)).boxed())
            .await
    }

    async fn read_each<'a, T>(
        &'a self,
        read: impl Fn(ObjectName, u64) -> BoxFuture<'a, Result<T>>,
    ) -> Result<Vec<T>> {
        let mut attempt = 1;
        loop {
            let names = self.list_sized().await?;
            let read = self.read_these(&names, &read).await;
            match read {
                Err(error) if attempt < LISTINGS_MAX && error.cause() == Cause::StoreMissing => {
                    attempt += 1;
                }
                Err(error) => return Err(error),
                Ok(runs) => {
                    if let Some(cache) = &self.cache {
                        let ids = names.iter().filter_map(|(name, _)| run_id(name));
                        cache.keep_only(&ids.collect::<Vec<_>>());
                    }
                    return Ok(runs);
                }
            }
        }
    }

    /// Reads these runs, but those under keys that were given up: on what they say nothing relies.
    async fn read_these<'a, T>(
        &self,
        names: &[(ObjectName, u64)],
        read: &impl Fn(ObjectName, u64) -> BoxFuture<'a, Result<T>>,
    ) -> Result<Vec<T>> {
        let (mut runs, mut passed_over) = (Vec::with_capacity(names.len()), false);
        let names = futures::stream::iter(names.to_vec());
        let mut reads = names.map(|(name, size)| read(name, size)).buffered(READS_IN_FLIGHT);
        while let Some(read) = reads.next().await {
            match read {
                Err(Error::KeysGivenUp { .. }) => passed_over = true,
                read => runs.push(read?),
            }
        }
        if passed_over {
            Epochs::confirm(&self.store, self.epoch).await?;
        }
        Ok(runs)
    }

    /// The runs under keys that were given up; those in `but` are known not to be.
    pub(crate) async fn given_up(&self, but: &[NamedRun]) -> Result<Vec<ObjectName>> {
        let known: HashSet<ObjectName> = but.iter().map(|named| named.name).collect();
        let mut given_up = Vec::new();
        for name in self.list().await?.into_iter().filter(|name| !known.contains(name)) {
            if let Err(Error::KeysGivenUp { .. }) = self.read(name).await {
                given_up.push(name);
            }
        }
        if !given_up.is_empty() {
            Epochs::confirm(&self.store, self.epoch).await?;
        }
        Ok(given_up)
    }

    async fn read_cached(&self, name: ObjectName) -> Result<NamedRun> {
        let cached = self.cache.as_ref().zip(run_id(&name)).and_then(|(cache, id)| cache.get(&id));
        if let Some(run) = cached.and_then(|plain| Run::parse(&plain)) {
            return Ok(NamedRun { name, run });
        }
        let (plain, run) = self.read(name).await?;
        self.keep(&name, &plain, &run);
        Ok(NamedRun { name, run })
    }

    async fn look_up(&self, name: ObjectName, size: u64) -> Result<Lookup> {
        if let Some(run) = self.in_cache(name) {
            return Ok(Lookup::Paged(run));
        }
        let mib = u32::try_from(size >> 20).unwrap_or(u32::MAX).min(READ_MIB_IN_FLIGHT - 1) + 1;
        // Never closed.
        let _room = self.room.acquire_many(mib).await;
        Ok(self.lookup_of(self.read_cached(name).await?))
    }

    /// What is to be kept of a run that was read or written, to look chunks up in it.
    pub(crate) fn lookup_of(&self, named: NamedRun) -> Lookup {
        match self.in_cache(named.name) {
            Some(run) => Lookup::Paged(run),
            None => Lookup::Memory(named.run),
        }
    }

    fn in_cache(&self, name: ObjectName) -> Option<PagedRun> {
        let (file, notes) = self.cache.as_ref()?.paged(&run_id(&name)?)?;
        PagedRun::open(file, &notes)
    }

    /// Reads a run from the store itself.
    pub(crate) async fn read(&self, name: ObjectName) -> Result<(Bytes, Run)> {
        let message = self.store.get(name, STORED_BYTES_MAX).await?;
        self.understand(name, message).await
    }

    /// Reads a run from the store itself, and which keys it is under.
    pub(crate) async fn read_with_wrapping(
        &self,
        name: ObjectName,
    ) -> Result<(Option<Wrapping>, Bytes)> {
        let message = self.store.get(name, STORED_BYTES_MAX).await?;
        let wrapping = Wrapping::of(&message);
        let (plain, _) = self.understand(name, message).await?;
        Ok((wrapping, plain))
    }

    /// Lets go of each form of the run before the next but one is made: they are large.
    async fn understand(&self, name: ObjectName, message: Bytes) -> Result<(Bytes, Run)> {
        let packed = self.envelope.open(name, &message).await?;
        drop(message);
        let damaged = || Error::Damaged { object: name, what: "it is not an index run" };
        let plain = unpack(&packed).ok_or_else(damaged)?;
        drop(packed);
        let run = Run::parse(&plain).ok_or_else(damaged)?;
        Ok((plain, run))
    }

    /// Writes a run of level `level`: 0 for what a writer has stored, 1 for what a collector has
    /// merged. From then on its chunks are found.
    ///
    /// # Errors
    /// [`Error::Encrypt`], [`Error::Store`], [`Error::Damaged`] for what is no run.
    pub async fn write(&self, level: u8, plain: Vec<u8>) -> Result<NamedRun> {
        let name = ObjectName::Index(level, ObjectId::random());
        let packed = pack(&plain).map_err(|source| Error::Compress { source })?;
        let message = self.envelope.seal(name, &packed).await?;
        if self.store.create(name, message).await? == Put::Occupied {
            return Err(Error::NameTaken { object: name });
        }
        let plain = Bytes::from(plain);
        let damaged = Error::Damaged { object: name, what: "it was built wrong" };
        let run = Run::parse(&plain).ok_or(damaged)?;
        self.keep(&name, &plain, &run);
        Ok(NamedRun { name, run })
    }

    fn keep(&self, name: &ObjectName, plain: &[u8], run: &Run) {
        if let Some((cache, id)) = self.cache.as_ref().zip(run_id(name)) {
            // Without room for a cache the next run of the program only reads more.
            let _ = match plain.len() {
                PAGED_BYTES_MIN.. => cache.put_paged(&id, plain, &paged::notes_on(run)),
                _ => cache.put(&id, plain),
            };
        }
    }
}

fn run_id(name: &ObjectName) -> Option<ObjectId> {
    match name {
        ObjectName::Index(_, id) => Some(*id),
        _ => None,
    }
}

/// Length of the plain run, then one zstd frame.
fn pack(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut packed = (plain.len() as u64).to_le_bytes().to_vec();
    packed.extend(zstd::bulk::compress(plain, ZSTD_LEVEL)?);
    Ok(packed)
}

fn unpack(packed: &[u8]) -> Option<Bytes> {
    let mut reader = Reader::new(packed);
    let plain_len = usize::try_from(reader.u64().ok()?).ok()?;
    if plain_len > RUN_BYTES_MAX {
        return None;
    }
    let plain = zstd::bulk::decompress(reader.rest(), plain_len).ok()?;
    (plain.len() == plain_len).then(|| plain.into())
}
