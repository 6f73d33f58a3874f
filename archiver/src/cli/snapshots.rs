//! `strongroom snapshots`: what a location holds.

use clap::Args;
use serde_json::{Value, json};
use strongroom::snapshot::{Snapshot, StoredSnapshot, UnixTime, load_all_stored};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Global;
use super::connect::LocationArguments;
use super::exit::Failure;
use super::output::{Output, bytes_text, count_text, printable};
use super::select::SnapshotFilter;

/// Which snapshots to list.
#[derive(Args)]
#[command(after_help = "\
Examples:
  strongroom snapshots
  strongroom snapshots --host laptop --tag nightly --json")]
pub(super) struct Arguments {
    #[command(flatten)]
    location: LocationArguments,
    #[command(flatten)]
    filter: SnapshotFilter,
}

pub(super) async fn run(
    arguments: Arguments,
    global: &Global,
    output: &Output,
) -> Result<(), Failure> {
    let location = arguments.location.open(global).await?;
    let mut snapshots = load_all_stored(&location).await?;
    snapshots.retain(|stored| arguments.filter.admits(&stored.snapshot));
    let lines: Vec<String> = snapshots.iter().map(|stored| line(&stored.snapshot)).collect();
    output.result(
        &lines.join("\n"),
        || json!({ "snapshots": snapshots.iter().map(members).collect::<Vec<Value>>() }),
    )
}

fn line(snapshot: &Snapshot) -> String {
    let commit = &snapshot.commit;
    let tags = match commit.tags.is_empty() {
        true => String::new(),
        false => format!("  [{}]", commit.tags.join(", ")),
    };
    printable(&format!(
        "{}  {}  {:>11} files  {:>10}  {}:{}{tags}",
        snapshot.id,
        instant(commit.started),
        count_text(commit.statistics.files),
        bytes_text(commit.statistics.bytes),
        commit.host,
        commit.paths.join(" "),
    ))
}

fn members(StoredSnapshot { snapshot, stored }: &StoredSnapshot) -> Value {
    let commit = &snapshot.commit;
    json!({
        "snapshot": snapshot.id.to_string(),
        "started": instant(commit.started),
        "ended": instant(commit.ended),
        "stored": instant((*stored).into()),
        "host": commit.host,
        "paths": commit.paths,
        "tags": commit.tags,
        "parent": commit.parent,
        "statistics": commit.statistics,
    })
}

/// A time in UTC to the second, as RFC 3339 writes it.
pub(super) fn instant(time: UnixTime) -> String {
    OffsetDateTime::from_unix_timestamp(time.seconds)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("@{}", time.seconds))
}
