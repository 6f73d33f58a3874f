//! The archivers that are measured, behind one trait.

mod borg;
mod kopia;
mod restic;
mod rustic;
mod strongroom;

use std::path::Path;

pub use self::borg::Borg;
pub use self::kopia::Kopia;
pub use self::restic::Restic;
pub use self::rustic::Rustic;
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

/// How what is measured is found in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Caches {
    /// As the step before left it.
    Warm,
    /// Nothing of any file is in memory. Takes the rights of the root.
    Cold,
}

/// Archives a tree for the first time, and again with nothing changed.
///
/// # Errors
///
/// Whatever the program failed with.
pub fn archive_twice(
    tool: &dyn Tool,
    store: &Store,
    tree: &Path,
    caches: Caches,
) -> Result<Row, BenchError> {
    let first = settled(caches, || tool.archive(tree))?;
    let stored_bytes = store.stored_bytes(tool.prefix())?;
    let second = settled(caches, || tool.archive(tree))?;
    let added_bytes = store.stored_bytes(tool.prefix())?.saturating_sub(stored_bytes);
    let tool = tool.label().to_owned();
    Ok(Row { tool, first, second, stored_bytes, added_bytes, changed: None, restore: None })
}

/// Archives a tree that has changed since, and answers what that took and how many bytes it added.
///
/// # Errors
///
/// Whatever the program failed with.
pub fn archive_changed(
    tool: &dyn Tool,
    store: &Store,
    tree: &Path,
    caches: Caches,
) -> Result<(Usage, u64), BenchError> {
    let before = store.stored_bytes(tool.prefix())?;
    let usage = settled(caches, || tool.archive(tree))?;
    Ok((usage, store.stored_bytes(tool.prefix())?.saturating_sub(before)))
}

/// Restores the last archive of a tree. `work` holds what is restored for as long as it takes to compare it with the
/// tree.
///
/// # Errors
///
/// Whatever the program failed with, or [`BenchError::TreesDiffer`].
pub fn restore_compared(
    tool: &dyn Tool,
    tree: &Path,
    work: &Path,
    caches: Caches,
) -> Result<Usage, BenchError> {
    let target = tempfile::tempdir_in(work).map_err(BenchError::file(work))?;
    let (usage, restored) =
        settled(caches, || tool.restore(tree, &target.path().join("restored")))?;
    crate::tree::compare(tree, &restored)?;
    Ok(usage)
}

/// Measures on a system that has nothing left to write for somebody else.
fn settled<T>(
    caches: Caches,
    measured: impl FnOnce() -> Result<T, BenchError>,
) -> Result<T, BenchError> {
    rustix::fs::sync();
    if caches == Caches::Cold {
        std::fs::write(DROP_CACHES, "3").map_err(BenchError::file(DROP_CACHES))?;
    }
    measured()
}

/// Where Linux is told to forget what it has of files.
const DROP_CACHES: &str = "/proc/sys/vm/drop_caches";

/// The first line that a program prints of its version.
fn version(program: &Path, argument: &str) -> Result<String, BenchError> {
    let ended = measure::run(std::process::Command::new(program).arg(argument))?.success()?;
    Ok(ended.stdout.lines().next().unwrap_or_default().to_owned())
}
