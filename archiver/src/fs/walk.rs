//! Local trees as a [`Source`]: listed and examined by several threads, handed out in order.
//!
//! A part of a walk is one directory, or `NAMES_PER_PART` names of a large one: its names are
//! read and sorted, each name is examined relative to the open directory, and the directories
//! among them become parts of their own behind it (see `frontier`). A directory is opened when
//! its turn comes, from the root, so the number of open directories does not grow with the tree.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use rustix::fs::{Mode, OFlags, RawDir};
use rustix::io::Errno;

use crate::entry::{Entry, EntryKind, EntryPath, InodeId};
use crate::source::{Found, Source, SourceFile, Trouble};

use super::capture::{Captured, Within, capture};
use super::exclude::Patterns;
use super::file::LocalFile;
use super::frontier::{Frontier, Place};
use super::names::Names;
use super::roots::{RootError, Roots};

/// Names examined at a time; larger directories are shared among the workers in such parts.
const NAMES_PER_PART: usize = 1024;

/// Longest path below the root that is walked, in bytes. The deepest trees that people keep
/// are a tenth of it; without a limit a hostile chain of directories grows memory quadratically.
pub const ENTRY_PATH_BYTES_MAX: usize = 32_768;

/// Most threads that examine one tree: beyond a few the kernel's own locks are the limit.
pub const WALKERS_MAX: usize = 16;

/// Bytes of directory records asked for at a time.
const LISTING_BYTES: usize = 65_536;

/// How a tree is walked.
#[derive(Clone, Debug)]
pub struct WalkOptions {
    /// Paths to leave out, directories with everything below them.
    pub exclude: Option<Patterns>,
    /// Stay on the file systems that the roots lie on; a mount point is archived as a directory
    /// without children.
    pub one_file_system: bool,
    /// Directories to leave out wherever they appear, such as the folder that the archive itself
    /// is written to.
    pub leave_out: Vec<InodeId>,
    /// Threads that list and examine, 1 to [`WALKERS_MAX`].
    pub walkers: usize,
}

impl Default for WalkOptions {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            exclude: None,
            one_file_system: false,
            leave_out: Vec::new(),
            walkers: cores.clamp(1, WALKERS_MAX),
        }
    }
}

/// Directories and files of this machine, as a tree to archive.
#[derive(Clone, Debug)]
pub struct LocalTree {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    roots: Roots,
    options: WalkOptions,
    names: Names,
}

/// A part of the tree that is still to be examined.
enum Part {
    /// The beginning: the roots themselves.
    Roots,
    /// A directory on `device`, to be listed.
    Directory { path: EntryPath, device: u64 },
    /// Names of a large directory that has been listed; the first of them stands in the place.
    Names { listing: Arc<Listing>, from: usize },
}

/// A directory that is open, with its names sorted.
struct Listing {
    path: EntryPath,
    directory: OwnedFd,
    names: Vec<Vec<u8>>,
    /// Device of the directory, for [`WalkOptions::one_file_system`].
    device: u64,
}

type Uncovered = Vec<(Place, Part)>;

impl LocalTree {
    /// Opens what shall be archived: a single directory becomes the root of the archived tree;
    /// several paths, or a file, stand in a made-up root under their last component.
    ///
    /// # Errors
    /// [`RootError`] when a path cannot be opened or two would have the same name.
    pub fn open(paths: &[PathBuf], options: WalkOptions) -> Result<Self, RootError> {
        let roots = Roots::open(paths)?;
        Ok(Self { inner: Arc::new(Inner { roots, options, names: Names::default() }) })
    }
}

impl Source for LocalTree {
    fn walk(&self) -> Box<dyn Iterator<Item = Found> + Send + '_> {
        Box::new(Walk::start(&self.inner))
    }

    fn open(&self, entry: &Entry) -> io::Result<Box<dyn SourceFile>> {
        let (root, path) = self.inner.roots.resolve(&entry.path).ok_or(Errno::NOENT)?;
        Ok(Box::new(LocalFile::open(root, &path, entry)?))
    }
}

/// A walk under way. Dropped early, it stops its threads.
struct Walk {
    frontier: Arc<Frontier<Part, Found>>,
    workers: Vec<JoinHandle<()>>,
    current: std::vec::IntoIter<Found>,
}

