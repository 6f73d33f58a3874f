//! Takes the batches in order and writes the snapshot's tree.

use std::sync::atomic::Ordering;

use tokio::sync::mpsc;

use super::blocks::MetaBlocks;
use super::content::{Item, Outcome, Placed};
use super::engine::Engine;
use super::plan::Pending;
use super::publish::Publisher;
use crate::entry::EntryKind;
use crate::error::{Error, Result};
use crate::pack::{ChunkRef, Ledger};
use crate::snapshot::{Node, Piece, Root, Statistics, TreeWriter};
use crate::store::Kind;

/// All entries in their tree.
pub(crate) struct Collected {
    pub(crate) root: Option<Root>,
    pub(crate) statistics: Statistics,
    /// Packs that are complete and in no index run yet.
    pub(crate) waiting: Ledger,
}

/// Collects every batch; the tree is complete when the queue ends.
pub(crate) fn collect(
    engine: &Engine,
    mut tree: TreeWriter<MetaBlocks<'_>>,
    mut queue: mpsc::Receiver<Pending>,
) -> Result<Collected> {
    let mut statistics = Statistics::default();
    let mut publisher = Publisher::default();
    while let Some(pending) = queue.blocking_recv() {
        let items = pending.blocking_recv().map_err(|_| Error::StageLost { stage: "read" })??;
        for item in items {
            count(&mut statistics, &item);
            engine.control.progress.add(1, item.entry.size().unwrap_or(0));
            if item.outcome != Outcome::Unreadable {
                tree.push(&node(engine, item)?)?;
            }
        }
        publisher.advance(engine)?;
    }
    engine.check()?;
    let (root, _) = tree.finish()?;
    statistics.bytes_read = engine.counters.bytes_read.load(Ordering::Relaxed);
    statistics.chunks_new = engine.counters.chunks_new.load(Ordering::Relaxed);
    statistics.bytes_new = engine.counters.bytes_new.load(Ordering::Relaxed);
    Ok(Collected { root, statistics, waiting: publisher.finish() })
}

fn count(statistics: &mut Statistics, item: &Item) {
    match item.outcome {
        Outcome::Unreadable => {
            statistics.unreadable += 1;
            return;
        }
        Outcome::Changed => statistics.changed += 1,
        Outcome::Unchanged => statistics.files_unchanged += 1,
        Outcome::Done => {}
    }
    match item.entry.kind {
        EntryKind::File { size } => {
            statistics.files += 1;
            statistics.bytes += size;
        }
        EntryKind::Directory => statistics.directories += 1,
        _ => statistics.others += 1,
    }
}

fn node(engine: &Engine, item: Item) -> Result<Node> {
    let resolve = |placed: Placed| {
        let at = match placed.at {
            Some(at) => at,
            None => engine
                .catalog
                .wait(Kind::Data, &placed.id, || engine.has_failed())
                .ok_or(Error::StageLost { stage: "read" })?,
        };
        Ok(Piece { start: placed.start, chunk: ChunkRef { id: placed.id, at } })
    };
    let content = item.content.into_iter().map(resolve).collect::<Result<_>>()?;
    Ok(Node { entry: item.entry, content })
}
