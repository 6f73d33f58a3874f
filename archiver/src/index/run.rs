//! Index runs: sorted tables from chunk id to place, and what is needed to read the packs.
//!
//! The plaintext of `i/L<n>/<id>`, little-endian throughout:
//!
//! ```text
//! magic       "SRI2"
//! packs       u32 count, then of each:
//!   kind u8 (0 data, 1 meta) · id 16 · plain_len u64 · header u32 length and bytes
//!   segments u32 count, then stored_len u32 · plain_len u32 each
//! entries     u32 count, then 48 bytes each, ascending by id:
//!   id 32 · pack u32 · segment u32 · offset u32 · len u32
//! ```
//!
//! A chunk that two writers stored at the same time has an entry for each copy. A collector may be
//! about to remove either one, relying on the other, so that leaving one out here could lose both.
//!
//! Entries are looked up where they lie, without being unpacked, so that 10^8 of them need no
//! more memory than the file they are mapped from.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::codec::{Malformed, Parsed, Reader};
use crate::id::{ChunkId, ObjectId};
use crate::pack::{
    ChunkAt, SEGMENT_PLAIN_BYTES_MAX, SEGMENT_STORED_BYTES_MAX, SegmentAt, pack_name,
};
use crate::store::{Kind, ObjectName};

/// Most bytes of an index run's plaintext: about 20 million chunks.
pub const RUN_BYTES_MAX: usize = 1 << 30;

const MAGIC: &[u8; 4] = b"SRI2";
pub(super) const ENTRY_BYTES: usize = 48;

/// One chunk's line in an index run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IndexEntry {
    /// The chunk.
    pub id: ChunkId,
    /// Which segment of the pack it lies in, counted from 0.
    pub segment: u32,
    /// First byte in the decompressed segment.
    pub offset: u32,
    /// Length in bytes.
    pub len: u32,
}

/// A segment's line in an index run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentRecord {
    /// First byte in the pack's plaintext; the sum of the lengths before.
    pub offset: u64,
    /// Bytes in the pack.
    pub stored_len: u32,
    /// Bytes once decompressed.
    pub plain_len: u32,
}

/// A pack as the index knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackRecord {
    /// Data or metadata.
    pub kind: Kind,
    /// The pack's id.
    pub id: ObjectId,
    /// Length of its plaintext in bytes.
    pub plain_len: u64,
    /// The serialised header of its message: with it, one ranged read gets any chunk.
    pub header: Bytes,
    /// Its segments in order; together they are its whole plaintext.
    pub segments: Vec<SegmentRecord>,
}

/// Collects packs for a run.
#[derive(Default)]
pub struct RunBuilder {
    packs: Vec<PackRecord>,
    numbers: HashMap<ObjectName, u32>,
    entries: Vec<(IndexEntry, u32)>,
}

/// An index run that was read and found well-formed.
#[derive(Clone)]
pub struct Run {
    packs: Arc<Vec<PackRecord>>,
    entries: Bytes,
}

impl PackRecord {
    /// The pack's name in the store.
    #[must_use]
    pub fn name(&self) -> ObjectName {
        pack_name(self.kind, self.id)
    }

    /// Where segment number `segment` lies; `None` when there are fewer.
    #[must_use]
    pub fn segment(&self, segment: u32) -> Option<SegmentAt> {
        let record = self.segments.get(segment as usize)?;
        Some(SegmentAt {
            pack: self.id,
            offset: record.offset,
            stored_len: record.stored_len,
            plain_len: record.plain_len,
        })
    }
}

impl RunBuilder {
    /// Adds a pack with its chunks.
    pub fn pack(&mut self, pack: &PackRecord, chunks: impl IntoIterator<Item = IndexEntry>) {
        let number = self.number(pack);
        self.entries.extend(chunks.into_iter().map(|entry| (entry, number)));
    }

    /// Adds all that `run` says of the packs that `keep` chooses.
    pub fn absorb(&mut self, run: &Run, keep: impl Fn(ObjectName) -> bool) {
        let number = |pack: &PackRecord| keep(pack.name()).then(|| self.number(pack));
        let numbers: Vec<Option<u32>> = run.packs.iter().map(number).collect();
        let kept = |(entry, pack): (IndexEntry, u32)| {
            Some((entry, numbers.get(pack as usize).copied().flatten()?))
        };
        self.entries.extend(run.lines().filter_map(kept));
    }

