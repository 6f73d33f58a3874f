//! `strongroom repair`: mends what can be mended.

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use strongroom::repair::{IndexRepaired, RepairIndexOptions, repair_index};

use super::Global;
use super::connect::LocationArguments;
use super::exit::Failure;
use super::output::{Output, counted, printable};
use super::report::{Report, seconds};

/// What can be mended.
#[derive(Subcommand)]
pub(super) enum Command {
    /// Write the index anew from what the packs themselves say.
    #[command(after_help = "\
Reads the packs that no readable index run names, writes what they hold into the index, and removes
index runs that cannot be read. Nothing that was archived is removed.

Examples:
  strongroom repair index
  strongroom repair index --all")]
    Index(IndexArguments),
}

/// How much of the index to mend.
#[derive(Args)]
pub(super) struct IndexArguments {
    #[command(flatten)]
    location: LocationArguments,
    /// Read every pack, and replace the whole index.
    #[arg(long)]
    all: bool,
}

impl Command {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Index(_) => "repair index",
        }
    }
}

pub(super) async fn run(command: Command, global: &Global, output: &Output) -> Result<(), Failure> {
    match command {
        Command::Index(arguments) => index(&arguments, global, output).await,
    }
}

async fn index(
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
