//! Local trees as a [`Source`]: listed and examined by several threads, handed out in order.
//!
//! A part of a walk is one directory, or `NAMES_PER_PART` names of a large one: its names are
//! read and sorted, each name is examined relative to the open directory, and the directories
//! among them become parts of their own behind it (see `frontier`). A directory is opened when
//! its turn comes, from the root, so the number of open directories does not grow with the tree.

mod examine;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use rustix::io::Errno;

pub use self::examine::ENTRY_PATH_BYTES_MAX;
use self::examine::trouble;
use super::beneath::Beneath;
use super::capture::Within;
use super::exclude::Patterns;
use super::file::LocalFile;
use super::frontier::{Frontier, Place};
use super::ignore_files::IgnoreFiles;
use super::names::Names;
use super::roots::{RootError, Roots};
use crate::entry::{Entry, EntryPath, InodeId};
use crate::source::{Found, Source, SourceFile};

/// Most threads that examine one tree: beyond a few the kernel's own locks are the limit.
pub const WALKERS_MAX: usize = 16;

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
    /// Of directories that say by a tag that they are caches, archive only the tag.
    pub exclude_caches: bool,
    /// Leave out files of more bytes than this.
    pub larger_than: Option<u64>,
    /// Leave out what the tree's own `.gitignore` files say, each for what lies below it.
    pub gitignore: bool,
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
            exclude_caches: false,
            larger_than: None,
            gitignore: false,
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
    /// A directory on `device`, to be listed, and what the directories above say to leave out.
    Directory { path: EntryPath, device: u64, ignored: Option<Arc<IgnoreFiles>> },
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
    ignored: Option<Arc<IgnoreFiles>>,
}

type Uncovered = Vec<(Place, Part)>;

impl LocalTree {
    /// Opens what shall be archived: a single directory becomes the root of the archived tree;
    /// several paths, or a file, stand in a made-up root under their last component.
    ///
    /// # Errors
    /// [`RootError`] when a path cannot be opened or two would have the same name.
    pub fn open(paths: &[PathBuf], options: WalkOptions) -> Result<Self, RootError> {
        Ok(Self::of_roots(Roots::open(paths)?, options))
    }

    /// The tree below a directory that is open already.
    #[must_use]
    pub fn of_directory(directory: Beneath, options: WalkOptions) -> Self {
        Self::of_roots(Roots::Single(directory), options)
    }

    fn of_roots(roots: Roots, options: WalkOptions) -> Self {
        Self { inner: Arc::new(Inner { roots, options, names: Names::default() }) }
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
