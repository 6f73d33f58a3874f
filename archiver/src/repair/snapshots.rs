//! Writes snapshots anew without what is lost of them.
//!
//! A snapshot is damaged when blocks of its tree cannot be read, or when the index knows no pack that is there for
//! content that a file wants: what [`check`](mod@crate::check) finds without reading content. Where that read
//! content and found packs damaged, [`repair_index`](super::repair_index) with `all` takes these out of the index
//! first.
//!
//! A file without some of its content is left out whole: nobody shall take it for what was archived.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::backup::{acknowledge, rewrite};
use crate::clock::Clock;
use crate::control::Control;
use crate::entry::{EntryKind, EntryPath};
use crate::error::{Error, Result};
use crate::id::{ChunkId, ObjectId};
use crate::index::Catalog;
use crate::location::{Location, Use};
use crate::pack::WriterOptions;
use crate::session::{HEARTBEAT_EVERY, OpenSession};
use crate::snapshot::{
    self, Child, Cursor, Direction, Node, Snapshot, SnapshotCommit, Statistics, TreeRoot,
};
use crate::store::Kind;

/// What a snapshot that was written anew is tagged with.
pub const REPAIRED_TAG: &str = "repaired";

/// Leaf blocks between reading and writing.
const LEAVES_QUEUED_MAX: usize = 16;

/// What is to be mended of the snapshots.
#[derive(Clone, Debug)]
pub struct RepairSnapshotsOptions {
    /// The machine that writes.
    pub host: String,
    /// Only look.
    pub dry_run: bool,
    /// Forget damaged snapshots, once what can be saved of them is committed.
    pub forget: bool,
    /// How packs are made.
    pub packs: WriterOptions,
    /// How often collectors are shown that this writer lives.
    pub heartbeat_every: Duration,
}

impl Default for RepairSnapshotsOptions {
    fn default() -> Self {
        Self {
            host: String::new(),
            dry_run: false,
            forget: false,
            packs: WriterOptions::default(),
            heartbeat_every: HEARTBEAT_EVERY,
        }
    }
}

/// A part of a snapshot that is lost.
#[derive(Debug)]
#[non_exhaustive]
pub enum Loss {
    /// A file, some of whose content is in no pack that is there.
    File(EntryPath),
    /// A block of entries that cannot be read.
    Entries {
        /// How many; all of the snapshot where it was the root block.
        count: u64,
        /// The last of them in the order of paths; none where it was the root block.
        last: Option<EntryPath>,
        /// Why not.
        error: Error,
    },
}

/// A damaged snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// Its name.
    pub damaged: ObjectId,
    /// The snapshot without what is lost; none after a dry run, or where nothing is left.
    pub saved: Option<ObjectId>,
    /// Files that are left out.
    pub files_lost: u64,
    /// Entries in blocks that cannot be read.
    pub entries_lost: u64,
}

/// What was mended of the snapshots.
#[derive(Debug, Default)]
pub struct SnapshotsRepaired {
    /// Snapshots of which nothing is missing.
    pub whole: u64,
    /// The others.
    pub repaired: Vec<Repaired>,
    /// Snapshot objects that cannot be read themselves.
    pub unreadable: Vec<(ObjectId, Error)>,
    /// Damaged and unreadable snapshots that were forgotten.
    pub forgotten: u64,
}

/// Writes every damaged snapshot anew, without what is lost and with the tag [`REPAIRED_TAG`]. The damaged one stays
/// unless it is to be forgotten.
///
/// # Errors
/// What keeps snapshots from being read or written at all, such as a key that is refused.
pub async fn repair_snapshots(
    location: &Arc<Location>,
    options: &RepairSnapshotsOptions,
    clock: &dyn Clock,
    control: &Control,
) -> Result<SnapshotsRepaired> {
    location.demand(Use::Write)?;
    let mut repaired = SnapshotsRepaired::default();
    let snapshots = readable(location, &mut repaired).await?;
    let mut repair = Repair { location, options, clock, control, whole: HashSet::new() };
    let catalog = location.usable_catalog().await?;
    for snapshot in snapshots {
        control.check()?;
        if repair.look(&snapshot, &catalog).await?.is_whole() {
            repaired.whole += 1;
            continue;
        }
        let outcome = repair.save(&snapshot).await?;
        if options.forget && !options.dry_run {
            snapshot::forget(location, &snapshot).await?;
            repaired.forgotten += 1;
        }
        repaired.repaired.push(outcome);
    }
    if options.forget && !options.dry_run {
        for (id, _) in &repaired.unreadable {
            snapshot::remove(location, *id).await?;
            repaired.forgotten += 1;
        }
    }
    Ok(repaired)
}

