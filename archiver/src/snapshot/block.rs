//! The two kinds of blocks that a snapshot's tree is made of.
//!
//! ```text
//! leaf   "L" 1  packs  segments  names  count  entry*
//! inner  "N" 1  packs  segments  count  child*
//!
//! packs     count, 16 bytes each
//! segments  count, (pack number, offset, stored_len, plain_len) each
//! names     count, owner and group names, each behind its length
//! chunk     id 32 bytes, segment number, offset, len
//! child     path of its last entry, number of entries below, chunk
//! path      length shared with the path before, rest behind its length
//! ```
//!
//! All integers are varints. The tables keep what repeats out of the entries, so that a chunk's
//! place costs a few bytes and a restore needs no index.

use std::collections::HashMap;
use std::hash::Hash;

use crate::codec::{Malformed, Parsed, Reader, Write};
use crate::entry::{Entry, EntryKind, EntryPath, FLAGS_KEPT, InodeId, Timestamp};
use crate::id::{ChunkId, ObjectId};
use crate::pack::{ChunkAt, ChunkRef, SegmentAt};

/// Most bytes that a serialised block may have: an entry with the most pieces must fit.
pub const BLOCK_BYTES_MAX: usize = 16 << 20;

/// Most chunks that one file may have: 1 TB at the average of long files. An entry of that many
/// takes about 14 MB.
pub const PIECES_MAX: usize = 250_000;

const LEAF: u8 = b'L';
const INNER: u8 = b'N';
const VERSION: u8 = 1;

/// The shortest entry: empty path, small numbers, no content.
const ENTRY_BYTES_MIN: usize = 14;

const HAS_USER: u8 = 1;
const HAS_GROUP: u8 = 2;
const HAS_BIRTH: u8 = 4;
const HAS_XATTRS: u8 = 8;
const HAS_FLAGS: u8 = 16;

/// An entry with its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The entry.
    pub entry: Entry,
    /// Where the bytes of a regular file are, ascending by `start`; what no piece covers is a
    /// hole. Empty for anything else.
    pub content: Vec<Piece>,
}

/// A chunk at its place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// First byte in the file.
    pub start: u64,
    /// What stands there.
    pub chunk: ChunkRef,
}

/// A block as its parent refers to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// The greatest path below it.
    pub last: EntryPath,
    /// How many entries are below it.
    pub entries: u64,
    /// The block.
    pub block: ChunkRef,
}

/// Serialises entries into one leaf block.
#[derive(Default)]
pub struct LeafBuilder {
    tables: Tables,
    names: Table<String>,
    body: Vec<u8>,
    count: u64,
    last: Vec<u8>,
}

/// Serialises references to blocks into one inner block.
#[derive(Default)]
pub(crate) struct InnerBuilder {
    tables: Tables,
    body: Vec<u8>,
    count: u64,
    entries: u64,
    last: Vec<u8>,
}

/// Things numbered in the order in which they were first met.
struct Table<T> {
    numbers: HashMap<T, u64>,
    items: Vec<T>,
}

#[derive(Default)]
struct Tables {
    packs: Table<ObjectId>,
    segments: Table<SegmentAt>,
}

impl LeafBuilder {
    /// Appends an entry, which must follow all before it.
    pub fn push(&mut self, node: &Node) {
        let entry = &node.entry;
        put_path(&mut self.body, &self.last, entry.path.as_bytes());
        self.last.clear();
        self.last.extend_from_slice(entry.path.as_bytes());
        self.put_attributes(entry);
        self.put_kind(&entry.kind, &node.content);
        self.count += 1;
    }