    fn number(&mut self, pack: &PackRecord) -> u32 {
        *self.numbers.entry(pack.name()).or_insert_with(|| {
            self.packs.push(pack.clone());
            self.packs.len() as u32 - 1
        })
    }

    /// Whether no pack was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packs.is_empty()
    }

    /// How many chunks were added.
    #[must_use]
    pub fn chunks(&self) -> usize {
        self.entries.len()
    }

    /// The run's plaintext.
    #[must_use]
    pub fn serialize(mut self) -> Vec<u8> {
        // Two runs that were absorbed can have named the same pack.
        self.entries.sort_unstable();
        self.entries.dedup();
        let mut out = Vec::with_capacity(self.entries.len() * ENTRY_BYTES + 4096);
        out.extend_from_slice(MAGIC);
        put_u32(&mut out, self.packs.len());
        for pack in &self.packs {
            put_pack(&mut out, pack);
        }
        put_u32(&mut out, self.entries.len());
        for (entry, pack) in &self.entries {
            out.extend_from_slice(entry.id.as_bytes());
            for word in [*pack, entry.segment, entry.offset, entry.len] {
                out.extend_from_slice(&word.to_le_bytes());
            }
        }
        out
    }
}

impl Run {
    /// Reads a run's plaintext; `None` unless it is well-formed in every line: entries ascend,
    /// and each points into a segment of a pack that is listed.
    #[must_use]
    pub fn parse(plain: &Bytes) -> Option<Self> {
        let mut reader = Reader::new(plain);
        let run = Self::read(plain, &mut reader).ok()?;
        run.entries_are_sound().then_some(run)
    }

    fn read(plain: &Bytes, reader: &mut Reader<'_>) -> Parsed<Self> {
        if &reader.array::<4>()? != MAGIC {
            return Err(Malformed);
        }
        let packs = list(reader, 37, read_pack)?;
        let count = reader.u32()? as usize;
        let bytes = reader.bytes(count.checked_mul(ENTRY_BYTES).ok_or(Malformed)?)?;
        reader.end()?;
        Ok(Self { packs: Arc::new(packs), entries: plain.slice_ref(bytes) })
    }

    fn entries_are_sound(&self) -> bool {
        let mut last: Option<ChunkId> = None;
        self.iter().all(|(entry, pack)| {
            let ascending = last.replace(entry.id).is_none_or(|last| last <= entry.id);
            let segment = pack.and_then(|pack| pack.segments.get(entry.segment as usize));
            let end = u64::from(entry.offset) + u64::from(entry.len);
            ascending && segment.is_some_and(|s| end <= u64::from(s.plain_len))
        })
    }

    /// The packs that this run knows.
    #[must_use]
    pub fn packs(&self) -> &[PackRecord] {
        &self.packs
    }

    /// About how many bytes its plaintext has.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.entries.len() + self.packs.iter().map(pack_bytes).sum::<usize>()
    }

    /// How many chunks it knows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len() / ENTRY_BYTES
    }

    /// Whether it knows no chunk.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Where the copies of chunk `id` lie, and in what kinds of packs; none when this run does not
    /// know it.
    pub fn places(&self, id: &ChunkId) -> impl Iterator<Item = (Kind, ChunkAt)> + '_ {
        self.lines_of(id).filter_map(|line| self.place(line))
    }

    /// The numbers of the entries of chunk `id`, counted from 0 in the order of [`Run::iter`].
    #[must_use]
    pub fn lines_of(&self, id: &ChunkId) -> Range<usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.id_at(middle).is_some_and(|at| at < id.as_bytes().as_slice()) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let mut end = low;
        while self.id_at(end) == Some(id.as_bytes().as_slice()) {
            end += 1;
        }
        low..end
    }

    /// Every chunk with its pack, ascending by id.
    pub fn iter(&self) -> impl Iterator<Item = (IndexEntry, Option<&PackRecord>)> + '_ {
        self.lines().map(|(entry, pack)| (entry, self.packs.get(pack as usize)))
    }

    /// Every entry with the number of its pack.
    fn lines(&self) -> impl Iterator<Item = (IndexEntry, u32)> + '_ {
        let lines = self.entries.chunks_exact(ENTRY_BYTES);
        lines.filter_map(|line| read_entry(&mut Reader::new(line)).ok())
    }

    /// What entry number `line` says.
    pub(crate) fn place(&self, line: usize) -> Option<(Kind, ChunkAt)> {
        let start = line.checked_mul(ENTRY_BYTES)?;
        let bytes = self.entries.get(start..start.checked_add(ENTRY_BYTES)?)?;
        let (entry, pack) = read_entry(&mut Reader::new(bytes)).ok()?;
        let pack = self.packs.get(pack as usize)?;
        let segment = pack.segment(entry.segment)?;
        Some((pack.kind, ChunkAt { segment, offset: entry.offset, len: entry.len }))
    }

    fn id_at(&self, line: usize) -> Option<&[u8]> {
        let start = line.checked_mul(ENTRY_BYTES)?;
        self.entries.get(start..start.checked_add(ChunkId::LEN)?)
    }
}