/// The snapshots that can be read, the earliest first; the others are noted.
async fn readable(location: &Location, repaired: &mut SnapshotsRepaired) -> Result<Vec<Snapshot>> {
    let mut snapshots = Vec::new();
    for id in snapshot::list(location).await? {
        match snapshot::load_any(location, id).await {
            Ok(None) => {}
            Ok(Some(snapshot)) => match snapshot.root() {
                Ok(_) => snapshots.push(snapshot),
                Err(error) => repaired.unreadable.push((id, error)),
            },
            Err(error) if error.is_gone() => {}
            Err(error) if error.is_about_one_object() => repaired.unreadable.push((id, error)),
            Err(error) => return Err(error),
        }
    }
    snapshots.sort_by_key(|Snapshot { id, commit }| {
        (commit.started.seconds, commit.started.nanoseconds, *id)
    });
    Ok(snapshots)
}

struct Repair<'a> {
    location: &'a Arc<Location>,
    options: &'a RepairSnapshotsOptions,
    clock: &'a dyn Clock,
    control: &'a Control,
    /// Blocks of snapshots that were found whole: what is below them is whole too.
    whole: HashSet<ChunkId>,
}

/// What was found of one snapshot.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    statistics: Statistics,
    files_lost: u64,
    entries_lost: u64,
    blocks_lost: u64,
}

impl Found {
    fn is_whole(&self) -> bool {
        self.files_lost == 0 && self.blocks_lost == 0
    }

    fn count(&mut self, kind: &EntryKind) {
        let statistics = &mut self.statistics;
        match kind {
            EntryKind::File { size } => {
                statistics.files += 1;
                statistics.bytes += size;
            }
            EntryKind::Directory => statistics.directories += 1,
            _ => statistics.others += 1,
        }
    }
}

