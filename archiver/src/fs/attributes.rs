//! Attributes of an entry given back to a restored object.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags};
use rustix::io::Errno;

use crate::entry::{Entry, EntryKind, Timestamp};

use super::names::Names;

/// Attributes that hold POSIX ACLs: set after the mode, which would overwrite their mask.
const ACL_ATTRIBUTES: [&[u8]; 2] = [b"system.posix_acl_access", b"system.posix_acl_default"];

/// Bits of a mode that lend the owner's rights to whoever runs the file.
const LENDING_BITS: u32 = 0o6000;

/// An object whose attributes are to be set.
#[derive(Clone, Copy)]
pub(super) enum Object<'a> {
    /// A file or directory that is open.
    Open(BorrowedFd<'a>),
    /// What cannot be opened without side effects: links, FIFOs, devices.
    Named { parent: BorrowedFd<'a>, name: &'a [u8] },
}

/// How attributes are given back, and what could not be.
#[derive(Debug)]
pub(super) struct Attributes {
    names: Names,
    /// Owners by number even where this machine knows the names.
    pub(super) numeric_owners: bool,
    /// New objects get an ACL from the directory that is restored into, to be taken away again.
    pub(super) inherited_acls: bool,
    owners_left: AtomicU64,
}

/// An attribute that could not be given back.
#[derive(Debug, thiserror::Error)]
#[error("its {attribute} cannot be set: {source}")]
struct NotSet {
    attribute: String,
    source: Errno,
}

impl Attributes {
    pub(super) fn new(numeric_owners: bool) -> Self {
        let owners_left = AtomicU64::new(0);
        Self { names: Names::default(), numeric_owners, inherited_acls: false, owners_left }
    }

    /// How many objects belong to somebody else than their entries say, because this process may
    /// not give objects away.
    pub(super) fn owners_left(&self) -> u64 {
        self.owners_left.load(Ordering::Relaxed)
    }

    /// Gives `object` everything that `entry` says, and goes on past what cannot be set.
    ///
    /// The order matters. A change of owner clears set-uid bits and file capabilities, so it comes
    /// first; attributes need a writable file, so they come before the mode; a mode overwrites the
    /// mask of an ACL; and every change but the last touches a time.
    ///
    /// # Errors
    /// The first attribute that could not be set, by name.
    pub(super) fn apply(&self, object: Object<'_>, entry: &Entry) -> io::Result<()> {
        // The root that stands above several archived paths was made up and has no attributes.
        if entry.links == 0 {
            return Ok(());
        }
        let mut first = Ok(());
        let mut note = |attribute: &str, result: Result<(), Errno>| {
            if let (Err(source), Ok(())) = (result, &first) {
                first = Err(NotSet { attribute: attribute.to_owned(), source });
            }
        };
        let owned = self.set_owner(object, entry);
        let is_acl = |name: &[u8]| ACL_ATTRIBUTES.contains(&name);
        for (name, value) in entry.xattrs.iter().filter(|(name, _)| !is_acl(name)) {
            note(&attribute(name), set_xattr(object, name, value));
        }
        if !matches!(entry.kind, EntryKind::Symlink { .. }) {
            // Lending the rights of the wrong owner would be a present to whoever restored.
            let mode = if owned { entry.mode } else { entry.mode & !LENDING_BITS };
            note("mode", set_mode(object, mode));
            self.remove_inherited(object, entry);
        }
        for (name, value) in entry.xattrs.iter().filter(|(name, _)| is_acl(name)) {
            note(&attribute(name), set_xattr(object, name, value));
        }
        note("time", set_time(object, entry.modified));
        first.map_err(|error| io::Error::new(error.source.kind(), error))
    }

    /// Whether the object now belongs to the entry's user and group. Where the process lacks the
    /// right, the group alone is tried, and the object is counted.
    fn set_owner(&self, object: Object<'_>, entry: &Entry) -> bool {
        let by_name = |name: &Option<String>, look_up: &dyn Fn(&str) -> Option<u32>| {
            name.as_deref().filter(|_| !self.numeric_owners).and_then(look_up)
        };
        let uid = by_name(&entry.user, &|name| self.names.user_id(name)).unwrap_or(entry.uid);
        let gid = by_name(&entry.group, &|name| self.names.group_id(name)).unwrap_or(entry.gid);
        let set = |uid: Option<u32>| {
            let (uid, gid) = (uid.map(Uid::from_raw), Some(Gid::from_raw(gid)));
            match object {
                Object::Open(file) => rustix::fs::fchown(file, uid, gid),
                Object::Named { parent, name } => {
                    rustix::fs::chownat(parent, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
                }
            }
        };
        let owned = set(Some(uid)).is_ok();
        if !owned {
            let _ = set(None);
            self.owners_left.fetch_add(1, Ordering::Relaxed);
        }
        owned
    }

    fn remove_inherited(&self, object: Object<'_>, entry: &Entry) {
        if !self.inherited_acls {
            return;
        }
        for name in ACL_ATTRIBUTES {
            if !entry.xattrs.iter().any(|(held, _)| held == name) {
                // Nothing was inherited by this object: as it should be.
                let _ = match object {
                    Object::Open(file) => rustix::fs::fremovexattr(file, name),
                    Object::Named { parent, name: object } => {
                        rustix::fs::lremovexattr(path_of(parent, object), name)
                    }
                };
            }
        }
    }
}

fn set_xattr(object: Object<'_>, name: &[u8], value: &[u8]) -> Result<(), Errno> {
    match object {
        Object::Open(file) => rustix::fs::fsetxattr(file, name, value, XattrFlags::empty()),
        Object::Named { parent, name: object } => {
            rustix::fs::lsetxattr(path_of(parent, object), name, value, XattrFlags::empty())
        }
    }
}

fn set_mode(object: Object<'_>, mode: u32) -> Result<(), Errno> {
    let mode = Mode::from_raw_mode(mode);
    match object {
        Object::Open(file) => rustix::fs::fchmod(file, mode),
        Object::Named { parent, name } => {
            // No call sets the mode of a name without following it on every kernel that we
            // support; the kernel's link to the opened object cannot be redirected.
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let opened = rustix::fs::openat(parent, name, flags, Mode::empty())?;
            rustix::fs::chmod(format!("/proc/self/fd/{}", opened.as_raw_fd()), mode)
        }
    }
}

fn set_time(object: Object<'_>, modified: Timestamp) -> Result<(), Errno> {
    let nanoseconds = i64::from(modified.nanoseconds);
    #[allow(clippy::useless_conversion, reason = "the field's type differs between platforms")]
    let last_modification =
        Timespec { tv_sec: modified.seconds, tv_nsec: nanoseconds.try_into().unwrap_or_default() };
    let last_access = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    let times = Timestamps { last_access, last_modification };
    match object {
        Object::Open(file) => rustix::fs::futimens(file, &times),
        Object::Named { parent, name } => {
            rustix::fs::utimensat(parent, name, &times, AtFlags::SYMLINK_NOFOLLOW)
        }
    }
}

/// A path to `name` in the open directory `parent` for calls that know no directories: the
/// kernel's own link to it, whose last component these calls do not follow.
fn path_of(parent: BorrowedFd<'_>, name: &[u8]) -> Vec<u8> {
    let mut path = format!("/proc/self/fd/{}/", parent.as_fd().as_raw_fd()).into_bytes();
    path.extend_from_slice(name);
    path
}

fn attribute(name: &[u8]) -> String {
    format!("attribute {}", name.escape_ascii())
}
