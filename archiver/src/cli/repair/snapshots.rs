//! `strongroom repair snapshots`.

use clap::Args;
use serde_json::{Value, json};
use strongroom::clock::SystemClock;
use strongroom::repair::{RepairSnapshotsOptions, Repaired, SnapshotsRepaired, repair_snapshots};

use crate::cli::Global;
use crate::cli::archive::this_host;
use crate::cli::connect::LocationArguments;
use crate::cli::exit::Failure;
use crate::cli::output::{Output, counted, printable};
use crate::cli::report::{Report, seconds};

/// What becomes of damaged snapshots.
#[derive(Args)]
pub(in crate::cli) struct SnapshotsArguments {
    #[command(flatten)]
    location: LocationArguments,
    /// Only say what is damaged and what would be left out.
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Forget the damaged snapshots, and those that cannot be read at all.
    #[arg(long)]
    forget: bool,
}

pub(super) async fn run(
    arguments: &SnapshotsArguments,
    global: &Global,
    output: &Output,
) -> Result<(), Failure> {
    let location = arguments.location.open(global).await?;
    let report = Report::start(output, "reading snapshots");
    let options = RepairSnapshotsOptions {
        host: this_host(),
        dry_run: arguments.dry_run,
        forget: arguments.forget,
        ..RepairSnapshotsOptions::default()
    };
    let repaired = repair_snapshots(&location, &options, &SystemClock, &report.control).await?;
    tell(&repaired, arguments.dry_run, &report, output)?;
    let damaged = (repaired.repaired.len() + repaired.unreadable.len()) as u64;
    match damaged.saturating_sub(repaired.forgotten) {
        0 => Ok(()),
        1 => Err(Failure::Damaged { count: 1, what: "snapshot is" }),
        count => Err(Failure::Damaged { count, what: "snapshots are" }),
    }
}

fn tell(
    repaired: &SnapshotsRepaired,
    dry_run: bool,
    report: &Report,
    output: &Output,
) -> Result<(), Failure> {
    let elapsed = report.finish();
    if !output.is_json() {
        for (id, error) in &repaired.unreadable {
            output.line(&printable(&format!("snapshot {id} cannot be read: {error}")))?;
        }
        repaired.repaired.iter().try_for_each(|one| output.line(&line(one, dry_run)))?;
    }
    let human = format!(
        "{} whole, {} damaged, {} unreadable; {} forgotten: {:.1} s",
        counted(repaired.whole, "snapshot"),
        repaired.repaired.len(),
        repaired.unreadable.len(),
        repaired.forgotten,
        elapsed.as_secs_f64(),
    );
    output.summary(&human, || {
        let unreadable = repaired
            .unreadable
            .iter()
            .map(|(id, error)| json!({ "snapshot": id.to_string(), "reason": error.to_string() }));
        json!({
            "dry_run": dry_run,
            "seconds": seconds(elapsed),
            "whole": repaired.whole,
            "repaired": repaired.repaired.iter().map(members).collect::<Vec<Value>>(),
            "unreadable": unreadable.collect::<Vec<Value>>(),
            "forgotten": repaired.forgotten,
            "lost": report.troubles(),
        })
    })
}

fn line(one: &Repaired, dry_run: bool) -> String {
    let lost = format!(
        "{} without some of its content, {} in parts of the listing that cannot be read",
        counted(one.files_lost, "file"),
        counted_entries(one.entries_lost),
    );
    let outcome = match (one.saved, dry_run) {
        (Some(saved), _) => format!("saved as {saved}"),
        (None, true) => "not written: this is a dry run".to_owned(),
        (None, false) => "nothing is left of it".to_owned(),
    };
    format!("snapshot {} is damaged: {lost}; {outcome}", one.damaged)
}

fn counted_entries(count: u64) -> String {
    if count == 1 { "1 entry".to_owned() } else { format!("{count} entries") }
}

fn members(one: &Repaired) -> Value {
    json!({
        "damaged": one.damaged.to_string(),
        "saved": one.saved.map(|id| id.to_string()),
        "files_lost": one.files_lost,
        "entries_lost": one.entries_lost,
    })
}
