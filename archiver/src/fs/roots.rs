//! What an archive is made of: one directory, or several files and directories side by side.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::entry::{Entry, EntryKind, EntryPath, InodeId, Timestamp};

use super::beneath::Beneath;
use super::capture::{Captured, Within, capture};
use super::names::Names;

/// Most paths that one archive is made of.
pub const ROOTS_MAX: usize = 10_000;

/// Why a set of paths cannot be archived.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootError {
    /// No path was given, or more than [`ROOTS_MAX`].
    #[error("{count} paths were given; an archive is made of 1 to {ROOTS_MAX}")]
    Count {
        /// How many were given.
        count: usize,
    },
    /// A path that cannot be opened.
    #[error("cannot open {}", .path.display())]
    Open {
        /// The path as it was given.
        path: PathBuf,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
    /// A path that has no last component to be called by beside others, such as `/`.
    #[error("{} has no name of its own and can only be archived alone", .path.display())]
    Nameless {
        /// The path as it was given.
        path: PathBuf,
    },
    /// Two paths that end in the same name, which both would be called.
    #[error("{} and {} would both be called \"{}\" in the archive", .first.display(), .second.display(), .name.escape_ascii())]
    SameName {
        /// One of them.
        first: PathBuf,
        /// The other.
        second: PathBuf,
        /// The name.
        name: Vec<u8>,
    },
}

/// The opened roots. One directory is the archive's root itself; in any other case every path
/// becomes a child of a made-up root, called by its last component.
#[derive(Debug)]
pub(super) enum Roots {
    Single(Beneath),
    Several(BTreeMap<Vec<u8>, Member>),
}

/// One of several roots.
#[derive(Debug)]
pub(super) struct Member {
    place: MemberPlace,
    given: PathBuf,
}

#[derive(Debug)]
enum MemberPlace {
    Directory(Beneath),
    /// Anything else, reached through the directory that holds it.
    Object {
        parent: Beneath,
        name: EntryPath,
    },
}

impl Roots {
    pub(super) fn open(paths: &[PathBuf]) -> Result<Self, RootError> {
        if paths.is_empty() || paths.len() > ROOTS_MAX {
            return Err(RootError::Count { count: paths.len() });
        }
        if let [only] = paths
            && std::fs::metadata(only).map_err(|source| cannot_open(only, source))?.is_dir()
        {
            let root = Beneath::open(only).map_err(|source| cannot_open(only, source))?;
            return Ok(Self::Single(root));
        }
        let mut members: BTreeMap<Vec<u8>, Member> = BTreeMap::new();
        for path in paths {
            let (name, member) = Member::open(path)?;
            if let Some(other) = members.get(&name) {
                let (first, second) = (other.given.clone(), path.clone());
                return Err(RootError::SameName { first, second, name });
            }
            members.insert(name, member);
        }
        Ok(Self::Several(members))
    }

    /// The root directory that `path` lies below, and what `path` is called from there; `None`
    /// for the made-up root and for names that no root has.
    pub(super) fn resolve(&self, path: &EntryPath) -> Option<(&Beneath, EntryPath)> {
        match self {
            Self::Single(root) => Some((root, path.clone())),
            Self::Several(members) => {
                let bytes = path.as_bytes();
                let cut = bytes.iter().position(|&byte| byte == b'/').unwrap_or(bytes.len());
                let (name, rest) = bytes.split_at_checked(cut)?;
                let rest = rest.strip_prefix(b"/").unwrap_or_default();
                match &members.get(name)?.place {
                    MemberPlace::Directory(root) => {
                        Some((root, EntryPath::from_bytes(rest.to_vec())?))
                    }
                    MemberPlace::Object { parent, name } => {
                        rest.is_empty().then(|| (parent, name.clone()))
                    }
                }
            }
        }
    }

    /// The made-up root of several paths: it carries no attributes, which `links == 0` says.
    pub(super) fn made_up() -> Entry {
        Entry {
            path: EntryPath::root(),
            kind: EntryKind::Directory,
            mode: 0o755,
            uid: 0,
            gid: 0,
            user: None,
            group: None,
            modified: Timestamp::default(),
            changed: Timestamp::default(),
            born: None,
            inode: InodeId { device: 0, inode: 0 },
            links: 0,
            xattrs: Vec::new(),
            flags: 0,
        }
    }
}

impl Member {
    fn open(path: &Path) -> Result<(Vec<u8>, Self), RootError> {
        let cannot = |source| cannot_open(path, source);
        // A link that was named is followed: it is the tree behind it that its user means.
        let real = std::fs::canonicalize(path).map_err(cannot)?;
        // `.` and `x/..` have no name as given, but the directories that they mean do.
        let named = path.file_name().or(real.file_name()).map(OsStr::as_bytes);
        let name = named.ok_or_else(|| RootError::Nameless { path: path.to_owned() })?.to_vec();
        let place = if std::fs::metadata(&real).map_err(cannot)?.is_dir() {
            MemberPlace::Directory(Beneath::open(&real).map_err(cannot)?)
        } else {
            let last = real.file_name().map(|name| name.to_owned().into_vec());
            let last = last.and_then(EntryPath::from_bytes);
            let (Some(parent), Some(name)) = (real.parent(), last) else {
                return Err(RootError::Nameless { path: path.to_owned() });
            };
            MemberPlace::Object { parent: Beneath::open(parent).map_err(cannot)?, name }
        };
        Ok((name, Self { place, given: path.to_owned() }))
    }

    /// The entry of this root itself, under the name `path`.
    pub(super) fn capture(&self, path: EntryPath, names: &Names) -> io::Result<Option<Captured>> {
        match &self.place {
            MemberPlace::Directory(root) => capture(Within::new(root.as_fd()), b"", path, names),
            MemberPlace::Object { parent, name } => {
                capture(Within::new(parent.as_fd()), name.as_bytes(), path, names)
            }
        }
    }
}

fn cannot_open(path: &Path, source: io::Error) -> RootError {
    RootError::Open { path: path.to_owned(), source }
}
