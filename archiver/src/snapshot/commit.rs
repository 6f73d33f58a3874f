//! The object that makes a snapshot: `s/<id>`, signed, created once, the only commit point.

use std::collections::{BTreeSet, HashMap};

use futures::TryStreamExt;
use serde::{Deserialize, Serialize};

use super::tree::Root;
use crate::entry::Timestamp;
use crate::envelope::Wrapping;
use crate::error::{Cause, Error, Result};
use crate::id::{ChunkId, ObjectId};
use crate::location::Location;
use crate::pack::{ChunkAt, ChunkRef, SegmentAt};
use crate::store::{Family, ObjectName, Put};

/// Most bytes of a snapshot object.
pub const SNAPSHOT_BYTES_MAX: u64 = 4 << 20;

/// A committed snapshot with its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Its name, which was its session's name.
    pub id: ObjectId,
    /// What it says.
    pub commit: SnapshotCommit,
}

/// A snapshot with the time at which the store took its commit, by the store's clock: what
/// retention goes by.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredSnapshot {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// When the store took it.
    pub stored: Timestamp,
}

/// What a snapshot says of itself, as JSON in `s/<id>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SnapshotCommit {
    /// Version of this object, 1.
    pub version: u32,
    /// When the source began to be read, by the archived machine's clock.
    pub started: UnixTime,
    /// When everything was stored.
    pub ended: UnixTime,
    /// The archived machine.
    pub host: String,
    /// What was archived, as the caller named it.
    pub paths: Vec<String>,
    /// The caller's labels.
    pub tags: Vec<String>,
    /// The snapshot that unchanged files were taken over from.
    pub parent: Option<String>,
    /// The root of the tree; absent when not even the root directory could be read.
    pub tree: Option<TreeRoot>,
    /// What was archived and what it cost.
    pub statistics: Statistics,
}

/// What a collector puts under a snapshot's name to keep a writer that seems to be dead from
/// committing. It stays for ever: nobody knows when such a writer wakes up.
#[derive(Serialize, Deserialize)]
struct Tombstone {
    /// Version of this object, 1.
    version: u32,
    /// The session whose writer cannot commit any more.
    fenced: String,
}

/// What `s/<id>` can hold.
#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Tombstone(#[allow(dead_code, reason = "that it can be read tells it from a commit")] Tombstone),
    Commit(Box<SnapshotCommit>),
}

/// Seconds and nanoseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnixTime {
    /// Whole seconds.
    pub seconds: i64,
    /// Nanoseconds within the second.
    pub nanoseconds: u32,
}

/// Where a snapshot's tree begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeRoot {
    /// The root block's chunk id, in hexadecimal.
    pub block: String,
    /// The metadata pack that holds it.
    pub pack: String,
    /// First byte of the segment in the pack's plaintext.
    pub segment_offset: u64,
    /// Bytes of the segment in the pack.
    pub segment_stored: u32,
    /// Bytes of the segment once decompressed.
    pub segment_plain: u32,
    /// First byte of the block in the segment.
    pub offset: u32,
    /// Length of the block in bytes.
    pub length: u32,
    /// Levels of inner blocks above the leaves.
    pub level: u8,
    /// Entries in the tree.
    pub entries: u64,
}

/// What a snapshot holds and what making it cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
    /// Regular files.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Everything else.
    pub others: u64,
    /// Bytes of all files, holes included.
    pub bytes: u64,
    /// Files that were not read because the parent snapshot has them unchanged.
    pub files_unchanged: u64,
    /// Bytes that were read.
    pub bytes_read: u64,
    /// Chunks that were new to the location.
    pub chunks_new: u64,
    /// Bytes of the chunks that were new to the location.
    pub bytes_new: u64,
    /// Bytes that were written to the store, everything included.
    pub bytes_stored: u64,
    /// Entries, or parts of entries, that could not be read.
    pub unreadable: u64,
    /// Files that changed while they were read.
    pub changed: u64,
}

impl From<Timestamp> for UnixTime {
    fn from(time: Timestamp) -> Self {
        Self { seconds: time.seconds, nanoseconds: time.nanoseconds }
    }
}

impl From<UnixTime> for Timestamp {
    fn from(time: UnixTime) -> Self {
        Self { seconds: time.seconds, nanoseconds: time.nanoseconds }
    }
}

impl TreeRoot {
    pub(crate) fn new(root: &Root) -> Self {
        let ChunkAt { segment, offset, len } = root.block.at;
        Self {
            block: root.block.id.to_string(),
            pack: segment.pack.to_string(),
            segment_offset: segment.offset,
            segment_stored: segment.stored_len,
            segment_plain: segment.plain_len,
            offset,
            length: len,
            level: root.level,
            entries: root.entries,
        }
    }

