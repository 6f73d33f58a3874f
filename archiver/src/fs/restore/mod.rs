//! A local directory as a [`Target`]: entries become objects below it, and nowhere else.
//!
//! Every name is reached through [`Beneath`], every object is created exclusively: what already
//! stands under a name is never written into, only left alone or replaced whole, so that neither
//! a link nor another name of an inode outside can carry a write out of the tree.

mod overwrite;
mod rehearsal;

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{Advice, AtFlags, Dir, FileType, IFlags, Mode, OFlags, Stat};
use rustix::io::Errno;

pub use self::overwrite::Overwrite;
pub use self::rehearsal::{Rehearsal, Rehearsed};
use super::attributes::{Attributes, Object};
use super::beneath::Beneath;
use super::file::LocalFile;
use super::walk::{LocalTree, WalkOptions};
use crate::entry::{Entry, EntryKind, EntryPath, FLAGS_KEPT};
use crate::source::{Source, SourceFile, Trouble};
use crate::target::{Created, CreatedFile, Target, TargetFile};

/// How a tree is restored.
#[derive(Clone, Copy, Debug, Default)]
pub struct RestoreOptions {
    /// What happens to names that exist.
    pub overwrite: Overwrite,
    /// Give objects to the numbers that the entries carry, even where this machine knows the
    /// names that go with them.
    pub numeric_owners: bool,
}

/// A directory that is restored into.
#[derive(Debug)]
pub struct LocalTarget {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: Beneath,
    overwrite: Overwrite,
    attributes: Attributes,
    /// Directories that stood there before and keep their attributes.
    kept_directories: Mutex<HashSet<EntryPath>>,
    /// What was made and is to have file flags, which come last: they can forbid a further name.
    flagged: Mutex<Vec<(EntryPath, u32)>>,
    /// Number of the next temporary name.
    temporary: AtomicU64,
}

/// What stands under a name that was to be created.
enum Existing {
    /// It stays.
    Keep,
    /// It has to go: a temporary name shall be renamed over it.
    Replace,
    /// It was an empty directory and is gone.
    Gone,
}

impl LocalTarget {
    /// Opens the directory at `path` to restore into, making it and its parents if need be.
    ///
    /// # Errors
    /// What the system says when it cannot be made or opened.
    pub fn open(path: &Path, options: RestoreOptions) -> io::Result<Self> {
        std::fs::create_dir_all(path)?;
        let root = Beneath::open(path)?;
        let mut kept_directories = HashSet::new();
        if options.overwrite == Overwrite::Never && !is_empty(&root)? {
            kept_directories.insert(EntryPath::root());
        }
        let mut attributes = Attributes::new(options.numeric_owners);
        let mut none = [0_u8; 0];
        // The kernel answers with the size, or with an error when there is no default ACL.
        attributes.inherited_acls =
            rustix::fs::fgetxattr(&root, c"system.posix_acl_default", &mut none).is_ok();
        Ok(Self {
            inner: Arc::new(Inner {
                root,
                overwrite: options.overwrite,
                attributes,
                kept_directories: Mutex::new(kept_directories),
                flagged: Mutex::default(),
                temporary: AtomicU64::new(0),
            }),
        })
    }

    /// How many restored objects belong to somebody else than in the archive, because this
    /// process has no right to give objects away.
    #[must_use]
    pub fn owners_left(&self) -> u64 {
        self.inner.attributes.owners_left()
    }

    /// Waits until everything restored is on the disk.
    ///
    /// # Errors
    /// What the file system says, such as that it could not write data that it had accepted.
    pub fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.inner.root)?)
    }
}

impl Target for LocalTarget {
    fn create_directory(&self, entry: &Entry) -> io::Result<Created> {
        if entry.path.as_bytes().is_empty() {
            return Ok(Created::Done);
        }
        self.inner.create_directory(entry)
    }

    fn create_file(&self, entry: &Entry) -> io::Result<CreatedFile> {
        let parent = self.inner.root.open_parent(&entry.path)?;
        let mut made = None;
        let (created, name) = self.inner.create(&parent, entry, |parent, name| {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
            let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            made = Some(rustix::fs::openat(parent, name, flags, Mode::RUSR | Mode::WUSR)?);
            Ok(())
        })?;
        Ok(match (created, made) {
            (Created::Done, Some(file)) => CreatedFile::Write(Box::new(LocalTargetFile {
                file: File::from(file),
                path: entry.path.clone(),
                name,
                written: AtomicU64::new(0),
                finished: AtomicBool::new(false),
                target: Arc::clone(&self.inner),
            })),
            _ => CreatedFile::Kept,
        })
    }

    fn create_special(&self, entry: &Entry) -> io::Result<Created> {
        let parent = self.inner.root.open_parent(&entry.path)?;
        let (created, name) =
            self.inner.create(&parent, entry, |parent, name| make_special(parent, name, entry))?;
        if created == Created::Done {
            let named = Object::Named { parent: parent.as_fd(), name: &name };
            let applied = self.inner.attributes.apply(named, entry);
            self.inner.settle(parent.as_fd(), &name, &entry.path)?;
            applied?;
        }
        Ok(created)
    }

