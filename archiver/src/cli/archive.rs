//! `strongroom archive`: directories and files into a new snapshot.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::json;
use strongroom::backup::{BackupOptions, ParentChoice, backup};
use strongroom::clock::SystemClock;
use strongroom::entry::{EntryKind, InodeId};
use strongroom::fs::exclude::Patterns;
use strongroom::fs::walk::{LocalTree, WalkOptions};
use strongroom::snapshot::Snapshot;
use strongroom::source::{Found, Source as _};

use super::Global;
use super::connect::{self, LocationArguments};
use super::exit::Failure;
use super::output::{Output, bytes_text, counted};
use super::report::{Report, seconds, speed};

/// What to archive, and how.
#[derive(Args)]
#[command(after_help = "\
One directory becomes the root of the snapshot; several paths stand in it side by side, by their
last names. Files that did not change since the latest snapshot of the same host and paths are not
read again.

Examples:
  strongroom archive /home
  strongroom archive --exclude target/ --exclude '*.o' --tag nightly src docs
  strongroom archive --one-file-system --json /")]
pub(super) struct Arguments {
    /// Directories and files.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    location: LocationArguments,
    /// Leave out what matches this pattern of gitignore(5); may be repeated.
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Do not descend into directories on other file systems.
    #[arg(long)]
    one_file_system: bool,
    /// Label the snapshot; may be repeated.
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// The host's name in the snapshot [default: this machine's].
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Read every file, even those that the latest snapshot has unchanged.
    #[arg(long)]
    read_all: bool,
    /// Walk and count, but store nothing and ask no KMS.
    #[arg(long, short = 'n')]
    dry_run: bool,
}

pub(super) async fn run(
    arguments: Arguments,
    global: &Global,
    output: &Output,
) -> Result<(), Failure> {
    let reach = arguments.location.resolve(global)?;
    let options = WalkOptions {
        exclude: Some(Patterns::new(&arguments.exclude)?).filter(|patterns| !patterns.is_empty()),
        one_file_system: arguments.one_file_system,
        leave_out: own_folder(&reach.url).into_iter().collect(),
        ..WalkOptions::default()
    };
    let tree = LocalTree::open(&arguments.paths, options)?;
    if arguments.dry_run {
        return dry_run(tree, output).await;
    }
    let location = connect::open(&reach).await?;
    let report = Report::start(output, "archiving");
    let options = BackupOptions {
        host: arguments.host.clone().unwrap_or_else(this_host),
        paths: canonical(&arguments.paths),
        tags: arguments.tag,
        parent: if arguments.read_all { ParentChoice::None } else { ParentChoice::Latest },
        ..BackupOptions::default()
    };
    let made = backup(&location, Arc::new(tree), options, &SystemClock, &report.control).await?;
    tell(&made, &report, output)?;
    match made.commit.statistics.unreadable {
        0 => Ok(()),
        count => Err(Failure::Partial { count, what: "entries", done: "read" }),
    }
}

fn tell(made: &Snapshot, report: &Report, output: &Output) -> Result<(), Failure> {
    let elapsed = report.finish();
    let statistics = &made.commit.statistics;
    let human = format!(
        "snapshot {}\n  {}, {}, {} others: {} in {:.1} s ({})\n  {} unchanged, {} read, {} stored\n  {} unreadable, {} changed while read",
        made.id,
        counted(statistics.files, "file"),
        counted(statistics.directories, "directory").replace("directorys", "directories"),
        statistics.others,
        bytes_text(statistics.bytes),
        elapsed.as_secs_f64(),
        speed(statistics.bytes, elapsed),
        counted(statistics.files_unchanged, "file"),
        bytes_text(statistics.bytes_read),
        bytes_text(statistics.bytes_stored),
        statistics.unreadable,
        statistics.changed,
    );
    output.summary(&human, || {
        json!({
            "snapshot": made.id.to_string(),
            "parent": made.commit.parent,
            "paths": made.commit.paths,
            "host": made.commit.host,
            "tags": made.commit.tags,
            "seconds": seconds(elapsed),
            "statistics": statistics,
            "troubles": report.troubles(),
        })
    })
}

async fn dry_run(tree: LocalTree, output: &Output) -> Result<(), Failure> {
    let report = Report::start(output, "walking");
    let control = report.control.clone();
    let walked = tokio::task::spawn_blocking(move || walk(&tree, &control)).await;
    let counts = walked.map_err(|error| Failure::Start { source: error.into() })?;
    let elapsed = report.finish();
    let human = format!(
        "would archive {} and {} other entries: {}",
        counted(counts.files, "file"),
        counts.others,
        bytes_text(counts.bytes),
    );
    output.summary(&human, || {
        json!({
            "dry_run": true,
            "files": counts.files,
            "others": counts.others,
            "bytes": counts.bytes,
            "unreadable": counts.unreadable,
            "seconds": seconds(elapsed),
            "troubles": report.troubles(),
        })
    })?;
    match counts.unreadable {
        0 => Ok(()),
        count => Err(Failure::Partial { count, what: "entries", done: "read" }),
    }
}

#[derive(Default)]
struct Counts {
    files: u64,
    others: u64,
    bytes: u64,
    unreadable: u64,
}

fn walk(tree: &LocalTree, control: &strongroom::control::Control) -> Counts {
    let mut counts = Counts::default();
    for found in tree.walk() {
        match found {
            Found::Entry(entry) => match entry.kind {
                EntryKind::File { size } => {
                    counts.files += 1;
                    counts.bytes = counts.bytes.saturating_add(size);
                }
                _ => counts.others += 1,
            },
            Found::Unreadable(trouble) => {
                counts.unreadable += 1;
                control.observer.trouble(&trouble);
            }
            Found::Skipped(trouble) => control.observer.skipped(&trouble),
        }
        if control.is_stopped() {
            break;
        }
    }
    counts
}

/// The folder of a `file://` store: archiving it into itself would never end.
fn own_folder(url: &str) -> Option<InodeId> {
    let stat = rustix::fs::stat(url.strip_prefix("file://")?).ok()?;
    Some(InodeId { device: stat.st_dev, inode: stat.st_ino })
}

fn this_host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The paths as a later run from another directory would find them too.
fn canonical(paths: &[PathBuf]) -> Vec<String> {
    let full = |path: &PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone());
    paths.iter().map(|path| full(path).to_string_lossy().into_owned()).collect()
}
