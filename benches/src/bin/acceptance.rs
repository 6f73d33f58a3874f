//! Runs the list of what must be shown on one tree, and prints one line per item with its figure.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use strongroom_benches::acceptance::{self, Shown};
use strongroom_benches::store::StoreKind;
use strongroom_benches::{BenchError, explain, tree};

/// Shows on a tree of real files what Strongroom promises.
#[derive(Parser)]
struct Arguments {
    /// The tree to archive, with folders at its top.
    #[arg(long)]
    tree: PathBuf,
    /// The items to show; all by default.
    #[arg(long, value_enum)]
    only: Vec<Item>,
    /// How often the archiver and the KMS are killed.
    #[arg(long, default_value_t = 20)]
    kills: usize,
    /// The seed of all random choices, to see a failure again.
    #[arg(long, default_value_t = fastrand::u64(..))]
    seed: u64,
    /// A folder for stores and restored trees; needs three times the tree's size.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    work: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Item {
    /// The quickstart on the tree.
    Quickstart,
    /// The walk-through of the examples, with the AWS command line.
    Walkthrough,
    /// Archive, archive again, restore, check and damage on MinIO.
    Minio,
    /// The same on SeaweedFS.
    Seaweedfs,
    /// The archiver is killed at random moments.
    KillArchiver,
    /// The KMS is killed at random moments.
    KillKms,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    fastrand::seed(arguments.seed);
    let tree = match arguments.tree.canonicalize() {
        Ok(tree) => tree,
        Err(source) => {
            say(&explain(&BenchError::File { path: arguments.tree, source }));
            return ExitCode::FAILURE;
        }
    };
    if let Ok(size) = tree::warm(&tree) {
        let megabytes = size.bytes / 1_000_000;
        let tree = tree.display();
        say(&format!("{tree}: {} entries, {megabytes} MB; seed {}", size.entries, arguments.seed));
    }
    let mut failed = 0;
    let items = Item::value_variants().iter();
    for item in items.filter(|item| arguments.only.is_empty() || arguments.only.contains(item)) {
        let started = Instant::now();
        let shown = show(*item, &tree, &arguments);
        let seconds = started.elapsed().as_secs();
        match shown {
            Ok(figure) => say(&format!("shown   {item:?} in {seconds} s: {figure}")),
            Err(error) => {
                failed += 1;
                say(&format!("FAILED  {item:?} after {seconds} s: {}", explain(&error)));
            }
        }
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn show(item: Item, tree: &std::path::Path, arguments: &Arguments) -> Shown {
    let (work, kills) = (&arguments.work, arguments.kills);
    match item {
        Item::Quickstart => acceptance::quickstart(tree),
        Item::Walkthrough => acceptance::walkthrough(tree, work),
        Item::Minio => acceptance::archive_and_restore(StoreKind::Minio, tree, work),
        Item::Seaweedfs => acceptance::archive_and_restore(StoreKind::Seaweedfs, tree, work),
        Item::KillArchiver => acceptance::kill_archiver(StoreKind::Minio, tree, work, kills),
        Item::KillKms => acceptance::kill_kms(StoreKind::Local, tree, work, kills),
    }
}

/// Prints a line. A closed pipe ends the interest in it, not the work.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
