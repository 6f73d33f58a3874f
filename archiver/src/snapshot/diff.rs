//! What changed between two snapshots, at the cost of what changed: blocks that both trees have
//! are passed over unread, whatever lies below them.

use std::cmp::Ordering;

use super::block::{Child, Node, Piece, read_leaf};
use super::cursor::{BlockSource, malformed, read_children};
use crate::entry::{EntryKind, EntryPath};
use crate::error::Result;
use crate::pack::ChunkRef;

/// One path in which two snapshots differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Only the later snapshot has it.
    Added(Box<Node>),
    /// Only the earlier snapshot has it.
    Removed(Box<Node>),
    /// Both have it, and not the same.
    Changed {
        /// In the earlier snapshot.
        before: Box<Node>,
        /// In the later one.
        after: Box<Node>,
    },
}

/// In what two entries of one path differ. Inode numbers, change times and birth times, which no
/// restore can give back, are not compared, nor is where content is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Differences {
    /// The type, or a link's target, or a device's number.
    pub kind: bool,
    /// The bytes of a regular file.
    pub content: bool,
    /// The permissions.
    pub mode: bool,
    /// Owner or group.
    pub owner: bool,
    /// The time of the last modification.
    pub modified: bool,
    /// Extended attributes, ACLs among them.
    pub xattrs: bool,
    /// File flags.
    pub flags: bool,
}

/// The differences of two trees, in the order of their paths.
pub struct Diff<'a> {
    before: Side<'a>,
    after: Side<'a>,
}

/// Root block and level of a snapshot's tree; `None` for a snapshot without entries.
pub type DiffRoot = Option<(ChunkRef, u8)>;

/// One of the trees, as far as it was not passed yet.
struct Side<'a> {
    blocks: &'a dyn BlockSource,
    /// What is to come, the next one last.
    pending: Vec<Pending>,
    /// Whatever is to come lies beyond this path.
    passed: Option<EntryPath>,
}

enum Pending {
    Block(u8, Child),
    Node(Box<Node>),
}

/// What the heads of both sides ask for.
enum Step {
    End,
    /// Both are the same block.
    Skip,
    Expand {
        before: bool,
        after: bool,
    },
    /// Nodes that stand alone, or in a pair.
    Take {
        before: bool,
        after: bool,
    },
}

impl Change {
    /// The path.
    #[must_use]
    pub fn path(&self) -> &EntryPath {
        match self {
            Self::Added(node) | Self::Removed(node) | Self::Changed { after: node, .. } => {
                &node.entry.path
            }
        }
    }
}

impl Differences {
    /// Compares two entries.
    #[must_use]
    pub fn between(before: &Node, after: &Node) -> Self {
        let (old, new) = (&before.entry, &after.entry);
        let both_files =
            matches!((&old.kind, &new.kind), (EntryKind::File { .. }, EntryKind::File { .. }));
        let ids = |node: &Node| -> Vec<_> {
            node.content.iter().map(|Piece { start, chunk }| (*start, chunk.id)).collect()
        };
        Self {
            kind: !both_files && old.kind != new.kind,
            content: both_files && (old.kind != new.kind || ids(before) != ids(after)),
            mode: old.mode != new.mode,
            owner: (old.uid, old.gid, &old.user, &old.group)
                != (new.uid, new.gid, &new.user, &new.group),
            modified: old.modified != new.modified,
            xattrs: old.xattrs != new.xattrs,
            flags: old.flags != new.flags,
        }
    }

    /// Whether there is any.
    #[must_use]
    pub fn any(&self) -> bool {
        *self != Self::default()
    }
}

impl<'a> Diff<'a> {
    /// The differences between the trees whose roots are `before` and `after`.
    #[must_use]
    pub fn new(blocks: &'a dyn BlockSource, before: DiffRoot, after: DiffRoot) -> Self {
        let side = |root: DiffRoot| {
            let block = |(block, level)| {
                Pending::Block(level, Child { last: EntryPath::root(), entries: 0, block })
            };
            Side { blocks, pending: root.map(block).into_iter().collect(), passed: None }
        };
        Self { before: side(before), after: side(after) }
    }

