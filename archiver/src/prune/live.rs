//! Marks every chunk that a snapshot needs.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use crate::control::Control;
use crate::error::Result;
use crate::id::ChunkId;
use crate::index::NamedRun;
use crate::location::Location;
use crate::pack::{ChunkRef, pack_name};
use crate::snapshot::{self, Cursor, Direction};
use crate::store::{Kind, ObjectName};

/// What snapshots need: one bit for each entry of each index run.
pub(super) struct Live {
    bits: Vec<Vec<u64>>,
    /// Packs that snapshots refer to for chunks of which the index knows no copy that is there. It
    /// was damaged or lost; nothing is known of what such a pack holds.
    unindexed: HashSet<ObjectName>,
    snapshots: u64,
}

impl Live {
    /// Walks every snapshot.
    ///
    /// # Errors
    /// Whatever keeps a snapshot from being read whole: what it needs is not known then.
    pub(super) async fn mark(
        location: &Arc<Location>,
        runs: &[NamedRun],
        packs: &HashMap<ObjectName, u64>,
        control: &Control,
    ) -> Result<Self> {
        let bits = runs.iter().map(|named| vec![0; named.run.len().div_ceil(64)]).collect();
        let mut live = Self { bits, unindexed: HashSet::new(), snapshots: 0 };
        let reader = location.reader(None);
        let mut blocks = HashSet::new();
        for snapshot in snapshot::load_all(location).await? {
            live.snapshots += 1;
            let Some((root, level)) = snapshot.root()? else { continue };
            let met: Mutex<Vec<ChunkRef>> = Mutex::default();
            let mut visit = |block: &ChunkRef| {
                let is_new = blocks.insert(block.id);
                if is_new {
                    met.lock().unwrap_or_else(PoisonError::into_inner).push(*block);
                }
                is_new
            };
            if !visit(&root) {
                continue;
            }
            let mut cursor =
                Cursor::new(&reader, root, level, Direction::Forward).visiting(&mut visit);
            while let Some(leaf) = cursor.next_leaf().await? {
                control.check()?;
                for piece in leaf.iter().flat_map(|node| &node.content) {
                    live.set(runs, packs, Kind::Data, &piece.chunk);
                }
            }
            for block in met.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                live.set(runs, packs, Kind::Meta, block);
            }
        }
        Ok(live)
    }

    /// How many snapshots there are.
    pub(super) fn snapshots(&self) -> u64 {
        self.snapshots
    }

    /// Whether a snapshot needs the chunk of entry `line` of run number `run`.
    pub(super) fn is_set(&self, run: usize, line: usize) -> bool {
        let word = self.bits.get(run).and_then(|bits| bits.get(line / 64));
        word.is_some_and(|word| word >> (line % 64) & 1 == 1)
    }

    /// The packs that snapshots refer to for chunks that the index does not know.
    pub(super) fn unindexed(&self) -> impl Iterator<Item = ObjectName> {
        self.unindexed.iter().copied()
    }

    /// Whether a snapshot refers to this pack for chunks that the index does not know.
    pub(super) fn is_unindexed(&self, pack: ObjectName) -> bool {
        self.unindexed.contains(&pack)
    }

    fn set(
        &mut self,
        runs: &[NamedRun],
        packs: &HashMap<ObjectName, u64>,
        kind: Kind,
        chunk: &ChunkRef,
    ) {
        let mut found = false;
        for (named, bits) in runs.iter().zip(&mut self.bits) {
            found |= set_in(named, bits, packs, kind, &chunk.id);
        }
        if !found {
            self.unindexed.insert(pack_name(kind, chunk.at.segment.pack));
        }
    }
}

/// Sets the bits of all copies of a chunk in one run; says whether one of them is there.
fn set_in(
    named: &NamedRun,
    bits: &mut [u64],
    packs: &HashMap<ObjectName, u64>,
    kind: Kind,
    id: &ChunkId,
) -> bool {
    let mut found = false;
    for line in named.run.lines_of(id) {
        let Some((_, at)) = named.run.place(line).filter(|(its, _)| *its == kind) else { continue };
        if let Some(word) = bits.get_mut(line / 64) {
            *word |= 1 << (line % 64);
        }
        found |= packs.contains_key(&pack_name(kind, at.segment.pack));
    }
    found
}
