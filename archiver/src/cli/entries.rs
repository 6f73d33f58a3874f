//! Entries as commands print them: for people and for programs.

use serde_json::{Value, json};
use strongroom::entry::{Entry, EntryKind};

use super::output::{path_members, path_text, printable};
use super::snapshots::instant;

/// An entry on one line, as `ls -l` writes it.
pub(super) fn line(entry: &Entry) -> String {
    let owner = entry.user.clone().unwrap_or_else(|| entry.uid.to_string());
    let group = entry.group.clone().unwrap_or_else(|| entry.gid.to_string());
    let target = match &entry.kind {
        EntryKind::Symlink { target } => format!(" -> {}", path_text(target)),
        _ => String::new(),
    };
    format!(
        "{}{}  {:>8} {:>8}  {:>14}  {}  {}{target}",
        letter(&entry.kind),
        permissions(entry.mode),
        printable(&owner),
        printable(&group),
        size(&entry.kind).map_or_else(String::new, |size| size.to_string()),
        instant(entry.modified.into()),
        path_text(entry.path.as_bytes()),
    )
}

/// What programs are told of an entry.
pub(super) fn members(entry: &Entry) -> Value {
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

/// The letter of an entry's type.
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

/// The name of an entry's type.
pub(super) const fn type_name(kind: &EntryKind) -> &'static str {
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
}
