//! Reads a snapshot's tree: forwards, backwards, or from any path on.

use async_trait::async_trait;

use super::block::{Child, Node, read_inner, read_leaf};
use crate::entry::EntryPath;
use crate::error::{Error, Result};
use crate::pack::ChunkRef;
use crate::store::ObjectName;

/// Most levels of inner blocks: 32 children each would make more entries than any tree has.
const LEVELS_MAX: u8 = 16;

/// Where blocks are read from.
#[async_trait]
pub trait BlockSource: Send + Sync {
    /// The bytes of a block, authenticated and equal to its id.
    ///
    /// # Errors
    /// Whatever keeps the block from being read.
    async fn block(&self, block: &ChunkRef) -> Result<Vec<u8>>;
}

/// What is in a block.
enum Descent {
    Entries(Vec<Node>),
    Blocks(Vec<Child>),
}

/// Which way a [`Cursor`] goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Ascending by path: a directory comes before what is in it.
    Forward,
    /// Descending by path: a directory comes after all that is in it.
    Backward,
}

/// A walk over the entries of one snapshot, one leaf block at a time; holds one block of each
/// level.
pub struct Cursor<'a> {
    blocks: &'a dyn BlockSource,
    direction: Direction,
    /// What is still to be visited, the next one last; one list for each level.
    pending: Vec<(u8, Vec<Child>)>,
    /// Entries before this path are left out.
    from: Option<Start>,
    visit: Option<Visit<'a>>,
    lost: Option<Lost<'a>>,
}

type Start = Box<dyn Fn(&EntryPath) -> bool + Send + Sync>;
type Visit<'a> = &'a mut (dyn FnMut(&ChunkRef) -> bool + Send);
type Lost<'a> = &'a mut (dyn FnMut(&Child, Error) + Send);

impl<'a> Cursor<'a> {
    /// A walk over the tree whose root is `root`, a block of level `level`.
    #[must_use]
    pub fn new(
        blocks: &'a dyn BlockSource,
        root: ChunkRef,
        level: u8,
        direction: Direction,
    ) -> Self {
        let root = Child { last: EntryPath::root(), entries: 0, block: root };
        let pending = vec![(level, vec![root])];
        Self { blocks, direction, pending, from: None, visit: None, lost: None }
    }

    /// Skips, reading nothing of them, the entries for which `reached` is false. Must be false
    /// for all entries up to some path and true from there on; forwards only.
    #[must_use]
    pub fn starting(
        mut self,
        reached: impl Fn(&EntryPath) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.from = Some(Box::new(reached));
        self
    }

    /// Asks `visit` about every block below the root, and passes over those that it declines.
    #[must_use]
    pub fn visiting(mut self, visit: Visit<'a>) -> Self {
        self.visit = Some(visit);
        self
    }

    /// Tells `lost` of every block that cannot be read or understood, and goes on behind it. The root has
    /// no path there and no number of entries.
    #[must_use]
    pub fn salvaging(mut self, lost: Lost<'a>) -> Self {
        self.lost = Some(lost);
        self
    }

