//! The `.gitignore` files of a tree: each speaks for what lies below it, the deepest first.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::fs::{Mode, OFlags};

use crate::entry::EntryPath;

/// What such a file is called.
pub(super) const NAME: &[u8] = b".gitignore";

/// How much of one is read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// One file, and those of the directories above.
#[derive(Debug)]
pub(super) struct IgnoreFiles {
    above: Option<Arc<Self>>,
    directory: EntryPath,
    patterns: Gitignore,
}

impl IgnoreFiles {
    /// Reads the file in the open `directory`, which is called `path` in the tree. A file that cannot
    /// be read says nothing, nor do lines that are no pattern: so git takes them.
    pub(super) fn read(
        directory: &OwnedFd,
        path: &EntryPath,
        above: Option<Arc<Self>>,
    ) -> Option<Arc<Self>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Ok(file) = rustix::fs::openat(directory, NAME, flags, Mode::empty()) else {
            return above;
        };
        let mut builder = GitignoreBuilder::new("");
        let mut lines = BufReader::new(File::from(file).take(FILE_BYTES_MAX)).split(b'\n');
        while let Some(Ok(line)) = lines.next() {
            let line = line.strip_suffix(b"\r").unwrap_or(&line);
            if let Ok(line) = std::str::from_utf8(line) {
                let _ = builder.add_line(None, line);
            }
        }
        match builder.build() {
            Ok(patterns) if !patterns.is_empty() => {
                Some(Arc::new(Self { above, directory: path.clone(), patterns }))
            }
            _ => above,
        }
    }

    /// Whether `path`, which lies below the directory, is to be left out.
    pub(super) fn ignore(&self, path: &EntryPath, is_directory: bool) -> bool {
        let mut file = Some(self);
        while let Some(this) = file {
            let rest = path.as_bytes().strip_prefix(this.directory.as_bytes()).unwrap_or_default();
            let rest = Path::new(OsStr::from_bytes(rest.strip_prefix(b"/").unwrap_or(rest)));
            match this.patterns.matched(rest, is_directory) {
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
                Match::None => file = this.above.as_deref(),
            }
        }
        false
    }
}
