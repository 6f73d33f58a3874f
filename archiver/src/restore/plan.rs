//! Decides what is read in which order.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::ops::Range;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::write::Output;
use super::{Restoring, Selection};
use crate::entry::{Entry, EntryKind, EntryPath, InodeId};
use crate::error::{Error, Result};
use crate::id::ObjectId;
use crate::pack::{ChunkRef, SegmentAt};
use crate::snapshot::{Direction, Node};

/// Bytes of files whose chunks are sorted together: the wider, the more a segment serves at once.
const WINDOW_BYTES: u64 = 32 << 20;

/// Chunks in a window, however small.
const WINDOW_CHUNKS: usize = 16 << 10;

/// Files in a window that have several chunks, and so may be open at the same time.
const WINDOW_OPEN_FILES: usize = 200;

/// Segments are read with one request when no more than this lies between them…
const GAP_BYTES_MAX: u64 = 256 << 10;

/// … and together they are no longer than this.
const READ_BYTES_MAX: u64 = 4 << 20;

/// What is left to do once all content is written.
#[derive(Default)]
pub(crate) struct Planned {
    /// Further names of files, with the name that was restored.
    pub(crate) links: Vec<(Entry, EntryPath)>,
}

/// Neighbouring segments of one pack that are read with one request.
pub(crate) struct Read {
    pub(crate) pack: ObjectId,
    /// Ascending by offset, each with what is wanted of it.
    pub(crate) segments: Vec<(SegmentAt, Vec<Want>)>,
}

/// A chunk that goes to a place in a file.
pub(crate) struct Want {
    pub(crate) chunk: ChunkRef,
    pub(crate) start: u64,
    pub(crate) file: Arc<Output>,
}

impl Read {
    /// The bytes of the pack's plaintext.
    pub(crate) fn range(&self) -> Range<u64> {
        let start = self.segments.first().map_or(0, |(at, _)| at.offset);
        start..self.segments.last().map_or(start, |(at, _)| at.end())
    }
}

/// Walks the snapshot, makes what has no content, and sends out reads for what has.
pub(crate) fn plan(
    restoring: &Restoring,
    runtime: &Handle,
    root: (ChunkRef, u8),
    select: Option<&Selection>,
    reads: &mpsc::Sender<Read>,
) -> Result<Planned> {
    let mut planner = Planner {
        restoring,
        reads,
        window: Vec::new(),
        bytes: 0,
        open_files: 0,
        inodes: HashMap::new(),
        planned: Planned::default(),
    };
    let mut cursor = restoring.cursor(root, Direction::Forward);
    while let Some(leaf) = runtime.block_on(cursor.next_leaf())? {
        restoring.control.check()?;
        for node in leaf {
            if select.is_none_or(|select| select(&node.entry)) {
                planner.node(node)?;
            }
        }
    }
    planner.send_window()?;
    Ok(planner.planned)
}

struct Planner<'a> {
    restoring: &'a Restoring,
    reads: &'a mpsc::Sender<Read>,
    window: Vec<Want>,
    bytes: u64,
    open_files: usize,
    /// The first name of each inode that has several.
    inodes: HashMap<InodeId, EntryPath>,
    planned: Planned,
}

