//! One file-system object turned into an [`Entry`]: everything about a name but its bytes.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::fs::{AtFlags, FileType, Statx, StatxFlags, StatxTimestamp};
use rustix::io::Errno;

use crate::entry::{Entry, EntryKind, EntryPath, FLAGS_KEPT, InodeId, Timestamp};
use crate::source::FileState;

use super::names::Names;

/// Most bytes of one attribute's value, and of one file's list of names: Linux's
/// `XATTR_SIZE_MAX` and `XATTR_LIST_MAX`.
const XATTR_BYTES_MAX: usize = 65_536;

/// First guess for both, which fits nearly every file and saves asking for the size.
const XATTR_BYTES_GUESS: usize = 1024;

/// Longest target of a symbolic link that Linux keeps, in bytes.
const LINK_BYTES_MAX: usize = 4096;

/// What [`capture`] found under a name.
#[derive(Debug)]
pub(super) struct Captured {
    /// The object.
    pub(super) entry: Entry,
    /// Why its extended attributes are missing or incomplete, if they are.
    pub(super) xattrs: Option<io::Error>,
}

/// An open directory to capture objects in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Within<'a> {
    /// The directory.
    pub(super) directory: BorrowedFd<'a>,
    /// It is the calling thread's own working directory, so that calls which know no directories
    /// reach its names directly.
    pub(super) is_current: bool,
}

impl<'a> Within<'a> {
    /// A directory that is nobody's working directory.
    pub(super) fn new(directory: BorrowedFd<'a>) -> Self {
        Self { directory, is_current: false }
    }

    /// A path to `name` for calls that know no directories: relative in the working directory, else
    /// through the kernel's own link to the open directory. Either way the path cannot be swapped
    /// underneath, and its last component is not followed by the calls that this is for.
    fn path(&self, name: &[u8]) -> Vec<u8> {
        let mut path = match self.is_current {
            true => Vec::with_capacity(name.len()),
            false => format!("/proc/self/fd/{}/", self.directory.as_raw_fd()).into_bytes(),
        };
        path.extend_from_slice(if name.is_empty() { b"." } else { name });
        path
    }
}

/// Captures the object `name` in the open directory `within`; the empty `name` is the
/// directory itself. `path` is what the entry shall be called. `None` is a socket: it has no content
/// and no use outside the process that listens on it.
///
/// # Errors
/// What `statx` or `readlinkat` says, `NotFound` when the object has vanished.
pub(super) fn capture(
    within: Within<'_>,
    name: &[u8],
    path: EntryPath,
    names: &Names,
) -> io::Result<Option<Captured>> {
    let directory = within.directory;
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH | AtFlags::NO_AUTOMOUNT;
    let stat =
        rustix::fs::statx(directory, name, flags, StatxFlags::BASIC_STATS | StatxFlags::BTIME)?;
    let Some(kind) = kind_of(directory, name, &stat)? else { return Ok(None) };
    let (xattrs, problem) = match xattrs_of(&within.path(name)) {
        Ok(xattrs) => (xattrs, None),
        Err((partial, error)) => (partial, Some(error)),
    };
    let entry = entry_of(path, kind, &stat, xattrs, names);
    Ok(Some(Captured { entry, xattrs: problem }))
}

/// What an open file says of itself.
pub(super) struct Examined {
    /// The attributes that tell whether its content is still what it was.
    pub(super) state: FileState,
    /// Bytes that the file system has allocated for it.
    pub(super) allocated: u64,
    /// Whether it is a regular file.
    pub(super) regular: bool,
}

/// Examines the open `file`.
///
/// # Errors
/// What `statx` says.
pub(super) fn examine(file: BorrowedFd<'_>) -> io::Result<Examined> {
    let stat = rustix::fs::statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)?;
    Ok(Examined {
        state: FileState {
            size: stat.stx_size,
            modified: timestamp(stat.stx_mtime),
            changed: timestamp(stat.stx_ctime),
            inode: inode_of(&stat),
        },
        // stat(2): blocks are counted in units of 512 bytes, whatever the file system's own are.
        allocated: stat.stx_blocks.saturating_mul(512),
        regular: FileType::from_raw_mode(stat.stx_mode.into()) == FileType::RegularFile,
    })
}