fn put_u32(out: &mut Vec<u8>, value: usize) {
    // Every count here is of things that each take more than a byte of a run below 4 GiB.
    out.extend_from_slice(&u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes());
}

/// How many bytes a pack's description takes.
pub(super) fn pack_bytes(pack: &PackRecord) -> usize {
    33 + pack.header.len() + 8 * pack.segments.len()
}

fn put_pack(out: &mut Vec<u8>, pack: &PackRecord) {
    out.push(u8::from(pack.kind == Kind::Meta));
    out.extend_from_slice(pack.id.as_bytes());
    out.extend_from_slice(&pack.plain_len.to_le_bytes());
    put_u32(out, pack.header.len());
    out.extend_from_slice(&pack.header);
    put_u32(out, pack.segments.len());
    for segment in &pack.segments {
        out.extend_from_slice(&segment.stored_len.to_le_bytes());
        out.extend_from_slice(&segment.plain_len.to_le_bytes());
    }
}

pub(super) fn read_pack(reader: &mut Reader<'_>) -> Parsed<PackRecord> {
    let kind = match reader.u8()? {
        0 => Kind::Data,
        1 => Kind::Meta,
        _ => return Err(Malformed),
    };
    let id = ObjectId::from_bytes(reader.array()?);
    let plain_len = reader.u64()?;
    let header_len = reader.u32()? as usize;
    let header = Bytes::copy_from_slice(reader.bytes(header_len)?);
    let mut offset = 0_u64;
    let segments = list(reader, 8, |r| {
        let record = SegmentRecord { offset, stored_len: r.u32()?, plain_len: r.u32()? };
        let fits = record.stored_len as usize <= SEGMENT_STORED_BYTES_MAX
            && record.plain_len as usize <= SEGMENT_PLAIN_BYTES_MAX;
        offset = offset.checked_add(u64::from(record.stored_len)).ok_or(Malformed)?;
        if fits { Ok(record) } else { Err(Malformed) }
    })?;
    if offset == plain_len {
        Ok(PackRecord { kind, id, plain_len, header, segments })
    } else {
        Err(Malformed)
    }
}

pub(super) fn read_entry(reader: &mut Reader<'_>) -> Parsed<(IndexEntry, u32)> {
    let id = ChunkId::from_bytes(reader.array()?);
    let pack = reader.u32()?;
    let (segment, offset, len) = (reader.u32()?, reader.u32()?, reader.u32()?);
    Ok((IndexEntry { id, segment, offset, len }, pack))
}

