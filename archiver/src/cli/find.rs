//! `strongroom find`: entries by name, type, size and time, in one snapshot or in all.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use regex::bytes::{RegexSet, RegexSetBuilder};
use serde_json::{Value, json};
use strongroom::entry::{Entry, EntryKind, EntryPath, Timestamp};
use strongroom::fs::exclude::Patterns;
use strongroom::snapshot::{Change, Diff, Snapshot, load_all};

use super::Global;
use super::connect::LocationArguments;
use super::entries;
use super::exit::Failure;
use super::output::{Output, count_text, printable};
use super::quantity;
use super::report::Report;
use super::select::{SnapshotFilter, find_snapshot};
use super::snapshots::instant;

/// Longest that a compiled set of regular expressions may be, in bytes.
const REGEX_BYTES_MAX: usize = 10 << 20;

/// What to find, and where.
#[derive(Args)]
#[command(after_help = "\
Patterns are those of gitignore(5): without a slash they match a name anywhere, with one they are
anchored at the snapshot's root. With --regex they are regular expressions over whole paths. What
snapshots share is looked at once.

Examples:
  strongroom find '*.pem'
  strongroom find --snapshot latest --larger-than 1GiB --type file
  strongroom find --regex 'report-20(25|26)\\.(docx|pdf)$' --ignore-case --host laptop
  strongroom find notes.txt --newer-than 2026-11-01 --json | jq -r .snapshot

With --json every entry is a document on a line of its own.")]
pub(super) struct Arguments {
    /// Any of these [default: every entry].
    #[arg(value_name = "PATTERN")]
    patterns: Vec<String>,
    /// The patterns are regular expressions.
    #[arg(long)]
    regex: bool,
    /// Letters match in either case.
    #[arg(long, short)]
    ignore_case: bool,
    /// Only entries of this type; may be repeated.
    #[arg(long = "type", value_name = "TYPE")]
    kinds: Vec<Kind>,
    /// Only files of more bytes than this, such as 10M or 4GiB.
    #[arg(long, value_name = "SIZE", value_parser = quantity::bytes)]
    larger_than: Option<u64>,
    /// Only files of fewer bytes than this.
    #[arg(long, value_name = "SIZE", value_parser = quantity::bytes)]
    smaller_than: Option<u64>,
    /// Only entries modified at or after this day or time (RFC 3339, UTC).
    #[arg(long, value_name = "TIME", value_parser = quantity::time)]
    newer_than: Option<Timestamp>,
    /// Only entries modified before this day or time.
    #[arg(long, value_name = "TIME", value_parser = quantity::time)]
    older_than: Option<Timestamp>,
    /// Only in this snapshot: an id, the beginning of one, or `latest`; may be repeated.
    #[arg(long, value_name = "SNAPSHOT", conflicts_with = "SnapshotFilter")]
    snapshot: Vec<String>,
    #[command(flatten)]
    filter: SnapshotFilter,
    #[command(flatten)]
    location: LocationArguments,
}

/// A type of entry as an option.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    #[value(alias = "f")]
    File,
    #[value(alias = "d")]
    Directory,
    #[value(alias = "l")]
    Symlink,
    #[value(alias = "p")]
    Fifo,
    #[value(alias = "c")]
    CharacterDevice,
    #[value(alias = "b")]
    BlockDevice,
}

impl Kind {
    const fn is(self, kind: &EntryKind) -> bool {
        matches!(
            (self, kind),
            (Self::File, EntryKind::File { .. })
                | (Self::Directory, EntryKind::Directory)
                | (Self::Symlink, EntryKind::Symlink { .. })
                | (Self::Fifo, EntryKind::Fifo)
                | (Self::CharacterDevice, EntryKind::CharacterDevice { .. })
                | (Self::BlockDevice, EntryKind::BlockDevice { .. })
        )
    }
}

/// What is looked for.
struct Wanted {
    names: Names,
    kinds: Vec<Kind>,
    larger_than: Option<u64>,
    smaller_than: Option<u64>,
    newer_than: Option<Timestamp>,
    older_than: Option<Timestamp>,
}

enum Names {
    Any,
    Globs(Patterns),
    Regexes(RegexSet),
}

impl Wanted {
    fn new(arguments: &Arguments) -> Result<Self, Failure> {
        let Arguments { patterns, ignore_case, .. } = arguments;
        let names = match (patterns.is_empty(), arguments.regex) {
            (true, _) => Names::Any,
            (false, false) => Names::Globs(Patterns::with_case(patterns, *ignore_case)?),
            (false, true) => {
                let mut builder = RegexSetBuilder::new(patterns);
                let built =
                    builder.case_insensitive(*ignore_case).size_limit(REGEX_BYTES_MAX).build();
                Names::Regexes(built.map_err(|source| Failure::Regex { source: Box::new(source) })?)
            }
        };
        Ok(Self {
            names,
            kinds: arguments.kinds.clone(),
            larger_than: arguments.larger_than,
            smaller_than: arguments.smaller_than,
            newer_than: arguments.newer_than,
            older_than: arguments.older_than,
        })
    }

