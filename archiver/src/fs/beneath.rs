//! Names below one directory, reached without ever leaving it.
//!
//! Everything that this crate opens in a tree, to archive it or to restore it, goes through
//! [`Beneath`]: the kernel resolves the path below an open directory and refuses `..`, absolute
//! paths, symbolic links and magic links on the way (`openat2` with `RESOLVE_BENEATH`,
//! `RESOLVE_NO_SYMLINKS`, `RESOLVE_NO_MAGICLINKS`). Where a kernel or a sandbox lacks that call
//! the path is walked one component at a time, each opened with `O_NOFOLLOW`: slower, no weaker.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::entry::EntryPath;

/// Longest path handed to one system call, in bytes: Linux's `PATH_MAX` less the final NUL.
/// Longer paths, which trees can hold, are resolved piece by piece.
const PATH_BYTES_MAX: usize = 4095;

/// How often `openat2` is asked again after it saw a rename race (`EAGAIN`) before the path is
/// walked by component instead, where a race cannot matter.
const RACE_RETRIES_MAX: usize = 8;

/// An open directory, and the right to open what lies below it.
#[derive(Debug)]
pub struct Beneath {
    directory: OwnedFd,
    /// Set once the kernel has answered that it has no `openat2`.
    by_component: AtomicBool,
}

impl Beneath {
    /// Opens the directory at `path`. Symbolic links in `path` itself are followed: it is the
    /// user who named it.
    ///
    /// # Errors
    /// What `open` says, `NotADirectory` among it.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self::from(rustix::fs::open(path, flags, Mode::empty())?))
    }

    /// Opens `path` below the directory with `flags`; `O_NOFOLLOW` and `O_CLOEXEC` are always
    /// added, `mode` counts only with `O_CREAT`. The empty path is the directory itself.
    ///
    /// # Errors
    /// What the kernel says; `ELOOP` or `ENOTDIR` when a component is a symbolic link.
    pub fn open_at(&self, path: &EntryPath, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        let (mut held, mut rest): (Option<OwnedFd>, &[u8]) = (None, path.as_bytes());
        while rest.len() > PATH_BYTES_MAX {
            let (head, tail) = split_long(rest).ok_or(Errno::NAMETOOLONG)?;
            let step = OFlags::PATH | OFlags::DIRECTORY;
            held = Some(self.resolve(self.start(held.as_ref()), head, step, Mode::empty())?);
            rest = tail;
        }
        self.resolve(self.start(held.as_ref()), rest, flags, mode)
    }

    /// Opens the directory that holds `path`'s last component, as a place for `*at` calls on that
    /// component. The parent of the root is the root.
    ///
    /// # Errors
    /// As [`Self::open_at`].
    pub fn open_parent(&self, path: &EntryPath) -> io::Result<OwnedFd> {
        let parent = EntryPath::from_bytes(path.parent().to_vec()).ok_or(Errno::INVAL)?;
        self.open_at(&parent, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())
    }

    fn start<'a>(&'a self, held: Option<&'a OwnedFd>) -> BorrowedFd<'a> {
        held.unwrap_or(&self.directory).as_fd()
    }

    fn resolve(
        &self,
        from: BorrowedFd<'_>,
        path: &[u8],
        flags: OFlags,
        mode: Mode,
    ) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let path = if path.is_empty() { b".".as_slice() } else { path };
        if !self.by_component.load(Ordering::Relaxed) {
            match resolve_whole(from, path, flags, mode) {
                Err(Errno::AGAIN) => {}
                // EPERM is what older sandboxes answer to calls that they do not know; a true
                // EPERM comes again from the walk by component.
                Err(Errno::NOSYS | Errno::PERM) => {
                    let opened = resolve_by_component(from, path, flags, mode)?;
                    self.by_component.store(true, Ordering::Relaxed);
                    return Ok(opened);
                }
                other => return Ok(other?),
            }
        }
        Ok(resolve_by_component(from, path, flags, mode)?)
    }
}