    /// The root block; `None` when this does not name one.
    #[must_use]
    pub fn block(&self) -> Option<ChunkRef> {
        let mut id = [0; ChunkId::LEN];
        hex::decode_to_slice(&self.block, &mut id).ok()?;
        let segment = SegmentAt {
            pack: ObjectId::from_hex(&self.pack)?,
            offset: self.segment_offset,
            stored_len: self.segment_stored,
            plain_len: self.segment_plain,
        };
        segment.is_possible().then_some(())?;
        let at = ChunkAt { segment, offset: self.offset, len: self.length };
        Some(ChunkRef { id: ChunkId::from_bytes(id), at })
    }
}

impl Snapshot {
    /// The root block and its level; `None` for a snapshot without entries.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the commit does not name one.
    pub fn root(&self) -> Result<Option<(ChunkRef, u8)>> {
        let Some(tree) = &self.commit.tree else { return Ok(None) };
        let (object, what) = (ObjectName::Snapshot(self.id), "its tree is not named properly");
        let block = tree.block().ok_or(Error::Damaged { object, what })?;
        Ok(Some((block, tree.level)))
    }
}

impl SnapshotCommit {
    /// Commits this as snapshot `id`: from here on it exists.
    ///
    /// # Errors
    /// [`Error::Fenced`] when the name is taken: a collector declared this writer dead.
    pub(crate) async fn commit(self, location: &Location, id: ObjectId) -> Result<Snapshot> {
        let name = ObjectName::Snapshot(id);
        // Strings and numbers under string keys: nothing that could fail.
        let plain = serde_json::to_vec(&self).unwrap_or_default();
        let message = location.envelope().seal(name, &plain).await?;
        match location.store().create(name, message).await? {
            Put::Created => {
                location.keep_snapshot(&id, &plain);
                Ok(Snapshot { id, commit: self })
            }
            Put::Occupied => Err(Error::Fenced { id }),
        }
    }
}

/// Takes the right to commit away from the writer of session `id`, unless it has committed. After
/// this it is decided for good, either way.
pub(crate) async fn fence(location: &Location, id: ObjectId) -> Result<()> {
    let name = ObjectName::Snapshot(id);
    // Strings and numbers under string keys: nothing that could fail.
    let tombstone = Tombstone { version: 1, fenced: id.to_string() };
    let plain = serde_json::to_vec(&tombstone).unwrap_or_default();
    let message = location.envelope().seal(name, &plain).await?;
    loop {
        match location.store().create(name, message.clone()).await {
            Ok(Put::Created | Put::Occupied) => return Ok(()),
            // It was committed, and forgotten before it could be looked at.
            Err(error) if error.cause() == Cause::StoreMissing => {}
            Err(error) => return Err(error),
        }
    }
}

/// What stands under one snapshot's name.
pub(crate) struct Stored {
    /// The snapshot's, or the fenced writer's.
    pub(crate) id: ObjectId,
    /// When the store took the commit, whatever became of it later.
    pub(crate) at: Timestamp,
    /// What is to be read: the commit itself, or its copy under the keys of the latest epoch.
    pub(crate) latest: ObjectName,
    /// Copies that have been outdone.
    pub(crate) outdone: Vec<ObjectName>,
}

/// The names of all snapshots, and of writers that were fenced, in no particular order.
///
/// # Errors
/// [`Error::Store`].
pub async fn list(location: &Location) -> Result<Vec<ObjectId>> {
    Ok(list_stored(location).await?.into_iter().map(|stored| stored.id).collect())
}

/// As [`list`], with all that the listing tells.
pub(crate) async fn list_stored(location: &Location) -> Result<Vec<Stored>> {
    let (mut commits, mut copies) = (Vec::new(), HashMap::<ObjectId, BTreeSet<u32>>::new());
    let mut listed = location.store().list(Family::Snapshots);
    while let Some(object) = listed.try_next().await? {
        match object.name {
            Some(ObjectName::Snapshot(id)) => commits.push((id, object.modified)),
            Some(ObjectName::SnapshotCopy(id, epoch)) => {
                copies.entry(id).or_default().insert(epoch);
            }
            _ => {}
        }
    }
    let stored = commits.into_iter().map(|(id, at)| {
        let mut epochs = copies.remove(&id).unwrap_or_default();
        let name = |epoch| ObjectName::SnapshotCopy(id, epoch);
        let latest = epochs.pop_last().map_or(ObjectName::Snapshot(id), name);
        Stored { id, at, latest, outdone: epochs.into_iter().map(name).collect() }
    });
    Ok(stored.collect())
}

/// What is to be read of snapshot `id`, without a listing.
async fn latest(location: &Location, id: ObjectId) -> Result<ObjectName> {
    for epoch in location.epochs() {
        let copy = ObjectName::SnapshotCopy(id, epoch);
        if location.store().size(copy).await?.is_some() {
            return Ok(copy);
        }
    }
    Ok(ObjectName::Snapshot(id))
}

/// Reads snapshot `id` from the store.
///
/// # Errors
/// [`Error::SnapshotMissing`] when its writer was fenced, [`Error::Store`], [`Error::Decrypt`],
/// [`Error::Damaged`].
pub async fn load(location: &Location, id: ObjectId) -> Result<Snapshot> {
    let snapshot = load_any(location, id).await?;
    snapshot.ok_or_else(|| Error::SnapshotMissing { id: id.to_string() })
}