    fn fits(&self, entry: &Entry) -> bool {
        let is_directory = entry.kind == EntryKind::Directory;
        let size = entry.size();
        (self.kinds.is_empty() || self.kinds.iter().any(|kind| kind.is(&entry.kind)))
            && self.larger_than.is_none_or(|limit| size.is_some_and(|size| size > limit))
            && self.smaller_than.is_none_or(|limit| size.is_some_and(|size| size < limit))
            && self.newer_than.is_none_or(|limit| entry.modified >= limit)
            && self.older_than.is_none_or(|limit| entry.modified < limit)
            && match &self.names {
                Names::Any => !entry.path.as_bytes().is_empty(),
                Names::Globs(patterns) => patterns.choose(&entry.path, is_directory),
                Names::Regexes(regexes) => regexes.is_match(entry.path.as_bytes()),
            }
    }
}

pub(super) async fn run(
    arguments: Arguments,
    global: &Global,
    output: &Output,
) -> Result<(), Failure> {
    let wanted = Wanted::new(&arguments)?;
    let location = arguments.location.open(global).await?;
    let mut snapshots = Vec::new();
    for given in &arguments.snapshot {
        snapshots.push(find_snapshot(&location, given).await?);
    }
    if arguments.snapshot.is_empty() {
        snapshots = load_all(&location).await?;
        snapshots.retain(|snapshot| arguments.filter.admits(snapshot));
    }
    // Snapshots of one tree side by side: from each to the next only what changed is read.
    snapshots.sort_by_key(|snapshot| {
        let commit = &snapshot.commit;
        let started = (commit.started.seconds, commit.started.nanoseconds);
        (commit.host.clone(), commit.paths.clone(), started, snapshot.id)
    });
    let report = Report::start(&output.clone().silent(), "searching");
    let reader = location.reader(None);
    let mut found: BTreeMap<EntryPath, Entry> = BTreeMap::new();
    let mut before: Option<&Snapshot> = None;
    let mut count = 0;
    for snapshot in &snapshots {
        let related = before.filter(|before| is_related(before, snapshot));
        if related.is_none() {
            found.clear();
        }
        let from = related.map(Snapshot::root).transpose()?.flatten();
        let mut diff = Diff::new(&reader, from, snapshot.root()?);
        while let Some(change) = diff.next().await? {
            if report.control.is_stopped() {
                return Err(strongroom::Error::Stopped.into());
            }
            take(change, &wanted, &mut found);
        }
        count += found.len() as u64;
        print(snapshot, &found, output)?;
        before = Some(snapshot);
    }
    report.finish();
    if !output.is_json() && count == 0 {
        output.note("strongroom: nothing was found");
    }
    Ok(())
}

fn is_related(before: &Snapshot, after: &Snapshot) -> bool {
    (&before.commit.host, &before.commit.paths) == (&after.commit.host, &after.commit.paths)
}

fn take(change: Change, wanted: &Wanted, found: &mut BTreeMap<EntryPath, Entry>) {
    let node = match change {
        Change::Removed(node) => return drop(found.remove(&node.entry.path)),
        Change::Added(node) | Change::Changed { after: node, .. } => node,
    };
    match wanted.fits(&node.entry) {
        true => drop(found.insert(node.entry.path.clone(), node.entry)),
        false => drop(found.remove(&node.entry.path)),
    }
}

fn print(
    snapshot: &Snapshot,
    found: &BTreeMap<EntryPath, Entry>,
    output: &Output,
) -> Result<(), Failure> {
    if found.is_empty() {
        return Ok(());
    }
    if !output.is_json() {
        let commit = &snapshot.commit;
        let (time, host, paths) = (instant(commit.started), &commit.host, commit.paths.join(" "));
        let count = count_text(found.len() as u64);
        output.line(&printable(&format!("{}  {time}  {host}:{paths}  {count}", snapshot.id)))?;
    }
    for entry in found.values() {
        if output.is_json() {
            let mut members = entries::members(entry);
            if let Value::Object(members) = &mut members {
                members.insert("snapshot".to_owned(), json!(snapshot.id.to_string()));
            }
            output.json_line(&output.document(members))?;
        } else {
            output.line(&format!("  {}", entries::line(entry)))?;
        }
    }
    Ok(())
}
