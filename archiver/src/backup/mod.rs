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
//! between leaves objects that nothing refers to. The session comes before anything is read that
//! a collector could be about to remove; what is condemned is not relied on.

mod blocks;
mod collect;
mod content;
mod engine;
mod parent;
mod plan;
mod publish;
mod rewrite;
mod segment;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use self::blocks::MetaBlocks;
use self::collect::collect;
use self::engine::Engine;
use self::parent::Parent;
pub use self::parent::ParentChoice;
pub(crate) use self::rewrite::rewrite;
pub(crate) use self::segment::SEGMENT_BYTES;
use crate::clock::Clock;
use crate::control::Control;
use crate::entry::Timestamp;
use crate::error::{Error, Result};
use crate::index::Catalog;
use crate::location::{Location, Use};
use crate::pack::{PackWriter, WriterOptions};
use crate::session::{HEARTBEAT_EVERY, OpenSession, SessionState};
use crate::snapshot::{self, Snapshot, SnapshotCommit, Statistics, TreeRoot, TreeWriter};
use crate::source::Source;
use crate::store::Kind;

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
    /// How often collectors are shown that this writer lives.
    pub heartbeat_every: Duration,
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
            heartbeat_every: HEARTBEAT_EVERY,
        }
    }
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
    location.demand(Use::Write)?;
    let started = clock.now();
    let (host, every) = (&options.host, options.heartbeat_every);
    let session = OpenSession::open(location, host, started.into(), every).await?;
    let id = session.id();
    let prepared = prepare(location, source, options, started, &session, control).await;
    let prepared = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            let fenced = session.state().is_lost();
            session.end().await;
            return Err(if fenced { Error::Fenced { id } } else { error });
        }
    };
    let commit = SnapshotCommit { ended: clock.now().into(), ..prepared };
    match commit.commit(location, id).await {
        Ok(snapshot) => acknowledge(location, session, snapshot).await,
        Err(error @ Error::Fenced { .. }) => {
            session.end().await;
            Err(error)
        }
        // Whether it was committed is not known. The session stays, so that a collector decides it
        // before anything that the commit refers to is removed.
        Err(error) => Err(error),
    }
}

/// Ends the session of a commit that the store has taken.
///
/// # Errors
/// [`Error::Fenced`]: then the snapshot does not exist. [`Error::Store`].
pub(crate) async fn acknowledge(
    location: &Location,
    session: OpenSession,
    snapshot: Snapshot,
) -> Result<Snapshot> {
    match session.confirm().await {
        Ok(()) => {
            session.end().await;
            Ok(snapshot)
        }
        Err(error @ Error::Fenced { .. }) => {
            // It may refer to what has been removed meanwhile, so it is not to be found either.
            snapshot::remove(location, snapshot.id).await?;
            Err(error)
        }
        Err(error) => Err(error),
    }
}

/// Stores everything and answers the commit that makes it a snapshot.
async fn prepare(
    location: &Arc<Location>,
    source: Arc<dyn Source>,
    options: BackupOptions,
    started: Timestamp,
    session: &OpenSession,
    control: &Control,
) -> Result<SnapshotCommit> {
    let written_before = location.store().traffic().bytes_written();
    let (catalog, parent) =
        tokio::try_join!(location.usable_catalog(), Parent::choose(location, &options, control))?;
    let catalog = Arc::new(catalog);
    let parent_id = parent.as_ref().map(|parent| parent.id.to_string());
    let (tree, mut statistics) =
        store_tree(location, source.clone(), &options, catalog, parent, session.state(), control)
            .await?;
    control.check()?;
    let finished = tokio::task::spawn_blocking(move || source.finish()).await;
    finished.map_err(|_| Error::StageLost { stage: "walk" })??;
    statistics.bytes_stored = location.store().traffic().bytes_written() - written_before;
    Ok(SnapshotCommit {
        version: 1,
        started: started.into(),
        ended: started.into(),
        host: options.host,
        paths: options.paths,
        tags: options.tags,
        parent: parent_id,
        tree,
        statistics,
    })
}

/// Stores content, metadata and index; after this a commit makes it a snapshot.
async fn store_tree(
    location: &Arc<Location>,
    source: Arc<dyn Source>,
    options: &BackupOptions,
    catalog: Arc<Catalog>,
    parent: Option<Parent>,
    session: SessionState,
    control: &Control,
) -> Result<(Option<TreeRoot>, Statistics)> {
    let packs = |kind| {
        let (store, envelope) = (location.store().clone(), location.envelope().clone());
        let runtime = tokio::runtime::Handle::current();
        PackWriter::new(kind, session.id(), store, envelope, options.packs, runtime)
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
        session.clone(),
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
            let settled = engine.settle(collected).and_then(|(collected, ledger)| {
                let packs = [collected.waiting, ledger, meta.finish()?].concat();
                Ok((collected.root, collected.statistics, packs))
            });
            if settled.is_err() {
                engine.data.abandon();
                meta.abandon();
            }
            settled
        }
    });
    let collected = collector.await.map_err(|_| Error::StageLost { stage: "collect" })?;
    let planned = planner.await.map_err(|_| Error::StageLost { stage: "walk" })?;
    // The collector's word first: when it fails the planner only notices that nobody listens.
    let (root, mut statistics, packs) = collected?;
    let totals = planned?;
    statistics.unreadable += totals.unreadable;
    publish::publish(location, &catalog, packs).await?;
    Ok((root.as_ref().map(TreeRoot::new), statistics))
}