    /// The next difference; `None` at the end.
    ///
    /// # Errors
    /// Whatever keeps a block from being read; [`Error::Damaged`](crate::Error::Damaged) when one
    /// is not well-formed.
    pub async fn next(&mut self) -> Result<Option<Change>> {
        loop {
            match self.step() {
                Step::End => return Ok(None),
                Step::Skip => {
                    self.before.skip();
                    self.after.skip();
                }
                Step::Expand { before, after } => {
                    if before {
                        self.before.expand().await?;
                    }
                    if after {
                        self.after.expand().await?;
                    }
                }
                Step::Take { before, after } => {
                    let before = if before { self.before.take() } else { None };
                    let after = if after { self.after.take() } else { None };
                    match (before, after) {
                        (Some(before), Some(after)) if before == after => {}
                        (Some(before), Some(after)) => {
                            return Ok(Some(Change::Changed { before, after }));
                        }
                        (Some(node), None) => return Ok(Some(Change::Removed(node))),
                        (None, Some(node)) => return Ok(Some(Change::Added(node))),
                        (None, None) => {}
                    }
                }
            }
        }
    }

    fn step(&self) -> Step {
        use Pending::{Block, Node};
        match (self.before.pending.last(), self.after.pending.last()) {
            (None, None) => Step::End,
            (Some(Node(_)), None) => Step::Take { before: true, after: false },
            (None, Some(Node(_))) => Step::Take { before: false, after: true },
            (Some(Block(..)), None) => Step::Expand { before: true, after: false },
            (None, Some(Block(..))) => Step::Expand { before: false, after: true },
            (Some(Block(level, one)), Some(Block(other, two))) => match level.cmp(other) {
                Ordering::Equal if one.block.id == two.block.id => Step::Skip,
                order => Step::Expand { before: order.is_ge(), after: order.is_le() },
            },
            // A node that the other side has passed is alone, whatever its next block holds.
            (Some(Node(node)), Some(Block(..))) => match self.after.is_past(&node.entry.path) {
                true => Step::Take { before: true, after: false },
                false => Step::Expand { before: false, after: true },
            },
            (Some(Block(..)), Some(Node(node))) => match self.before.is_past(&node.entry.path) {
                true => Step::Take { before: false, after: true },
                false => Step::Expand { before: true, after: false },
            },
            (Some(Node(one)), Some(Node(two))) => {
                let order = one.entry.path.cmp(&two.entry.path);
                Step::Take { before: order.is_le(), after: order.is_ge() }
            }
        }
    }
}

