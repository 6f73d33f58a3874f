//! What happens to names of a snapshot under which something stands already.

use std::os::fd::BorrowedFd;

use rustix::fs::{FileType, Stat};

use crate::entry::{Entry, EntryKind, Timestamp};

/// What happens to a name of the snapshot under which something stands already. Directories are
/// merged in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overwrite {
    /// It is left alone, attributes of existing directories included.
    #[default]
    Never,
    /// It is left alone if it has the entry's type and, for a file, size and modification time;
    /// for others, target or device. Anything else is replaced.
    IfChanged,
    /// It is replaced if the entry was modified later than what stands there.
    IfNewer,
    /// It is replaced.
    Always,
}

impl Overwrite {
    /// Whether what stands under `name` in `parent`, which is no directory like the entry, has to make
    /// room for `entry`.
    pub(super) fn replaces(
        self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        there: &Stat,
        entry: &Entry,
    ) -> bool {
        match self {
            Self::Never => false,
            Self::IfChanged => !is_like(parent, name, there, entry),
            Self::IfNewer => entry.modified > modified(there),
            Self::Always => true,
        }
    }
}

fn modified(there: &Stat) -> Timestamp {
    let nanoseconds = u32::try_from(there.st_mtime_nsec).unwrap_or_default();
    Timestamp { seconds: there.st_mtime, nanoseconds }
}

/// Whether what stands there can be taken for the entry without looking into it.
fn is_like(parent: BorrowedFd<'_>, name: &[u8], there: &Stat, entry: &Entry) -> bool {
    match (&entry.kind, FileType::from_raw_mode(there.st_mode)) {
        (EntryKind::File { size }, FileType::RegularFile) => {
            u64::try_from(there.st_size) == Ok(*size) && modified(there) == entry.modified
        }
        (EntryKind::Symlink { target }, FileType::Symlink) => {
            rustix::fs::readlinkat(parent, name, Vec::new())
                .is_ok_and(|held| held.as_bytes() == target.as_slice())
        }
        (EntryKind::Fifo, FileType::Fifo) => true,
        (EntryKind::CharacterDevice { device }, FileType::CharacterDevice)
        | (EntryKind::BlockDevice { device }, FileType::BlockDevice) => there.st_rdev == *device,
        _ => false,
    }
}