impl Walk {
    fn start(inner: &Arc<Inner>) -> Self {
        let first = Place::new(&EntryPath::root(), 0);
        let frontier = Arc::new(Frontier::new(first, Part::Roots));
        let mut workers = Vec::new();
        for number in 0..inner.options.walkers.clamp(1, WALKERS_MAX) {
            let (inner, frontier) = (Arc::clone(inner), Arc::clone(&frontier));
            let thread = std::thread::Builder::new().name(format!("walk-{number}"));
            // Fewer threads than asked for only make the walk slower.
            workers
                .extend(thread.spawn(move || work(&inner, &frontier, Roaming::of_this_thread())));
        }
        let walk = Self { frontier, workers, current: Vec::new().into_iter() };
        if walk.workers.is_empty() {
            work(inner, &walk.frontier, Roaming(false));
        }
        walk
    }
}

impl Iterator for Walk {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        loop {
            if let Some(found) = self.current.next() {
                return Some(found);
            }
            self.current = self.frontier.next()?.into_iter();
        }
    }
}

impl Drop for Walk {
    fn drop(&mut self) {
        self.frontier.close();
        for worker in self.workers.drain(..) {
            // A worker that died has left its report in the frontier.
            let _ = worker.join();
        }
    }
}

/// Whether a thread may change its working directory, because it shares it with nobody.
///
/// Attributes are read by calls that know no directories. With the listed directory as the thread's
/// own working directory these need one step from name to object; the way through `/proc` takes as
/// long as everything else that is done for an entry.
#[derive(Clone, Copy)]
struct Roaming(bool);

impl Roaming {
    fn of_this_thread() -> Self {
        // A sandbox may refuse; nothing but speed is lost.
        Self(nix::sched::unshare(nix::sched::CloneFlags::CLONE_FS).is_ok())
    }

    fn into<'a>(self, directory: &'a OwnedFd) -> Within<'a> {
        let is_current = self.0 && rustix::process::fchdir(directory).is_ok();
        Within { directory: directory.as_fd(), is_current }
    }
}

fn work(inner: &Inner, frontier: &Frontier<Part, Found>, roaming: Roaming) {
    while let Some((part, begun)) = frontier.begin(abandoned) {
        let (found, uncovered) = inner.examine(part, roaming);
        begun.done(found, uncovered);
    }
}

fn abandoned(part: &Part) -> Found {
    let path = match part {
        Part::Roots => EntryPath::root(),
        Part::Directory { path, .. } => path.clone(),
        Part::Names { listing, .. } => listing.path.clone(),
    };
    let error = io::Error::other("the thread that examined it ended");
    trouble(&path, "examine the directory", error)
}

impl Inner {
    fn examine(&self, part: Part, roaming: Roaming) -> (Vec<Found>, Uncovered) {
        match part {
            Part::Roots => self.examine_roots(),
            Part::Directory { path, device } => self.examine_directory(&path, device, roaming),
            Part::Names { listing, from } => self.examine_names(&listing, from, roaming),
        }
    }

    fn examine_roots(&self) -> (Vec<Found>, Uncovered) {
        let (mut found, mut uncovered) = (Vec::new(), Vec::new());
        match &self.roots {
            Roots::Single(root) => {
                let path = EntryPath::root();
                let captured = capture(Within::new(root.as_fd()), b"", path.clone(), &self.names);
                self.keep(&path, None, captured, &mut found, &mut uncovered);
            }
            Roots::Several(members) => {
                found.push(Found::Entry(Roots::made_up()));
                for (name, member) in members {
                    let Some(path) = EntryPath::root().child(name) else { continue };
                    let captured = member.capture(path.clone(), &self.names);
                    self.keep(&path, None, captured, &mut found, &mut uncovered);
                }
            }
        }
        (found, uncovered)
    }

