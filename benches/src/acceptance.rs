//! What must be shown on real input, each item a function that returns its figure.

mod damage;
mod kills;
mod walkthrough;
mod whole;

use std::path::Path;
use std::process::Command;

use strongroom_peers::OwnProgram;

pub use self::kills::{kill_archiver, kill_kms};
pub use self::walkthrough::walkthrough;
pub use self::whole::archive_and_restore;
use crate::{BenchError, measure};

/// What an item found: a figure to print, if it was shown.
pub type Shown = Result<String, BenchError>;

/// `strongroom quickstart` does the whole job on a tree with nothing but its embedded defaults.
///
/// # Errors
///
/// [`BenchError::Failed`] with what it said.
pub fn quickstart(tree: &Path) -> Shown {
    let program = OwnProgram::Strongroom.find()?;
    let ended = measure::run(Command::new(program).arg("quickstart").arg(tree))?.success()?;
    let megabytes = ended.usage.peak_memory_bytes / 1_000_000;
    Ok(format!("exit 0 after {:.1} s, peak {megabytes} MB", ended.usage.wall.as_secs_f64()))
}

/// Fails an item that was not shown.
fn not_shown(item: &str, found: impl Into<String>) -> BenchError {
    BenchError::NotShown { item: item.to_owned(), found: found.into() }
}
