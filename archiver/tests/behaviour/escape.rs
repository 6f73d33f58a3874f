//! Promise A4: a restore never leaves its target.
//!
//! A hostile snapshot, and a target in which somebody has planted links, against every way of
//! treating what exists. Around the target stands a canary tree; it must come out of it unchanged
//! to the last attribute, change times and link counts among them.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use strongroom::entry::{Entry, EntryKind, EntryPath, InodeId, Timestamp};
use strongroom::fs::restore::{LocalTarget, Overwrite, RestoreOptions};
use strongroom::target::{CreatedFile, Target};

use crate::support::{entries_of, path, temporary};

fn entry(at: EntryPath, kind: EntryKind) -> Entry {
    Entry {
        path: at,
        kind,
        mode: 0o6777,
        uid: 0,
        gid: 0,
        user: None,
        group: None,
        modified: Timestamp { seconds: 1, nanoseconds: 1 },
        changed: Timestamp::default(),
        born: None,
        inode: InodeId { device: 1, inode: 1 },
        links: 1,
        xattrs: vec![(b"user.hostile".to_vec(), b"yes".to_vec())],
        flags: 0,
    }
}

/// Byte strings that must not become paths at all.
const NO_PATHS: [&[u8]; 10] = [
    b"..",
    b"../outside/canary",
    b"a/../../outside/canary",
    b"/outside",
    b"/",
    b"a//b",
    b"./a",
    b"a/.",
    b"a\0b",
    b"a/..",
];

/// What a hostile snapshot calls things once its paths are plain: through planted links, by names
/// that are too long, not text, or look like something else elsewhere.
fn hostile_paths() -> Vec<EntryPath> {
    let mut paths: Vec<EntryPath> = [
        "up/canary",
        "up/new",
        "up/dir/new",
        "up",
        "absolute/canary",
        "absolute/new",
        "absolute",
        "leaf",
        "dangling",
        "self",
        "self/x",
        "proc/cwd/new",
        "hard",
        "chain/canary",
        "chain/dir",
        "in/side/up/canary",
        "...",
        "..\\..\\outside\\canary",
        "C:\\canary",
        "CON",
        "UP/canary",
        "file/below",
        "planted-dir/up/canary",
    ]
    .map(path)
    .to_vec();
    paths.push(path(b"\xff\xfe/\x01\x1b[2J"));
    paths.push(path("n".repeat(256)));
    paths.push(path(vec!["d".repeat(200); 30].join("/")));
    paths
}

fn hostile_kinds() -> Vec<EntryKind> {
    vec![
        EntryKind::File { size: 7 },
        EntryKind::Directory,
        EntryKind::Symlink { target: b"../outside".to_vec() },
        EntryKind::Symlink { target: b"/".to_vec() },
        EntryKind::Fifo,
    ]
}

/// A canary tree, and beside it a target full of links to it.
fn plant(dir: &Path) {
    let (outside, target) = (dir.join("outside"), dir.join("target"));
    fs::create_dir_all(outside.join("dir")).unwrap();
    fs::write(outside.join("canary"), b"alive").unwrap();
    fs::create_dir_all(target.join("in/side")).unwrap();
    fs::create_dir_all(target.join("planted-dir")).unwrap();
    fs::write(target.join("file"), b"").unwrap();
    symlink("../outside", target.join("up")).unwrap();
    symlink("../../../outside", target.join("in/side/up")).unwrap();
    symlink("../../outside", target.join("planted-dir/up")).unwrap();
    symlink(&outside, target.join("absolute")).unwrap();
    symlink("../outside/canary", target.join("leaf")).unwrap();
    symlink("../outside/not-there", target.join("dangling")).unwrap();
    symlink("self", target.join("self")).unwrap();
    symlink("/proc/self", target.join("proc")).unwrap();
    symlink("up", target.join("chain")).unwrap();
    fs::hard_link(outside.join("canary"), target.join("hard")).unwrap();
}

fn restore_one(target: &LocalTarget, entry: &Entry) {
    // Whether it succeeds is not the point: many of these are fine names of harmless objects.
    match &entry.kind {
        EntryKind::File { .. } => {
            if let Ok(CreatedFile::Write(file)) = target.create_file(entry) {
                let _ = file.write_at(0, b"hostile");
                let _ = file.finish(entry);
            }
            // And once abandoned half-way.
            if let Ok(CreatedFile::Write(file)) = target.create_file(entry) {
                let _ = file.write_at(0, b"hostile");
            }
        }
        EntryKind::Directory => {
            let _ = target.create_directory(entry);
            let _ = target.finish_directory(entry);
        }
        _ => {
            let _ = target.create_special(entry);
        }
    }
    let _ = target.finish_directory(entry);
}

#[test]
fn nothing_hostile_leaves_the_target() {
    for bytes in NO_PATHS {
        assert!(EntryPath::from_bytes(bytes.to_vec()).is_none(), "{}", bytes.escape_ascii());
    }
    let originals = ["up/canary", "leaf", "absolute/canary", "hard", "chain/canary", "up"];
    let (mut tried, mut escapes) = (0, 0);
    for overwrite in [Overwrite::Never, Overwrite::IfChanged, Overwrite::Always] {
        for at in hostile_paths() {
            let (_dir, dir) = temporary();
            plant(&dir);
            let outside = dir.join("outside");
            let before = entries_of(&outside);
            let options = RestoreOptions { overwrite, numeric_owners: true };
            let target = LocalTarget::open(&dir.join("target"), options).unwrap();
            for kind in hostile_kinds() {
                restore_one(&target, &entry(at.clone(), kind));
                tried += 1;
            }
            for original in originals {
                let link = entry(at.clone(), EntryKind::File { size: 5 });
                let _ = target.create_link(&link, &path(original));
                tried += 1;
            }
            // Linking to or unlinking the one name that the canary has inside changes its count
            // and its change time by design; everything else must stand as it did.
            let mut after = entries_of(&outside);
            for entry in before.iter().zip(&mut after) {
                if entry.0.path.name() == b"canary" && entry.0.links > 1 {
                    (entry.1.links, entry.1.changed) = (entry.0.links, entry.0.changed);
                }
            }
            if before != after || fs::read(outside.join("canary")).unwrap() != b"alive" {
                escapes += 1;
                let _ = writeln!(std::io::stderr(), "{overwrite:?} {at}: {after:?}");
            }
            let names: Vec<_> =
                fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name()).collect();
            escapes += names.len() - 2;
        }
    }
    let _ = writeln!(
        std::io::stderr(),
        "A4: {} refused paths, {tried} hostile objects, {escapes} escapes",
        NO_PATHS.len()
    );
    assert_eq!(escapes, 0);
}

#[test]
fn a_link_of_the_snapshot_does_not_carry_its_children_out() {
    for overwrite in [Overwrite::Never, Overwrite::IfChanged, Overwrite::Always] {
        let (_dir, dir) = temporary();
        fs::create_dir(dir.join("outside")).unwrap();
        let options = RestoreOptions { overwrite, numeric_owners: true };
        let target = LocalTarget::open(&dir.join("target"), options).unwrap();
        let link = EntryKind::Symlink { target: b"../outside".to_vec() };
        // Its attribute cannot be set on a link; the link stands all the same.
        let _ = target.create_special(&entry(path("d"), link));
        assert!(dir.join("target/d").is_symlink());
        for child in [EntryKind::File { size: 7 }, EntryKind::Directory, EntryKind::Fifo] {
            restore_one(&target, &entry(path("d/child"), child));
        }
        assert_eq!(fs::read_dir(dir.join("outside")).unwrap().count(), 0);
    }
}