    fn examine_directory(
        &self,
        path: &EntryPath,
        device: u64,
        roaming: Roaming,
    ) -> (Vec<Found>, Uncovered) {
        let opened = self.open_directory(path).and_then(|directory| {
            let (names, broken) = list(&directory)?;
            Ok((Listing { path: path.clone(), directory, names, device }, broken))
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
            self.keep(&path, Some(listing.device), captured, &mut found, &mut uncovered);
        }
        (found, uncovered)
    }

    /// Turns what was captured under `path` into what the walk hands out, and into a part to
    /// examine if it is a directory. `device` is the parent's, `None` for a root.
    fn keep(
        &self,
        path: &EntryPath,
        device: Option<u64>,
        captured: io::Result<Option<Captured>>,
        found: &mut Vec<Found>,
        uncovered: &mut Uncovered,
    ) {
        let Captured { entry, xattrs } = match captured {
            Ok(Some(captured)) => captured,
            Ok(None) => return found.extend(self.no_entry(path, None)),
            Err(error) => return found.extend(self.no_entry(path, Some(error))),
        };
        let is_directory = entry.kind == EntryKind::Directory;
        if self.excluded(path, is_directory) {
            return;
        }
        if is_directory && self.options.leave_out.contains(&entry.inode) {
            let error = io::Error::other("it belongs to the archive itself");
            return found.push(skipped(path, "archive", error));
        }
        let foreign = device.is_some_and(|device| device != entry.inode.device);
        if is_directory && !(foreign && self.options.one_file_system) {
            found.extend(self.descend(path, entry.inode.device, uncovered));
        }
        found.extend(xattrs.map(|error| trouble(path, "read the extended attributes of", error)));
        found.push(Found::Entry(entry));
    }

    /// What is said of a name that is a socket, or could not be captured.
    fn no_entry(&self, path: &EntryPath, error: Option<io::Error>) -> Option<Found> {
        if self.excluded(path, false) || self.excluded(path, true) {
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
    fn descend(&self, path: &EntryPath, device: u64, uncovered: &mut Uncovered) -> Option<Found> {
        if path.as_bytes().len() > ENTRY_PATH_BYTES_MAX {
            return Some(trouble(path, LIST, Errno::NAMETOOLONG.into()));
        }
        // Part 0 of the root is the roots themselves; its listing is the part after it.
        let number = usize::from(path.as_bytes().is_empty());
        let part = Part::Directory { path: path.clone(), device };
        uncovered.push((Place::new(path, number), part));
        None
    }

    fn excluded(&self, path: &EntryPath, is_directory: bool) -> bool {
        self.options.exclude.as_ref().is_some_and(|patterns| patterns.choose(path, is_directory))
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

fn trouble(path: &EntryPath, action: &'static str, error: io::Error) -> Found {
    Found::Unreadable(Trouble { path: path.as_bytes().to_vec(), action, error })
}

fn skipped(path: &EntryPath, action: &'static str, error: io::Error) -> Found {
    Found::Skipped(Trouble { path: path.as_bytes().to_vec(), action, error })
}

/// A name that was listed and is gone: an archive made a moment later would not have it either.
fn vanished(path: &EntryPath, error: io::Error) -> Found {
    skipped(path, "find", error)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;

    fn walk(paths: &[&Path], options: WalkOptions) -> (Vec<Entry>, Vec<Found>) {
        let paths: Vec<PathBuf> = paths.iter().map(|path| path.to_path_buf()).collect();
        let tree = LocalTree::open(&paths, options).unwrap();
        let (mut entries, mut others) = (Vec::new(), Vec::new());
        for found in tree.walk() {
            match found {
                Found::Entry(entry) => entries.push(entry),
                other => others.push(other),
            }
        }
        (entries, others)
    }

    fn paths_of(entries: &[Entry]) -> Vec<String> {
        entries.iter().map(|entry| entry.path.to_string()).collect()
    }

    #[test]
    fn entries_come_in_order_and_none_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let mut wanted = BTreeSet::from([String::new()]);
        for outer in ["a", "a-b", "b", "c"] {
            for inner in ["x", "y/z"] {
                fs::create_dir_all(dir.path().join(outer).join(inner)).unwrap();
                wanted.extend([outer.to_owned(), format!("{outer}/{inner}")]);
            }
            wanted.insert(format!("{outer}/y"));
        }
        for number in 0..NAMES_PER_PART * 3 + 5 {
            fs::write(dir.path().join(format!("b/{number}")), b"").unwrap();
            wanted.insert(format!("b/{number}"));
        }
        for walkers in [1, 4] {
            let options = WalkOptions { walkers, ..WalkOptions::default() };
            let (entries, others) = walk(&[dir.path()], options);
            assert!(others.is_empty(), "{others:?}");
            assert!(entries.is_sorted_by(|a, b| a.path < b.path));
            assert_eq!(paths_of(&entries).into_iter().collect::<BTreeSet<_>>(), wanted);
        }
    }

    #[test]
    fn what_is_no_file_is_captured_or_reported() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        symlink("no/where", at("link")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, at("fifo"), rustix::fs::FileType::Fifo, Mode::RUSR, 0)
            .unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        fs::write(at("file"), b"12345").unwrap();
        fs::hard_link(at("file"), at("other")).unwrap();
        let (entries, others) = walk(&[dir.path()], WalkOptions::default());
        let find = |name: &str| entries.iter().find(|e| e.path.name() == name.as_bytes()).unwrap();
        assert_eq!(find("link").kind, EntryKind::Symlink { target: b"no/where".to_vec() });
        assert_eq!(find("fifo").kind, EntryKind::Fifo);
        assert_eq!(find("file").kind, EntryKind::File { size: 5 });
        assert_eq!((find("file").inode, find("file").links), (find("other").inode, 2));
        assert!(matches!(others.as_slice(), [Found::Skipped(t)] if t.path == b"socket"));
    }

    #[test]
    fn names_are_bytes_and_links_out_of_the_tree_are_not_followed() {
        use std::os::unix::ffi::OsStrExt;
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), b"").unwrap();
        let name = std::ffi::OsStr::from_bytes(b"\xff\xfe\n");
        fs::write(dir.path().join(name), b"").unwrap();
        symlink(outside.path(), dir.path().join("out")).unwrap();
        let (entries, _) = walk(&[dir.path()], WalkOptions::default());
        let names: Vec<&[u8]> = entries.iter().map(|entry| entry.path.as_bytes()).collect();
        assert_eq!(names, [b"".as_slice(), b"out", b"\xff\xfe\n"]);
    }

    #[test]
    fn what_is_excluded_or_left_out_is_not_entered() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["keep/src", "keep/target/deep", "store/packs"] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        let store = {
            let stat = rustix::fs::stat(dir.path().join("store")).unwrap();
            InodeId { device: stat.st_dev, inode: stat.st_ino }
        };
        let options = WalkOptions {
            exclude: Some(Patterns::new(&["target/"]).unwrap()),
            leave_out: vec![store],
            ..WalkOptions::default()
        };
        let (entries, others) = walk(&[dir.path()], options);
        assert_eq!(paths_of(&entries), ["", "keep", "keep/src"]);
        assert!(matches!(others.as_slice(), [Found::Skipped(t)] if t.path == b"store"));
    }

