//! All chunks that a location is known to hold, and those that this process is adding.

use std::collections::{HashMap, HashSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use super::paged::PagedRun;
use super::{IndexEntry, PackRecord, Run};
use crate::id::ChunkId;
use crate::pack::{ChunkAt, pack_name};
use crate::store::{Kind, ObjectName};

/// How many parts the table of new chunks has, so that threads seldom wait for each other.
const SHARDS: usize = 16;

/// Looks chunks up, and sees to it that of several threads that meet the same new chunk exactly
/// one stores it.
pub struct Catalog {
    known: RwLock<Known>,
    new: [Shard; SHARDS],
}

/// An index run to be looked up.
pub(crate) enum Lookup {
    /// Whole in memory.
    Memory(Run),
    /// In the local cache.
    Paged(PagedRun),
}

/// What finished index runs say.
struct Known {
    runs: Vec<Lookup>,
    /// The number of the newest run that knows a pack, and the pack's number in it; there are fewer of either
    /// than a run can number.
    packs: HashMap<ObjectName, (u32, u32)>,
    /// The packs that may be relied on; all when `None`.
    usable: Option<HashSet<ObjectName>>,
}

/// What a thread that meets a chunk has to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nothing: it is stored.
    Stored(ChunkAt),
    /// Nothing: another thread is storing it.
    Pending,
    /// Store it, then [`Catalog::resolve`].
    Yours,
}

#[derive(Default)]
struct Shard {
    chunks: Mutex<HashMap<(Kind, ChunkId), Option<ChunkAt>>>,
    resolved: Condvar,
}

impl Catalog {
    /// A catalogue of the chunks of these runs.
    #[must_use]
    pub fn new(runs: Vec<Run>) -> Self {
        Self::over(runs.into_iter().map(Lookup::Memory), None)
    }

    /// A catalogue that knows only those chunks of these runs that lie in the packs `usable`: a
    /// run can outlive packs that it names.
    #[must_use]
    pub fn of_packs(runs: Vec<Run>, usable: HashSet<ObjectName>) -> Self {
        Self::over(runs.into_iter().map(Lookup::Memory), Some(usable))
    }

    /// A catalogue of these runs, as far as they speak of packs that are `usable`; all are when `None`.
    pub(crate) fn over(
        runs: impl IntoIterator<Item = Lookup>,
        usable: Option<HashSet<ObjectName>>,
    ) -> Self {
        let mut known = Known { runs: Vec::new(), packs: HashMap::new(), usable };
        runs.into_iter().for_each(|run| known.add(run));
        Self { known: RwLock::new(known), new: std::array::from_fn(|_| Shard::default()) }
    }

    /// Asks what to do about a chunk of kind `kind`.
    pub fn claim(&self, kind: Kind, id: &ChunkId) -> Claim {
        if let Some(at) = self.find(kind, id) {
            return Claim::Stored(at);
        }
        let mut chunks = self.shard(id).lock();
        match chunks.get(&(kind, *id)) {
            Some(Some(at)) => Claim::Stored(*at),
            Some(None) => Claim::Pending,
            // Looked up again under the lock: its run may have been adopted in between.
            None => match self.find(kind, id) {
                Some(at) => Claim::Stored(at),
                None => {
                    chunks.insert((kind, *id), None);
                    Claim::Yours
                }
            },
        }
    }

    /// Says where a claimed chunk went.
    pub fn resolve(&self, kind: Kind, id: &ChunkId, at: ChunkAt) {
        let shard = self.shard(id);
        shard.lock().insert((kind, *id), Some(at));
        shard.resolved.notify_all();
    }

    /// Where a chunk lies that was claimed before by whomever; waits until it is resolved.
    /// `None` once `stopped` says that it never will be.
    pub fn wait(&self, kind: Kind, id: &ChunkId, stopped: impl Fn() -> bool) -> Option<ChunkAt> {
        let shard = self.shard(id);
        let mut chunks = shard.lock();
        loop {
            match chunks.get(&(kind, *id)) {
                Some(Some(at)) => return Some(*at),
                Some(None) if stopped() => return None,
                Some(None) => {
                    // Woken now and then even so, to notice that the run is being stopped.
                    let pause = std::time::Duration::from_millis(50);
                    chunks = shard
                        .resolved
                        .wait_timeout(chunks, pause)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0;
                }
                None => {
                    drop(chunks);
                    return self.find(kind, id);
                }
            }
        }
    }

    /// Takes a run over that holds chunks which were new before, and forgets them as new.
    pub fn adopt(&self, run: Run) {
        self.adopt_as(&run.clone(), Lookup::Memory(run));
    }

    /// The same with `lookup` as the form of `run` that stays.
    pub(crate) fn adopt_as(&self, run: &Run, lookup: Lookup) {
        let known = |(entry, pack): (IndexEntry, Option<&PackRecord>)| Some((pack?.kind, entry.id));
        let ids: Vec<(Kind, ChunkId)> = run.iter().filter_map(known).collect();
        {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(usable) = &mut known.usable {
                usable.extend(run.packs().iter().map(PackRecord::name));
            }
            known.add(lookup);
        }
        for id in ids {
            self.shard(&id.1).lock().remove(&id);
        }
    }

    /// Where a chunk of this kind lies, as far as finished index runs say.
    #[must_use]
    pub fn find(&self, kind: Kind, id: &ChunkId) -> Option<ChunkAt> {
        self.known().places(kind, id).next()
    }

    /// Where all copies of a chunk of this kind lie.
    #[must_use]
    pub fn places(&self, kind: Kind, id: &ChunkId) -> Vec<ChunkAt> {
        self.known().places(kind, id).collect()
    }