impl Planner<'_> {
    fn node(&mut self, node: Node) -> Result<()> {
        let Restoring { target, counts, .. } = self.restoring;
        let entry = &node.entry;
        match entry.kind {
            EntryKind::Directory => {
                let made = target.create_directory(entry);
                self.restoring.note(entry, "create the directory", made, &counts.directories);
            }
            EntryKind::File { .. } => return self.file(node),
            _ => {
                let made = target.create_special(entry);
                self.restoring.note(entry, "create", made, &counts.others);
            }
        }
        Ok(())
    }

    fn file(&mut self, node: Node) -> Result<()> {
        let entry = node.entry;
        if entry.links > 1 {
            match self.inodes.entry(entry.inode) {
                Slot::Vacant(slot) => drop(slot.insert(entry.path.clone())),
                Slot::Occupied(slot) => {
                    let original = slot.get().clone();
                    self.planned.links.push((entry, original));
                    return Ok(());
                }
            }
        }
        self.bytes += entry.size().unwrap_or(0);
        self.open_files += usize::from(node.content.len() > 1);
        let file = Arc::new(Output::new(entry, node.content.len()));
        if node.content.is_empty() {
            file.complete(self.restoring);
            return Ok(());
        }
        for piece in node.content {
            self.window.push(Want { chunk: piece.chunk, start: piece.start, file: file.clone() });
            if self.window.len() >= WINDOW_CHUNKS {
                self.send_window()?;
            }
        }
        let full = self.bytes >= WINDOW_BYTES || self.open_files >= WINDOW_OPEN_FILES;
        if full { self.send_window() } else { Ok(()) }
    }

    /// Sorts what the window wants by place and sends it out as reads.
    fn send_window(&mut self) -> Result<()> {
        let window = std::mem::take(&mut self.window);
        self.bytes = 0;
        self.open_files = 0;
        for read in group(window) {
            self.reads.blocking_send(read).map_err(|_| Error::StageLost { stage: "write" })?;
        }
        Ok(())
    }
}

/// Groups wanted chunks by segment, and segments by neighbourhood.
pub(super) fn group(mut wants: Vec<Want>) -> Vec<Read> {
    wants.sort_by_key(|want| (want.chunk.at.segment, want.start));
    let mut reads: Vec<Read> = Vec::new();
    for want in wants {
        let at = want.chunk.at.segment;
        match reads.last_mut() {
            Some(read) if read.joins(&at) => match read.segments.last_mut() {
                Some((last, wants)) if *last == at => wants.push(want),
                _ => read.segments.push((at, vec![want])),
            },
            _ => reads.push(Read { pack: at.pack, segments: vec![(at, vec![want])] }),
        }
    }
    reads
}

impl Read {
    fn joins(&self, at: &SegmentAt) -> bool {
        let Range { start, end } = self.range();
        self.segments.last().is_some_and(|(last, _)| last == at)
            || (self.pack == at.pack
                && at.offset >= end
                && at.offset - end <= GAP_BYTES_MAX
                && at.end().saturating_sub(start) <= READ_BYTES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::entry::tests::empty_file;
    use crate::id::ChunkId;
    use crate::pack::ChunkAt;

    fn output() -> Arc<Output> {
        Arc::new(Output::new(empty_file("file"), 1))
    }

    proptest! {
        #[test]
        fn every_chunk_is_wanted_once_and_no_read_is_too_long(
            places in proptest::collection::vec((0_u8..3, 0_u64..200), 0..200),
        ) {
            let file = output();
            let want = |(n, (pack, slot)): (usize, &(u8, u64))| {
                let segment = SegmentAt {
                    pack: ObjectId::from_bytes([*pack; 16]),
                    offset: slot * 100_000,
                    stored_len: 100_000,
                    plain_len: 1,
                };
                let at = ChunkAt { segment, offset: 0, len: 1 };
                let chunk = ChunkRef { id: ChunkId::from_bytes([0; 32]), at };
                Want { chunk, start: n as u64, file: file.clone() }
            };
            let reads = group(places.iter().enumerate().map(want).collect());
            let mut starts: Vec<u64> = Vec::new();
            let mut segments = std::collections::HashSet::new();
            for read in &reads {
                prop_assert!(read.range().end - read.range().start <= READ_BYTES_MAX);
                for (at, wants) in &read.segments {
                    prop_assert!(segments.insert(*at), "a segment is read twice");
                    prop_assert!(wants.iter().all(|w| w.chunk.at.segment == *at));
                    starts.extend(wants.iter().map(|w| w.start));
                }
            }
            starts.sort_unstable();
            prop_assert_eq!(starts, (0..places.len() as u64).collect::<Vec<_>>());
        }
    }
}
