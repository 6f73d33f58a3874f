//! What stands in a target and is not in the snapshot.

use std::io::ErrorKind;
use std::sync::atomic::Ordering;

use tokio::runtime::Handle;

use super::{Restoring, Selection};
use crate::control::Control;
use crate::entry::{Entry, EntryPath};
use crate::error::Result;
use crate::snapshot::Cursor;
use crate::source::{Found, Source, Trouble};

/// What a tree has beyond a snapshot.
#[derive(Debug, Default)]
pub struct Surplus {
    /// Ascending by path, so that a directory comes before what is in it.
    pub entries: Vec<Entry>,
    /// Names and directories that could not be looked at; reported to the observer.
    pub unreadable: u64,
}

/// Every selected entry of `tree` that the snapshot under `cursor` does not have. Blocks.
///
/// # Errors
/// Whatever keeps the snapshot's metadata from being read, [`Error::Stopped`](crate::Error::Stopped).
pub fn surplus(
    cursor: Cursor<'_>,
    runtime: &Handle,
    tree: &dyn Source,
    select: Option<&Selection>,
    control: &Control,
) -> Result<Surplus> {
    let mut paths = Paths { cursor, runtime, leaf: Vec::new().into_iter() };
    let mut ahead = paths.next()?;
    let mut surplus = Surplus::default();
    for found in tree.walk() {
        control.check()?;
        let entry = match found {
            Found::Entry(entry) => entry,
            Found::Unreadable(trouble) => {
                surplus.unreadable += 1;
                control.observer.trouble(&trouble);
                continue;
            }
            Found::Skipped(trouble) => {
                control.observer.skipped(&trouble);
                continue;
            }
        };
        while ahead.as_ref().is_some_and(|path| *path < entry.path) {
            ahead = paths.next()?;
        }
        let is_there = ahead.as_ref() == Some(&entry.path) || entry.path.as_bytes().is_empty();
        if !is_there && select.is_none_or(|select| select(&entry)) {
            surplus.entries.push(entry);
        }
    }
    Ok(surplus)
}

/// The paths of a snapshot, one after the other.
struct Paths<'a, 'r> {
    cursor: Cursor<'a>,
    runtime: &'r Handle,
    leaf: std::vec::IntoIter<EntryPath>,
}

impl Paths<'_, '_> {
    fn next(&mut self) -> Result<Option<EntryPath>> {
        loop {
            if let Some(path) = self.leaf.next() {
                return Ok(Some(path));
            }
            match self.runtime.block_on(self.cursor.next_leaf())? {
                Some(leaf) => {
                    let paths: Vec<_> = leaf.into_iter().map(|node| node.entry.path).collect();
                    self.leaf = paths.into_iter();
                }
                None => return Ok(None),
            }
        }
    }
}

impl Restoring {
    /// Removes what the snapshot does not have, the deepest first.
    pub(super) fn remove_surplus(
        &self,
        cursor: Cursor<'_>,
        runtime: &Handle,
        select: Option<&Selection>,
    ) -> Result<()> {
        let failed = |error| Trouble { path: Vec::new(), action: "list the target", error };
        let tree = match self.target.standing() {
            Ok(tree) => tree,
            Err(error) => {
                self.counts.failures.fetch_add(1, Ordering::Relaxed);
                self.control.observer.trouble(&failed(error));
                return Ok(());
            }
        };
        let surplus = surplus(cursor, runtime, &*tree, select, &self.control)?;
        self.counts.failures.fetch_add(surplus.unreadable, Ordering::Relaxed);
        for entry in surplus.entries.iter().rev() {
            self.control.check()?;
            match self.target.remove(entry) {
                Ok(()) => drop(self.counts.deleted.fetch_add(1, Ordering::Relaxed)),
                // Something in it was not selected, and stays with what it lies in.
                Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty && select.is_some() => {}
                Err(error) => self.trouble(entry, "remove", error),
            }
        }
        Ok(())
    }
}