    /// Whether a pack may be relied on.
    #[must_use]
    pub fn is_usable(&self, pack: ObjectName) -> bool {
        self.known().is_usable(pack)
    }

    /// What the index knows of a pack: its message header among it.
    #[must_use]
    pub fn pack(&self, name: ObjectName) -> Option<PackRecord> {
        let known = self.known();
        let (run, pack) = known.packs.get(&name)?;
        known.runs.get(*run as usize)?.pack(*pack as usize)
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn shard(&self, id: &ChunkId) -> &Shard {
        let [first, ..] = id.as_bytes();
        let [home, ..] = &self.new;
        // The number is below the length by construction.
        self.new.get(usize::from(*first) % SHARDS).unwrap_or(home)
    }
}

impl Lookup {
    fn places(&self, id: &ChunkId) -> Vec<(Kind, ChunkAt)> {
        match self {
            Self::Memory(run) => run.places(id).collect(),
            Self::Paged(run) => run.places(id),
        }
    }

    fn pack_count(&self) -> usize {
        match self {
            Self::Memory(run) => run.packs().len(),
            Self::Paged(run) => run.pack_count(),
        }
    }

    fn pack_name(&self, pack: usize) -> Option<ObjectName> {
        match self {
            Self::Memory(run) => run.packs().get(pack).map(PackRecord::name),
            Self::Paged(run) => run.pack_name(pack),
        }
    }

    fn pack(&self, pack: usize) -> Option<PackRecord> {
        match self {
            Self::Memory(run) => run.packs().get(pack).cloned(),
            Self::Paged(run) => run.pack(pack),
        }
    }

    /// All that it says of packs; none of those that cannot be read any more.
    pub(crate) fn packs(&self) -> impl Iterator<Item = PackRecord> {
        (0..self.pack_count()).filter_map(|pack| self.pack(pack))
    }
}

impl Known {
    fn add(&mut self, run: Lookup) {
        let number = self.runs.len();
        for pack in 0..run.pack_count() {
            let place = (number as u32, pack as u32);
            self.packs.extend(run.pack_name(pack).map(|name| (name, place)));
        }
        self.runs.push(run);
    }

    /// The newest run first: what was seen lately is met again soonest.
    fn places(&self, kind: Kind, id: &ChunkId) -> impl Iterator<Item = ChunkAt> {
        let found = self.runs.iter().rev().flat_map(|run| run.places(id));
        found
            .filter(move |(found, _)| *found == kind)
            .map(|(_, at)| at)
            .filter(move |at| self.is_usable(pack_name(kind, at.segment.pack)))
    }

    fn is_usable(&self, pack: ObjectName) -> bool {
        self.usable.as_ref().is_none_or(|usable| usable.contains(&pack))
    }
}

impl Shard {
    fn lock(&self) -> MutexGuard<'_, HashMap<(Kind, ChunkId), Option<ChunkAt>>> {
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ObjectId;
    use crate::index::{RunBuilder, SegmentRecord};
    use crate::pack::SegmentAt;

    fn at(offset: u32) -> ChunkAt {
        let pack = ObjectId::from_bytes([1; 16]);
        let segment = SegmentAt { pack, offset: 0, stored_len: 1, plain_len: 9 };
        ChunkAt { segment, offset, len: 1 }
    }

    #[test]
    fn one_of_many_threads_stores_a_new_chunk() {
        let catalog = Catalog::new(Vec::new());
        let id = ChunkId::from_bytes([7; 32]);
        let owners: usize = std::thread::scope(|scope| {
            let claim = || usize::from(catalog.claim(Kind::Data, &id) == Claim::Yours);
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(claim)).collect();
            threads.into_iter().map(|t| t.join().unwrap()).sum()
        });
        assert_eq!(owners, 1);
        assert_eq!(catalog.claim(Kind::Data, &id), Claim::Pending);
        assert_eq!(catalog.wait(Kind::Data, &id, || true), None);
        catalog.resolve(Kind::Data, &id, at(3));
        assert_eq!(catalog.claim(Kind::Data, &id), Claim::Stored(at(3)));
        assert_eq!(catalog.wait(Kind::Data, &id, || false), Some(at(3)));
    }

    fn run(number: u8, id: ChunkId) -> Run {
        let pack = PackRecord {
            kind: Kind::Data,
            id: ObjectId::from_bytes([number; 16]),
            plain_len: 10,
            header: bytes::Bytes::new(),
            segments: vec![SegmentRecord { offset: 0, stored_len: 10, plain_len: 10 }],
        };
        let mut builder = RunBuilder::default();
        builder.pack(&pack, [IndexEntry { id, segment: 0, offset: 0, len: 10 }]);
        Run::parse(&builder.serialize().into()).unwrap()
    }

    #[test]
    fn only_chunks_in_usable_packs_are_stored() {
        let id = ChunkId::from_bytes([7; 32]);
        let name = |number| ObjectName::DataPack(ObjectId::from_bytes([number; 16]));
        let catalog = Catalog::of_packs(vec![run(1, id), run(2, id)], HashSet::from([name(1)]));
        let place = catalog.find(Kind::Data, &id).unwrap();
        assert_eq!(pack_name(Kind::Data, place.segment.pack), name(1));
        assert_eq!(catalog.places(Kind::Data, &id).len(), 1);
        let none = Catalog::of_packs(vec![run(1, id)], HashSet::new());
        assert_eq!(none.claim(Kind::Data, &id), Claim::Yours);
        none.resolve(Kind::Data, &id, at(0));
        none.adopt(run(3, id));
        assert!(none.is_usable(name(3)), "what this process stored itself");
        assert!(matches!(none.claim(Kind::Data, &id), Claim::Stored(_)));
    }
}