/// Reads what stands under `s/<id>` from the store; `None` when that is a tombstone.
pub(crate) async fn load_any(location: &Location, id: ObjectId) -> Result<Option<Snapshot>> {
    load_from(location, id, latest(location, id).await?).await
}

async fn load_from(
    location: &Location,
    id: ObjectId,
    name: ObjectName,
) -> Result<Option<Snapshot>> {
    let message = location.store().get(name, SNAPSHOT_BYTES_MAX).await?;
    let plain = location.envelope().open(name, &message).await?;
    let content = serde_json::from_slice(&plain)
        .map_err(|_| Error::Damaged { object: name, what: "it is not a snapshot" })?;
    location.keep_snapshot(&id, &plain);
    Ok(named(id, content))
}

/// As [`load_any`], from the cache if that has it, which spares a request and a data key. For what
/// a listing has just shown to exist.
async fn load_listed(location: &Location, stored: &Stored) -> Result<Option<Snapshot>> {
    let cached = location.cached_snapshot(&stored.id);
    match cached.and_then(|plain| serde_json::from_slice(&plain).ok()) {
        Some(content) => Ok(named(stored.id, content)),
        None => match load_from(location, stored.id, stored.latest).await {
            // Forgotten, or copied anew, since it was listed.
            Err(error) if error.cause() == Cause::StoreMissing => {
                load_if_there(location, stored.id).await
            }
            other => other,
        },
    }
}

async fn load_if_there(location: &Location, id: ObjectId) -> Result<Option<Snapshot>> {
    match load_any(location, id).await {
        Err(error) if error.cause() == Cause::StoreMissing => Ok(None),
        other => other,
    }
}

fn named(id: ObjectId, content: Content) -> Option<Snapshot> {
    match content {
        Content::Tombstone(_) => None,
        Content::Commit(commit) => Some(Snapshot { id, commit: *commit }),
    }
}

/// Reads all snapshots, the earliest first.
///
/// # Errors
/// As [`list`] and [`load`].
pub async fn load_all(location: &Location) -> Result<Vec<Snapshot>> {
    Ok(load_all_stored(location).await?.into_iter().map(|stored| stored.snapshot).collect())
}

/// As [`load_all`], each with the time at which the store took it.
///
/// # Errors
/// As [`load_all`].
pub async fn load_all_stored(location: &Location) -> Result<Vec<StoredSnapshot>> {
    use futures::StreamExt;
    let listed = list_stored(location).await?;
    let mut snapshots: Vec<StoredSnapshot> = futures::stream::iter(listed)
        .map(|listed| async move {
            let (snapshot, stored) = (load_listed(location, &listed).await?, listed.at);
            Ok::<_, Error>(snapshot.map(|snapshot| StoredSnapshot { snapshot, stored }))
        })
        .buffer_unordered(8)
        .try_filter_map(futures::future::ok)
        .try_collect()
        .await?;
    snapshots.sort_by_key(|StoredSnapshot { snapshot, .. }| {
        let started = snapshot.commit.started;
        (started.seconds, started.nanoseconds, snapshot.id)
    });
    Ok(snapshots)
}

/// Forgets a snapshot, which must have been loaded: what else lies under `s/` is a collector's.
/// What it alone refers to stays in the store until that is collected.
///
/// # Errors
/// [`Error::Store`].
pub async fn forget(location: &Location, snapshot: &Snapshot) -> Result<()> {
    remove(location, snapshot.id).await
}

/// Removes what stands under `s/<id>`, and copies of it.
pub(crate) async fn remove(location: &Location, id: ObjectId) -> Result<()> {
    // A copy without its original is nothing.
    location.store().delete(ObjectName::Snapshot(id)).await?;
    for epoch in location.epochs() {
        location.store().delete(ObjectName::SnapshotCopy(id, epoch)).await?;
    }
    location.drop_snapshot(&id);
    Ok(())
}

/// Copies what stands under a snapshot's name to the location's present epoch, whose keys it then is under; copies of
/// earlier epochs go. Answers whether there was anything to copy.
pub(crate) async fn renew(location: &Location, stored: &Stored) -> Result<bool> {
    let message = match location.store().get(stored.latest, SNAPSHOT_BYTES_MAX).await {
        // Forgotten since it was listed.
        Err(error) if error.is_gone() => return Ok(false),
        other => other?,
    };
    let is_renewed = Wrapping::of(&message).as_ref() == Some(location.wrapping());
    if !is_renewed {
        let plain = location.envelope().open(stored.latest, &message).await?;
        let copy = ObjectName::SnapshotCopy(stored.id, location.format().epoch);
        let message = location.envelope().seal(copy, &plain).await?;
        // One that is there already is another exchange's of the same keys.
        let _ = location.store().create(copy, message).await?;
        if let ObjectName::SnapshotCopy(..) = stored.latest {
            location.store().delete(stored.latest).await?;
        }
    }
    location.store().delete_all(stored.outdone.clone()).await?;
    Ok(!is_renewed)
}
