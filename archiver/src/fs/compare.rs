//! Two local trees held against each other, in every byte and every attribute that is restored.
//!
//! Compared are: names, types, modes, owners, modification times to the nanosecond, extended
//! attributes with ACLs, file flags, link targets, device numbers, which names share an inode, and content.
//! Not compared is what nobody can restore: inode numbers, change times, birth times, sockets.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::iter::Peekable;
use std::path::Path;

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::entry::{Entry, EntryKind, EntryPath, InodeId};
use crate::source::{Found, Source, SourceFile, Trouble};

use super::RootError;
use super::exclude::Patterns;
use super::walk::{LocalTree, WalkOptions};

/// Pairs of files whose content is compared at a time, on all cores.
const PAIRS_AT_ONCE: usize = 1024;

/// Bytes read at a time from each of two files.
const BLOCK_BYTES: usize = 256 * 1024;

/// What was compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Names on either side.
    pub entries: u64,
    /// Bytes of content on the left side that were read and compared.
    pub bytes: u64,
    /// How many differences were reported.
    pub differences: u64,
}

/// One way in which two trees differ.
#[derive(Debug)]
#[non_exhaustive]
pub enum Difference {
    /// A name that only the left tree has.
    OnlyLeft(EntryPath),
    /// A name that only the right tree has.
    OnlyRight(EntryPath),
    /// An attribute, called by its name, in which the two objects differ.
    Attribute(EntryPath, &'static str),
    /// Two files whose content differs first at this byte.
    Content(EntryPath, u64),
    /// Something that could not be read on one of the sides.
    Unreadable(Trouble),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnlyLeft(path) => write!(f, "{path}: only in the first tree"),
            Self::OnlyRight(path) => write!(f, "{path}: only in the second tree"),
            Self::Attribute(path, name) => write!(f, "{path}: different {name}"),
            Self::Content(path, byte) => write!(f, "{path}: different content from byte {byte} on"),
            Self::Unreadable(trouble) => trouble.fmt(f),
        }
    }
}

/// Compares the trees at `left` and `right`, without what `exclude` chooses, and hands every
/// difference to `report`, in no particular order. Memory holds the inodes that have several names,
/// not the trees.
///
/// # Errors
/// [`RootError`] when one of the trees cannot be opened; anything later is a difference.
pub fn compare(
    left: &Path,
    right: &Path,
    exclude: Option<&Patterns>,
    mut report: impl FnMut(Difference),
) -> Result<Compared, RootError> {
    let options = WalkOptions { exclude: exclude.cloned(), ..WalkOptions::default() };
    let open = |path: &Path| LocalTree::open(&[path.to_owned()], options.clone());
    let (left, right) = (open(left)?, open(right)?);
    let mut comparison = Comparison {
        compared: Compared::default(),
        pairs: Vec::with_capacity(PAIRS_AT_ONCE),
        links: HashMap::new(),
        trees: (&left, &right),
        report: &mut report,
    };
    let (mut lefts, mut rights) = (left.walk().peekable(), right.walk().peekable());
    loop {
        let ahead = (comparison.skip_to_entry(&mut lefts), comparison.skip_to_entry(&mut rights));
        let order = match ahead {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(left), Some(right)) => left.cmp(&right),
        };
        let left = if order.is_le() { next_entry(&mut lefts) } else { None };
        let right = if order.is_ge() { next_entry(&mut rights) } else { None };
        comparison.take(left, right);
    }
    comparison.compare_contents();
    Ok(comparison.compared)
}

struct Comparison<'a> {
    compared: Compared,
    /// Files that still have to be compared byte by byte.
    pairs: Vec<(Entry, Entry)>,
    /// Of each inode with several names: the inode on the other side.
    links: HashMap<(bool, InodeId), InodeId>,
    trees: (&'a LocalTree, &'a LocalTree),
    report: &'a mut dyn FnMut(Difference),
}

