//! How much a location and its snapshots hold: what they restore to, what is left of that without
//! what is there twice, and what it takes in the store.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use futures::TryStreamExt;
use serde::Serialize;

use crate::control::Control;
use crate::error::Result;
use crate::id::ChunkId;
use crate::location::Location;
use crate::snapshot::{self, Cursor, Direction, Snapshot};
use crate::store::{Family, Kind};

/// What a location holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LocationUsage {
    /// Snapshots.
    pub snapshots: u64,
    /// Bytes that all snapshots restore to together.
    pub logical: u64,
    /// Bytes of file content without what is there several times.
    pub unique: u64,
    /// Bytes that the content takes in the store, compressed and encrypted.
    pub stored: u64,
    /// Chunks of file content.
    pub chunks: u64,
    /// All objects, by what they hold.
    pub objects: BTreeMap<&'static str, Objects>,
}

/// Objects of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Objects {
    /// How many.
    pub count: u64,
    /// Their bytes together.
    pub bytes: u64,
}

/// What a snapshot holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SnapshotUsage {
    /// Files, directories and everything else.
    pub entries: u64,
    /// Bytes that it restores to, holes included.
    pub logical: u64,
    /// Bytes of file content without what is there several times.
    pub unique: u64,
    /// Bytes that this content takes in packs, compressed; shared with other snapshots.
    pub stored: u64,
    /// Chunks of file content.
    pub chunks: u64,
}

/// Measures a location: a listing, its index, and what its snapshots say of themselves.
///
/// # Errors
/// As [`snapshot::load_all`] and [`Location::catalog`].
pub async fn of_location(location: &Arc<Location>) -> Result<LocationUsage> {
    let mut usage = LocationUsage::default();
    let mut listed = location.store().list(Family::All);
    while let Some(object) = listed.try_next().await? {
        let kind = object.name.map(|name| name.kind().map_or("format", Kind::as_str));
        let objects = usage.objects.entry(kind.unwrap_or("foreign")).or_default();
        objects.count += 1;
        objects.bytes += object.size;
    }
    usage.stored = usage.objects.get(Kind::Data.as_str()).map_or(0, |objects| objects.bytes);
    for snapshot in snapshot::load_all(location).await? {
        usage.snapshots += 1;
        usage.logical += snapshot.commit.statistics.bytes;
    }
    let runs = location.index().read_all().await?;
    for (number, named) in runs.iter().enumerate() {
        let mut last = None;
        for (entry, pack) in named.run.iter() {
            // Two writers that did not know of each other may both have stored a chunk.
            let mut others = runs.iter().take(number);
            let counted = last.replace(entry.id) == Some(entry.id)
                || others.any(|other| !other.run.lines_of(&entry.id).is_empty());
            if !counted && pack.is_some_and(|pack| pack.kind == Kind::Data) {
                usage.chunks += 1;
                usage.unique += u64::from(entry.len);
            }
        }
    }
    Ok(usage)
}

/// Measures one snapshot, which reads all its metadata; memory grows by some 50 bytes a chunk.
///
/// # Errors
/// [`Error::Store`](crate::Error::Store), [`Error::Decrypt`](crate::Error::Decrypt),
/// [`Error::Damaged`](crate::Error::Damaged), [`Error::Stopped`](crate::Error::Stopped).
pub async fn of_snapshot(
    location: &Arc<Location>,
    snapshot: &Snapshot,
    control: &Control,
) -> Result<SnapshotUsage> {
    let mut usage = SnapshotUsage::default();
    let Some((root, level)) = snapshot.root()? else { return Ok(usage) };
    let reader = location.reader(None);
    let mut cursor = Cursor::new(&reader, root, level, Direction::Forward);
    let mut seen: HashSet<ChunkId> = HashSet::new();
    while let Some(leaf) = cursor.next_leaf().await? {
        control.check()?;
        for node in leaf {
            usage.entries += 1;
            usage.logical += node.entry.size().unwrap_or(0);
            control.progress.add(1, node.entry.size().unwrap_or(0));
            for chunk in node.content.iter().map(|piece| piece.chunk) {
                if seen.insert(chunk.id) {
                    let segment = chunk.at.segment;
                    let share = u64::from(chunk.at.len) * u64::from(segment.stored_len);
                    usage.chunks += 1;
                    usage.unique += u64::from(chunk.at.len);
                    usage.stored += share / u64::from(segment.plain_len.max(1));
                }
            }
        }
    }
    Ok(usage)
}
