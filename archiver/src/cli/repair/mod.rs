//! `strongroom repair`: mends what can be mended.

mod index;
mod snapshots;

use clap::Subcommand;

use super::Global;
use super::exit::Failure;
use super::output::Output;

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
    Index(index::IndexArguments),
    /// Write damaged snapshots anew, without what is lost of them.
    #[command(after_help = "\
A snapshot is damaged when parts of its listing cannot be read, or when no pack that is there holds what
a file wants. It is written anew without these files, with the tag `repaired`; the damaged one stays
unless --forget is given, and everything that is left out is named. Where `check --read-data` found packs damaged,
run `strongroom repair index --all` first, so that the index does not rely on them.

Examples:
  strongroom repair snapshots --dry-run
  strongroom repair snapshots --forget")]
    Snapshots(snapshots::SnapshotsArguments),
}

impl Command {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Index(_) => "repair index",
            Self::Snapshots(_) => "repair snapshots",
        }
    }
}

pub(super) async fn run(command: Command, global: &Global, output: &Output) -> Result<(), Failure> {
    match command {
        Command::Index(arguments) => index::run(&arguments, global, output).await,
        Command::Snapshots(arguments) => snapshots::run(&arguments, global, output).await,
    }
}
