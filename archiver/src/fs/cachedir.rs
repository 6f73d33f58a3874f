//! Folders that say of themselves that they can be made anew (the Cache Directory Tagging
//! Specification, <https://bford.info/cachedir/>).

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;

use rustix::fs::{FileType, Mode, OFlags};

/// The file that says so…
pub(super) const TAG: &[u8] = b"CACHEDIR.TAG";

/// … if it begins like this.
const SIGNATURE: &[u8; 43] = b"Signature: 8a477f597d28d172789f06886806bc55";

/// Whether the open `directory`, which holds something called [`TAG`], is tagged.
pub(super) fn is_tagged(directory: &OwnedFd) -> bool {
    // A FIFO of that name must not block the walk: hence NONBLOCK.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(tag) = rustix::fs::openat(directory, TAG, flags, Mode::empty()) else { return false };
    let is_file = rustix::fs::fstat(&tag)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
    let mut begin = [0; SIGNATURE.len()];
    is_file && File::from(tag).read_exact(&mut begin).is_ok() && begin == *SIGNATURE
}