    /// Entries so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Bytes of the entries so far, tables not counted.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.body.len()
    }

    /// The block.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        let mut out = vec![LEAF, VERSION];
        self.tables.put(&mut out);
        out.varint(self.names.items.len() as u64);
        for name in &self.names.items {
            out.prefixed(name.as_bytes());
        }
        out.varint(self.count);
        out.extend_from_slice(&self.body);
        out
    }

    fn put_attributes(&mut self, entry: &Entry) {
        let flag = |present: bool, flag: u8| if present { flag } else { 0 };
        let out = &mut self.body;
        out.push(
            flag(entry.user.is_some(), HAS_USER)
                | flag(entry.group.is_some(), HAS_GROUP)
                | flag(entry.born.is_some(), HAS_BIRTH)
                | flag(!entry.xattrs.is_empty(), HAS_XATTRS)
                | flag(entry.flags != 0, HAS_FLAGS),
        );
        for number in [entry.mode, entry.uid, entry.gid] {
            out.varint(u64::from(number));
        }
        for name in [&entry.user, &entry.group].into_iter().flatten() {
            out.varint(self.names.number(name));
        }
        for time in [Some(entry.modified), Some(entry.changed), entry.born].into_iter().flatten() {
            out.signed(time.seconds);
            out.varint(u64::from(time.nanoseconds));
        }
        for number in [entry.inode.device, entry.inode.inode, entry.links] {
            out.varint(number);
        }
        if !entry.xattrs.is_empty() {
            out.varint(entry.xattrs.len() as u64);
            for (name, value) in &entry.xattrs {
                out.prefixed(name);
                out.prefixed(value);
            }
        }
        if entry.flags != 0 {
            out.varint(u64::from(entry.flags));
        }
    }

    fn put_kind(&mut self, kind: &EntryKind, content: &[Piece]) {
        let out = &mut self.body;
        match kind {
            EntryKind::File { size } => {
                out.push(0);
                out.varint(*size);
                out.varint(content.len() as u64);
                let mut end = 0;
                for piece in content {
                    out.varint(piece.start.saturating_sub(end));
                    end = piece.start + u64::from(piece.chunk.at.len);
                    self.tables.put_chunk(out, &piece.chunk);
                }
            }
            EntryKind::Directory => out.push(1),
            EntryKind::Symlink { target } => {
                out.push(2);
                out.prefixed(target);
            }
            EntryKind::Fifo => out.push(3),
            EntryKind::CharacterDevice { device } => {
                out.push(4);
                out.varint(*device);
            }
            EntryKind::BlockDevice { device } => {
                out.push(5);
                out.varint(*device);
            }
        }
    }
}

impl InnerBuilder {
    pub(crate) fn push(&mut self, child: &Child) {
        put_path(&mut self.body, &self.last, child.last.as_bytes());
        self.last.clear();
        self.last.extend_from_slice(child.last.as_bytes());
        self.body.varint(child.entries);
        self.tables.put_chunk(&mut self.body, &child.block);
        self.count += 1;
        self.entries += child.entries;
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Entries of all children together.
    pub(crate) fn entries(&self) -> u64 {
        self.entries
    }

    pub(crate) fn bytes(&self) -> usize {
        self.body.len()
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        let mut out = vec![INNER, VERSION];
        self.tables.put(&mut out);
        out.varint(self.count);
        out.extend_from_slice(&self.body);
        out
    }
}

/// Reads a leaf block; its entries ascend strictly.
pub(crate) fn read_leaf(block: &[u8]) -> Parsed<Vec<Node>> {
    let mut reader = start(block, LEAF)?;
    let tables = read_tables(&mut reader)?;
    let names = (0..reader.count(1)?)
        .map(|_| String::from_utf8(reader.prefixed()?.to_vec()).map_err(|_| Malformed))
        .collect::<Parsed<Vec<_>>>()?;
    let count = reader.count(ENTRY_BYTES_MIN)?;
    let mut nodes: Vec<Node> = Vec::with_capacity(count);
    let mut path = Vec::new();
    for _ in 0..count {
        let node = read_node(&mut reader, &tables, &names, &mut path)?;
        if nodes.last().is_some_and(|last| last.entry.path >= node.entry.path) {
            return Err(Malformed);
        }
        nodes.push(node);
    }
    reader.end()?;
    Ok(nodes)
}

/// Reads an inner block; its children ascend strictly and are not empty.
pub(crate) fn read_inner(block: &[u8]) -> Parsed<Vec<Child>> {
    let mut reader = start(block, INNER)?;
    let tables = read_tables(&mut reader)?;
    let count = reader.count(32)?;
    let mut children: Vec<Child> = Vec::with_capacity(count);
    let mut path = Vec::new();
    for _ in 0..count {
        let last = read_path(&mut reader, &mut path)?;
        let entries = reader.varint()?;
        let block = read_chunk(&mut reader, &tables)?;
        if children.last().is_some_and(|before| before.last >= last) || entries == 0 {
            return Err(Malformed);
        }
        children.push(Child { last, entries, block });
    }
    reader.end()?;
    if children.is_empty() { Err(Malformed) } else { Ok(children) }
}

fn start(block: &[u8], kind: u8) -> Parsed<Reader<'_>> {
    let mut reader = Reader::new(block);
    if reader.array()? == [kind, VERSION] { Ok(reader) } else { Err(Malformed) }
}