    fn create_link(&self, entry: &Entry, original: &EntryPath) -> io::Result<Created> {
        let parent = self.inner.root.open_parent(&entry.path)?;
        let from = self.inner.root.open_parent(original)?;
        let wanted = stat(from.as_fd(), original.name())?;
        if let Ok(there) = stat(parent.as_fd(), entry.path.name())
            && (there.st_dev, there.st_ino) == (wanted.st_dev, wanted.st_ino)
        {
            return Ok(Created::Kept);
        }
        let (created, name) = self.inner.create(&parent, entry, |parent, name| {
            rustix::fs::linkat(&from, original.name(), parent, name, AtFlags::empty())
        })?;
        if created == Created::Done {
            self.inner.settle(parent.as_fd(), &name, &entry.path)?;
        }
        Ok(created)
    }

    fn seal(&self) -> Vec<Trouble> {
        let flagged = std::mem::take(&mut *lock(&self.inner.flagged));
        let failed = |(path, flags): (EntryPath, u32)| {
            let error = self.inner.set_flags(&path, flags).err()?;
            let path = path.as_bytes().to_vec();
            Some(Trouble { path, action: "set the file flags of", error })
        };
        flagged.into_iter().filter_map(failed).collect()
    }

    fn standing(&self) -> io::Result<Box<dyn Source>> {
        // Mounted there is something else's tree.
        let options = WalkOptions { one_file_system: true, ..WalkOptions::default() };
        let root = self.inner.root.open_at(&EntryPath::root(), OFlags::RDONLY, Mode::empty())?;
        Ok(Box::new(LocalTree::of_directory(Beneath::from(root), options)))
    }

    fn remove(&self, entry: &Entry) -> io::Result<()> {
        let parent = self.inner.root.open_parent(&entry.path)?;
        let flags = match entry.kind {
            EntryKind::Directory => AtFlags::REMOVEDIR,
            _ => AtFlags::empty(),
        };
        Ok(rustix::fs::unlinkat(&parent, entry.path.name(), flags)?)
    }

    fn read_back(&self, entry: &Entry) -> io::Result<Box<dyn SourceFile>> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let opened = self.inner.root.open_at(&entry.path, flags, Mode::empty())?;
        // What the disk has is to be read, not what was meant for it. Advice only: a file system
        // that keeps the bytes in memory all the same is no reason to fail.
        rustix::fs::fdatasync(&opened)?;
        let _ = rustix::fs::fadvise(&opened, 0, None, Advice::DontNeed);
        Ok(Box::new(LocalFile::of_opened(opened)?))
    }

    fn finish_directory(&self, entry: &Entry) -> io::Result<()> {
        if self.inner.kept().contains(&entry.path) {
            return Ok(());
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let directory = self.inner.root.open_at(&entry.path, flags, Mode::empty())?;
        self.inner.note_flags(entry);
        self.inner.attributes.apply(Object::Open(directory.as_fd()), entry)
    }
}