    #[test]
    fn several_roots_stand_side_by_side_and_can_be_read() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["one", "two"] {
            fs::create_dir(dir.path().join(name)).unwrap();
            fs::write(dir.path().join(name).join("f"), name).unwrap();
        }
        fs::write(dir.path().join("single"), b"alone").unwrap();
        let paths = ["two", "one", "single"].map(|name| dir.path().join(name));
        let tree = LocalTree::open(&paths, WalkOptions::default()).unwrap();
        let mut read = Vec::new();
        for found in tree.walk() {
            let Found::Entry(entry) = found else { panic!("{found:?}") };
            if let EntryKind::File { size } = entry.kind {
                let mut bytes = vec![0; usize::try_from(size).unwrap()];
                tree.open(&entry).unwrap().read_at(0, &mut bytes).unwrap();
                read.push((entry.path.to_string(), String::from_utf8(bytes).unwrap()));
            }
        }
        let wanted = [("single", "alone"), ("one/f", "one"), ("two/f", "two")];
        assert_eq!(read, wanted.map(|(path, bytes)| (path.to_owned(), bytes.to_owned())));
    }

    #[test]
    fn roots_of_one_name_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a/same", "b/same"] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        let paths = ["a/same", "b/same"].map(|name| dir.path().join(name));
        let error = LocalTree::open(&paths, WalkOptions::default()).unwrap_err();
        assert!(matches!(error, RootError::SameName { name, .. } if name == b"same"));
    }

    #[test]
    fn holes_are_known_and_a_swapped_file_is_noticed() {
        use std::os::unix::fs::FileExt;
        let dir = tempfile::tempdir().unwrap();
        let sparse = fs::File::create(dir.path().join("sparse")).unwrap();
        sparse.set_len(4 << 20).unwrap();
        sparse.write_all_at(&[7; 4096], 1 << 20).unwrap();
        let tree = LocalTree::open(&[dir.path().to_owned()], WalkOptions::default()).unwrap();
        let entry = tree
            .walk()
            .find_map(|found| match found {
                Found::Entry(entry) if entry.path.name() == b"sparse" => Some(entry),
                _ => None,
            })
            .unwrap();
        let mut file = tree.open(&entry).unwrap();
        let data = file.next_data(0).unwrap().unwrap();
        assert!(data.start <= 1 << 20 && data.end >= (1 << 20) + 4096, "{data:?}");
        assert!(data.end - data.start < 1 << 20, "the holes count as data: {data:?}");
        assert_eq!(file.next_data(data.end).unwrap(), None);
        assert!(file.state().unwrap().matches(&entry));
        sparse.write_all_at(b"changed", 0).unwrap();
        assert!(!file.state().unwrap().matches(&entry));
        fs::write(dir.path().join("new"), b"").unwrap();
        fs::rename(dir.path().join("new"), dir.path().join("sparse")).unwrap();
        assert!(tree.open(&entry).is_err());
    }

    #[test]
    fn a_walk_that_is_dropped_ends_its_threads() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..200 {
            fs::create_dir(dir.path().join(number.to_string())).unwrap();
        }
        let tree = LocalTree::open(&[dir.path().to_owned()], WalkOptions::default()).unwrap();
        let mut walk = tree.walk();
        assert!(walk.next().is_some());
        drop(walk);
        assert_eq!(Arc::strong_count(&tree.inner), 1);
    }
}