fn read_tables(reader: &mut Reader<'_>) -> Parsed<Vec<SegmentAt>> {
    let packs = (0..reader.count(ObjectId::LEN)?)
        .map(|_| reader.array().map(ObjectId::from_bytes))
        .collect::<Parsed<Vec<_>>>()?;
    let count = reader.count(4)?;
    let mut segments = Vec::with_capacity(count);
    for _ in 0..count {
        let number = usize::try_from(reader.varint()?).map_err(|_| Malformed)?;
        let segment = SegmentAt {
            pack: *packs.get(number).ok_or(Malformed)?,
            offset: reader.varint()?,
            stored_len: reader.varint_u32()?,
            plain_len: reader.varint_u32()?,
        };
        if !segment.is_possible() {
            return Err(Malformed);
        }
        segments.push(segment);
    }
    Ok(segments)
}

fn read_chunk(reader: &mut Reader<'_>, segments: &[SegmentAt]) -> Parsed<ChunkRef> {
    let id = ChunkId::from_bytes(reader.array()?);
    let number = usize::try_from(reader.varint()?).map_err(|_| Malformed)?;
    let segment = *segments.get(number).ok_or(Malformed)?;
    let (offset, len) = (reader.varint_u32()?, reader.varint_u32()?);
    let fits = u64::from(offset) + u64::from(len) <= u64::from(segment.plain_len);
    if fits { Ok(ChunkRef { id, at: ChunkAt { segment, offset, len } }) } else { Err(Malformed) }
}

fn read_path(reader: &mut Reader<'_>, path: &mut Vec<u8>) -> Parsed<EntryPath> {
    let shared = usize::try_from(reader.varint()?).map_err(|_| Malformed)?;
    if shared > path.len() {
        return Err(Malformed);
    }
    path.truncate(shared);
    path.extend_from_slice(reader.prefixed()?);
    // Refuses `..`, absolute paths, NUL: nothing that a restore would have to look at again.
    EntryPath::from_bytes(path.clone()).ok_or(Malformed)
}

fn read_node(
    reader: &mut Reader<'_>,
    segments: &[SegmentAt],
    names: &[String],
    path: &mut Vec<u8>,
) -> Parsed<Node> {
    let path = read_path(reader, path)?;
    let flags = reader.u8()?;
    let has = |flag: u8| flags & flag != 0;
    if flags & !(HAS_USER | HAS_GROUP | HAS_BIRTH | HAS_XATTRS | HAS_FLAGS) != 0 {
        return Err(Malformed);
    }
    let (mode, uid, gid) = (reader.varint_u32()?, reader.varint_u32()?, reader.varint_u32()?);
    let user = has(HAS_USER).then(|| read_name(reader, names)).transpose()?;
    let group = has(HAS_GROUP).then(|| read_name(reader, names)).transpose()?;
    let (modified, changed) = (read_time(reader)?, read_time(reader)?);
    let born = has(HAS_BIRTH).then(|| read_time(reader)).transpose()?;
    let inode = InodeId { device: reader.varint()?, inode: reader.varint()? };
    let links = reader.varint()?;
    let xattrs = if has(HAS_XATTRS) { read_xattrs(reader)? } else { Vec::new() };
    let file_flags = if has(HAS_FLAGS) { reader.varint_u32()? } else { 0 };
    let (kind, content) = read_kind(reader, segments)?;
    let entry = Entry {
        path,
        kind,
        mode,
        uid,
        gid,
        user,
        group,
        modified,
        changed,
        born,
        inode,
        links,
        xattrs,
        flags: file_flags,
    };
    let is_possible = mode <= 0o7777 && file_flags & !FLAGS_KEPT == 0;
    if is_possible { Ok(Node { entry, content }) } else { Err(Malformed) }
}

fn read_name(reader: &mut Reader<'_>, names: &[String]) -> Parsed<String> {
    let number = usize::try_from(reader.varint()?).map_err(|_| Malformed)?;
    names.get(number).cloned().ok_or(Malformed)
}

fn read_time(reader: &mut Reader<'_>) -> Parsed<Timestamp> {
    let time = Timestamp { seconds: reader.signed()?, nanoseconds: reader.varint_u32()? };
    if time.nanoseconds < 1_000_000_000 { Ok(time) } else { Err(Malformed) }
}

fn read_xattrs(reader: &mut Reader<'_>) -> Parsed<Vec<(Vec<u8>, Vec<u8>)>> {
    let count = reader.count(2)?;
    (0..count).map(|_| Ok((reader.prefixed()?.to_vec(), reader.prefixed()?.to_vec()))).collect()
}

