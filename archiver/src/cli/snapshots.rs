//! `strongroom snapshots`: what a location holds.

use clap::Args;
use serde_json::{Value, json};
use strongroom::snapshot::{Snapshot, UnixTime, load_all};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Global;
use super::connect::LocationArguments;
use super::exit::Failure;
use super::output::{Output, bytes_text, count_text, printable};

/// Which snapshots to list.
#[derive(Args)]
#[command(after_help = "\
Examples:
  strongroom snapshots
  strongroom snapshots --host laptop --tag nightly --json")]
pub(super) struct Arguments {
    #[command(flatten)]
    location: LocationArguments,
    /// Only those of this host.
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Only those with this label; may be repeated, all must be there.
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
}

pub(super) async fn run(
    arguments: Arguments,
    global: &Global,
    output: &Output,
) -> Result<(), Failure> {
    let location = arguments.location.open(global).await?;
    let mut snapshots = load_all(&location).await?;
    snapshots.retain(|snapshot| {
        let commit = &snapshot.commit;
        arguments.host.as_ref().is_none_or(|host| *host == commit.host)
            && arguments.tag.iter().all(|tag| commit.tags.contains(tag))
    });
    let lines: Vec<String> = snapshots.iter().map(line).collect();
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

fn members(snapshot: &Snapshot) -> Value {
    let commit = &snapshot.commit;
    json!({
        "snapshot": snapshot.id.to_string(),
        "started": instant(commit.started),
        "ended": instant(commit.ended),
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
