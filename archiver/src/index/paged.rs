//! An index run that stays in the local cache and is looked up there: what is in memory of it is a filter, every 64th id,
//! and where its packs are described. About 1.5 bytes for each chunk.
//!
//! What it notes beside the run, little-endian:
//!
//! ```text
//! entries   where they begin u64 · how many u64
//! packs     how many u32, then of each: kind u8 · id 16 · where it is described u64
//! fences    the first 8 bytes of every 64th entry's id, as a big-endian number, u64 each
//! filter    descriptor and fingerprints of a binary fuse filter over these bytes of all ids; nothing if there is none
//! ```
//!
//! Binary fuse filters: Graf and Lemire, arXiv 2201.01174; 9 bits for each id, and one of 256 strangers gets through.

use bytes::Bytes;
use xorf::{BinaryFuse8, BinaryFuse8Ref, DmaSerializable as _, Filter as _, FilterRef as _};

use super::run::{self, ENTRY_BYTES, IndexEntry, PackRecord, Run};
use crate::cache::PagedFile;
use crate::codec::{Malformed, Parsed, Reader};
use crate::id::{ChunkId, ObjectId};
use crate::pack::{ChunkAt, pack_name};
use crate::store::{Kind, ObjectName};

/// Entries between two ids that are kept in memory: three pages of the file.
const FENCE_ENTRIES: usize = 64;

/// A run in the local cache.
pub(crate) struct PagedRun {
    file: PagedFile,
    entries_at: u64,
    entries: usize,
    packs: Vec<PackLine>,
    fences: Vec<u64>,
    /// Descriptor and fingerprints; empty if there is none.
    filter: Box<[u8]>,
}

/// Where a pack is described.
struct PackLine {
    kind: Kind,
    id: ObjectId,
    at: u64,
}

/// What is to be noted beside a run with this plaintext.
pub(super) fn notes_on(run: &Run) -> Vec<u8> {
    let mut packs = Vec::with_capacity(run.packs().len() * 25);
    // Behind the magic and the number of packs.
    let mut at = 8_u64;
    for pack in run.packs() {
        packs.push(u8::from(pack.kind == Kind::Meta));
        packs.extend_from_slice(pack.id.as_bytes());
        packs.extend_from_slice(&at.to_le_bytes());
        at += run::pack_bytes(pack) as u64;
    }
    let mut notes = Vec::with_capacity(packs.len() + run.len() * 2);
    // Behind the number of entries.
    notes.extend_from_slice(&(at + 4).to_le_bytes());
    notes.extend_from_slice(&(run.len() as u64).to_le_bytes());
    notes.extend_from_slice(&(run.packs().len() as u32).to_le_bytes());
    notes.extend_from_slice(&packs);
    let mut keys: Vec<u64> = run.iter().map(|(entry, _)| key(&entry.id)).collect();
    for fence in keys.iter().step_by(FENCE_ENTRIES) {
        notes.extend_from_slice(&fence.to_le_bytes());
    }
    keys.dedup();
    // It fails for some unlucky sets; then every lookup reads the file.
    if let Ok(filter) = BinaryFuse8::try_from(&keys) {
        let mut descriptor = [0; BinaryFuse8::DESCRIPTOR_LEN];
        filter.dma_copy_descriptor_to(&mut descriptor);
        notes.extend_from_slice(&descriptor);
        notes.extend_from_slice(filter.dma_fingerprints());
    }
    notes
}

/// What filter and fences know of an id; it orders as ids do.
fn key(id: &ChunkId) -> u64 {
    u64::from_be_bytes(id.as_bytes().first_chunk().copied().unwrap_or_default())
}

impl PagedRun {
    /// The run in `file`, with what was noted beside it.
    pub(super) fn open(file: PagedFile, notes: &[u8]) -> Option<Self> {
        Self::read(file, &mut Reader::new(notes)).ok()
    }

    fn read(file: PagedFile, notes: &mut Reader<'_>) -> Parsed<Self> {
        let entries_at = notes.u64()?;
        let entries = usize::try_from(notes.u64()?).map_err(|_| Malformed)?;
        let count = notes.u32()? as usize;
        let mut lines = Reader::new(notes.bytes(count.checked_mul(25).ok_or(Malformed)?)?);
        let mut packs = Vec::with_capacity(count);
        for _ in 0..count {
            let kind = if lines.u8()? == 0 { Kind::Data } else { Kind::Meta };
            packs.push(PackLine {
                kind,
                id: ObjectId::from_bytes(lines.array()?),
                at: lines.u64()?,
            });
        }
        let fences = notes.bytes(entries.div_ceil(FENCE_ENTRIES) * 8)?.chunks_exact(8);
        let number =
            |bytes: &[u8]| bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let fences = fences.map(number).collect();
        let filter = notes.rest().into();
        let end = entries_at.checked_add(entries as u64 * ENTRY_BYTES as u64);
        if end != Some(file.len()) {
            return Err(Malformed);
        }
        Ok(Self { file, entries_at, entries, packs, fences, filter })
    }

    /// How many packs it knows.
    pub(super) fn pack_count(&self) -> usize {
        self.packs.len()
    }

    /// The name of pack number `pack`.
    pub(super) fn pack_name(&self, pack: usize) -> Option<ObjectName> {
        self.packs.get(pack).map(|line| pack_name(line.kind, line.id))
    }

    /// What it says of pack number `pack`; `None` if that cannot be read any more.
    pub(super) fn pack(&self, pack: usize) -> Option<PackRecord> {
        let at = self.packs.get(pack)?.at;
        let end = self.packs.get(pack + 1).map_or(self.entries_at.checked_sub(4)?, |next| next.at);
        let bytes = self.file.read(at..end)?;
        run::read_pack(&mut Reader::new(&bytes)).ok()
    }

