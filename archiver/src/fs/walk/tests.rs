//! Walks of small trees, entry by entry.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::Mode;

use super::examine::NAMES_PER_PART;
use super::*;
use crate::entry::EntryKind;

fn walk(paths: &[&Path], options: WalkOptions) -> (Vec<Entry>, Vec<Found>) {
    let paths: Vec<PathBuf> = paths.iter().map(|path| path.to_path_buf()).collect();
    let tree = LocalTree::open(&paths, options).unwrap();
    let (mut entries, mut others) = (Vec::new(), Vec::new());
    for found in tree.walk() {
        match found {
            Found::Entry(entry) => entries.push(entry),
            other => others.push(other),
        }
    }
    (entries, others)
}

fn paths_of(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(|entry| entry.path.to_string()).collect()
}

#[test]
fn entries_come_in_order_and_none_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let mut wanted = BTreeSet::from([String::new()]);
    for outer in ["a", "a-b", "b", "c"] {
        for inner in ["x", "y/z"] {
            fs::create_dir_all(dir.path().join(outer).join(inner)).unwrap();
            wanted.extend([outer.to_owned(), format!("{outer}/{inner}")]);
        }
        wanted.insert(format!("{outer}/y"));
    }
    for number in 0..NAMES_PER_PART * 3 + 5 {
        fs::write(dir.path().join(format!("b/{number}")), b"").unwrap();
        wanted.insert(format!("b/{number}"));
    }
    for walkers in [1, 4] {
        let options = WalkOptions { walkers, ..WalkOptions::default() };
        let (entries, others) = walk(&[dir.path()], options);
        assert!(others.is_empty(), "{others:?}");
        assert!(entries.is_sorted_by(|a, b| a.path < b.path));
        assert_eq!(paths_of(&entries).into_iter().collect::<BTreeSet<_>>(), wanted);
    }
}

#[test]
fn what_is_no_file_is_captured_or_reported() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    symlink("no/where", at("link")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, at("fifo"), rustix::fs::FileType::Fifo, Mode::RUSR, 0)
        .unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    fs::write(at("file"), b"12345").unwrap();
    fs::hard_link(at("file"), at("other")).unwrap();
    let (entries, others) = walk(&[dir.path()], WalkOptions::default());
    let find = |name: &str| entries.iter().find(|e| e.path.name() == name.as_bytes()).unwrap();
    assert_eq!(find("link").kind, EntryKind::Symlink { target: b"no/where".to_vec() });
    assert_eq!(find("fifo").kind, EntryKind::Fifo);
    assert_eq!(find("file").kind, EntryKind::File { size: 5 });
    assert_eq!((find("file").inode, find("file").links), (find("other").inode, 2));
    assert!(matches!(others.as_slice(), [Found::Skipped(t)] if t.path == b"socket"));
}

#[test]
fn names_are_bytes_and_links_out_of_the_tree_are_not_followed() {
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), b"").unwrap();
    let name = std::ffi::OsStr::from_bytes(b"\xff\xfe\n");
    fs::write(dir.path().join(name), b"").unwrap();
    symlink(outside.path(), dir.path().join("out")).unwrap();
    let (entries, _) = walk(&[dir.path()], WalkOptions::default());
    let names: Vec<&[u8]> = entries.iter().map(|entry| entry.path.as_bytes()).collect();
    assert_eq!(names, [b"".as_slice(), b"out", b"\xff\xfe\n"]);
}

#[test]
fn what_is_excluded_or_left_out_is_not_entered() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["keep/src", "keep/target/deep", "store/packs"] {
        fs::create_dir_all(dir.path().join(name)).unwrap();
    }
    let store = {
        let stat = rustix::fs::stat(dir.path().join("store")).unwrap();
        InodeId { device: stat.st_dev, inode: stat.st_ino }
    };
    let options = WalkOptions {
        exclude: Some(Patterns::new(&["target/"]).unwrap()),
        leave_out: vec![store],
        ..WalkOptions::default()
    };
    let (entries, others) = walk(&[dir.path()], options);
    assert_eq!(paths_of(&entries), ["", "keep", "keep/src"]);
    assert!(matches!(others.as_slice(), [Found::Skipped(t)] if t.path == b"store"));
}

#[test]
fn several_roots_stand_side_by_side_and_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["one", "two"] {
        fs::create_dir(dir.path().join(name)).unwrap();
        fs::write(dir.path().join(name).join("f"), name).unwrap();
    }
    fs::write(dir.path().join("single"), b"alone").unwrap();
    let paths = ["two", "one", "single"].map(|name| dir.path().join(name));
    let tree = LocalTree::open(&paths, WalkOptions::default()).unwrap();
    let mut read = Vec::new();
    for found in tree.walk() {
        let Found::Entry(entry) = found else { panic!("{found:?}") };
        if let EntryKind::File { size } = entry.kind {
            let mut bytes = vec![0; usize::try_from(size).unwrap()];
            tree.open(&entry).unwrap().read_at(0, &mut bytes).unwrap();
            read.push((entry.path.to_string(), String::from_utf8(bytes).unwrap()));
        }
    }
    let wanted = [("single", "alone"), ("one/f", "one"), ("two/f", "two")];
    assert_eq!(read, wanted.map(|(path, bytes)| (path.to_owned(), bytes.to_owned())));
}

#[test]
fn roots_of_one_name_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a/same", "b/same"] {
        fs::create_dir_all(dir.path().join(name)).unwrap();
    }
    let paths = ["a/same", "b/same"].map(|name| dir.path().join(name));
    let error = LocalTree::open(&paths, WalkOptions::default()).unwrap_err();
    assert!(matches!(error, RootError::SameName { name, .. } if name == b"same"));
}

