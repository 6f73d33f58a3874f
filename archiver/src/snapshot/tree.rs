//! Writes a snapshot's tree while its entries arrive, in memory that does not grow with it.

use super::block::{BLOCK_BYTES_MAX, Child, InnerBuilder, LeafBuilder, Node};
use crate::entry::EntryPath;
use crate::error::Result;
use crate::pack::ChunkRef;

/// One entry in so many ends a block, by the hash of its path: what fixes the ends of blocks to
/// the entries and not to their number, so that an insertion changes one block of each level.
const ENTRIES_AVERAGE: u64 = 256;

/// No block ends before it has so many entries, however the hashes fall…
const ENTRIES_MIN: u64 = 32;

/// … and none goes on beyond so many bytes, but for one entry that is larger by itself.
const BLOCK_BYTES_SOFT_MAX: usize = 256 << 10;

/// Where finished blocks go.
///
/// Blocks are compressed several together, so a block's place is known only once the sink has
/// written the group that it is in: a sink keeps blocks back until [`BlockSink::flush`] or until
/// it has enough of them.
pub trait BlockSink {
    /// Takes a block; the returned places are those of the *earliest* blocks of this level that
    /// were not answered yet, in order.
    ///
    /// # Errors
    /// Whatever keeps the block from being stored.
    fn block(&mut self, level: usize, block: Vec<u8>) -> Result<Vec<ChunkRef>>;

    /// Places all blocks of a level that are kept back.
    ///
    /// # Errors
    /// Whatever keeps them from being stored.
    fn flush(&mut self, level: usize) -> Result<Vec<ChunkRef>>;
}

/// Builds a tree from entries in ascending order.
pub struct TreeWriter<S> {
    sink: S,
    leaf: LeafBuilder,
    last: EntryPath,
    levels: Vec<Level>,
}

/// One level of blocks: those whose place is awaited, and the block of references above them that
/// is being filled.
#[derive(Default)]
struct Level {
    awaiting: std::collections::VecDeque<(EntryPath, u64)>,
    parents: InnerBuilder,
    last: EntryPath,
}

/// The finished tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Root {
    pub(crate) block: ChunkRef,
    /// 0 when the root is a leaf.
    pub(crate) level: u8,
    pub(crate) entries: u64,
}

impl<S: BlockSink> TreeWriter<S> {
    /// A tree whose blocks go to `sink`.
    pub fn new(sink: S) -> Self {
        let last = EntryPath::root();
        Self { sink, leaf: LeafBuilder::default(), last, levels: Vec::new() }
    }

    /// Appends an entry, which must follow all before it.
    ///
    /// # Errors
    /// Whatever the sink says.
    pub fn push(&mut self, node: &Node) -> Result<()> {
        self.leaf.push(node);
        self.last = node.entry.path.clone();
        let ends = ends_block(self.last.as_bytes(), self.leaf.count(), self.leaf.bytes());
        if ends { self.finish_leaf() } else { Ok(()) }
    }

    /// Ends the tree; `None` when it has no entry.
    ///
    /// # Errors
    /// Whatever the sink says.
    pub(crate) fn finish(mut self) -> Result<(Option<Root>, S)> {
        if self.leaf.count() > 0 {
            self.finish_leaf()?;
        }
        let mut level = 0;
        while level < self.levels.len() {
            let placed = self.sink.flush(level)?;
            self.place(level, placed)?;
            if let Some(root) = self.sole_block(level) {
                return Ok((Some(root), self.sink));
            }
            self.finish_parent(level)?;
            level += 1;
        }
        Ok((None, self.sink))
    }

    /// The one block of the highest level, if that is what `level` holds.
    fn sole_block(&mut self, level: usize) -> Option<Root> {
        let highest = level + 1 == self.levels.len();
        let parents = &mut self.levels.get_mut(level)?.parents;
        if !highest || parents.count() != 1 {
            return None;
        }
        let entries = parents.entries();
        let only = super::block::read_inner(&std::mem::take(parents).finish()).ok()?;
        let block = only.first()?.block;
        Some(Root { block, level: u8::try_from(level).ok()?, entries })
    }

    fn finish_leaf(&mut self) -> Result<()> {
        let leaf = std::mem::take(&mut self.leaf);
        let (entries, last) = (leaf.count(), self.last.clone());
        self.emit(0, leaf.finish(), last, entries)
    }

    fn emit(&mut self, level: usize, block: Vec<u8>, last: EntryPath, entries: u64) -> Result<()> {
        debug_assert!(block.len() <= BLOCK_BYTES_MAX, "entries of too many chunks are left out");
        self.level(level).awaiting.push_back((last, entries));
        let placed = self.sink.block(level, block)?;
        self.place(level, placed)
    }

    fn place(&mut self, level: usize, placed: Vec<ChunkRef>) -> Result<()> {
        for block in placed {
            let this = self.level(level);
            let Some((last, entries)) = this.awaiting.pop_front() else { break };
            this.last = last.clone();
            this.parents.push(&Child { last, entries, block });
            let ends = {
                let (count, bytes) = (this.parents.count(), this.parents.bytes());
                ends_block(block.id.as_bytes(), count, bytes)
            };
            if ends {
                self.finish_parent(level)?;
            }
        }
        Ok(())
    }

    fn finish_parent(&mut self, level: usize) -> Result<()> {
        let this = self.level(level);
        if this.parents.count() == 0 {
            return Ok(());
        }
        let parents = std::mem::take(&mut this.parents);
        let last = this.last.clone();
        let entries = parents.entries();
        self.emit(level + 1, parents.finish(), last, entries)
    }

    fn level(&mut self, level: usize) -> &mut Level {
        while self.levels.len() <= level {
            self.levels.push(Level::default());
        }
        &mut self.levels[level]
    }
}

/// Whether a block ends behind this item. Items are told by what does not change with their
/// neighbours: a path in a leaf, the child's id above.
fn ends_block(item: &[u8], count: u64, bytes: usize) -> bool {
    let [a, b, ..] = *blake3::hash(item).as_bytes();
    let drawn = u64::from(u16::from_le_bytes([a, b])) % ENTRIES_AVERAGE == 0;
    (drawn && count >= ENTRIES_MIN) || bytes >= BLOCK_BYTES_SOFT_MAX
}
