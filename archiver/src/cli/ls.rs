//! `strongroom ls`: what is in a snapshot.

use clap::Args;
use strongroom::entry::{Entry, EntryKind, EntryPath};
use strongroom::snapshot::Node;

use super::Global;
use super::connect::LocationArguments;
use super::entries;
use super::exit::Failure;
use super::output::Output;
use super::select::{entry_path, find_node, find_snapshot, visit};

/// Which entries to list.
#[derive(Args)]
#[command(after_help = "\
Examples:
  strongroom ls latest
  strongroom ls latest home/anna/documents
  strongroom ls --recursive --json 3f2a | jq -r .path

With --json every entry is a document on a line of its own.")]
pub(super) struct Arguments {
    /// A snapshot's id, the beginning of one, or `latest`.
    snapshot: String,
    /// A path in the snapshot [default: its root].
    #[arg(default_value = "")]
    path: String,
    /// Everything below the path, not only the directory itself.
    #[arg(long, short = 'R')]
    recursive: bool,
    #[command(flatten)]
    location: LocationArguments,
}

pub(super) async fn run(
    arguments: Arguments,
    global: &Global,
    output: &Output,
) -> Result<(), Failure> {
    let wanted = entry_path(&arguments.path)?;
    let location = arguments.location.open(global).await?;
    let snapshot = find_snapshot(&location, &arguments.snapshot).await?;
    let Some(Node { entry, .. }) = find_node(&location, &snapshot, &wanted).await? else {
        let snapshot = snapshot.id.to_string();
        return Err(Failure::NotInSnapshot { snapshot, path: arguments.path });
    };
    if entry.kind != EntryKind::Directory {
        return print(&entry, output);
    }
    visit(&location, &snapshot, first_below(&wanted), |Node { entry, .. }| {
        if !is_below(&entry.path, &wanted) {
            // Entries are ordered by directory: past the last one below there are no more.
            return Ok(false);
        }
        let direct = entry.path.parent() == wanted.as_bytes();
        if !entry.path.as_bytes().is_empty() && (direct || arguments.recursive) {
            print(entry, output)?;
        }
        Ok(direct || arguments.recursive)
    })
    .await
}

/// A path that orders before all that is below `directory` and after all that comes before.
fn first_below(directory: &EntryPath) -> EntryPath {
    match directory.as_bytes() {
        b"" => EntryPath::root(),
        _ => directory.child(b"\x01").unwrap_or_else(|| directory.clone()),
    }
}

fn is_below(path: &EntryPath, directory: &EntryPath) -> bool {
    let (path, directory) = (path.as_bytes(), directory.as_bytes());
    match path.strip_prefix(directory) {
        Some(rest) => directory.is_empty() || rest.first() == Some(&b'/'),
        None => false,
    }
}

fn print(entry: &Entry, output: &Output) -> Result<(), Failure> {
    match output.is_json() {
        true => output.json_line(&output.document(entries::members(entry))),
        false => output.line(&entries::line(entry)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> EntryPath {
        EntryPath::from_bytes(text.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn what_is_below_a_directory_begins_where_it_should() {
        let below = first_below(&path("a"));
        assert!(path("z") < below && below <= path("a/\x01") && below < path("a/b"));
        assert!(is_below(&path("a/b/c"), &path("a")) && !is_below(&path("a-b/c"), &path("a")));
    }
}
