//! `strongroom stats`: what a location and its snapshots hold, and what that takes.

use clap::Args;
use serde_json::{Value, json};
use strongroom::snapshot::{Snapshot, load_all};
use strongroom::usage::{LocationUsage, SnapshotUsage, of_location, of_snapshot};

use super::Global;
use super::connect::LocationArguments;
use super::exit::Failure;
use super::output::{Output, bytes_text, count_text, counted, printable};
use super::report::Report;
use super::select::{SnapshotFilter, find_snapshot};
use super::snapshots::instant;

/// Of what.
#[derive(Args)]
#[command(after_help = "\
Logical is what a restore writes. Unique leaves out what is there several times, in one file, one
snapshot or several. Stored is what the unique content takes in the store, compressed; snapshots
share it, so that their figures do not add up.

Examples:
  strongroom stats
  strongroom stats latest
  strongroom stats --each --host laptop --json")]
pub(super) struct Arguments {
    /// Snapshots: ids, beginnings of ids, or `latest` [default: the location as a whole].
    #[arg(value_name = "SNAPSHOT", conflicts_with = "SnapshotFilter")]
    snapshots: Vec<String>,
    /// Every snapshot.
    #[arg(long, conflicts_with = "snapshots")]
    each: bool,
    #[command(flatten)]
    filter: SnapshotFilter,
    #[command(flatten)]
    location: LocationArguments,
}

pub(super) async fn run(
    arguments: Arguments,
    global: &Global,
    output: &Output,
) -> Result<(), Failure> {
    let location = arguments.location.open(global).await?;
    let report = Report::start(output, "measuring");
    let mut snapshots = Vec::new();
    for wanted in &arguments.snapshots {
        snapshots.push(find_snapshot(&location, wanted).await?);
    }
    if arguments.each {
        let all = load_all(&location).await?.into_iter();
        snapshots.extend(all.filter(|snapshot| arguments.filter.admits(snapshot)));
    } else if snapshots.is_empty() {
        let usage = of_location(&location).await?;
        report.finish();
        return output.result(
            &whole(&location.id().to_string(), &usage),
            || json!({ "location": location.id().to_string(), "usage": usage }),
        );
    }
    let mut usages = Vec::new();
    for snapshot in snapshots {
        let usage = of_snapshot(&location, &snapshot, &report.control).await?;
        usages.push((snapshot, usage));
    }
    report.finish();
    let lines: Vec<String> = usages.iter().map(line).collect();
    output.result(
        &lines.join("\n"),
        || json!({ "snapshots": usages.iter().map(members).collect::<Vec<Value>>() }),
    )
}

fn whole(id: &str, usage: &LocationUsage) -> String {
    let mut lines = vec![
        format!("location {id}: {}", counted(usage.snapshots, "snapshot")),
        format!("  logical  {:>12}", bytes_text(usage.logical)),
        format!("  unique   {:>12}  {}", bytes_text(usage.unique), counted(usage.chunks, "chunk")),
        format!("  stored   {:>12}", bytes_text(usage.stored)),
        "in the store:".to_owned(),
    ];
    lines.extend(usage.objects.iter().map(|(kind, objects)| {
        format!(
            "  {kind:8} {:>12}  {}",
            bytes_text(objects.bytes),
            counted(objects.count, "object")
        )
    }));
    lines.join("\n")
}

fn line((snapshot, usage): &(Snapshot, SnapshotUsage)) -> String {
    printable(&format!(
        "{}  {}  {:>11} entries  logical {:>10}  unique {:>10}  stored {:>10}",
        snapshot.id,
        instant(snapshot.commit.started),
        count_text(usage.entries),
        bytes_text(usage.logical),
        bytes_text(usage.unique),
        bytes_text(usage.stored),
    ))
}

fn members((snapshot, usage): &(Snapshot, SnapshotUsage)) -> Value {
    json!({
        "snapshot": snapshot.id.to_string(),
        "host": snapshot.commit.host,
        "paths": snapshot.commit.paths,
        "started": instant(snapshot.commit.started),
        "usage": usage,
    })
}
