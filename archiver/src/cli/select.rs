//! Which snapshot, and which part of it, a command means.

use std::collections::HashSet;
use std::sync::Arc;

use clap::Args;
use strongroom::Error;
use strongroom::entry::{Entry, EntryKind, EntryPath};
use strongroom::fs::exclude::Patterns;
use strongroom::id::ObjectId;
use strongroom::location::Location;
use strongroom::restore::Selection;
use strongroom::snapshot::{self, Cursor, Direction, Node, Snapshot};

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

/// Some of a location's snapshots, by what they say of themselves.
#[derive(Args, Clone, Debug)]
pub(super) struct SnapshotFilter {
    /// Only snapshots of this host.
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Only snapshots with this label; may be repeated, all must be there.
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
}

impl SnapshotFilter {
    /// Whether `snapshot` is one of them.
    pub(super) fn admits(&self, snapshot: &Snapshot) -> bool {
        let commit = &snapshot.commit;
        self.host.as_ref().is_none_or(|host| *host == commit.host)
            && self.tag.iter().all(|tag| commit.tags.contains(tag))
    }
}

/// The snapshot that `wanted` means: `latest`, or an id, or the beginning of one.
pub(super) async fn find_snapshot(
    location: &Arc<Location>,
    wanted: &str,
) -> Result<Snapshot, Failure> {
    if wanted == LATEST {
        let latest = snapshot::load_all(location).await?.pop();
        return Ok(latest.ok_or_else(|| Error::SnapshotMissing { id: wanted.to_owned() })?);
    }
    let ids = snapshot::list(location).await?;
    Ok(snapshot::load(location, fitting(wanted, &ids)?).await?)
}

/// The one of `ids` that is `wanted` or begins with it.
pub(super) fn fitting(wanted: &str, ids: &[ObjectId]) -> Result<ObjectId, Failure> {
    let mut fitting = ids.iter().filter(|id| id.to_string().starts_with(wanted));
    match (wanted.is_empty(), fitting.next(), fitting.count()) {
        (false, Some(id), 0) => Ok(*id),
        (false, Some(_), others) => {
            Err(Error::SnapshotAmbiguous { prefix: wanted.to_owned(), count: others + 1 }.into())
        }
        _ => Err(Error::SnapshotMissing { id: wanted.to_owned() }.into()),
    }
}

/// Walks the entries of `snapshot` that come at or after `from`; `visit` answers whether to go on.
pub(super) async fn visit(
    location: &Arc<Location>,
    snapshot: &Snapshot,
    from: EntryPath,
    mut visit: impl FnMut(&Node) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let Some((root, level)) = snapshot.root()? else { return Ok(()) };
    let reader = location.reader(None);
    let cursor = Cursor::new(&reader, root, level, Direction::Forward);
    let mut cursor = cursor.starting(move |path| *path >= from);
    while let Some(leaf) = cursor.next_leaf().await? {
        for node in leaf {
            if !visit(&node)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The entry of `snapshot` that stands at `path`.
pub(super) async fn find_node(
    location: &Arc<Location>,
    snapshot: &Snapshot,
    path: &EntryPath,
) -> Result<Option<Node>, Failure> {
    let mut found = None;
    visit(location, snapshot, path.clone(), |node| {
        found = (node.entry.path == *path).then(|| node.clone());
        Ok(false)
    })
    .await?;
    Ok(found)
}

/// A path in a snapshot as it was given, slashes around it or not.
pub(super) fn entry_path(given: &str) -> Result<EntryPath, Failure> {
    let bytes = given.trim_matches('/').as_bytes().to_vec();
    EntryPath::from_bytes(bytes).ok_or_else(|| Failure::SnapshotPath { path: given.to_owned() })
}

impl PatternArguments {
    /// Whether only some parts are meant.
    pub(super) fn include_some(&self) -> bool {
        !self.include.is_empty()
    }

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
        visit(location, snapshot, EntryPath::root(), |node| {
            if chosen(&node.entry) {
                add_parents(&mut above, &node.entry.path);
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