    /// Where the copies of chunk `id` lie, and in what kinds of packs. What cannot be read any more is not found.
    pub(super) fn places(&self, id: &ChunkId) -> Vec<(Kind, ChunkAt)> {
        let wanted = key(id);
        if !self.may_have(wanted) {
            return Vec::new();
        }
        let lines = self.lines_around(wanted).unwrap_or_default();
        let is_id = |line: &&[u8]| line.starts_with(id.as_bytes());
        let found = lines.chunks_exact(ENTRY_BYTES).filter(is_id);
        found.filter_map(|line| self.place(line)).collect()
    }

    /// Whether the filter lets a key through: every one that is there, and few others.
    fn may_have(&self, wanted: u64) -> bool {
        let filter = self.filter.split_at_checked(BinaryFuse8::DESCRIPTOR_LEN);
        filter.is_none_or(|(descriptor, fingerprints)| {
            BinaryFuse8Ref::from_dma(descriptor, fingerprints).contains(&wanted)
        })
    }

    /// The entries among which those with that key are, if there are any.
    fn lines_around(&self, wanted: u64) -> Option<Bytes> {
        // Those with the fence's own key may begin before it.
        let before = self.fences.partition_point(|fence| *fence < wanted).saturating_sub(1);
        let behind = self.fences.partition_point(|fence| *fence <= wanted);
        let first = (before * FENCE_ENTRIES) as u64;
        let end = (behind * FENCE_ENTRIES).min(self.entries) as u64;
        let at = |line: u64| self.entries_at + line * ENTRY_BYTES as u64;
        self.file.read(at(first)..at(end))
    }

    fn place(&self, line: &[u8]) -> Option<(Kind, ChunkAt)> {
        let (IndexEntry { segment, offset, len, .. }, pack) =
            run::read_entry(&mut Reader::new(line)).ok()?;
        let pack = self.pack(pack as usize)?;
        Some((pack.kind, ChunkAt { segment: pack.segment(segment)?, offset, len }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::cache::LocalCache;
    use crate::chunk::{ChunkHasher, IdKey};
    use crate::index::{RunBuilder, SegmentRecord};

    fn chunk(number: u32) -> ChunkId {
        ChunkId::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes())
    }

    /// A run of `chunks` chunks in 7 packs, every hundredth twice; in memory and in a cache.
    fn both(chunks: u32) -> (tempfile::TempDir, Run, PagedRun) {
        let mut builder = RunBuilder::default();
        for pack in 0..7_u8 {
            let segments: Vec<_> = (0..5)
                .map(|n| SegmentRecord { offset: n * 100, stored_len: 100, plain_len: 10_000 })
                .collect();
            let kind = if pack % 2 == 0 { Kind::Data } else { Kind::Meta };
            let id = ObjectId::from_bytes([pack; 16]);
            let header = vec![pack; 300 + usize::from(pack)].into();
            let record = PackRecord { kind, id, plain_len: 500, header, segments };
            let own = (0..chunks).filter(|n| {
                n % 7 == u32::from(pack) || (n % 100 == 0 && (n + 1) % 7 == u32::from(pack))
            });
            let entry =
                |n| IndexEntry { id: chunk(n), segment: n % 5, offset: n % 900, len: n % 70 };
            builder.pack(&record, own.map(entry));
        }
        let plain: Bytes = builder.serialize().into();
        let run = Run::parse(&plain).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let hasher = Arc::new(ChunkHasher::new(IdKey::new(Box::new([1; 32].into()))));
        let cache = LocalCache::open(folder.path().to_owned(), hasher).unwrap();
        let id = ObjectId::random();
        cache.put_paged(&id, &plain, &notes_on(&run)).unwrap();
        assert_eq!(cache.get(&id).unwrap(), plain);
        let (file, notes) = cache.paged(&id).unwrap();
        (folder, run, PagedRun::open(file, &notes).unwrap())
    }

    #[test]
    fn what_is_in_the_cache_says_the_same() {
        for chunks in [1, 63, 64, 65, 3000] {
            let (_folder, run, paged) = both(chunks);
            for n in 0..chunks {
                let places: Vec<_> = run.places(&chunk(n)).collect();
                assert_eq!(paged.places(&chunk(n)), places, "{n} of {chunks}");
                assert_eq!(places.len(), if n % 100 == 0 { 2 } else { 1 });
            }
            for n in chunks..chunks + 3000 {
                assert!(paged.places(&chunk(n)).is_empty());
            }
            assert_eq!(paged.pack_count(), run.packs().len());
            for (number, pack) in run.packs().iter().enumerate() {
                assert_eq!(paged.pack(number).as_ref(), Some(pack));
                assert_eq!(paged.pack_name(number), Some(pack.name()));
            }
            assert!(paged.pack(run.packs().len()).is_none());
        }
    }

    #[test]
    fn most_strangers_are_told_without_reading() {
        let (_folder, _, paged) = both(3000);
        assert!(!paged.filter.is_empty());
        let through = (10_000..20_000).filter(|n| paged.may_have(key(&chunk(*n)))).count();
        assert!(through < 200, "{through} of 10,000");
    }

    #[test]
    fn what_is_damaged_is_not_found() {
        let (folder, _, paged) = both(3000);
        let path = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        let end = bytes.len() / 2;
        bytes[..end].fill(0);
        std::fs::write(&path, bytes).unwrap();
        let found = (0..3000).filter(|n| !paged.places(&chunk(*n)).is_empty()).count();
        assert!(found < 1500, "{found} found");
    }
}
