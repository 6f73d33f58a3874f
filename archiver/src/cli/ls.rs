//! `strongroom ls`: what is in a snapshot.

use clap::Args;
use serde_json::{Value, json};
use strongroom::entry::{Entry, EntryKind, EntryPath};

use super::Global;
use super::connect::LocationArguments;
use super::exit::Failure;
use super::output::{Output, path_members, path_text, printable};
use super::select::{find_snapshot, visit};
use super::snapshots::instant;

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
    let wanted = arguments.path.trim_matches('/');
    let wanted = EntryPath::from_bytes(wanted.as_bytes().to_vec())
        .ok_or_else(|| Failure::SnapshotPath { path: arguments.path.clone() })?;
    let location = arguments.location.open(global).await?;
    let snapshot = find_snapshot(&location, &arguments.snapshot).await?;
    let mut kind = None;
    visit(&location, &snapshot, wanted.clone(), |entry| {
        kind = (entry.path == wanted).then(|| entry.clone());
        Ok(false)
    })
    .await?;
    let Some(entry) = kind else {
        let snapshot = snapshot.id.to_string();
        return Err(Failure::NotInSnapshot { snapshot, path: arguments.path });
    };
    if entry.kind != EntryKind::Directory {
        return print(&entry, output);
    }
    visit(&location, &snapshot, first_below(&wanted), |entry| {
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
    if output.is_json() {
        return output.json_line(&output.document(members(entry)));
    }
    let owner = entry.user.clone().unwrap_or_else(|| entry.uid.to_string());
    let group = entry.group.clone().unwrap_or_else(|| entry.gid.to_string());
    let target = match &entry.kind {
        EntryKind::Symlink { target } => format!(" -> {}", path_text(target)),
        _ => String::new(),
    };
    output.line(&format!(
        "{}{}  {:>8} {:>8}  {:>14}  {}  {}{target}",
        letter(&entry.kind),
        permissions(entry.mode),
        printable(&owner),
        printable(&group),
        size(&entry.kind).map_or_else(String::new, |size| size.to_string()),
        instant(entry.modified.into()),
        path_text(entry.path.as_bytes()),
    ))
}

fn members(entry: &Entry) -> Value {
    let mut members = json!({
        "type": type_name(&entry.kind),
        "mode": format!("{:04o}", entry.mode),
        "uid": entry.uid,
        "gid": entry.gid,
        "user": entry.user,
        "group": entry.group,
        "size": size(&entry.kind),
        "modified": instant(entry.modified.into()),
        "modified_nanoseconds": entry.modified.nanoseconds,
        "links": entry.links,
        "xattrs": entry.xattrs.iter().map(|(name, _)| path_text(name)).collect::<Vec<_>>(),
    });
    if let (Value::Object(members), Value::Object(path)) =
        (&mut members, path_members(entry.path.as_bytes()))
    {
        members.extend(path);
        if let EntryKind::Symlink { target } = &entry.kind {
            members.insert("target".to_owned(), String::from_utf8_lossy(target).into());
        }
    }
    members
}

fn size(kind: &EntryKind) -> Option<u64> {
    match kind {
        EntryKind::File { size } => Some(*size),
        _ => None,
    }
}

const fn letter(kind: &EntryKind) -> char {
    match kind {
        EntryKind::Directory => 'd',
        EntryKind::Symlink { .. } => 'l',
        EntryKind::Fifo => 'p',
        EntryKind::CharacterDevice { .. } => 'c',
        EntryKind::BlockDevice { .. } => 'b',
        _ => '-',
    }
}

const fn type_name(kind: &EntryKind) -> &'static str {
    match kind {
        EntryKind::File { .. } => "file",
        EntryKind::Directory => "directory",
        EntryKind::Symlink { .. } => "symlink",
        EntryKind::Fifo => "fifo",
        EntryKind::CharacterDevice { .. } => "character device",
        EntryKind::BlockDevice { .. } => "block device",
        _ => "unknown",
    }
}

/// The mode as `ls -l` writes it: three triples, with set-uid, set-gid and sticky in the places
/// of the execute bits.
fn permissions(mode: u32) -> String {
    let mut text = String::with_capacity(9);
    for (shift, special, letters) in
        [(6, 0o4000, ('s', 'S')), (3, 0o2000, ('s', 'S')), (0, 0o1000, ('t', 'T'))]
    {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (bits & 1 != 0, mode & special != 0) {
            (true, true) => letters.0,
            (false, true) => letters.1,
            (true, false) => 'x',
            (false, false) => '-',
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> EntryPath {
        EntryPath::from_bytes(text.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn modes_are_written_as_ls_writes_them() {
        let wanted = [
            (0o644, "rw-r--r--"),
            (0o4755, "rwsr-xr-x"),
            (0o2640, "rw-r-S---"),
            (0o1777, "rwxrwxrwt"),
        ];
        for (mode, text) in wanted {
            assert_eq!(permissions(mode), text);
        }
    }

    #[test]
    fn what_is_below_a_directory_begins_where_it_should() {
        let below = first_below(&path("a"));
        assert!(path("z") < below && below <= path("a/\x01") && below < path("a/b"));
        assert!(is_below(&path("a/b/c"), &path("a")) && !is_below(&path("a-b/c"), &path("a")));
    }
}