impl Side<'_> {
    fn is_past(&self, path: &EntryPath) -> bool {
        self.passed.as_ref().is_some_and(|passed| path <= passed)
    }

    /// Passes over the block at the head.
    fn skip(&mut self) {
        if let Some(Pending::Block(_, child)) = self.pending.pop() {
            self.passed = Some(child.last);
        }
    }

    /// Puts what is in the block at the head in its place.
    async fn expand(&mut self) -> Result<()> {
        let Some(Pending::Block(level, child)) = self.pending.pop() else { return Ok(()) };
        let block = self.blocks.block(&child.block).await?;
        if level == 0 {
            let nodes = read_leaf(&block).map_err(|_| malformed(&child))?;
            let nodes = nodes.into_iter().rev().map(|node| Pending::Node(Box::new(node)));
            self.pending.extend(nodes);
        } else {
            let children = read_children(level, &child, &block)?;
            let blocks = children.into_iter().rev().map(|child| Pending::Block(level - 1, child));
            self.pending.extend(blocks);
        }
        Ok(())
    }

    /// Takes the node at the head.
    fn take(&mut self) -> Option<Box<Node>> {
        let Some(Pending::Node(node)) = self.pending.pop() else { return None };
        self.passed = Some(node.entry.path.clone());
        Some(node)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::cursor::tests::{Memory, write};
    use super::*;

    /// Entries by number, each in one of a few states.
    type Tree = BTreeMap<u32, u8>;

    fn nodes(tree: &Tree) -> Vec<Node> {
        let node = |(number, state): (&u32, &u8)| {
            let mut entry = crate::entry::tests::empty_file(&format!("{number:08}"));
            entry.mode = u32::from(*state);
            Node { entry, content: vec![] }
        };
        tree.iter().map(node).collect()
    }

    /// The changes between two trees as texts, and how many blocks were read.
    fn changes(before: &Tree, after: &Tree) -> (Vec<String>, usize) {
        let mut memory = Memory::default();
        let mut root =
            |tree: &Tree| write(&mut memory, &nodes(tree)).map(|root| (root.block, root.level));
        let (before, after) = (root(before), root(after));
        let mut diff = Diff::new(&memory, before, after);
        let mut found = Vec::new();
        while let Some(change) = futures::executor::block_on(diff.next()).unwrap() {
            found.push(match &change {
                Change::Added(node) => format!("+{} {}", change.path(), node.entry.mode),
                Change::Removed(node) => format!("-{} {}", change.path(), node.entry.mode),
                Change::Changed { before, after } => {
                    format!("~{} {} {}", change.path(), before.entry.mode, after.entry.mode)
                }
            });
        }
        (found, memory.reads())
    }

    fn naive(before: &Tree, after: &Tree) -> Vec<String> {
        let numbers: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
        let change = |number: &u32| match (before.get(number), after.get(number)) {
            (Some(one), None) => Some(format!("-{number:08} {one}")),
            (None, Some(two)) => Some(format!("+{number:08} {two}")),
            (Some(one), Some(two)) if one != two => Some(format!("~{number:08} {one} {two}")),
            _ => None,
        };
        numbers.into_iter().filter_map(change).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn every_difference_is_found_once(
            count in 0_u32..4000,
            edits in proptest::collection::vec((0_u32..4200, proptest::option::of(0_u8..3)), 0..30),
            cut in proptest::option::of((0_u32..4000, 0_u32..2000)),
        ) {
            let before: Tree = (0..count).map(|number| (number, 0)).collect();
            let mut after = before.clone();
            if let Some((from, length)) = cut {
                after.retain(|number, _| !(from..from + length).contains(number));
            }
            for (number, state) in edits {
                match state {
                    Some(state) => drop(after.insert(number, state)),
                    None => drop(after.remove(&number)),
                }
            }
            prop_assert_eq!(changes(&before, &after).0, naive(&before, &after));
            prop_assert_eq!(changes(&after, &before).0, naive(&after, &before));
        }
    }

    #[test]
    fn a_difference_costs_the_blocks_on_its_way_and_no_others() {
        let before: Tree = (0..60_000).map(|number| (number, 0)).collect();
        assert_eq!(changes(&before, &before), (vec![], 0));
        let mut after = before.clone();
        after.insert(30_000, 1);
        after.remove(&10);
        let (found, reads) = changes(&before, &after);
        assert_eq!(found, ["-00000010 0", "~00030000 0 1"]);
        // The tree has some 240 leaves: of those, what lies around each change, on both sides.
        assert!(reads <= 24, "{reads} blocks were read");
    }

    #[test]
    fn only_what_a_restore_gives_back_counts_as_different() {
        let before = nodes(&[(1, 0)].into()).remove(0);
        let mut after = before.clone();
        after.entry.changed.seconds += 1;
        after.entry.inode.inode += 1;
        assert!(!Differences::between(&before, &after).any());
        after.entry.mode = 1;
        after.entry.kind = EntryKind::File { size: 1 };
        let wanted = Differences { mode: true, content: true, ..Differences::default() };
        assert_eq!(Differences::between(&before, &after), wanted);
        after.entry.kind = EntryKind::Fifo;
        let wanted = Differences { mode: true, kind: true, ..Differences::default() };
        assert_eq!(Differences::between(&before, &after), wanted);
    }
}