#[test]
fn holes_are_known_and_a_swapped_file_is_noticed() {
    use std::os::unix::fs::FileExt;
    let dir = tempfile::tempdir().unwrap();
    let sparse = fs::File::create(dir.path().join("sparse")).unwrap();
    sparse.set_len(4 << 20).unwrap();
    sparse.write_all_at(&[7; 4096], 1 << 20).unwrap();
    let tree = LocalTree::open(&[dir.path().to_owned()], WalkOptions::default()).unwrap();
    let entry = tree
        .walk()
        .find_map(|found| match found {
            Found::Entry(entry) if entry.path.name() == b"sparse" => Some(entry),
            _ => None,
        })
        .unwrap();
    let mut file = tree.open(&entry).unwrap();
    let data = file.next_data(0).unwrap().unwrap();
    assert!(data.start <= 1 << 20 && data.end >= (1 << 20) + 4096, "{data:?}");
    assert!(data.end - data.start < 1 << 20, "the holes count as data: {data:?}");
    assert_eq!(file.next_data(data.end).unwrap(), None);
    assert!(file.state().unwrap().matches(&entry));
    sparse.write_all_at(b"changed", 0).unwrap();
    assert!(!file.state().unwrap().matches(&entry));
    fs::write(dir.path().join("new"), b"").unwrap();
    fs::rename(dir.path().join("new"), dir.path().join("sparse")).unwrap();
    assert!(tree.open(&entry).is_err());
}

#[test]
fn a_walk_that_is_dropped_ends_its_threads() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..200 {
        fs::create_dir(dir.path().join(number.to_string())).unwrap();
    }
    let tree = LocalTree::open(&[dir.path().to_owned()], WalkOptions::default()).unwrap();
    let mut walk = tree.walk();
    assert!(walk.next().is_some());
    drop(walk);
    assert_eq!(Arc::strong_count(&tree.inner), 1);
}

#[test]
fn caches_are_archived_as_their_tag_only() {
    let dir = tempfile::tempdir().unwrap();
    for (name, tag) in [
        ("cache", b"Signature: 8a477f597d28d172789f06886806bc55\n# made by a test".as_slice()),
        ("forged", b"Signature: 8a477f597d28d172789f06886806bc56"),
        ("short", b"Signature"),
    ] {
        fs::create_dir_all(dir.path().join(name).join("deep")).unwrap();
        fs::write(dir.path().join(name).join("CACHEDIR.TAG"), tag).unwrap();
        fs::write(dir.path().join(name).join("content"), b"").unwrap();
    }
    // Not even a FIFO of that name stops the walk.
    fs::create_dir(dir.path().join("fifo")).unwrap();
    let fifo = dir.path().join("fifo/CACHEDIR.TAG");
    rustix::fs::mknodat(rustix::fs::CWD, fifo, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
    let options = WalkOptions { exclude_caches: true, ..WalkOptions::default() };
    let (entries, others) = walk(&[dir.path()], options);
    let wanted = [
        "",
        "cache",
        "fifo",
        "forged",
        "short",
        "cache/CACHEDIR.TAG",
        "fifo/CACHEDIR.TAG",
        "forged/CACHEDIR.TAG",
        "forged/content",
        "forged/deep",
        "short/CACHEDIR.TAG",
        "short/content",
        "short/deep",
    ];
    assert_eq!(paths_of(&entries), wanted);
    assert!(others.is_empty());
    assert_eq!(walk(&[dir.path()], WalkOptions::default()).0.len(), wanted.len() + 2);
}

#[test]
fn each_gitignore_file_speaks_for_what_lies_below_it() {
    let dir = tempfile::tempdir().unwrap();
    let files = [
        (".gitignore", "*.o\n# comment\n/build/\n!kept.o\n[\n"),
        ("build/out", ""),
        ("a.o", ""),
        ("kept.o", ""),
        ("src/.gitignore", "!b.o\n/local\n"),
        ("src/b.o", ""),
        ("src/c.o", ""),
        ("src/local", ""),
        ("src/build/inner", ""),
        ("src/deep/local", ""),
        ("local", ""),
    ];
    for (name, content) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let options = WalkOptions { gitignore: true, ..WalkOptions::default() };
    let wanted = [
        "",
        ".gitignore",
        "kept.o",
        "local",
        "src",
        "src/.gitignore",
        "src/b.o",
        "src/build",
        "src/deep",
        "src/build/inner",
        "src/deep/local",
    ];
    assert_eq!(paths_of(&walk(&[dir.path()], options.clone()).0), wanted);
    // The same under a made-up root.
    let other = tempfile::tempdir().unwrap();
    let name = dir.path().file_name().unwrap().to_str().unwrap();
    let (entries, _) = walk(&[dir.path(), other.path()], options);
    let below: Vec<String> = paths_of(&entries)
        .iter()
        .filter_map(|path| Some(path.strip_prefix(name)?.trim_start_matches('/').to_owned()))
        .collect();
    assert_eq!(below, wanted);
}

#[test]
fn large_files_are_left_out_and_said_to_be() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("at"), [0; 100]).unwrap();
    fs::write(dir.path().join("above"), [0; 101]).unwrap();
    let options = WalkOptions { larger_than: Some(100), ..WalkOptions::default() };
    let (entries, others) = walk(&[dir.path()], options);
    assert_eq!(paths_of(&entries), ["", "at"]);
    assert!(matches!(others.as_slice(), [Found::Skipped(t)] if t.path == b"above"));
}
