//! What a snapshot records of one file-system object.
//!
//! An [`Entry`] is everything that the platform keeps about a name except the bytes of a regular
//! file: those are chunks, and how an entry refers to its chunks is the snapshot's business.

use std::cmp::Ordering;

/// A path inside an archived tree: raw bytes, components joined by `/`, without leading or
/// trailing slash. The root of the tree is the empty path.
///
/// Paths order as snapshots store them: by parent directory (component-wise), then by name, so
/// that the children of one directory stand together and a walker emits them in this order by
/// listing a directory whole before it descends into the directory's subdirectories.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct EntryPath(Vec<u8>);

/// Seconds and nanoseconds since the epoch, as the file system keeps them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Whole seconds; negative before 1970.
    pub seconds: i64,
    /// Nanoseconds within the second, 0 to 999,999,999.
    pub nanoseconds: u32,
}

/// The file flags that are archived, which `statx` tells without opening a file: compressed (`c`),
/// immutable (`i`), append only (`a`) and no dump (`d`), by the numbers of `FS_IOC_SETFLAGS`.
pub const FLAGS_KEPT: u32 = 0x04 | 0x10 | 0x20 | 0x40;

/// What kind of object a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntryKind {
    /// A regular file of this many bytes, holes included.
    File {
        /// Length in bytes, as `stat` reports it.
        size: u64,
    },
    /// A directory.
    Directory,
    /// A symbolic link, and the bytes it points to.
    Symlink {
        /// The link's target, never interpreted.
        target: Vec<u8>,
    },
    /// A named pipe.
    Fifo,
    /// A character device.
    CharacterDevice {
        /// Device number as `makedev` composes it.
        device: u64,
    },
    /// A block device.
    BlockDevice {
        /// Device number as `makedev` composes it.
        device: u64,
    },
}

/// The identity of an inode on the machine that was archived; names that share it are hard links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InodeId {
    /// Device that holds the file system.
    pub device: u64,
    /// Inode number on that device.
    pub inode: u64,
}

/// One object of the archived tree with its attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands in the tree.
    pub path: EntryPath,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits with set-uid, set-gid and sticky: `0o7777` at most.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Owner's name where the archived machine knew one.
    pub user: Option<String>,
    /// Group's name where the archived machine knew one.
    pub group: Option<String>,
    /// Last modification of the content.
    pub modified: Timestamp,
    /// Last change of the inode; only ever compared, never restored.
    pub changed: Timestamp,
    /// Creation, where the file system tells; never restored.
    pub born: Option<Timestamp>,
    /// Inode on the archived machine, with [`Entry::links`] the ground for hard links.
    pub inode: InodeId,
    /// Number of names the inode had.
    pub links: u64,
    /// Extended attributes sorted by name, POSIX ACLs among them (`system.posix_acl_*`).
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// File flags as chattr(1) sets them, of [`FLAGS_KEPT`].
    pub flags: u32,
}

impl Entry {
    /// The length in bytes of a regular file; `None` for anything else.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        match self.kind {
            EntryKind::File { size } => Some(size),
            _ => None,
        }
    }
}

impl EntryPath {
    /// The root of an archived tree.
    #[must_use]
    pub fn root() -> Self {
        Self(Vec::new())
    }

    /// Takes the bytes of a relative path; `None` unless every component is a plain name: not
    /// empty, not `.` or `..`, and free of NUL.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        let plain =
            |name: &[u8]| !name.is_empty() && name != b"." && name != b".." && !name.contains(&0);
        (bytes.is_empty() || bytes.split(|&b| b == b'/').all(plain)).then_some(Self(bytes))
    }

    /// The path of the child `name` of this directory; `None` unless `name` is one plain component.
    #[must_use]
    pub fn child(&self, name: &[u8]) -> Option<Self> {
        let mut bytes = self.0.clone();
        if !bytes.is_empty() {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(name);
        (!name.is_empty() && !name.contains(&b'/')).then_some(())?;
        Self::from_bytes(bytes)
    }

    /// The path's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The parent directory's bytes; empty for children of the root and for the root itself.
    #[must_use]
    pub fn parent(&self) -> &[u8] {
        self.split().0
    }

    /// The last component; empty for the root.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        self.split().1
    }

    fn split(&self) -> (&[u8], &[u8]) {
        match self.0.iter().rposition(|&b| b == b'/') {
            Some(slash) => {
                let (parent, rest) = self.0.split_at(slash);
                (parent, rest.get(1..).unwrap_or_default())
            }
            None => (&[], &self.0),
        }
    }
}

impl Ord for EntryPath {
    fn cmp(&self, other: &Self) -> Ordering {
        let (parent, name) = self.split();
        let (other_parent, other_name) = other.split();
        parent
            .split(|&b| b == b'/')
            .cmp(other_parent.split(|&b| b == b'/'))
            .then_with(|| name.cmp(other_name))
    }
}

impl PartialOrd for EntryPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl std::fmt::Display for EntryPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl std::fmt::Debug for EntryPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An empty file at `path`, for tests that care about little of it.
    pub(crate) fn empty_file(path: &str) -> Entry {
        let time = Timestamp::default();
        Entry {
            path: EntryPath::from_bytes(path.into()).unwrap(),
            kind: EntryKind::File { size: 0 },
            mode: 0o644,
            uid: 0,
            gid: 0,
            user: None,
            group: None,
            modified: time,
            changed: time,
            born: None,
            inode: InodeId { device: 0, inode: 0 },
            links: 1,
            xattrs: vec![],
            flags: 0,
        }
    }

    fn path(text: &str) -> EntryPath {
        EntryPath::from_bytes(text.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn children_of_one_directory_stand_together() {
        let mut paths = ["b/a", "a/z/q", "a", "b", "a/z", "a-b/c", "a/b", "a-b", ""].map(path);
        paths.sort();
        assert_eq!(paths, ["", "a", "a-b", "b", "a/b", "a/z", "a/z/q", "a-b/c", "b/a"].map(path));
    }

    #[test]
    fn only_plain_components_make_a_path() {
        for bad in ["/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", "a\0b"] {
            assert!(EntryPath::from_bytes(bad.as_bytes().to_vec()).is_none(), "{bad:?}");
        }
        assert!(EntryPath::root().child(b"a/b").is_none());
        assert_eq!(EntryPath::root().child(b"a").unwrap().child(b"b").unwrap(), path("a/b"));
    }
}
