//! `strongroom archive`: directories and files, or a pipe, into a new snapshot.

mod exclusions;
mod pipe;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::json;
use strongroom::backup::{BackupOptions, ParentChoice, backup};
use strongroom::clock::SystemClock;
use strongroom::entry::EntryKind;
use strongroom::fs::walk::LocalTree;
use strongroom::location::Location;
use strongroom::snapshot::Snapshot;
use strongroom::source::{Found, Source};

use self::exclusions::Exclusions;
use super::Global;
use super::connect::{self, LocationArguments};
use super::exit::Failure;
use super::output::{Output, bytes_text, counted};
use super::report::{Report, seconds, speed};
use super::select::find_snapshot;

/// What to archive, and how.
#[derive(Args)]
#[command(after_help = "\
One directory becomes the root of the snapshot; several paths stand in it side by side, by their
last names. Files that did not change since the latest snapshot of the same host and paths are not
read again. What comes out of a pipe becomes the only file in its snapshot; if the program that wrote
it fails, nothing is committed.

Examples:
  strongroom archive /home
  strongroom archive --exclude target/ --exclude '*.o' --tag nightly src docs
  strongroom archive --exclude-file ~/.no-backup --exclude-caches --exclude-larger-than 4GiB ~
  strongroom archive --one-file-system --json /
  strongroom archive --command --name db.sql -- pg_dump --clean shop
  zfs send tank/home@today | strongroom archive --stdin home.zfs")]
pub(super) struct Arguments {
    /// Directories and files; with --command, a program and its arguments.
    #[arg(required_unless_present = "stdin", conflicts_with = "stdin", value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    location: LocationArguments,
    #[command(flatten)]
    exclusions: Exclusions,
    /// Archive what comes in on standard input, as a file called this.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["command", "Exclusions", "dry_run"])]
    stdin: Option<String>,
    /// Archive what a program writes, which stands behind `--` with its arguments.
    #[arg(long, conflicts_with_all = ["Exclusions", "dry_run"])]
    command: bool,
    /// What the file with the program's output is called [default: as the program is].
    #[arg(long, requires = "command")]
    name: Option<String>,
    /// Label the snapshot; may be repeated.
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// The host's name in the snapshot [default: this machine's].
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Compare with this snapshot instead of the latest: an id, or the beginning of one.
    #[arg(long, value_name = "SNAPSHOT", conflicts_with_all = ["read_all", "stdin", "command"])]
    parent: Option<String>,
    /// Read every file, even those that the latest snapshot has unchanged.
    #[arg(long)]
    read_all: bool,
    /// Walk and count, but store nothing and ask no KMS.
    #[arg(long, short = 'n')]
    dry_run: bool,
}

/// What is archived, and as what.
struct Job {
    source: Arc<dyn Source>,
    paths: Vec<String>,
    parent: ParentChoice,
}

pub(super) async fn run(
    arguments: Arguments,
    global: &Global,
    output: &Output,
) -> Result<(), Failure> {
    let reach = arguments.location.resolve(global)?;
    let tree = match arguments.stdin.is_some() || arguments.command {
        true => None,
        false => {
            let options = arguments.exclusions.walk_options(&reach.url)?;
            Some(LocalTree::open(&arguments.paths, options)?)
        }
    };
    let tree = match (tree, arguments.dry_run) {
        (Some(tree), true) => return dry_run(tree, output).await,
        (tree, _) => tree,
    };
    let location = connect::open(&reach).await?;
    let report = Report::start(output, "archiving");
    let job = match tree {
        Some(tree) => tree_job(tree, &arguments, &location).await?,
        None => pipe_job(&arguments, &report)?,
    };
    let options = BackupOptions {
        host: arguments.host.unwrap_or_else(this_host),
        paths: job.paths,
        tags: arguments.tag,
        parent: job.parent,
        ..BackupOptions::default()
    };
    let made = backup(&location, job.source, options, &SystemClock, &report.control).await?;
    tell(&made, &report, output)?;
    match made.commit.statistics.unreadable {
        0 => Ok(()),
        count => Err(Failure::Partial { count, what: "entries", done: "read" }),
    }
}

async fn tree_job(
    tree: LocalTree,
    arguments: &Arguments,
    location: &Arc<Location>,
) -> Result<Job, Failure> {
    let parent = match &arguments.parent {
        Some(wanted) => ParentChoice::Snapshot(find_snapshot(location, wanted).await?.id),
        None if arguments.read_all => ParentChoice::None,
        None => ParentChoice::Latest,
    };
    Ok(Job { source: Arc::new(tree), paths: canonical(&arguments.paths), parent })
}

fn pipe_job(arguments: &Arguments, report: &Report) -> Result<Job, Failure> {
    let (name, stream) = match &arguments.stdin {
        Some(name) => (name.clone(), pipe::standard_input(name, &report.control)?),
        None => {
            let name = arguments.name.clone();
            let name = name.unwrap_or_else(|| pipe::name_of(&arguments.paths));
            let stream = pipe::output_of(&arguments.paths, &name, &report.control)?;
            (name, stream)
        }
    };
    // A pipe is read whole in any case.
    Ok(Job { source: Arc::new(stream), paths: vec![name], parent: ParentChoice::None })
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

/// This machine, as snapshots name it.
pub(super) fn this_host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The paths as a later run from another directory would find them too.
fn canonical(paths: &[PathBuf]) -> Vec<String> {
    let full = |path: &PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone());
    paths.iter().map(|path| full(path).to_string_lossy().into_owned()).collect()
}
