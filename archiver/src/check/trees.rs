//! Snapshots' trees: every block readable, every chunk that they want in the index.

use std::collections::HashSet;

use super::{Check, Fault};
use crate::error::Result;
use crate::id::ChunkId;
use crate::index::Catalog;
use crate::pack::{ChunkRef, PackReader, pack_name};
use crate::snapshot::{Cursor, Direction, Piece, Snapshot};
use crate::store::{Kind, ObjectName};

/// What was met in the trees walked so far: what snapshots share is checked once.
#[derive(Default)]
struct Walked {
    blocks: HashSet<ChunkId>,
    /// Packs that were found to lack something.
    missing: HashSet<ObjectName>,
}

impl Check<'_> {
    pub(super) async fn trees(&mut self, snapshots: &[Snapshot], catalog: &Catalog) -> Result<()> {
        let reader = self.location.reader(None);
        let mut walked = Walked::default();
        for snapshot in snapshots {
            let name = ObjectName::Snapshot(snapshot.id);
            let Some(tree) = &snapshot.commit.tree else { continue };
            let Some(root) = tree.block() else {
                self.problem(name, Fault::Content("its tree is not named properly"));
                continue;
            };
            if let Err(error) = self.tree(&reader, root, tree.level, catalog, &mut walked).await {
                self.fault(name, error)?;
            }
        }
        Ok(())
    }

    async fn tree(
        &mut self,
        reader: &PackReader,
        root: ChunkRef,
        level: u8,
        catalog: &Catalog,
        walked: &mut Walked,
    ) -> Result<()> {
        let Walked { blocks, missing } = walked;
        let mut is_new = |block: &ChunkRef| blocks.insert(block.id);
        if !is_new(&root) {
            return Ok(());
        }
        let mut cursor = Cursor::new(reader, root, level, Direction::Forward).visiting(&mut is_new);
        while let Some(leaf) = cursor.next_leaf().await? {
            self.control.check()?;
            for piece in leaf.iter().flat_map(|node| &node.content) {
                self.piece(piece, catalog, missing);
            }
        }
        Ok(())
    }

    /// A chunk that a file wants must be listed in a pack that is there; where the entry says that
    /// it lies is a hint.
    fn piece(&mut self, piece: &Piece, catalog: &Catalog, missing: &mut HashSet<ObjectName>) {
        let object = match catalog.find(Kind::Data, &piece.chunk.id) {
            Some(at) if at.len == piece.chunk.at.len => return,
            _ => pack_name(Kind::Data, piece.chunk.at.segment.pack),
        };
        if missing.insert(object) {
            let what = "a file's content should be in it, and no index run lists that";
            let there = self.objects.contains_key(&object);
            self.problem(object, if there { Fault::Content(what) } else { Fault::Missing });
        }
    }
}