impl Comparison<'_> {
    /// Passes over what is no entry and answers the path of the next one.
    fn skip_to_entry(
        &mut self,
        walk: &mut Peekable<impl Iterator<Item = Found>>,
    ) -> Option<EntryPath> {
        loop {
            match walk.peek()? {
                Found::Entry(entry) => return Some(entry.path.clone()),
                Found::Skipped(_) => drop(walk.next()),
                Found::Unreadable(_) => {
                    if let Some(Found::Unreadable(trouble)) = walk.next() {
                        self.differ(Difference::Unreadable(trouble));
                    }
                }
            }
        }
    }

    fn take(&mut self, left: Option<Entry>, right: Option<Entry>) {
        self.compared.entries = self.compared.entries.saturating_add(1);
        match (left, right) {
            (Some(left), Some(right)) => self.compare_entries(left, right),
            (Some(left), None) => self.differ(Difference::OnlyLeft(left.path)),
            (None, Some(right)) => self.differ(Difference::OnlyRight(right.path)),
            (None, None) => {}
        }
    }

    fn compare_entries(&mut self, left: Entry, right: Entry) {
        let mut differ = |same: bool, name| {
            if !same {
                self.differ(Difference::Attribute(left.path.clone(), name));
            }
        };
        let both_files =
            matches!((&left.kind, &right.kind), (EntryKind::File { .. }, EntryKind::File { .. }));
        differ(left.kind == right.kind, if both_files { "size" } else { "type or target" });
        differ(left.mode == right.mode, "mode");
        differ(left.uid == right.uid, "owner");
        differ(left.gid == right.gid, "group");
        differ(left.modified == right.modified, "modification time");
        differ(left.xattrs == right.xattrs, "extended attributes");
        differ(left.flags == right.flags, "file flags");
        self.compare_links(&left, &right);
        if both_files {
            self.pairs.push((left, right));
        }
        if self.pairs.len() >= PAIRS_AT_ONCE {
            self.compare_contents();
        }
    }

    /// Names that share an inode on one side must share one on the other.
    fn compare_links(&mut self, left: &Entry, right: &Entry) {
        let shared = |entry: &Entry| entry.links > 1 && entry.kind != EntryKind::Directory;
        if !shared(left) && !shared(right) {
            return;
        }
        let to_right = *self.links.entry((false, left.inode)).or_insert(right.inode);
        let to_left = *self.links.entry((true, right.inode)).or_insert(left.inode);
        if to_right != right.inode || to_left != left.inode {
            self.differ(Difference::Attribute(left.path.clone(), "hard links"));
        }
    }

    fn compare_contents(&mut self) {
        let pairs = std::mem::take(&mut self.pairs);
        let (left_tree, right_tree) = self.trees;
        let results: Vec<(u64, Option<Difference>)> = pairs
            .par_iter()
            .map(|(left, right)| compare_files(left_tree, right_tree, left, right))
            .collect();
        for (bytes, difference) in results {
            self.compared.bytes = self.compared.bytes.saturating_add(bytes);
            if let Some(difference) = difference {
                self.differ(difference);
            }
        }
    }

    fn differ(&mut self, difference: Difference) {
        self.compared.differences = self.compared.differences.saturating_add(1);
        (self.report)(difference);
    }
}

fn next_entry(walk: &mut Peekable<impl Iterator<Item = Found>>) -> Option<Entry> {
    match walk.next() {
        Some(Found::Entry(entry)) => Some(entry),
        _ => None,
    }
}

/// Compares two files of the same path; answers how many bytes were equal, and the difference.
fn compare_files(
    left_tree: &LocalTree,
    right_tree: &LocalTree,
    left: &Entry,
    right: &Entry,
) -> (u64, Option<Difference>) {
    let unreadable = |action, error| {
        let path = left.path.as_bytes().to_vec();
        Some(Difference::Unreadable(Trouble { path, action, error }))
    };
    let opened = left_tree.open(left).and_then(|left| Ok((left, right_tree.open(right)?)));
    let (mut left_file, mut right_file) = match opened {
        Ok(opened) => opened,
        Err(error) => return (0, unreadable("open", error)),
    };
    // One byte more than a small file has shows in one read that it ends where it should.
    let wanted = left.size().unwrap_or_default().saturating_add(1);
    let block = usize::try_from(wanted).unwrap_or(usize::MAX).min(BLOCK_BYTES);
    let (mut ours, mut theirs) = (vec![0; block], vec![0; block]);
    let mut offset = 0_u64;
    loop {
        let read = fill(&mut *left_file, offset, &mut ours)
            .and_then(|ours| Ok((ours, fill(&mut *right_file, offset, &mut theirs)?)));
        let (ours, theirs) = match read {
            Ok(read) => read,
            Err(error) => return (offset, unreadable("read", error)),
        };
        if ours != theirs {
            let equal = ours.iter().zip(theirs).take_while(|(a, b)| a == b).count();
            let byte = offset.saturating_add(u64::try_from(equal).unwrap_or(u64::MAX));
            return (offset, Some(Difference::Content(left.path.clone(), byte)));
        }
        offset = offset.saturating_add(u64::try_from(ours.len()).unwrap_or(u64::MAX));
        if ours.len() < block {
            return (offset, None);
        }
    }
}

/// Fills the block from `offset` on; a part of it is the file's last, nothing its end.
fn fill<'a>(file: &mut dyn SourceFile, offset: u64, block: &'a mut [u8]) -> io::Result<&'a [u8]> {
    let mut filled = 0;
    while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let at = offset.saturating_add(u64::try_from(filled).unwrap_or(u64::MAX));
        match file.read_at(at, rest)? {
            0 => break,
            read => filled = filled.saturating_add(read),
        }
    }
    Ok(block.get(..filled).unwrap_or_default())
}
