//! `strongroom bench`: what this machine, a location's store and its KMS can do.

use clap::Args;
use serde_json::json;
use strongroom::bench::{BenchOptions, Figures, Latency, bench};

use super::Global;
use super::connect::LocationArguments;
use super::exit::Failure;
use super::output::{Output, bytes_text};
use super::report::{Report, seconds};

/// What is measured.
#[derive(Args)]
#[command(after_help = "\
Cutting, naming, compressing and encrypting are measured on one thread of this machine, without a disk.
What is written to the store, 128 MiB at most, is removed again.

Examples:
  strongroom bench --location offsite
  strongroom bench --json | jq .figures.kms")]
pub(super) struct Arguments {
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
    let figures = bench(&location, BenchOptions::default(), &report.control).await?;
    let elapsed = report.finish();
    output.result(&table(&figures), || json!({ "seconds": seconds(elapsed), "figures": figures }))
}

fn table(figures: &Figures) -> String {
    let Figures { machine, store, kms } = figures;
    let rate = |rate| format!("{}/s", bytes_text(rate));
    let latency = |Latency { median_ms, p99_ms }: Latency| {
        format!("{median_ms:.1} ms, of 100 requests 99 within {p99_ms:.1} ms")
    };
    [
        ("one thread cuts", rate(machine.chunking)),
        ("one thread names", rate(machine.hashing)),
        ("one thread compresses", rate(machine.compression)),
        ("one thread encrypts", rate(machine.encryption)),
        ("the store takes", rate(store.write)),
        ("the store gives", rate(store.read)),
        ("a small object is created in", latency(store.small_create)),
        ("a small object is read in", latency(store.small_read)),
        ("a data key is made in", latency(kms.data_key)),
        ("data keys are made at", format!("{}/s, 8 in flight", kms.data_keys)),
        ("a data key is decrypted in", latency(kms.decrypt)),
    ]
    .map(|(what, figure)| format!("{what:30}{figure}"))
    .join("\n")
}
