//! `strongroom repair index`.

use clap::Args;
use serde_json::{Value, json};
use strongroom::repair::{IndexRepaired, RepairIndexOptions, repair_index};

use crate::cli::Global;
use crate::cli::connect::LocationArguments;
use crate::cli::exit::Failure;
use crate::cli::output::{Output, counted, printable};
use crate::cli::report::{Report, seconds};

/// How much of the index to mend.
#[derive(Args)]
pub(in crate::cli) struct IndexArguments {
    #[command(flatten)]
    location: LocationArguments,
    /// Read every pack, and replace the whole index.
    #[arg(long)]
    all: bool,
}

pub(super) async fn run(
    arguments: &IndexArguments,
    global: &Global,
    output: &Output,
) -> Result<(), Failure> {
    let location = arguments.location.open(global).await?;
    let report = Report::start(output, "reading packs");
    let options = RepairIndexOptions { all: arguments.all };
    let repaired = repair_index(&location, options, &report.control).await?;
    tell(&repaired, &report, output)?;
    match repaired.unreadable.len() as u64 {
        0 => Ok(()),
        1 => Err(Failure::Damaged { count: 1, what: "pack is" }),
        count => Err(Failure::Damaged { count, what: "packs are" }),
    }
}

fn tell(repaired: &IndexRepaired, report: &Report, output: &Output) -> Result<(), Failure> {
    let elapsed = report.finish();
    if !output.is_json() {
        for (_, error) in &repaired.unreadable {
            output.line(&printable(&format!("damaged: {error}")))?;
        }
    }
    let human = format!(
        "read {}: {} put into the index\n  {} that could not be read removed, {} replaced: {:.1} s",
        counted(repaired.packs, "pack"),
        counted(repaired.chunks, "chunk"),
        counted(repaired.damaged_runs.len() as u64, "index run"),
        repaired.replaced_runs,
        elapsed.as_secs_f64(),
    );
    output.summary(&human, || {
        let unreadable = repaired.unreadable.iter().map(|(pack, error)| {
            json!({ "object": pack.to_string(), "reason": error.to_string() })
        });
        json!({
            "seconds": seconds(elapsed),
            "packs": repaired.packs,
            "chunks": repaired.chunks,
            "damaged_runs": repaired.damaged_runs.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "replaced_runs": repaired.replaced_runs,
            "unreadable": unreadable.collect::<Vec<Value>>(),
        })
    })
}