    /// The entries of the next leaf block in the cursor's direction; `None` at the end.
    ///
    /// # Errors
    /// Whatever keeps a block from being read; [`Error::Damaged`] when one is not well-formed.
    pub async fn next_leaf(&mut self) -> Result<Option<Vec<Node>>> {
        while let Some((level, children)) = self.pending.last_mut() {
            let level = *level;
            let Some(child) = children.pop() else {
                self.pending.pop();
                continue;
            };
            match self.descend(level, &child).await {
                Ok(Descent::Entries(nodes)) => return Ok(Some(nodes)),
                Ok(Descent::Blocks(children)) => self.pending.push((level - 1, children)),
                Err(error) if error.is_about_one_object() => match &mut self.lost {
                    Some(lost) => lost(&child, error),
                    None => return Err(error),
                },
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    async fn descend(&mut self, level: u8, child: &Child) -> Result<Descent> {
        let block = self.blocks.block(&child.block).await?;
        match level {
            0 => self.leaf(child, &block).map(Descent::Entries),
            _ => self.inner(level, child, &block).map(Descent::Blocks),
        }
    }

    fn leaf(&self, child: &Child, block: &[u8]) -> Result<Vec<Node>> {
        let mut nodes = read_leaf(block).map_err(|_| malformed(child))?;
        if let Some(reached) = &self.from {
            let first = nodes.partition_point(|node| !reached(&node.entry.path));
            nodes.drain(..first);
        }
        if self.direction == Direction::Backward {
            nodes.reverse();
        }
        Ok(nodes)
    }

    fn inner(&mut self, level: u8, child: &Child, block: &[u8]) -> Result<Vec<Child>> {
        let mut children = read_children(level, child, block)?;
        if let Some(reached) = &self.from {
            let first = children.partition_point(|child| !reached(&child.last));
            children.drain(..first);
        }
        if let Some(visit) = &mut self.visit {
            children.retain(|child| visit(&child.block));
        }
        if self.direction == Direction::Forward {
            children.reverse();
        }
        Ok(children)
    }
}

/// The children of `child`, an inner block of level `level`.
pub(super) fn read_children(level: u8, child: &Child, block: &[u8]) -> Result<Vec<Child>> {
    if level > LEVELS_MAX {
        return Err(malformed(child));
    }
    read_inner(block).map_err(|_| malformed(child))
}

pub(super) fn malformed(child: &Child) -> Error {
    let object = ObjectName::MetaPack(child.block.at.segment.pack);
    Error::Damaged { object, what: "a block of metadata is not well-formed" }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::HashMap;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use proptest::prelude::*;

    use super::super::tree::{BlockSink, TreeWriter};
    use super::*;
    use crate::entry::tests::empty_file;
    use crate::id::{ChunkId, ObjectId};
    use crate::pack::{ChunkAt, SegmentAt};

    /// Keeps blocks in memory, and places them two at a time.
    #[derive(Default)]
    pub(in super::super) struct Memory {
        blocks: Mutex<HashMap<ChunkId, Vec<u8>>>,
        kept: HashMap<usize, Vec<ChunkRef>>,
        stored: usize,
        reads: AtomicUsize,
    }

    impl Memory {
        /// How many blocks were read.
        pub(in super::super) fn reads(&self) -> usize {
            self.reads.load(Ordering::Relaxed)
        }
    }

    impl BlockSink for &mut Memory {
        fn block(&mut self, level: usize, block: Vec<u8>) -> Result<Vec<ChunkRef>> {
            let id = ChunkId::from_bytes(*blake3::hash(&block).as_bytes());
            let len = block.len() as u32;
            let segment = SegmentAt {
                pack: ObjectId::from_bytes([0; 16]),
                offset: 0,
                stored_len: len,
                plain_len: len,
            };
            let is_new = self.blocks.lock().unwrap().insert(id, block).is_none();
            self.stored += usize::from(is_new);
            let kept = self.kept.entry(level).or_default();
            kept.push(ChunkRef { id, at: ChunkAt { segment, offset: 0, len } });
            Ok(if kept.len() > 1 { std::mem::take(kept) } else { vec![] })
        }

        fn flush(&mut self, level: usize) -> Result<Vec<ChunkRef>> {
            Ok(self.kept.remove(&level).unwrap_or_default())
        }
    }

    #[async_trait]
    impl BlockSource for Memory {
        async fn block(&self, block: &ChunkRef) -> Result<Vec<u8>> {
            self.reads.fetch_add(1, Ordering::Relaxed);
            Ok(self.blocks.lock().unwrap()[&block.id].clone())
        }
    }

    fn node(path: &str) -> Node {
        Node { entry: empty_file(path), content: vec![] }
    }

    pub(in super::super) fn write(
        memory: &mut Memory,
        nodes: &[Node],
    ) -> Option<super::super::tree::Root> {
        let mut tree = TreeWriter::new(memory);
        nodes.iter().for_each(|node| tree.push(node).unwrap());
        tree.finish().unwrap().0
    }

    fn write_paths(memory: &mut Memory, paths: &[String]) -> Option<super::super::tree::Root> {
        let nodes: Vec<Node> = paths.iter().map(|path| node(path)).collect();
        write(memory, &nodes)
    }

    fn read(mut cursor: Cursor<'_>) -> Vec<String> {
        let mut paths = Vec::new();
        while let Some(leaf) = futures::executor::block_on(cursor.next_leaf()).unwrap() {
            paths.extend(leaf.iter().map(|node| node.entry.path.to_string()));
        }
        paths
    }

    fn numbered(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("{n:08}")).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn trees_read_back_both_ways_and_from_anywhere(count in 1_usize..40_000, skip: usize) {
            let mut memory = Memory::default();
            let paths = numbered(count);
            let root = write_paths(&mut memory, &paths).unwrap();
            prop_assert_eq!(root.entries, count as u64);
            let cursor = |direction| Cursor::new(&memory, root.block, root.level, direction);
            prop_assert_eq!(&read(cursor(Direction::Forward)), &paths);
            let mut backward = read(cursor(Direction::Backward));
            backward.reverse();
            prop_assert_eq!(&backward, &paths);
            let skip = skip % count;
            let start = paths[skip].clone();
            let rest = cursor(Direction::Forward).starting(move |p| p.as_bytes() >= start.as_bytes());
            prop_assert_eq!(&read(rest), &paths[skip..]);
        }
    }

    #[test]
    fn no_entry_makes_no_tree() {
        assert_eq!(write_paths(&mut Memory::default(), &[]), None);
    }

    #[test]
    fn a_change_stores_one_block_of_each_level() {
        let mut memory = Memory::default();
        let mut paths = numbered(50_000);
        let root = write_paths(&mut memory, &paths).unwrap();
        let before = std::mem::take(&mut memory.stored);
        assert!(before > 100 && root.level >= 1);
        write_paths(&mut memory, &paths).unwrap();
        assert_eq!(memory.stored, 0);
        paths.insert(25_000, "00024999x".into());
        write_paths(&mut memory, &paths).unwrap();
        assert!(memory.stored <= 2 * (usize::from(root.level) + 1), "{}", memory.stored);
    }
}
