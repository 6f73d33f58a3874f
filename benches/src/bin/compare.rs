//! Archives and restores one tree with Strongroom and with its peers, in one run on one machine, and
//! prints a Markdown table of what each took.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use strongroom_benches::store::{Store, StoreKind};
use strongroom_benches::tool::{Kms, Restic, Strongroom, Tool, whole_job};
use strongroom_benches::{BenchError, table, tree};

/// Measures Strongroom beside restic: a first archive of a tree, a second with nothing changed, a
/// restore that is compared with the original.
#[derive(Parser)]
struct Arguments {
    /// The tree to archive.
    #[arg(long)]
    tree: PathBuf,
    /// Where to archive it to.
    #[arg(long, value_enum, default_value = "local")]
    store: StoreKind,
    /// How often the whole job is measured; every round starts from nothing.
    #[arg(long, default_value_t = 1)]
    rounds: u32,
    /// A folder for the stores and restored trees; needs three times the tree's size.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    work: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match compare(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "compare: {}", strongroom_benches::explain(&error));
            ExitCode::FAILURE
        }
    }
}

fn compare(arguments: &Arguments) -> Result<(), BenchError> {
    let tree = arguments.tree.canonicalize().map_err(BenchError::file(&arguments.tree))?;
    let size = tree::warm(&tree)?;
    let megabytes = size.bytes / 1_000_000;
    say(&format!("{}: {} entries, {megabytes} MB", tree.display(), size.entries));
    for round in 1..=arguments.rounds {
        let store = Store::open(arguments.store, &arguments.work)?;
        say(&format!("\nRound {round} of {}, to {}\n", arguments.rounds, store.name()));
        let kms = Kms::start()?;
        let tools: [Box<dyn Tool>; 2] = [
            Box::new(Strongroom::create(&store, &kms, &arguments.work)?),
            Box::new(Restic::init(&store, &arguments.work)?),
        ];
        let mut rows = Vec::new();
        for tool in &tools {
            rows.push(whole_job(tool.as_ref(), &store, &tree, &arguments.work)?);
        }
        say(&table::markdown(&rows));
    }
    Ok(())
}

/// Prints a line. A closed pipe ends the interest in it, not the measurement.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