fn entry_of(
    path: EntryPath,
    kind: EntryKind,
    stat: &Statx,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    names: &Names,
) -> Entry {
    let born = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::BTIME);
    Entry {
        path,
        kind,
        mode: u32::from(stat.stx_mode) & 0o7777,
        uid: stat.stx_uid,
        gid: stat.stx_gid,
        user: names.user(stat.stx_uid),
        group: names.group(stat.stx_gid),
        modified: timestamp(stat.stx_mtime),
        changed: timestamp(stat.stx_ctime),
        born: born.then(|| timestamp(stat.stx_btime)),
        inode: inode_of(stat),
        links: u64::from(stat.stx_nlink),
        xattrs,
        // Attributes that a file system does not know are never set.
        flags: u32::try_from(stat.stx_attributes.bits()).unwrap_or_default() & FLAGS_KEPT,
    }
}

fn kind_of(
    directory: BorrowedFd<'_>,
    name: &[u8],
    stat: &Statx,
) -> Result<Option<EntryKind>, Errno> {
    let device = rustix::fs::makedev(stat.stx_rdev_major, stat.stx_rdev_minor);
    Ok(Some(match FileType::from_raw_mode(stat.stx_mode.into()) {
        FileType::RegularFile => EntryKind::File { size: stat.stx_size },
        FileType::Directory => EntryKind::Directory,
        FileType::Symlink => EntryKind::Symlink { target: read_link(directory, name)? },
        FileType::Fifo => EntryKind::Fifo,
        FileType::CharacterDevice => EntryKind::CharacterDevice { device },
        FileType::BlockDevice => EntryKind::BlockDevice { device },
        _ => return Ok(None),
    }))
}

fn read_link(directory: BorrowedFd<'_>, name: &[u8]) -> Result<Vec<u8>, Errno> {
    let mut target = Vec::with_capacity(256);
    loop {
        target.clear();
        rustix::fs::readlinkat_raw(directory, name, rustix::buffer::spare_capacity(&mut target))?;
        // A full buffer may be a cut target: only a shorter answer is known to be whole.
        if target.len() < target.capacity() {
            return Ok(target);
        }
        if target.capacity() > LINK_BYTES_MAX {
            return Err(Errno::NAMETOOLONG);
        }
        target.reserve(target.capacity().saturating_mul(2));
    }
}

type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

/// Every extended attribute of what stands at `path`, sorted by name; beside an error, those that
/// could be read. (Linux had no call to read attributes relative to a directory before 6.13.)
fn xattrs_of(path: &[u8]) -> Result<Xattrs, (Xattrs, io::Error)> {
    let listed = match sized(|buffer| rustix::fs::llistxattr(path, buffer)) {
        Ok(listed) => listed,
        Err(Errno::NOTSUP) => return Ok(Vec::new()),
        Err(error) => return Err((Vec::new(), error.into())),
    };
    let (mut xattrs, mut problem) = (Vec::new(), None);
    for attribute in listed.split(|&byte| byte == 0).filter(|name| !name.is_empty()) {
        match sized(|buffer| rustix::fs::lgetxattr(path, attribute, buffer)) {
            Ok(value) => xattrs.push((attribute.to_vec(), value)),
            // Removed between the two calls: it is as if it had never been listed.
            Err(Errno::NODATA) => {}
            Err(error) => problem = Some(error),
        }
    }
    xattrs.sort();
    match problem {
        None => Ok(xattrs),
        Some(error) => Err((xattrs, error.into())),
    }
}

/// Calls `read` with a small buffer, and with the largest that the kernel fills when that was
/// too small.
fn sized(
    mut read: impl FnMut(rustix::buffer::SpareCapacity<'_, u8>) -> Result<usize, Errno>,
) -> Result<Vec<u8>, Errno> {
    let mut buffer = Vec::with_capacity(XATTR_BYTES_GUESS);
    match read(rustix::buffer::spare_capacity(&mut buffer)) {
        Err(Errno::RANGE) => {
            buffer.reserve_exact(XATTR_BYTES_MAX);
            read(rustix::buffer::spare_capacity(&mut buffer))?;
        }
        other => {
            other?;
        }
    }
    Ok(buffer)
}

fn inode_of(stat: &Statx) -> InodeId {
    let device = rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor);
    InodeId { device, inode: stat.stx_ino }
}

fn timestamp(time: StatxTimestamp) -> Timestamp {
    Timestamp { seconds: time.tv_sec, nanoseconds: time.tv_nsec }
}
