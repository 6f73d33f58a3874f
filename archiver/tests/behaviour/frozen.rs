//! A8: a location that an earlier build wrote is read, checked, restored and added to by this one.
//!
//! `testdata/location-1` was written by the first build of format version 1, from a tree that `make_rich_tree` and a
//! change to it make, under the raw AES key of the other tests; `listing-1.txt` is what its snapshots hold. They stay as
//! they are: a build that changes the format reads them too. [`freeze`] wrote them.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use strongroom::backup::{BackupOptions, ParentChoice};
use strongroom::control::Control;
use strongroom::entry::EntryKind;
use strongroom::location::{Location, OpenOptions};
use strongroom::snapshot::{Cursor, Direction, Snapshot, load_all};
use strongroom::store::connect::{StoreOptions, connect};

use crate::location::{
    archive, archive_with, assert_restores, assert_whole, prune_at_once, raw_key, small_chunks,
    unpack,
};
use crate::support::{figure, make_rich_tree, pattern, set_time, temporary};

/// Bytes of the largest file.
const LARGE: usize = 200_000;

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

async fn open_folder(folder: &Path) -> Arc<Location> {
    let store = connect(&format!("file://{}", folder.display()), &StoreOptions::default()).unwrap();
    Arc::new(Location::open(store, raw_key(1), &OpenOptions::default()).await.unwrap())
}

/// What a snapshot holds, line by line: what an entry is, and a hash of its restored content.
async fn listing(location: &Arc<Location>, snapshot: &Snapshot) -> String {
    let to = tempfile::tempdir().unwrap();
    let to = to.path().join("restored");
    fs::create_dir(&to).unwrap();
    // Owners can be given away by the root only, and are compared as they were stored.
    unpack(location, snapshot, &to, &Control::default()).await.unwrap();
    let mut text = format!("snapshot {} of {}\n", snapshot.id, snapshot.commit.host);
    let reader = location.reader(None);
    let (root, level) = snapshot.root().unwrap().unwrap();
    let mut cursor = Cursor::new(&reader, root, level, Direction::Forward);
    while let Some(leaf) = cursor.next_leaf().await.unwrap() {
        for node in leaf {
            let entry = node.entry;
            let path = entry.path.as_bytes();
            let content = match entry.kind {
                EntryKind::File { .. } => {
                    let bytes = fs::read(to.join(std::ffi::OsStr::from_bytes(path))).unwrap();
                    blake3::hash(&bytes).to_hex().to_string()
                }
                _ => "-".to_owned(),
            };
            let name = String::from_utf8_lossy(path).escape_debug().to_string();
            let attribute = |(name, value): &(Vec<u8>, Vec<u8>)| {
                let text = |bytes| String::from_utf8_lossy(bytes).escape_debug().to_string();
                format!("{}={}", text(name), text(value))
            };
            let attributes: Vec<String> = entry.xattrs.iter().map(attribute).collect();
            writeln!(
                text,
                "{name}\t{:?}\t{:o}\t{}.{:09}\t{content}\t{}:{} {}\t{}",
                entry.kind,
                entry.mode,
                entry.modified.seconds,
                entry.modified.nanoseconds,
                entry.uid,
                entry.gid,
                entry.links,
                attributes.join(" "),
            )
            .unwrap();
        }
    }
    text
}

async fn listings(location: &Arc<Location>) -> String {
    let mut text = String::new();
    for snapshot in load_all(location).await.unwrap() {
        text += &listing(location, &snapshot).await;
    }
    text
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_location_of_format_version_1_is_read_and_added_to() {
    let (_folder, folder) = temporary();
    let store = folder.join("store");
    copy_folder(&testdata("location-1"), &store);
    let location = open_folder(&store).await;
    assert_whole(&location).await;
    let expected = fs::read_to_string(testdata("listing-1.txt")).unwrap();
    assert_eq!(listings(&location).await, expected);

    // What it stored is found by this build: content that it knows is not stored again.
    let tree = folder.join("tree");
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("large"), pattern(LARGE)).unwrap();
    let options = BackupOptions { parent: ParentChoice::None, ..BackupOptions::default() };
    let added = archive_with(&location, &tree, options, &Control::default()).await.unwrap();
    assert_eq!(added.commit.statistics.bytes_new, 0, "{:?}", added.commit.statistics);
    assert_restores(&location, &added, &tree).await;
    prune_at_once(&location).await.unwrap();
    assert_whole(&location).await;
    assert!(listings(&location).await.starts_with(&expected));
    let count = expected.matches("snapshot ").count();
    figure(&format!("A8: {count} snapshots of format version 1 read, restored equal and added to"));
}

/// Writes the frozen location anew: for a new version of the format only, under a new name.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes testdata; run it by name for a new version of the format"]
async fn freeze() {
    let folder = testdata("location-new");
    fs::create_dir_all(&folder).unwrap();
    let options = StoreOptions { create_folder: true, ..StoreOptions::default() };
    let store = connect(&format!("file://{}", folder.display()), &options).unwrap();
    let location = Location::create(store, raw_key(1), &small_chunks()).await.unwrap();
    let location = Arc::new(location);
    let (_tree, tree) = temporary();
    make_rich_tree(&tree);
    // Smaller than it comes: this is kept in the repository.
    fs::write(tree.join("dir/large"), pattern(LARGE)).unwrap();
    set_time(&tree.join("dir/large"), 1_000_000_001, 5);
    archive(&location, &tree).await.unwrap();
    fs::write(tree.join("dir/added"), pattern(100_001)).unwrap();
    fs::remove_file(tree.join("sparse")).unwrap();
    archive(&location, &tree).await.unwrap();
    fs::write(testdata("listing-new.txt"), listings(&location).await).unwrap();
}
