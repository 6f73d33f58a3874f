//! The snapshot that unchanged files are taken over from.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::BackupOptions;
use super::engine::Engine;
use crate::control::Control;
use crate::entry::{Entry, EntryPath, Timestamp};
use crate::error::{Error, Result};
use crate::id::ObjectId;
use crate::index::Catalog;
use crate::location::Location;
use crate::pack::{ChunkRef, PackReader, pack_name};
use crate::snapshot::{self, Cursor, Direction, Node, Piece, Snapshot};
use crate::store::Kind;

/// How close to the parent's beginning a change may lie and go unnoticed: file times have the
/// grain of the kernel's tick, 10 ms at the coarsest, so a write just after the parent read the
/// file can leave the times as they were.
const TIME_GRAIN_NANOSECONDS: u32 = 20_000_000;

/// Which snapshot to compare with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ParentChoice {
    /// The latest of the same host and paths.
    #[default]
    Latest,
    /// None: every file is read.
    None,
    /// This one.
    Snapshot(ObjectId),
}

/// The entries of an earlier snapshot, in step with a walk.
pub(crate) struct Parent {
    pub(crate) id: ObjectId,
    started: Timestamp,
    reader: Arc<PackReader>,
    snapshot: Snapshot,
}

/// A parent that is being walked.
pub(crate) struct ParentWalk<'a> {
    cursor: Option<Cursor<'a>>,
    nodes: std::iter::Peekable<std::vec::IntoIter<Node>>,
    started: Timestamp,
    catalog: Arc<Catalog>,
    runtime: Handle,
    control: Control,
}

impl Parent {
    /// Finds the parent that the options ask for; `None` when there is none, or none that can be
    /// read, as for a writer whose key policy does not let it read metadata.
    pub(crate) async fn choose(
        location: &Arc<Location>,
        options: &BackupOptions,
        control: &Control,
    ) -> Result<Option<Self>> {
        let snapshot = match options.parent {
            ParentChoice::None => return Ok(None),
            ParentChoice::Snapshot(id) => Some(snapshot::load(location, id).await?),
            ParentChoice::Latest => match snapshot::load_all(location).await {
                Ok(all) => all
                    .into_iter()
                    .rev()
                    .find(|s| s.commit.host == options.host && s.commit.paths == options.paths),
                Err(error @ Error::Store { .. }) => return Err(error),
                Err(error) => {
                    control.observer.parent_unreadable(&error);
                    None
                }
            },
        };
        Ok(snapshot.map(|snapshot| Self {
            id: snapshot.id,
            started: snapshot.commit.started.into(),
            reader: Arc::new(location.reader(None)),
            snapshot,
        }))
    }

    pub(crate) fn walk(&self, engine: &Engine) -> ParentWalk<'_> {
        let root = self.snapshot.commit.tree.as_ref();
        let cursor = root.and_then(|root| Some((root.block()?, root.level)));
        let cursor = cursor
            .map(|(block, level)| Cursor::new(&*self.reader, block, level, Direction::Forward));
        let nodes = Vec::new().into_iter().peekable();
        let (catalog, runtime) = (engine.catalog.clone(), engine.runtime.clone());
        let control = engine.control.clone();
        ParentWalk { cursor, nodes, started: self.started, catalog, runtime, control }
    }
}

impl ParentWalk<'_> {
    /// The content of `entry` as the parent has it, if the file did not change since.
    pub(crate) fn unchanged(&mut self, entry: &Entry) -> Option<Vec<Piece>> {
        let node = self.seek(&entry.path)?;
        let old = &node.entry;
        let same = old.kind == entry.kind
            && old.modified == entry.modified
            && old.changed == entry.changed
            && old.inode.inode == entry.inode.inode
            && is_before(&entry.changed, &self.started);
        if same { self.where_it_lies(node.content) } else { None }
    }

    /// The pieces at places that may be relied on; `None` when one has none, and so must be read
    /// and stored again. The parent may have been forgotten while it is walked, and what it refers
    /// to may be condemned or moved.
    fn where_it_lies(&self, mut pieces: Vec<Piece>) -> Option<Vec<Piece>> {
        for piece in &mut pieces {
            let ChunkRef { id, at } = &mut piece.chunk;
            if !self.catalog.is_usable(pack_name(Kind::Data, at.segment.pack)) {
                *at = self.catalog.find(Kind::Data, id)?;
            }
        }
        Some(pieces)
    }

    /// Goes forward to `path`; walks ascend, so what is passed is never asked for again.
    fn seek(&mut self, path: &EntryPath) -> Option<Node> {
        loop {
            match self.nodes.peek().map(|node| node.entry.path.cmp(path)) {
                Some(std::cmp::Ordering::Less) => drop(self.nodes.next()),
                Some(std::cmp::Ordering::Equal) => return self.nodes.next(),
                Some(std::cmp::Ordering::Greater) => return None,
                None => self.nodes = self.next_leaf()?.into_iter().peekable(),
            }
        }
    }

    /// A parent whose metadata cannot be read is no parent from there on.
    fn next_leaf(&mut self) -> Option<Vec<Node>> {
        let next = self.runtime.block_on(self.cursor.as_mut()?.next_leaf());
        let leaf = next.unwrap_or_else(|error| {
            self.control.observer.parent_unreadable(&error);
            None
        });
        if leaf.is_none() {
            self.cursor = None;
        }
        leaf
    }
}

fn is_before(changed: &Timestamp, started: &Timestamp) -> bool {
    let mut limit = *started;
    match limit.nanoseconds.checked_sub(TIME_GRAIN_NANOSECONDS) {
        Some(nanoseconds) => limit.nanoseconds = nanoseconds,
        None => {
            limit.seconds = limit.seconds.saturating_sub(1);
            limit.nanoseconds += 1_000_000_000 - TIME_GRAIN_NANOSECONDS;
        }
    }
    *changed < limit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_within_the_grain_of_file_times_is_not_before() {
        let time = |seconds, nanoseconds| Timestamp { seconds, nanoseconds };
        assert!(is_before(&time(9, 979_999_999), &time(10, 0)));
        assert!(!is_before(&time(9, 980_000_000), &time(10, 0)));
        assert!(is_before(&time(10, 4_999_999), &time(10, 25_000_000)));
        assert!(!is_before(&time(10, 5_000_000), &time(10, 25_000_000)));
        assert!(!is_before(&time(11, 0), &time(10, 0)));
    }
}
