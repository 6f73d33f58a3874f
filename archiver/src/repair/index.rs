//! Writes the index anew from what the packs say of themselves.

use std::collections::HashSet;
use std::sync::Arc;

use futures::stream::{self, StreamExt};

use crate::chunk::ChunkHasher;
use crate::control::Control;
use crate::error::{Error, Result};
use crate::index::{IndexEntry, PackRecord, RunBuilder, SegmentRecord};
use crate::location::{Location, Use};
use crate::pack::{Decoded, SegmentAt, Visitor, scan};
use crate::store::{Kind, ObjectName};

/// Packs that are read at once.
const PACKS_IN_FLIGHT: usize = 4;

/// Chunks from which on a run is complete.
const RUN_CHUNKS: usize = 1 << 20;

/// What is to be mended of an index.
#[derive(Clone, Copy, Debug, Default)]
pub struct RepairIndexOptions {
    /// Read every pack, and replace the whole index; otherwise only packs that no readable run
    /// names are read.
    pub all: bool,
}

/// What was mended of an index.
#[derive(Debug, Default)]
pub struct IndexRepaired {
    /// Runs that could not be read, and were removed once what the packs say was written.
    pub damaged_runs: Vec<ObjectName>,
    /// Readable runs that were replaced.
    pub replaced_runs: u64,
    /// Packs that were read.
    pub packs: u64,
    /// Chunks that are in the index again.
    pub chunks: u64,
    /// Packs that could not be read; they stay, and the index says nothing of them.
    pub unreadable: Vec<(ObjectName, Error)>,
}

/// Writes index runs for packs of which the index says nothing, and removes runs that cannot be read.
///
/// # Errors
/// What keeps packs from being read at all, such as a key that is refused; then no run is removed.
pub async fn repair_index(
    location: &Arc<Location>,
    options: RepairIndexOptions,
    control: &Control,
) -> Result<IndexRepaired> {
    location.demand(Use::Write)?;
    let mut repaired = IndexRepaired::default();
    let (known, readable) = readable_runs(location, &mut repaired).await?;
    let old = if options.all { readable } else { Vec::new() };
    // After the runs: a writer that publishes meanwhile is only read twice.
    let mut packs: Vec<ObjectName> = location.packs().await?.into_keys().collect();
    packs.retain(|pack| options.all || !known.contains(pack));
    packs.sort_unstable();
    let mut reading = stream::iter(packs)
        .map(|name| async move { (name, read_pack(location, name).await) })
        .buffered(PACKS_IN_FLIGHT)
        .boxed();
    let mut run = RunBuilder::default();
    while let Some((name, read)) = reading.next().await {
        control.check()?;
        match read {
            Ok((pack, entries)) => {
                repaired.packs += 1;
                repaired.chunks += entries.len() as u64;
                control.progress.add(1, pack.plain_len);
                run.pack(&pack, entries);
            }
            // A collector was faster.
            Err(error) if error.is_gone() => {}
            Err(error) if error.is_about_one_object() => repaired.unreadable.push((name, error)),
            Err(error) => return Err(error),
        }
        if run.chunks() >= RUN_CHUNKS {
            location.index().write(0, std::mem::take(&mut run).serialize()).await?;
        }
    }
    if !run.is_empty() {
        location.index().write(0, run.serialize()).await?;
    }
    for name in old.iter().chain(&repaired.damaged_runs) {
        location.store().delete(*name).await?;
    }
    repaired.replaced_runs = old.len() as u64;
    Ok(repaired)
}

/// The packs that readable runs name, and these runs; those that are damaged are noted.
async fn readable_runs(
    location: &Location,
    repaired: &mut IndexRepaired,
) -> Result<(HashSet<ObjectName>, Vec<ObjectName>)> {
    let (mut known, mut readable) = (HashSet::new(), Vec::new());
    for name in location.index().list().await? {
        match location.index().read(name).await {
            Ok((_, run)) => {
                known.extend(run.packs().iter().map(PackRecord::name));
                readable.push(name);
            }
            Err(error) if error.is_gone() => {}
            Err(error) if error.is_about_one_object() => repaired.damaged_runs.push(name),
            Err(error) => return Err(error),
        }
    }
    Ok((known, readable))
}

/// Reads a whole pack and says what the index should say of it.
async fn read_pack(location: &Location, name: ObjectName) -> Result<(PackRecord, Vec<IndexEntry>)> {
    let (kind, id) = match name {
        ObjectName::MetaPack(id) => (Kind::Meta, id),
        ObjectName::DataPack(id) => (Kind::Data, id),
        _ => return Err(Error::ObjectMissing { object: name }),
    };
    let reader = location.reader(None);
    let header = reader.header(kind, id).await?;
    let visitor = Listing { hasher: location.hasher().clone(), segments: vec![], entries: vec![] };
    let listing = scan(&reader, location.codec(), kind, id, visitor).await?;
    let plain_len = listing.segments.iter().map(|segment| u64::from(segment.stored_len)).sum();
    let pack = PackRecord { kind, id, plain_len, header, segments: listing.segments };
    Ok((pack, listing.entries))
}

/// What a pack's segments are, and the chunks in them.
struct Listing {
    hasher: Arc<ChunkHasher>,
    segments: Vec<SegmentRecord>,
    entries: Vec<IndexEntry>,
}

impl Visitor for Listing {
    fn segment(&mut self, at: &SegmentAt, segment: &Decoded) {
        let number = self.segments.len() as u32;
        self.segments.push(SegmentRecord {
            offset: at.offset,
            stored_len: at.stored_len,
            plain_len: at.plain_len,
        });
        for range in segment.chunks() {
            let (offset, len) = (range.start as u32, range.len() as u32);
            let bytes = segment.plain().get(range).unwrap_or_default();
            let id = self.hasher.id(bytes);
            self.entries.push(IndexEntry { id, segment: number, offset, len });
        }
    }
}