fn read_kind(reader: &mut Reader<'_>, segments: &[SegmentAt]) -> Parsed<(EntryKind, Vec<Piece>)> {
    let kind = match reader.u8()? {
        0 => {
            let size = reader.varint()?;
            return Ok((EntryKind::File { size }, read_content(reader, segments, size)?));
        }
        1 => EntryKind::Directory,
        2 => EntryKind::Symlink { target: reader.prefixed()?.to_vec() },
        3 => EntryKind::Fifo,
        4 => EntryKind::CharacterDevice { device: reader.varint()? },
        5 => EntryKind::BlockDevice { device: reader.varint()? },
        _ => return Err(Malformed),
    };
    Ok((kind, Vec::new()))
}

/// A file's pieces: ascending, apart, and none beyond its size.
fn read_content(reader: &mut Reader<'_>, segments: &[SegmentAt], size: u64) -> Parsed<Vec<Piece>> {
    let count = reader.count(36)?;
    let mut content = Vec::with_capacity(count);
    let mut end = 0_u64;
    for _ in 0..count {
        let start = end.checked_add(reader.varint()?).ok_or(Malformed)?;
        let chunk = read_chunk(reader, segments)?;
        end = start.checked_add(u64::from(chunk.at.len)).ok_or(Malformed)?;
        content.push(Piece { start, chunk });
    }
    if end <= size { Ok(content) } else { Err(Malformed) }
}

fn put_path(out: &mut Vec<u8>, last: &[u8], path: &[u8]) {
    let shared = last.iter().zip(path).take_while(|(a, b)| a == b).count();
    out.varint(shared as u64);
    out.prefixed(path.get(shared..).unwrap_or_default());
}

impl Tables {
    fn put_chunk(&mut self, out: &mut Vec<u8>, chunk: &ChunkRef) {
        self.packs.number(&chunk.at.segment.pack);
        out.extend_from_slice(chunk.id.as_bytes());
        out.varint(self.segments.number(&chunk.at.segment));
        out.varint(u64::from(chunk.at.offset));
        out.varint(u64::from(chunk.at.len));
    }

    fn put(mut self, out: &mut Vec<u8>) {
        out.varint(self.packs.items.len() as u64);
        for pack in &self.packs.items {
            out.extend_from_slice(pack.as_bytes());
        }
        out.varint(self.segments.items.len() as u64);
        for segment in std::mem::take(&mut self.segments.items) {
            out.varint(self.packs.number(&segment.pack));
            out.varint(segment.offset);
            out.varint(u64::from(segment.stored_len));
            out.varint(u64::from(segment.plain_len));
        }
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { numbers: HashMap::new(), items: Vec::new() }
    }
}

