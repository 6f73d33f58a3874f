//! What an archive leaves out.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::Args;
use strongroom::entry::InodeId;
use strongroom::fs::exclude::Patterns;
use strongroom::fs::walk::WalkOptions;

use crate::cli::exit::Failure;
use crate::cli::quantity;

/// Longest file of patterns, in bytes.
const PATTERN_FILE_BYTES_MAX: u64 = 1 << 20;

/// What to leave out.
#[derive(Args)]
#[command(next_help_heading = "Leaving out")]
pub(super) struct Exclusions {
    /// Leave out what matches this pattern of gitignore(5); may be repeated.
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Leave out what the patterns in this file say, one a line; may be repeated.
    #[arg(long, value_name = "FILE")]
    exclude_file: Vec<PathBuf>,
    /// Of folders with a CACHEDIR.TAG, archive only the tag.
    #[arg(long)]
    exclude_caches: bool,
    /// Leave out files of more bytes than this, such as 500M or 4GiB.
    #[arg(long, value_name = "SIZE", value_parser = quantity::bytes)]
    exclude_larger_than: Option<u64>,
    /// Leave out what the .gitignore files in the tree say.
    #[arg(long)]
    gitignore: bool,
    /// Do not descend into directories on other file systems.
    #[arg(long)]
    one_file_system: bool,
}

impl Exclusions {
    /// How to walk, for an archive in the store at `url`.
    pub(super) fn walk_options(&self, url: &str) -> Result<WalkOptions, Failure> {
        let mut patterns = Vec::new();
        for path in &self.exclude_file {
            patterns.extend(read_patterns(path)?.lines().map(str::to_owned));
        }
        // What is said here has the last word.
        patterns.extend(self.exclude.iter().cloned());
        let patterns = Patterns::new(&patterns)?;
        Ok(WalkOptions {
            exclude: Some(patterns).filter(|patterns| !patterns.is_empty()),
            one_file_system: self.one_file_system,
            leave_out: own_folder(url).into_iter().collect(),
            exclude_caches: self.exclude_caches,
            larger_than: self.exclude_larger_than,
            gitignore: self.gitignore,
            ..WalkOptions::default()
        })
    }
}

fn read_patterns(path: &Path) -> Result<String, Failure> {
    let fail = |source| Failure::PatternFile { path: path.to_owned(), source };
    let mut text = String::new();
    let file = File::open(path).map_err(fail)?;
    file.take(PATTERN_FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(fail)?;
    if text.len() as u64 > PATTERN_FILE_BYTES_MAX {
        let long = format!("it has more than {PATTERN_FILE_BYTES_MAX} bytes");
        return Err(fail(io::Error::new(io::ErrorKind::FileTooLarge, long)));
    }
    Ok(text)
}

/// The folder of a `file://` store: archiving it into itself would never end.
fn own_folder(url: &str) -> Option<InodeId> {
    let stat = rustix::fs::stat(url.strip_prefix("file://")?).ok()?;
    Some(InodeId { device: stat.st_dev, inode: stat.st_ino })
}
