//! `strongroom check`: whether a location is whole.

use std::collections::BTreeSet;

use clap::Args;
use serde_json::{Value, json};
use strongroom::check::{CheckOptions, Problem, Report as Checked, check};

use super::Global;
use super::connect::LocationArguments;
use super::exit::Failure;
use super::output::{Output, bytes_text, counted, printable};
use super::report::{Report, seconds, speed};

/// How thorough to be.
#[derive(Args)]
#[command(after_help = "\
Every object but the packs of file content is read whole, decrypted and understood, and everything
that it refers to is looked for. With --read-data file content is read and verified too.

Examples:
  strongroom check
  strongroom check --read-data --json")]
pub(super) struct Arguments {
    #[command(flatten)]
    location: LocationArguments,
    /// Read and verify all file content too.
    #[arg(long)]
    read_data: bool,
}

pub(super) async fn run(
    arguments: Arguments,
    global: &Global,
    output: &Output,
) -> Result<(), Failure> {
    let location = arguments.location.open(global).await?;
    let report = Report::start(output, "checking");
    let options = CheckOptions { read_data: arguments.read_data };
    let checked = check(&location, options, &report.control).await?;
    tell(&checked, arguments.read_data, &report, output)?;
    match damaged(&checked) {
        0 => Ok(()),
        1 => Err(Failure::Damaged { count: 1, what: "object is" }),
        count => Err(Failure::Damaged { count, what: "objects are" }),
    }
}

/// How many objects are damaged; one may be damaged in several ways.
fn damaged(checked: &Checked) -> u64 {
    let objects: BTreeSet<_> = checked.problems.iter().map(|problem| problem.object).collect();
    objects.len() as u64
}

fn tell(
    checked: &Checked,
    read_data: bool,
    report: &Report,
    output: &Output,
) -> Result<(), Failure> {
    let elapsed = report.finish();
    if !output.is_json() {
        for problem in &checked.problems {
            output.line(&printable(&format!("damaged: {problem}")))?;
        }
    }
    let human = format!(
        "checked {} in {}: {} in {:.1} s ({}), {}\n  {} unreferenced, {} not ours, {} damaged",
        counted(checked.objects, "object"),
        counted(checked.snapshots, "snapshot"),
        bytes_text(checked.bytes),
        elapsed.as_secs_f64(),
        speed(checked.bytes, elapsed),
        if read_data { "file content read" } else { "file content not read" },
        counted(checked.unreferenced.len() as u64, "object"),
        checked.foreign.len(),
        damaged(checked),
    );
    output.summary(&human, || {
        json!({
            "seconds": seconds(elapsed),
            "objects": checked.objects,
            "bytes": checked.bytes,
            "snapshots": checked.snapshots,
            "read_data": read_data,
            "problems": checked.problems.iter().map(members).collect::<Vec<Value>>(),
            "stale": checked.stale.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "unreferenced": checked.unreferenced.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "foreign": checked.foreign,
        })
    })
}

fn members(problem: &Problem) -> Value {
    json!({ "object": problem.object.to_string(), "reason": problem.to_string() })
}
