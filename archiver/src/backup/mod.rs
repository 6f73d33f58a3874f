//! Archives a source: walk, read, chunk, deduplicate, compress, encrypt, upload, commit.
//!
//! ```text
//! walk ──▶ batches of entries, about 1 MiB of content each, in order
//!            │  a few at once, each on its own thread:
//!            ▼
//!          read, chunk, hash, claim, compress, verify, append to the open pack ──▶ uploads
//!            │  in order again
//!            ▼
//!          collect: places resolved, entries into the tree ──▶ metadata packs ──▶ uploads
//! ```
//!
//! A batch is what one thread works on from the file to the pack, so that bytes stay in its
//! caches; a large file is cut by one thread and its chunks are batches of their own. Every queue
//! is bounded by batches, and so by bytes.
//!
//! Order of what reaches the store: session, packs, index runs, commit. Whatever happens in
//! between leaves objects that nothing refers to.

mod blocks;
mod collect;
mod content;
mod engine;
mod parent;
mod plan;
mod publish;
mod segment;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use self::blocks::MetaBlocks;
use self::collect::collect;
use self::engine::Engine;
use self::parent::Parent;
pub use self::parent::ParentChoice;
use crate::clock::Clock;
use crate::control::Control;
use crate::error::{Error, Result};
use crate::id::ObjectId;
use crate::index::Catalog;
use crate::location::Location;
use crate::pack::{PackWriter, WriterOptions};
use crate::snapshot::{Snapshot, SnapshotCommit, Statistics, TreeRoot, TreeWriter};
use crate::source::Source;
use crate::store::{Kind, ObjectName, Put};

/// Batches between the walk and the collector.
const BATCHES_QUEUED_MAX: usize = 64;

/// What a backup is to be like.
#[derive(Clone, Debug)]
pub struct BackupOptions {
    /// The name of the machine that is archived.
    pub host: String,
    /// What is archived, as the caller names it; a parent is looked for among snapshots of the
    /// same host and paths.
    pub paths: Vec<String>,
    /// Labels.
    pub tags: Vec<String>,
    /// Which snapshot unchanged files are taken over from.
    pub parent: ParentChoice,
    /// Decompress and hash what was compressed before it is stored.
    pub verify: bool,
    /// How packs are made.
    pub packs: WriterOptions,
    /// Threads that read, hash and compress; the number of CPUs when `None`.
    pub threads: Option<usize>,
}

impl Default for BackupOptions {
    fn default() -> Self {
        Self {
            host: String::new(),
            paths: Vec::new(),
            tags: Vec::new(),
            parent: ParentChoice::Latest,
            verify: true,
            packs: WriterOptions::default(),
            threads: None,
        }
    }
}

/// What `x/session/<id>` holds.
#[derive(Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) version: u32,
    pub(crate) host: String,
    pub(crate) started: crate::snapshot::UnixTime,
}

/// Archives everything that `source` walks, into a new snapshot of `location`.
///
/// Entries that cannot be read are reported to the control's observer and counted in the
/// snapshot's statistics; they do not make the backup fail.
///
/// # Errors
/// Anything that keeps the snapshot from being complete and durable; then it does not exist.
pub async fn backup(
    location: &Arc<Location>,
    source: Arc<dyn Source>,
    options: BackupOptions,
    clock: &dyn Clock,
    control: &Control,
) -> Result<Snapshot> {
    let id = ObjectId::random();
    let started = clock.now();
    let written_before = location.store().traffic().bytes_written();
    open_session(location, id, &options, started.into()).await?;
    let (catalog, parent) =
        tokio::try_join!(location.catalog(), Parent::choose(location, &options, control))?;
    let catalog = Arc::new(catalog);
    let parent_id = parent.as_ref().map(|parent| parent.id.to_string());
    let (tree, mut statistics) =
        store_tree(location, source.clone(), &options, catalog, parent, control).await?;
    control.check()?;
    let finished = tokio::task::spawn_blocking(move || source.finish()).await;
    finished.map_err(|_| Error::StageLost { stage: "walk" })??;
    statistics.bytes_stored = location.store().traffic().bytes_written() - written_before;
    let commit = SnapshotCommit {
        version: 1,
        started: started.into(),
        ended: clock.now().into(),
        host: options.host,
        paths: options.paths,
        tags: options.tags,
        parent: parent_id,
        tree,
        statistics,
    };
    commit.commit(location, id).await
}

/// Announces the writer, before it reads anything that a collector could be about to remove.
async fn open_session(
    location: &Location,
    id: ObjectId,
    options: &BackupOptions,
    started: crate::snapshot::UnixTime,
) -> Result<()> {
    let name = ObjectName::Session(id);
    let session = Session { version: 1, host: options.host.clone(), started };
    // Strings and numbers under string keys: nothing that could fail.
    let plain = serde_json::to_vec(&session).unwrap_or_default();
    let message = location.envelope().seal(name, &plain).await?;
    match location.store().create(name, message).await? {
        Put::Created => Ok(()),
        Put::Occupied => Err(Error::NameTaken { object: name }),
    }
}

/// Stores content, metadata and index; after this a commit makes it a snapshot.
async fn store_tree(
    location: &Arc<Location>,
    source: Arc<dyn Source>,
    options: &BackupOptions,
    catalog: Arc<Catalog>,
    parent: Option<Parent>,
    control: &Control,
) -> Result<(Option<TreeRoot>, Statistics)> {
    let runtime = tokio::runtime::Handle::current();
    let packs = |kind| {
        let (store, envelope) = (location.store().clone(), location.envelope().clone());
        PackWriter::new(kind, store, envelope, options.packs, runtime.clone())
    };
    let threads = options
        .threads
        .or_else(|| std::thread::available_parallelism().ok().map(usize::from))
        .unwrap_or(2);
    let engine = Arc::new(Engine::new(
        location.clone(),
        catalog.clone(),
        packs(Kind::Data),
        options.verify,
        control.clone(),
        runtime.clone(),
        threads,
    ));
    let (batches, queue) = mpsc::channel(BATCHES_QUEUED_MAX);
    let planner = tokio::task::spawn_blocking({
        let engine = engine.clone();
        move || plan::plan(&engine, &source, parent.as_ref(), &batches)
    });
    let meta = packs(Kind::Meta);
    let collector = tokio::task::spawn_blocking({
        let engine = engine.clone();
        move || {
            let blocks = MetaBlocks::new(engine.clone(), &meta);
            let collected = collect(&engine, TreeWriter::new(blocks), queue);
            let (collected, ledger) = engine.settle(collected)?;
            let packs = [collected.waiting, ledger, meta.finish()?].concat();
            Ok::<_, Error>((collected.root, collected.statistics, packs))
        }
    });
    let collected = collector.await.map_err(|_| Error::StageLost { stage: "collect" })?;
    let planned = planner.await.map_err(|_| Error::StageLost { stage: "walk" })?;
    // The collector's word first: when it fails the planner only notices that nobody listens.
    let (root, mut statistics, packs) = collected?;
    let totals = planned?;
    statistics.unreadable += totals.unreadable;
    publish::publish(location, &catalog, packs).await?;
    publish::merge(location, &catalog).await?;
    Ok((root.as_ref().map(TreeRoot::new), statistics))
}