/// A list behind its count; the count is believed only as far as items of `bytes_each` fit.
fn list<T>(
    reader: &mut Reader<'_>,
    bytes_each: usize,
    mut item: impl FnMut(&mut Reader<'_>) -> Parsed<T>,
) -> Parsed<Vec<T>> {
    let count = reader.u32()? as usize;
    if count.checked_mul(bytes_each).is_none_or(|bytes| bytes > reader.rest().len()) {
        return Err(Malformed);
    }
    let mut items = Vec::with_capacity(count);
    for _ in 0..count {
        items.push(item(reader)?);
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pack(segments: u32) -> PackRecord {
        let segments: Vec<_> = (0..segments)
            .map(|n| SegmentRecord { offset: u64::from(n) * 10, stored_len: 10, plain_len: 100 })
            .collect();
        PackRecord {
            kind: Kind::Data,
            id: ObjectId::random(),
            plain_len: 10 * segments.len() as u64,
            header: Bytes::from_static(b"header"),
            segments,
        }
    }

    fn entry(id: [u8; 32], segment: u32) -> IndexEntry {
        IndexEntry { id: ChunkId::from_bytes(id), segment, offset: 60, len: 40 }
    }

    proptest! {
        #[test]
        fn what_was_added_is_found(ids: std::collections::BTreeSet<[u8; 32]>, absent: [u8; 32]) {
            let mut builder = RunBuilder::default();
            let packs = [pack(3), pack(5)];
            for (n, pack) in packs.iter().enumerate() {
                let own = ids.iter().enumerate().filter(|(i, _)| i % 2 == n);
                builder.pack(pack, own.map(|(i, id)| entry(*id, i as u32 % 3)));
            }
            let run = Run::parse(&builder.serialize().into()).unwrap();
            prop_assert_eq!(run.packs(), &packs);
            prop_assert_eq!(run.len(), ids.len());
            for (i, id) in ids.iter().enumerate() {
                let (kind, at) = run.places(&ChunkId::from_bytes(*id)).next().unwrap();
                prop_assert_eq!(kind, Kind::Data);
                prop_assert_eq!(at.segment.pack, packs[i % 2].id);
                prop_assert_eq!(at.segment.offset, 10 * (i as u64 % 3));
                prop_assert_eq!((at.offset, at.len), (60, 40));
            }
            let found = run.places(&ChunkId::from_bytes(absent)).count() == 1;
            prop_assert_eq!(found, ids.contains(&absent));
        }

        #[test]
        fn any_bytes_are_a_run_or_refused(mut bytes: Vec<u8>) {
            let _ = Run::parse(&Bytes::from(bytes.clone()));
            bytes.splice(0..0, *MAGIC);
            let _ = Run::parse(&Bytes::from(bytes));
        }
    }

    #[test]
    fn a_merged_run_has_all_that_its_parts_had() {
        let part = |number, id| {
            let mut builder = RunBuilder::default();
            let pack = PackRecord { id: ObjectId::from_bytes([number; 16]), ..pack(3) };
            builder.pack(&pack, [entry([id; 32], 1), entry([9; 32], 0)]);
            Run::parse(&builder.serialize().into()).unwrap()
        };
        let (one, two) = (part(1, 1), part(2, 2));
        let merge = |runs: &[&Run], keep: fn(ObjectName) -> bool| {
            let mut builder = RunBuilder::default();
            runs.iter().for_each(|run| builder.absorb(run, keep));
            Run::parse(&builder.serialize().into()).unwrap()
        };
        let places = |run: &Run, id| run.places(&ChunkId::from_bytes([id; 32])).collect::<Vec<_>>();
        let merged = merge(&[&one, &two, &one], |_| true);
        assert_eq!((merged.packs().len(), merged.len()), (2, 4), "a pack that two runs name");
        assert_eq!(places(&merged, 1), places(&one, 1));
        assert_eq!(places(&merged, 2), places(&two, 2));
        assert_eq!(places(&merged, 9), [places(&one, 9), places(&two, 9)].concat(), "every copy");
        let rest =
            merge(&[&merged], |name| name == ObjectName::DataPack(ObjectId::from_bytes([2; 16])));
        assert_eq!((rest.packs(), rest.len()), (two.packs(), 2));
        assert_eq!(places(&rest, 9), places(&two, 9));
    }

    #[test]
    fn entries_that_point_nowhere_are_refused() {
        let serialized = |segment, offset| {
            let mut builder = RunBuilder::default();
            builder.pack(&pack(2), [IndexEntry { offset, ..entry([1; 32], segment) }]);
            Bytes::from(builder.serialize())
        };
        assert!(Run::parse(&serialized(1, 60)).is_some());
        assert!(Run::parse(&serialized(2, 60)).is_none());
        assert!(Run::parse(&serialized(1, 61)).is_none());
    }
}
