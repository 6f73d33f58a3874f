//! Which snapshot, and which part of it, a command means.

use std::collections::HashSet;
use std::sync::Arc;

use clap::Args;
use strongroom::Error;
use strongroom::entry::{Entry, EntryKind, EntryPath};
use strongroom::fs::exclude::Patterns;
use strongroom::location::Location;
use strongroom::restore::Selection;
use strongroom::snapshot::{self, Cursor, Direction, Snapshot};
use strongroom::store::ObjectName;

use super::exit::Failure;

/// What stands for the latest snapshot.
const LATEST: &str = "latest";

/// Parts of a tree, by patterns.
#[derive(Args, Clone, Debug)]
pub(super) struct PatternArguments {
    /// Only what matches this pattern of gitignore(5), with everything below it; may be repeated.
    #[arg(long, value_name = "PATTERN")]
    include: Vec<String>,
    /// Nothing that matches this pattern of gitignore(5); may be repeated.
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
}

/// The snapshot that `wanted` means: `latest`, or an id, or the beginning of one.
pub(super) async fn find_snapshot(
    location: &Arc<Location>,
    wanted: &str,
) -> Result<Snapshot, Failure> {
    let missing = || Error::SnapshotMissing { id: wanted.to_owned() };
    if wanted == LATEST {
        let latest = snapshot::load_all(location).await?.pop();
        return Ok(latest.ok_or_else(missing)?);
    }
    let ids = snapshot::list(location).await?;
    let mut fitting = ids.iter().filter(|id| id.to_string().starts_with(wanted));
    match (wanted.is_empty(), fitting.next(), fitting.count()) {
        (false, Some(id), 0) => Ok(snapshot::load(location, *id).await?),
        (false, Some(_), others) => {
            Err(Error::SnapshotAmbiguous { prefix: wanted.to_owned(), count: others + 1 }.into())
        }
        _ => Err(missing().into()),
    }
}

/// Walks the entries of `snapshot` that come at or after `from`; `visit` answers whether to go on.
pub(super) async fn visit(
    location: &Arc<Location>,
    snapshot: &Snapshot,
    from: EntryPath,
    mut visit: impl FnMut(&Entry) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let Some(tree) = &snapshot.commit.tree else { return Ok(()) };
    let object = ObjectName::Snapshot(snapshot.id);
    let what = "its tree is not named properly";
    let root = tree.block().ok_or(Error::Damaged { object, what })?;
    let reader = location.reader(None);
    let cursor = Cursor::new(&reader, root, tree.level, Direction::Forward);
    let mut cursor = cursor.starting(move |path| *path >= from);
    while let Some(leaf) = cursor.next_leaf().await? {
        for node in leaf {
            if !visit(&node.entry)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

impl PatternArguments {
    /// The entries of `snapshot` that are meant; `None` means all.
    ///
    /// What is included comes with the directories above it: these are found by a first walk over
    /// the tree's metadata, so that they get their own attributes rather than made-up ones.
    pub(super) async fn selection(
        &self,
        location: &Arc<Location>,
        snapshot: &Snapshot,
    ) -> Result<Option<Selection>, Failure> {
        let (include, exclude) = (Patterns::new(&self.include)?, Patterns::new(&self.exclude)?);
        if include.is_empty() && exclude.is_empty() {
            return Ok(None);
        }
        let chosen = move |entry: &Entry| {
            let is_directory = entry.kind == EntryKind::Directory;
            (include.is_empty() || include.choose_below(&entry.path, is_directory))
                && !exclude.choose_below(&entry.path, is_directory)
        };
        if self.include.is_empty() {
            return Ok(Some(Arc::new(chosen)));
        }
        let mut above: HashSet<Vec<u8>> = HashSet::new();
        visit(location, snapshot, EntryPath::root(), |entry| {
            if chosen(entry) {
                add_parents(&mut above, &entry.path);
            }
            Ok(true)
        })
        .await?;
        Ok(Some(Arc::new(move |entry: &Entry| {
            chosen(entry) || above.contains(entry.path.as_bytes())
        })))
    }
}

fn add_parents(above: &mut HashSet<Vec<u8>>, path: &EntryPath) {
    let mut rest = path.parent();
    // A directory that is there already has its own parents there too.
    while above.insert(rest.to_vec()) && !rest.is_empty() {
        let slash = rest.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        rest = rest.get(..slash).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_directories_above_are_taken() {
        let mut above = HashSet::new();
        for path in ["a/b/c", "a/d", "e"] {
            add_parents(&mut above, &EntryPath::from_bytes(path.as_bytes().to_vec()).unwrap());
        }
        let wanted = ["", "a", "a/b"].map(|path| path.as_bytes().to_vec());
        assert_eq!(above, HashSet::from(wanted));
    }
}
