//! One part of a walk: a directory listed, its names examined, the directories among them queued.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, RawDir};
use rustix::io::Errno;

use super::{Inner, Listing, Part, Roaming, Uncovered};
use crate::entry::{EntryKind, EntryPath};
use crate::fs::cachedir;
use crate::fs::capture::{Captured, Within, capture};
use crate::fs::frontier::Place;
use crate::fs::ignore_files::{self, IgnoreFiles};
use crate::fs::roots::Roots;
use crate::source::{Found, Trouble};

/// Names examined at a time; larger directories are shared among the workers in such parts.
pub(super) const NAMES_PER_PART: usize = 1024;

/// Longest path below the root that is walked, in bytes. The deepest trees that people keep
/// are a tenth of it; without a limit a hostile chain of directories grows memory quadratically.
pub const ENTRY_PATH_BYTES_MAX: usize = 32_768;

/// Bytes of directory records asked for at a time.
const LISTING_BYTES: usize = 65_536;

/// What the directory that an object stands in says about it; nothing for a root.
#[derive(Clone, Copy, Default)]
struct Above<'a> {
    device: Option<u64>,
    ignored: Option<&'a Arc<IgnoreFiles>>,
}

impl Inner {
    pub(super) fn examine(&self, part: Part, roaming: Roaming) -> (Vec<Found>, Uncovered) {
        match part {
            Part::Roots => self.examine_roots(),
            Part::Directory { path, device, ignored } => {
                self.examine_directory(&path, device, ignored, roaming)
            }
            Part::Names { listing, from } => self.examine_names(&listing, from, roaming),
        }
    }

    fn examine_roots(&self) -> (Vec<Found>, Uncovered) {
        let (mut found, mut uncovered) = (Vec::new(), Vec::new());
        match &self.roots {
            Roots::Single(root) => {
                let path = EntryPath::root();
                let captured = capture(Within::new(root.as_fd()), b"", path.clone(), &self.names);
                self.keep(&path, Above::default(), captured, &mut found, &mut uncovered);
            }
            Roots::Several(members) => {
                found.push(Found::Entry(Roots::made_up()));
                for (name, member) in members {
                    let Some(path) = EntryPath::root().child(name) else { continue };
                    let captured = member.capture(path.clone(), &self.names);
                    self.keep(&path, Above::default(), captured, &mut found, &mut uncovered);
                }
            }
        }
        (found, uncovered)
    }

