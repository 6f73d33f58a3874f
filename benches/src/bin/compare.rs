//! Archives and restores one tree with Strongroom and with its peers, in one run on one machine, and
//! prints a Markdown table of what each took.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use strongroom_benches::store::{Store, StoreKind};
use strongroom_benches::subject::{Data, Subject};
use strongroom_benches::table::Row;
use strongroom_benches::tool::{
    Borg, Caches, Kms, Kopia, Restic, Rustic, Strongroom, Tool, archive_changed, archive_twice,
    restore_compared,
};
use strongroom_benches::{BenchError, table, tree};

/// Measures Strongroom beside other backup tools: a first archive of a tree, a second with nothing changed, one with
/// something changed where the tree is made for it, and a restore that is compared with the original.
#[derive(Parser)]
struct Arguments {
    /// The tree to archive.
    #[arg(long, required_unless_present = "data", conflicts_with = "data")]
    tree: Option<PathBuf>,
    /// The data set to make and archive, in place of a tree.
    #[arg(long, value_enum)]
    data: Option<Data>,
    /// How large to make it, in per cent of what it is said to be.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100))]
    percent: u64,
    /// Where to archive it to.
    #[arg(long, value_enum, default_value = "local")]
    store: StoreKind,
    /// Beside whom; those that archive only to folders are left out elsewhere.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "restic")]
    beside: Vec<Other>,
    /// What of files is in memory when a step begins.
    #[arg(long, value_enum, default_value = "warm")]
    caches: Caches,
    /// How often the whole job is measured; every round starts from nothing.
    #[arg(long, default_value_t = 1)]
    rounds: u32,
    /// A folder for the stores, restored trees and data sets; needs up to five times the tree's size.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    work: PathBuf,
}

/// The other tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Other {
    Restic,
    Rustic,
    Borg,
    Kopia,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match compare(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn compare(arguments: &Arguments) -> Result<(), BenchError> {
    for round in 1..=arguments.rounds {
        let subject = subject(arguments)?;
        let size = tree::warm(subject.tree())?;
        let store = Store::open(arguments.store, &arguments.work)?;
        say(&format!(
            "\nRound {round} of {}: {} entries, {} MB, to {}\n",
            arguments.rounds,
            size.entries,
            size.bytes / 1_000_000,
            store.name()
        ));
        let kms = Kms::start()?;
        let tools = tools(arguments, &store, &kms)?;
        let rows = whole_job(&tools, round, &store, &subject, arguments)?;
        say(&table::markdown(&rows));
    }
    Ok(())
}

fn subject(arguments: &Arguments) -> Result<Subject, BenchError> {
    match (&arguments.tree, arguments.data) {
        (_, Some(data)) => Subject::make(data, arguments.percent, &arguments.work),
        (tree, None) => Subject::existing(tree.as_deref().unwrap_or(Path::new("."))),
    }
}

/// Strongroom first; then the others, as far as they are installed and can use the store.
fn tools(
    arguments: &Arguments,
    store: &Store,
    kms: &Kms,
) -> Result<Vec<Box<dyn Tool>>, BenchError> {
    let work = &arguments.work;
    let mut tools: Vec<Box<dyn Tool>> = vec![Box::new(Strongroom::create(store, kms, work)?)];
    for other in &arguments.beside {
        let made: Result<Box<dyn Tool>, BenchError> = match (other, store.folder("")) {
            (Other::Restic, _) => Restic::init(store, work).map(|tool| Box::new(tool) as _),
            (Other::Kopia, _) => Kopia::init(store, work).map(|tool| Box::new(tool) as _),
            (Other::Borg, Some(folder)) => {
                Borg::init(&folder.join("borg"), work).map(|tool| Box::new(tool) as _)
            }
            (Other::Rustic, Some(folder)) => {
                Rustic::init(&folder.join("rustic"), work).map(|tool| Box::new(tool) as _)
            }
            (Other::Borg | Other::Rustic, None) => continue,
        };
        match made {
            Ok(tool) => tools.push(tool),
            Err(error @ BenchError::Peer(_)) => complain(&error),
            Err(error) => return Err(error),
        }
    }
    Ok(tools)
}

/// Each step with every tool before the next: so all of them see the same tree. In every other round the last tool
/// begins: whoever is first may find less memory that the system has at hand, and pays for it.
fn whole_job(
    tools: &[Box<dyn Tool>],
    round: u32,
    store: &Store,
    subject: &Subject,
    arguments: &Arguments,
) -> Result<Vec<Row>, BenchError> {
    let (tree, caches) = (subject.tree(), arguments.caches);
    let mut order: Vec<_> = tools.iter().enumerate().collect();
    if round.is_multiple_of(2) {
        order.reverse();
    }
    let mut rows = Vec::new();
    for (number, tool) in order {
        rows.push((number, tool, archive_twice(tool.as_ref(), store, tree, caches)?));
    }
    if subject.change()? {
        for (_, tool, row) in &mut rows {
            row.changed = Some(archive_changed(tool.as_ref(), store, tree, caches)?);
        }
    }
    for (number, tool, row) in &mut rows {
        row.restore = match restore_compared(tool.as_ref(), tree, &arguments.work, caches) {
            Ok(usage) => Some(usage),
            // Of others it is said; ours has to be equal.
            Err(error @ BenchError::TreesDiffer { .. }) if *number > 0 => {
                complain(&error);
                None
            }
            Err(error) => return Err(error),
        };
    }
    rows.sort_by_key(|(number, ..)| *number);
    Ok(rows.into_iter().map(|(.., row)| row).collect())
}

/// Prints a line. A closed pipe ends the interest in it, not the measurement.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn complain(error: &BenchError) {
    let _ = writeln!(std::io::stderr(), "compare: {}", strongroom_benches::explain(error));
}
