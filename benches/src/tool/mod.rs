//! The archivers that are measured, behind one trait.

mod restic;
mod strongroom;

use std::path::Path;

pub use self::restic::Restic;
pub use self::strongroom::{Kms, Strongroom};

use crate::BenchError;
use crate::measure::{self, Usage};
use crate::store::Store;
use crate::table::Row;

/// An archiver: a program that has a place in a store and archives trees to it.
pub trait Tool {
    /// The name and version of the program.
    fn label(&self) -> &str;

    /// The prefix in the store, or folder, that holds everything that the tool stores.
    fn prefix(&self) -> &'static str;

    /// Archives a tree.
    ///
    /// # Errors
    ///
    /// Whatever the program failed with.
    fn archive(&self, tree: &Path) -> Result<Usage, BenchError>;

    /// Restores what the last archive of `tree` holds to `target`, which does not exist yet. Returns
    /// the folder below `target` that is equal to `tree`.
    ///
    /// # Errors
    ///
    /// Whatever the program failed with.
    fn restore(
        &self,
        tree: &Path,
        target: &Path,
    ) -> Result<(Usage, std::path::PathBuf), BenchError>;
}

/// Archives a tree twice and restores it, and measures each.
///
/// `work` holds the restored tree for as long as it takes to compare it with the original.
///
/// # Errors
///
/// Whatever the program failed with, or [`BenchError::TreesDiffer`].
pub fn whole_job(
    tool: &dyn Tool,
    store: &Store,
    tree: &Path,
    work: &Path,
) -> Result<Row, BenchError> {
    let first = settled(|| tool.archive(tree))?;
    let stored_bytes = store.stored_bytes(tool.prefix())?;
    let second = settled(|| tool.archive(tree))?;
    let added_bytes = store.stored_bytes(tool.prefix())?.saturating_sub(stored_bytes);
    let target = tempfile::tempdir_in(work).map_err(BenchError::file(work))?;
    let (restore, restored) = settled(|| tool.restore(tree, &target.path().join("restored")))?;
    crate::tree::compare(tree, &restored)?;
    Ok(Row { tool: tool.label().to_owned(), first, second, restore, stored_bytes, added_bytes })
}

/// Measures on a system that has nothing left to write for somebody else.
fn settled<T>(measured: impl FnOnce() -> Result<T, BenchError>) -> Result<T, BenchError> {
    rustix::fs::sync();
    measured()
}

/// The first line that a program prints of its version.
fn version(program: &Path, argument: &str) -> Result<String, BenchError> {
    let ended = measure::run(std::process::Command::new(program).arg(argument))?.success()?;
    Ok(ended.stdout.lines().next().unwrap_or_default().to_owned())
}