impl<T: Clone + Eq + Hash> Table<T> {
    fn number(&mut self, item: &T) -> u64 {
        if let Some(number) = self.numbers.get(item) {
            return *number;
        }
        let number = self.items.len() as u64;
        self.numbers.insert(item.clone(), number);
        self.items.push(item.clone());
        number
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn any_segment() -> impl Strategy<Value = SegmentAt> {
        (0_u8..3, 0_u64..5).prop_map(|(pack, n)| SegmentAt {
            pack: ObjectId::from_bytes([pack; 16]),
            offset: n * 1000,
            stored_len: 1000,
            plain_len: 5000,
        })
    }

    fn any_piece() -> impl Strategy<Value = (u64, ChunkRef)> {
        (0_u64..3, any_segment(), any::<[u8; 32]>(), 0_u32..100, 1_u32..100).prop_map(
            |(hole, segment, id, offset, len)| {
                let at = ChunkAt { segment, offset, len };
                (hole, ChunkRef { id: ChunkId::from_bytes(id), at })
            },
        )
    }

    fn any_time() -> impl Strategy<Value = Timestamp> {
        (any::<i64>(), 0_u32..1_000_000_000)
            .prop_map(|(seconds, nanoseconds)| Timestamp { seconds, nanoseconds })
    }

    fn any_kind() -> impl Strategy<Value = (EntryKind, Vec<Piece>)> {
        let file = (vec(any_piece(), 0..4), 0_u64..9).prop_map(|(pieces, tail)| {
            let mut end = 0;
            let mut content = Vec::new();
            for (hole, chunk) in pieces {
                let start = end + hole;
                end = start + u64::from(chunk.at.len);
                content.push(Piece { start, chunk });
            }
            (EntryKind::File { size: end + tail }, content)
        });
        prop_oneof![
            file,
            Just((EntryKind::Directory, vec![])),
            any::<Vec<u8>>().prop_map(|target| (EntryKind::Symlink { target }, vec![])),
            Just((EntryKind::Fifo, vec![])),
            any::<u64>().prop_map(|device| (EntryKind::CharacterDevice { device }, vec![])),
            any::<u64>().prop_map(|device| (EntryKind::BlockDevice { device }, vec![])),
        ]
    }

    prop_compose! {
        fn any_entry()(
            mode in 0_u32..0o10000,
            (uid, gid) in any::<(u32, u32)>(),
            (user, group) in (proptest::option::of("[a-z]{1,4}"), proptest::option::of("[a-z]{1,4}")),
            (modified, changed, born) in (any_time(), any_time(), proptest::option::of(any_time())),
            (device, inode, links) in any::<(u64, u64, u64)>(),
            xattrs in any::<Vec<(Vec<u8>, Vec<u8>)>>(),
            flags in prop_oneof![Just(0), Just(0x10), Just(FLAGS_KEPT)],
            (kind, content) in any_kind(),
        ) -> Node {
            let inode = InodeId { device, inode };
            let path = EntryPath::root();
            Node {
                entry: Entry {
                    path, kind, mode, uid, gid, user, group, modified, changed, born, inode,
                    links, xattrs, flags,
                },
                content,
            }
        }
    }

    pub(crate) fn any_nodes(most: usize) -> impl Strategy<Value = Vec<Node>> {
        let path = vec(vec(1_u8..=255, 1..6), 0..4);
        vec((path, any_entry()), 0..most).prop_map(|items| {
            let mut nodes: std::collections::BTreeMap<EntryPath, Node> = Default::default();
            for (names, mut node) in items {
                let Some(path) = EntryPath::from_bytes(names.join(&b'/')) else { continue };
                node.entry.path = path.clone();
                nodes.insert(path, node);
            }
            nodes.into_values().collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn leaves_read_back(nodes in any_nodes(20)) {
            let mut leaf = LeafBuilder::default();
            nodes.iter().for_each(|node| leaf.push(node));
            let block = leaf.finish();
            prop_assert_eq!(read_leaf(&block).unwrap(), nodes);
            prop_assert!(read_leaf(&block[..block.len() - 1]).is_err());
        }

        #[test]
        fn inner_blocks_read_back(nodes in any_nodes(20), pieces in vec(any_piece(), 20)) {
            let children: Vec<Child> = nodes
                .iter()
                .zip(pieces)
                .map(|(node, (n, block))| Child {
                    last: node.entry.path.clone(), entries: n + 1, block,
                })
                .collect();
            let mut inner = InnerBuilder::default();
            children.iter().for_each(|child| inner.push(child));
            let read = read_inner(&inner.finish());
            prop_assert_eq!(read.is_ok(), !children.is_empty());
            prop_assert_eq!(read.unwrap_or_default(), children);
        }

        #[test]
        fn any_bytes_are_a_block_or_refused(mut bytes: Vec<u8>) {
            bytes.splice(0..0, [LEAF, VERSION]);
            let _ = read_leaf(&bytes);
            bytes[0] = INNER;
            let _ = read_inner(&bytes);
        }
    }

    #[test]
    fn a_file_of_the_most_pieces_fits_a_block() {
        let pieces = (0..PIECES_MAX as u64).map(|n| {
            // Each in a segment of its own, far apart: the longest that entries get.
            let pack = ObjectId::from_bytes([(n >> 11) as u8; 16]);
            let len = 4 << 20;
            let offset = (n & 0x7ff) << 22 | 1;
            let segment = SegmentAt { pack, offset, stored_len: len + 9, plain_len: len };
            let id = ChunkId::from_bytes([n as u8; 32]);
            Piece {
                start: n << 22,
                chunk: ChunkRef { id, at: ChunkAt { segment, offset: 0, len } },
            }
        });
        let mut node =
            Node { entry: crate::entry::tests::empty_file("long"), content: pieces.collect() };
        node.entry.kind = EntryKind::File { size: (PIECES_MAX as u64) << 22 };
        let mut leaf = LeafBuilder::default();
        leaf.push(&node);
        let block = leaf.finish();
        assert!(block.len() <= BLOCK_BYTES_MAX, "{}", block.len());
        assert_eq!(read_leaf(&block).unwrap(), [node]);
    }

    #[test]
    fn a_path_that_leaves_the_tree_is_no_entry() {
        let mut block = vec![LEAF, VERSION, 0, 0, 0, 1];
        put_path(&mut block, b"", b"a/../../b");
        block.extend([0_u8; 24]);
        assert_eq!(read_leaf(&block), Err(Malformed));
    }
}