impl Inner {
    fn kept(&self) -> MutexGuard<'_, HashSet<EntryPath>> {
        lock(&self.kept_directories)
    }

    fn note_flags(&self, entry: &Entry) {
        if entry.flags != 0 {
            lock(&self.flagged).push((entry.path.clone(), entry.flags));
        }
    }

    fn set_flags(&self, path: &EntryPath, flags: u32) -> io::Result<()> {
        let how = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let opened = self.root.open_at(path, how, Mode::empty())?;
        let (kept, wanted) =
            (IFlags::from_bits_retain(FLAGS_KEPT), IFlags::from_bits_retain(flags));
        let held = rustix::fs::ioctl_getflags(&opened)?;
        if held.intersection(kept) != wanted {
            rustix::fs::ioctl_setflags(&opened, held.difference(kept).union(wanted))?;
        }
        Ok(())
    }

    fn create_directory(&self, entry: &Entry) -> io::Result<Created> {
        let path = &entry.path;
        let parent = self.root.open_parent(path)?;
        for _ in 0..2 {
            match rustix::fs::mkdirat(&parent, path.name(), Mode::RWXU) {
                Ok(()) => return Ok(Created::Done),
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            let there = stat(parent.as_fd(), path.name())?;
            if FileType::from_raw_mode(there.st_mode) == FileType::Directory {
                if self.overwrite == Overwrite::Never {
                    self.kept().insert(path.clone());
                }
                return Ok(Created::Done);
            }
            if !self.overwrite.replaces(parent.as_fd(), path.name(), &there, entry) {
                return Ok(Created::Kept);
            }
            rustix::fs::unlinkat(&parent, path.name(), AtFlags::empty())?;
        }
        Err(Errno::EXIST.into())
    }

    /// Creates `entry` in `parent` by `make`, which must fail with `EEXIST` rather than touch what
    /// exists. The answer's name is where it was made: the entry's own, or a temporary one that
    /// [`Self::settle`] has yet to rename over what shall be replaced.
    fn create(
        &self,
        parent: &OwnedFd,
        entry: &Entry,
        mut make: impl FnMut(BorrowedFd<'_>, &[u8]) -> Result<(), Errno>,
    ) -> io::Result<(Created, Vec<u8>)> {
        let name = entry.path.name();
        match make(parent.as_fd(), name) {
            Ok(()) => return Ok((Created::Done, name.to_vec())),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        match self.judge(parent.as_fd(), entry)? {
            Existing::Keep => Ok((Created::Kept, name.to_vec())),
            Existing::Gone => {
                make(parent.as_fd(), name)?;
                Ok((Created::Done, name.to_vec()))
            }
            Existing::Replace => {
                let number = self.temporary.fetch_add(1, Ordering::Relaxed);
                let name = format!(".strongroom-{}-{number}", std::process::id()).into_bytes();
                make(parent.as_fd(), &name)?;
                Ok((Created::Done, name))
            }
        }
    }

    /// Decides about what stands under the entry's name.
    fn judge(&self, parent: BorrowedFd<'_>, entry: &Entry) -> io::Result<Existing> {
        let name = entry.path.name();
        let there = stat(parent, name)?;
        if !self.overwrite.replaces(parent, name, &there, entry) {
            return Ok(Existing::Keep);
        }
        if FileType::from_raw_mode(there.st_mode) == FileType::Directory {
            // Only an empty directory makes room: a tree is nothing to lose by the way.
            rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)?;
            return Ok(Existing::Gone);
        }
        Ok(Existing::Replace)
    }

    /// Puts what was made under `name` in the place of `path`'s own name, if that is another.
    fn settle(&self, parent: BorrowedFd<'_>, name: &[u8], path: &EntryPath) -> io::Result<()> {
        if name == path.name() {
            return Ok(());
        }
        rustix::fs::renameat(parent, name, parent, path.name()).map_err(|error| {
            let _ = rustix::fs::unlinkat(parent, name, AtFlags::empty());
            error.into()
        })
    }
}

/// A file that is being restored.
#[derive(Debug)]
struct LocalTargetFile {
    file: File,
    path: EntryPath,
    /// The name that it has until it is finished.
    name: Vec<u8>,
    /// End of the last byte written so far.
    written: AtomicU64,
    finished: AtomicBool,
    target: Arc<Inner>,
}

impl TargetFile for LocalTargetFile {
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, offset)?;
        let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
        self.written.fetch_max(offset.saturating_add(length), Ordering::Relaxed);
        Ok(())
    }

    fn finish(self: Box<Self>, entry: &Entry) -> io::Result<()> {
        if let EntryKind::File { size } = entry.kind
            && size != self.written.load(Ordering::Relaxed)
        {
            self.file.set_len(size)?;
        }
        let applied = self.target.attributes.apply(Object::Open(self.file.as_fd()), entry);
        if self.name != self.path.name() {
            let parent = self.target.root.open_parent(&self.path)?;
            self.target.settle(parent.as_fd(), &self.name, &self.path)?;
        }
        self.target.note_flags(entry);
        // The content is complete: an attribute that could not be set is no reason to remove it.
        self.finished.store(true, Ordering::Relaxed);
        applied
    }
}

impl Drop for LocalTargetFile {
    fn drop(&mut self) {
        if self.finished.load(Ordering::Relaxed) {
            return;
        }
        // Best effort, as the contract says: there is nobody left to report to.
        if let Ok(parent) = self.target.root.open_parent(&self.path) {
            let _ = rustix::fs::unlinkat(parent, self.name.as_slice(), AtFlags::empty());
        }
    }
}

/// Poisoning is no concern: what is inside is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn make_special(parent: BorrowedFd<'_>, name: &[u8], entry: &Entry) -> Result<(), Errno> {
    let node = |kind, device| rustix::fs::mknodat(parent, name, kind, Mode::RUSR, device);
    match &entry.kind {
        EntryKind::Symlink { target } => rustix::fs::symlinkat(target.as_slice(), parent, name),
        EntryKind::Fifo => node(FileType::Fifo, 0),
        EntryKind::CharacterDevice { device } => node(FileType::CharacterDevice, *device),
        EntryKind::BlockDevice { device } => node(FileType::BlockDevice, *device),
        EntryKind::File { .. } | EntryKind::Directory => Err(Errno::INVAL),
    }
}

fn stat(parent: BorrowedFd<'_>, name: &[u8]) -> Result<Stat, Errno> {
    rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
}

fn is_empty(directory: &Beneath) -> io::Result<bool> {
    for record in Dir::read_from(directory)? {
        if !matches!(record?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}