    fn examine_directory(
        &self,
        path: &EntryPath,
        device: u64,
        ignored: Option<Arc<IgnoreFiles>>,
        roaming: Roaming,
    ) -> (Vec<Found>, Uncovered) {
        let opened = self.open_directory(path).and_then(|directory| {
            let (mut names, broken) = list(&directory)?;
            let holds = |names: &[Vec<u8>], name: &[u8]| {
                names.binary_search_by(|held| held.as_slice().cmp(name)).is_ok()
            };
            let options = &self.options;
            if options.exclude_caches
                && holds(&names, cachedir::TAG)
                && cachedir::is_tagged(&directory)
            {
                // The directory and its tag stay: what is restored says again that it is a cache.
                names.retain(|name| name == cachedir::TAG);
            }
            let ignored = match options.gitignore && holds(&names, ignore_files::NAME) {
                true => IgnoreFiles::read(&directory, path, ignored),
                false => ignored,
            };
            Ok((Listing { path: path.clone(), directory, names, device, ignored }, broken))
        });
        let (listing, broken) = match opened {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return (vec![vanished(path, error)], Vec::new());
            }
            Err(error) => return (vec![trouble(path, LIST, error)], Vec::new()),
        };
        let listing = Arc::new(listing);
        let (mut found, mut uncovered) = self.examine_names(&listing, 0, roaming);
        // What was listed before the error is archived all the same.
        found.extend(broken.map(|error| trouble(path, LIST, error.into())));
        for from in (NAMES_PER_PART..listing.names.len()).step_by(NAMES_PER_PART) {
            let part = Part::Names { listing: Arc::clone(&listing), from };
            uncovered.push((Place::new(path, from), part));
        }
        (found, uncovered)
    }

    fn examine_names(
        &self,
        listing: &Listing,
        from: usize,
        roaming: Roaming,
    ) -> (Vec<Found>, Uncovered) {
        let within = roaming.into(&listing.directory);
        let names = listing.names.iter().skip(from).take(NAMES_PER_PART);
        let mut found = Vec::with_capacity(names.len());
        let mut uncovered = Vec::new();
        for name in names {
            let Some(path) = listing.path.child(name) else {
                found.push(trouble(&listing.path, "name an object in", Errno::INVAL.into()));
                continue;
            };
            let captured = capture(within, name, path.clone(), &self.names);
            let above = Above { device: Some(listing.device), ignored: listing.ignored.as_ref() };
            self.keep(&path, above, captured, &mut found, &mut uncovered);
        }
        (found, uncovered)
    }

    /// Turns what was captured under `path` into what the walk hands out, and into a part to
    /// examine if it is a directory.
    fn keep(
        &self,
        path: &EntryPath,
        above: Above<'_>,
        captured: io::Result<Option<Captured>>,
        found: &mut Vec<Found>,
        uncovered: &mut Uncovered,
    ) {
        let Captured { entry, xattrs } = match captured {
            Ok(Some(captured)) => captured,
            Ok(None) => return found.extend(self.no_entry(path, above, None)),
            Err(error) => return found.extend(self.no_entry(path, above, Some(error))),
        };
        let is_directory = entry.kind == EntryKind::Directory;
        if self.excluded(path, is_directory, above) {
            return;
        }
        if self.options.larger_than.is_some_and(|limit| entry.size() > Some(limit)) {
            let error = io::Error::other("it is larger than the limit that was set");
            return found.push(skipped(path, "archive", error));
        }
        if is_directory && self.options.leave_out.contains(&entry.inode) {
            let error = io::Error::other("it belongs to the archive itself");
            return found.push(skipped(path, "archive", error));
        }
        let foreign = above.device.is_some_and(|device| device != entry.inode.device);
        if is_directory && !(foreign && self.options.one_file_system) {
            found.extend(self.descend(path, entry.inode.device, above, uncovered));
        }
        found.extend(xattrs.map(|error| trouble(path, "read the extended attributes of", error)));
        found.push(Found::Entry(entry));
    }

    /// What is said of a name that is a socket, or could not be captured.
    fn no_entry(
        &self,
        path: &EntryPath,
        above: Above<'_>,
        error: Option<io::Error>,
    ) -> Option<Found> {
        if self.excluded(path, false, above) || self.excluded(path, true, above) {
            return None;
        }
        Some(match error {
            Some(error) if error.kind() == io::ErrorKind::NotFound => vanished(path, error),
            Some(error) => trouble(path, "examine", error),
            None => {
                let error = io::Error::new(io::ErrorKind::Unsupported, "it is a socket");
                skipped(path, "archive", error)
            }
        })
    }

    /// Queues the directory `path` for listing, unless its path is too long to be listed.
    fn descend(
        &self,
        path: &EntryPath,
        device: u64,
        above: Above<'_>,
        uncovered: &mut Uncovered,
    ) -> Option<Found> {
        if path.as_bytes().len() > ENTRY_PATH_BYTES_MAX {
            return Some(trouble(path, LIST, Errno::NAMETOOLONG.into()));
        }
        // Part 0 of the root is the roots themselves; its listing is the part after it.
        let number = usize::from(path.as_bytes().is_empty());
        let ignored = above.ignored.cloned();
        let part = Part::Directory { path: path.clone(), device, ignored };
        uncovered.push((Place::new(path, number), part));
        None
    }

    fn excluded(&self, path: &EntryPath, is_directory: bool, above: Above<'_>) -> bool {
        self.options.exclude.as_ref().is_some_and(|patterns| patterns.choose(path, is_directory))
            || above.ignored.is_some_and(|ignored| ignored.ignore(path, is_directory))
    }

    fn open_directory(&self, path: &EntryPath) -> io::Result<OwnedFd> {
        let (root, path) = self.roots.resolve(path).ok_or(Errno::NOENT)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        match root.open_at(&path, flags | OFlags::NOATIME, Mode::empty()) {
            // Only the owner may leave the access time alone.
            Err(error) if error.raw_os_error() == Some(Errno::PERM.raw_os_error()) => {
                root.open_at(&path, flags, Mode::empty())
            }
            other => other,
        }
    }
}

const LIST: &str = "list the directory";

/// Names in a directory, and the error that ended the listing early, if one did.
type Listed = (Vec<Vec<u8>>, Option<Errno>);

fn list(directory: &OwnedFd) -> Result<Listed, Errno> {
    let mut buffer = vec![MaybeUninit::uninit(); LISTING_BYTES];
    let mut records = RawDir::new(directory, &mut buffer);
    let (mut names, mut broken) = (Vec::new(), None);
    while let Some(record) = records.next() {
        match record {
            Ok(record) => {
                let name = record.file_name().to_bytes();
                if name != b"." && name != b".." {
                    names.push(name.to_vec());
                }
            }
            Err(Errno::INTR) => {}
            Err(error) if names.is_empty() => return Err(error),
            Err(error) => {
                broken = Some(error);
                break;
            }
        }
    }
    names.sort_unstable();
    names.dedup();
    Ok((names, broken))
}

pub(super) fn trouble(path: &EntryPath, action: &'static str, error: io::Error) -> Found {
    Found::Unreadable(Trouble { path: path.as_bytes().to_vec(), action, error })
}

fn skipped(path: &EntryPath, action: &'static str, error: io::Error) -> Found {
    Found::Skipped(Trouble { path: path.as_bytes().to_vec(), action, error })
}

/// A name that was listed and is gone: an archive made a moment later would not have it either.
fn vanished(path: &EntryPath, error: io::Error) -> Found {
    skipped(path, "find", error)
}