impl Repair<'_> {
    /// Walks a snapshot as far as others have not been found whole.
    async fn look(&mut self, snapshot: &Snapshot, catalog: &Catalog) -> Result<Found> {
        let Some((root, level)) = root_of(snapshot) else { return Ok(Found::default()) };
        if self.whole.contains(&root.id) {
            return Ok(Found::default());
        }
        let (whole, mut visited) = (&self.whole, vec![root.id]);
        let mut visit = |block: &crate::pack::ChunkRef| {
            let is_new = !whole.contains(&block.id);
            if is_new {
                visited.push(block.id);
            }
            is_new
        };
        let (mut found, mut blocks_lost) = (Found::default(), 0);
        let mut lost = |_: &Child, _: Error| blocks_lost += 1;
        let reader = self.location.reader(None);
        let mut cursor = Cursor::new(&reader, root, level, Direction::Forward)
            .visiting(&mut visit)
            .salvaging(&mut lost);
        while let Some(leaf) = cursor.next_leaf().await? {
            self.control.check()?;
            found.files_lost +=
                leaf.iter().filter(|node| !has_content(node, catalog)).count() as u64;
        }
        found.blocks_lost = blocks_lost;
        if found.is_whole() {
            self.whole.extend(visited);
        }
        Ok(found)
    }

    /// Writes what is left of a damaged snapshot, or only looks what that would be.
    async fn save(&self, snapshot: &Snapshot) -> Result<Repaired> {
        let (found, saved) = match self.options.dry_run {
            true => {
                let catalog = self.location.usable_catalog().await?;
                (self.salvage(snapshot, &catalog, None).await?, None)
            }
            false => self.write(snapshot).await?,
        };
        let Found { files_lost, entries_lost, .. } = found;
        Ok(Repaired { damaged: snapshot.id, saved, files_lost, entries_lost })
    }

    async fn write(&self, snapshot: &Snapshot) -> Result<(Found, Option<ObjectId>)> {
        let (host, every) = (&self.options.host, self.options.heartbeat_every);
        let started = self.clock.now().into();
        let session = OpenSession::open(self.location, host, started, every).await?;
        let id = session.id();
        match self.rewritten(snapshot, &session).await {
            Ok((None, found)) => {
                session.end().await;
                Ok((found, None))
            }
            Ok((tree, found)) => {
                let commit = commit_of(snapshot, tree, &found);
                let saved = commit.commit(self.location, id).await?;
                acknowledge(self.location, session, saved).await?;
                Ok((found, Some(id)))
            }
            Err(error) => {
                session.end().await;
                Err(error)
            }
        }
    }

    async fn rewritten(
        &self,
        snapshot: &Snapshot,
        session: &OpenSession,
    ) -> Result<(Option<TreeRoot>, Found)> {
        // After the session: nothing that is found now is removed before that has ended.
        let catalog = Arc::new(self.location.usable_catalog().await?);
        let (queue, entries) = mpsc::channel(LEAVES_QUEUED_MAX);
        let (packs, state) = (self.options.packs, session.state());
        let written = rewrite(self.location, catalog.clone(), state, packs, self.control, entries);
        let read = self.salvage(snapshot, &catalog, Some(queue));
        let (tree, found) = tokio::join!(written, read);
        Ok((tree?, found?))
    }

    /// Reads what is left of a snapshot, tells what is lost, and sends the rest on.
    async fn salvage(
        &self,
        snapshot: &Snapshot,
        catalog: &Catalog,
        queue: Option<mpsc::Sender<Vec<Node>>>,
    ) -> Result<Found> {
        let mut found = Found::default();
        let Some((root, level)) = root_of(snapshot) else { return Ok(found) };
        let all = snapshot.commit.tree.as_ref().map_or(0, |tree| tree.entries);
        let (mut blocks, mut entries) = (0, 0);
        let observer = &self.control.observer;
        let mut lost = |child: &Child, error: Error| {
            let is_root = child.block.id == root.id;
            let count = if is_root { all } else { child.entries };
            let last = (!is_root).then(|| child.last.clone());
            blocks += 1;
            entries += count;
            observer.lost(snapshot.id, &Loss::Entries { count, last, error });
        };
        let reader = self.location.reader(None);
        let mut cursor = Cursor::new(&reader, root, level, Direction::Forward).salvaging(&mut lost);
        while let Some(mut leaf) = cursor.next_leaf().await? {
            self.control.check()?;
            leaf.retain(|node| {
                let has_content = has_content(node, catalog);
                if has_content {
                    found.count(&node.entry.kind);
                } else {
                    found.files_lost += 1;
                    observer.lost(snapshot.id, &Loss::File(node.entry.path.clone()));
                }
                has_content
            });
            self.control.progress.add(leaf.len() as u64, 0);
            if let Some(queue) = &queue
                && queue.send(leaf).await.is_err()
            {
                // Writing has failed, and tells why.
                break;
            }
        }
        (found.blocks_lost, found.entries_lost) = (blocks, entries);
        Ok(found)
    }
}

/// The root of a tree that is named properly; what is not has nothing to be saved.
fn root_of(snapshot: &Snapshot) -> Option<(crate::pack::ChunkRef, u8)> {
    snapshot.root().ok().flatten()
}

/// Whether the index knows a pack that is there for all that a file wants.
fn has_content(node: &Node, catalog: &Catalog) -> bool {
    node.content.iter().all(|piece| {
        let found = catalog.find(Kind::Data, &piece.chunk.id);
        found.is_some_and(|at| at.len == piece.chunk.at.len)
    })
}

/// The commit of what is left: of the same host, paths and time, so that retention treats it like the other.
fn commit_of(snapshot: &Snapshot, tree: Option<TreeRoot>, found: &Found) -> SnapshotCommit {
    let commit = &snapshot.commit;
    let mut tags = commit.tags.clone();
    if !tags.iter().any(|tag| tag == REPAIRED_TAG) {
        tags.push(REPAIRED_TAG.to_owned());
    }
    let unreadable = commit.statistics.unreadable + found.files_lost + found.entries_lost;
    SnapshotCommit {
        tags,
        parent: Some(snapshot.id.to_string()),
        tree,
        statistics: Statistics { unreadable, ..found.statistics },
        ..commit.clone()
    }
}