impl From<OwnedFd> for Beneath {
    fn from(directory: OwnedFd) -> Self {
        Self { directory, by_component: AtomicBool::new(false) }
    }
}

impl AsFd for Beneath {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

fn resolve_whole(
    from: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..RACE_RETRIES_MAX {
        match rustix::fs::openat2(from, path, flags, mode, how) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
    Err(Errno::AGAIN)
}

fn resolve_by_component(
    from: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut held: Option<OwnedFd> = None;
    let mut components = path.split(|&byte| byte == b'/').peekable();
    while let Some(name) = components.next() {
        // EntryPath holds plain names only; whoever changes that must still fail here.
        if name == b".." || name.is_empty() {
            return Err(Errno::XDEV);
        }
        let here = held.as_ref().map_or(from, AsFd::as_fd);
        if components.peek().is_none() {
            return rustix::fs::openat(here, name, flags, mode);
        }
        held = Some(rustix::fs::openat(here, name, step, Mode::empty())?);
    }
    Err(Errno::INVAL)
}

/// Cuts `path` at the last slash within [`PATH_BYTES_MAX`]; `None` when one name is longer.
fn split_long(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let window = path.get(..=PATH_BYTES_MAX)?;
    let slash = window.iter().rposition(|&byte| byte == b'/')?;
    Some((path.get(..slash)?, path.get(slash + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> EntryPath {
        EntryPath::from_bytes(text.as_bytes().to_vec()).unwrap()
    }

    /// A root with a file inside, a canary outside, and links that lead out to it.
    fn tree() -> (tempfile::TempDir, Beneath) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir_all(root.join("sub")).unwrap();
        std::fs::create_dir(dir.path().join("outside")).unwrap();
        std::fs::write(dir.path().join("outside/canary"), b"alive").unwrap();
        std::fs::write(root.join("sub/file"), b"inside").unwrap();
        std::os::unix::fs::symlink("../outside", root.join("out")).unwrap();
        std::os::unix::fs::symlink("../outside/canary", root.join("leaf")).unwrap();
        std::os::unix::fs::symlink("sub", root.join("within")).unwrap();
        let beneath = Beneath::open(&root).unwrap();
        (dir, beneath)
    }

    fn both_ways(check: impl Fn(&Beneath)) {
        let (_dir, beneath) = tree();
        check(&beneath);
        beneath.by_component.store(true, Ordering::Relaxed);
        check(&beneath);
    }

    #[test]
    fn what_lies_below_opens() {
        both_ways(|beneath| {
            for inside in ["", "sub", "sub/file"] {
                assert!(beneath.open_at(&path(inside), OFlags::RDONLY, Mode::empty()).is_ok());
            }
        });
    }

    #[test]
    fn no_link_on_the_way_is_followed() {
        both_ways(|beneath| {
            for outside in ["out/canary", "leaf", "within/file", "out"] {
                let opened = beneath.open_at(&path(outside), OFlags::RDONLY, Mode::empty());
                assert!(opened.is_err(), "{outside} opened");
            }
        });
    }

    #[test]
    fn paths_longer_than_the_kernel_takes_are_resolved_in_pieces() {
        let (_dir, beneath) = tree();
        let name = "n".repeat(250);
        let mut deep = path("sub");
        let mut held = beneath.open_at(&deep, OFlags::PATH, Mode::empty()).unwrap();
        for _ in 0..20 {
            rustix::fs::mkdirat(&held, &name, Mode::RWXU).unwrap();
            held = rustix::fs::openat(&held, &name, OFlags::PATH, Mode::empty()).unwrap();
            deep = deep.child(name.as_bytes()).unwrap();
        }
        assert!(deep.as_bytes().len() > PATH_BYTES_MAX);
        let opened = beneath.open_at(&deep, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty());
        let (opened, held) =
            (rustix::fs::fstat(opened.unwrap()).unwrap(), rustix::fs::fstat(&held).unwrap());
        assert_eq!(opened.st_ino, held.st_ino);
    }
}
