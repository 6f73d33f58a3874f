//! What several of the behaviour tests need.

use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use strongroom::entry::{Entry, EntryKind, EntryPath};
use strongroom::fs::restore::{LocalTarget, RestoreOptions};
use strongroom::fs::walk::{LocalTree, WalkOptions};
use strongroom::source::{Found, Source};
use strongroom::target::{CreatedFile, Target};

/// Says on the real standard error that something was not tested: the harness swallows what
/// `eprintln!` writes.
pub(crate) fn skipped(what: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {what}: {why}");
}

/// Prints the figure that proves a promise, on the real standard error.
pub(crate) fn figure(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// An entry path from bytes that are known to be one.
pub(crate) fn path(bytes: impl AsRef<[u8]>) -> EntryPath {
    EntryPath::from_bytes(bytes.as_ref().to_vec()).expect("a plain path")
}

/// Everything that a walk of `root` hands out that is an entry.
pub(crate) fn entries_of(root: &Path) -> Vec<Entry> {
    let tree = LocalTree::open(&[root.to_owned()], WalkOptions::default()).expect("opens");
    tree.walk()
        .filter_map(|found| match found {
            Found::Entry(entry) => Some(entry),
            _ => None,
        })
        .collect()
}

/// A tree with one of nearly everything that a file system can hold and this process may make.
pub(crate) fn make_rich_tree(root: &Path) {
    let at = |name: &str| root.join(name);
    fs::create_dir_all(at("dir/sub/deep")).unwrap();
    fs::create_dir(at("empty")).unwrap();
    fs::write(at("file"), b"plain content").unwrap();
    fs::write(at("zero"), b"").unwrap();
    fs::write(at("dir/large"), pattern(3_000_000)).unwrap();
    fs::write(root.join(std::ffi::OsStr::from_bytes(b"raw \xff\xfe name\n")), b"bytes").unwrap();
    fs::hard_link(at("file"), at("dir/sub/other name of file")).unwrap();
    symlink("../no/where", at("dir/dangling")).unwrap();
    symlink("file", at("link")).unwrap();
    let sparse = fs::File::create(at("sparse")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, &[9; 5000], 3 << 20).unwrap();
    sparse.set_len(8 << 20).unwrap();
    make_fifo(&at("fifo"));
    set_mode(&at("zero"), 0o4751);
    set_mode(&at("dir/sub"), 0o2770);
    set_mode(&at("empty"), 0o1555);
    set_mode(&at("file"), 0o400);
    if !set_xattr(&at("dir/large"), "user.colour", b"green\0blue") {
        skipped("extended attributes", "the temporary folder's file system keeps none");
    }
    for (number, name) in
        ["file", "dir/large", "dir/sub", "empty", "dir", "zero"].iter().enumerate()
    {
        set_time(&at(name), 1_000_000_000 + number as i64, 123_456_789 + number as u32);
    }
}

/// Bytes that do not compress to nothing and differ from block to block.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    })
    .take(length)
    .collect()
}

/// Makes a FIFO.
pub(crate) fn make_fifo(path: &Path) {
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
    rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).unwrap();
}

/// Sets the permission bits of `path`.
pub(crate) fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Sets the modification time of `path`, links not followed.
pub(crate) fn set_time(path: &Path, seconds: i64, nanoseconds: u32) {
    let time = rustix::fs::Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() };
    let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
    let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
    rustix::fs::utimensat(rustix::fs::CWD, path, &times, flags).unwrap();
}

/// Sets an extended attribute; false where the file system keeps none.
pub(crate) fn set_xattr(path: &Path, name: &str, value: &[u8]) -> bool {
    match rustix::fs::lsetxattr(path, name, value, rustix::fs::XattrFlags::empty()) {
        Ok(()) => true,
        Err(rustix::io::Errno::NOTSUP) => false,
        Err(error) => panic!("{name}: {error}"),
    }
}

/// Restores what stands at `from` to `to` by hand, in the order that the engine keeps to, and
/// answers what failed.
pub(crate) fn copy_tree(from: &Path, to: &Path, options: RestoreOptions) -> Vec<String> {
    let tree = LocalTree::open(&[from.to_owned()], WalkOptions::default()).expect("opens");
    let target = LocalTarget::open(to, options).expect("opens");
    let entries = entries_of(from);
    let (mut failures, mut firsts) = (Vec::new(), std::collections::HashMap::new());
    for entry in &entries {
        let original: Option<&EntryPath> = firsts.get(&entry.inode);
        let result = match (&entry.kind, original) {
            (EntryKind::Directory, _) => target.create_directory(entry).map(drop),
            (_, Some(original)) => target.create_link(entry, original).map(drop),
            (EntryKind::File { .. }, None) => copy_file(&tree, &target, entry),
            _ => target.create_special(entry).map(drop),
        };
        if entry.links > 1 && entry.kind != EntryKind::Directory {
            firsts.entry(entry.inode).or_insert_with(|| entry.path.clone());
        }
        failures.extend(result.err().map(|error| format!("{}: {error}", entry.path)));
    }
    for entry in entries.iter().rev().filter(|entry| entry.kind == EntryKind::Directory) {
        let result = target.finish_directory(entry);
        failures.extend(result.err().map(|error| format!("{}: {error}", entry.path)));
    }
    failures.extend(target.seal().iter().map(ToString::to_string));
    failures
}

fn copy_file(tree: &LocalTree, target: &LocalTarget, entry: &Entry) -> std::io::Result<()> {
    let CreatedFile::Write(written) = target.create_file(entry)? else { return Ok(()) };
    let (mut file, mut from) = (tree.open(entry)?, 0);
    while let Some(data) = file.next_data(from)? {
        let mut bytes = vec![0; usize::try_from(data.end - data.start).unwrap()];
        assert_eq!(file.read_at(data.start, &mut bytes)?, bytes.len());
        written.write_at(data.start, &bytes)?;
        from = data.end;
    }
    written.finish(entry)
}

/// A folder with its full path, without symbolic links in it.
pub(crate) fn temporary() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap();
    (dir, path)
}
