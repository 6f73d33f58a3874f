//! Archive, archive again, restore, check: over memory and over a folder.

use std::fs;
use std::sync::Arc;

use strongroom::backup::{BackupOptions, ParentChoice};
use strongroom::chunk::ChunkerParameters;
use strongroom::control::Control;
use strongroom::location::{CreateOptions, Location, OpenOptions};
use strongroom::snapshot::{Snapshot, load_all};
use strongroom::store::ObjectName;
use strongroom::store::connect::{StoreOptions, connect};
use strongroom::{Cause, Error};

use crate::location::{
    Told, archive, archive_with, assert_restores, assert_whole, check_all, create, create_as,
    memory, objects, open, prune_at_once, raw_key, small_chunks, wrap,
};
use crate::support::{make_rich_tree, pattern, temporary};

#[tokio::test]
async fn a_tree_comes_back_equal() {
    let (_folder, root) = temporary();
    make_rich_tree(&root);
    let store = memory();
    let snapshot = archive(&create(&store).await, &root).await.unwrap();
    assert_eq!(snapshot.commit.statistics.unreadable, 0);
    let location = open(&store).await.unwrap();
    assert_eq!(load_all(&location).await.unwrap(), std::slice::from_ref(&snapshot));
    assert_restores(&location, &snapshot, &root).await;
    assert_whole(&location).await;
}

#[tokio::test]
async fn a_folder_is_a_store_too() {
    let (_folder, root) = temporary();
    make_rich_tree(&root);
    let (_store_folder, at) = temporary();
    let url = format!("file://{}/new/location", at.display());
    let options = StoreOptions { create_folder: true, ..StoreOptions::default() };
    let store = connect(&url, &options).unwrap();
    let location = Location::create(store, raw_key(1), &small_chunks()).await.unwrap();
    let location = Arc::new(location);
    assert!(location.format().capabilities.create_if_absent);
    let snapshot = archive(&location, &root).await.unwrap();
    assert_restores(&location, &snapshot, &root).await;
    assert_whole(&location).await;
}

#[tokio::test]
async fn an_unchanged_tree_is_neither_read_nor_stored_again() {
    let (_folder, root) = temporary();
    for n in 0..40 {
        fs::write(root.join(format!("{n}")), pattern(50_000 + n * 1000)).unwrap();
    }
    // Past the grain of file times, within which a file may have changed unnoticed.
    std::thread::sleep(std::time::Duration::from_millis(60));
    let location = create(&memory()).await;
    let first = archive(&location, &root).await.unwrap().commit.statistics;
    let second = archive(&location, &root).await.unwrap();
    let statistics = second.commit.statistics;
    assert_eq!(statistics.bytes_read, 0);
    assert_eq!(statistics.files_unchanged, 40);
    assert_eq!(statistics.chunks_new, 0);
    assert!(statistics.bytes_stored * 100 < first.bytes_stored, "{statistics:?}\n{first:?}");
    assert_restores(&location, &second, &root).await;
}

#[tokio::test]
async fn equal_content_is_stored_once_within_and_across_snapshots() {
    let (_folder, root) = temporary();
    let content = pattern(600_000);
    fs::write(root.join("one"), &content).unwrap();
    fs::write(root.join("two"), &content).unwrap();
    let location = create(&memory()).await;
    let first = archive(&location, &root).await.unwrap();
    assert_eq!(first.commit.statistics.bytes_new, 600_000);
    // Moved and with a few bytes in the middle changed: read again, hardly stored.
    let mut changed = content;
    changed[300_000..300_010].fill(0);
    fs::remove_file(root.join("two")).unwrap();
    fs::write(root.join("three"), &changed).unwrap();
    let options = BackupOptions { parent: ParentChoice::None, ..BackupOptions::default() };
    let second = archive_with(&location, &root, options, &Control::default()).await.unwrap();
    let statistics = second.commit.statistics;
    assert_eq!(statistics.bytes_read, 1_200_000);
    assert!(statistics.bytes_new < 40_000, "{statistics:?}");
    assert_restores(&location, &second, &root).await;
    assert_whole(&location).await;
}

#[tokio::test]
async fn large_files_are_cut_and_written_by_several_threads() {
    let (_folder, root) = temporary();
    let mut large = pattern(13_000_000);
    large.extend(vec![0; 3_000_000]);
    large.extend(pattern(5));
    fs::write(root.join("large"), &large).unwrap();
    fs::write(root.join("small"), b"beside it").unwrap();
    let location = create(&memory()).await;
    let snapshot = archive(&location, &root).await.unwrap();
    assert_restores(&location, &snapshot, &root).await;
}

#[tokio::test]
async fn an_unreadable_file_costs_neither_its_neighbours_nor_silence() {
    let (_folder, root) = temporary();
    fs::write(root.join("a"), b"before").unwrap();
    fs::write(root.join("b"), b"unreadable").unwrap();
    fs::write(root.join("c"), b"behind").unwrap();
    let location = create(&memory()).await;
    let told = Arc::new(Told::default());
    let tree = Vanishing::new(&root, "b");
    let options = BackupOptions { host: "host".into(), ..BackupOptions::default() };
    let control = Control::new(told.clone());
    let clock = strongroom::clock::SystemClock;
    let snapshot = strongroom::backup::backup(&location, Arc::new(tree), options, &clock, &control)
        .await
        .unwrap();
    assert_eq!(snapshot.commit.statistics.unreadable, 1);
    assert_eq!(snapshot.commit.statistics.files, 2);
    let troubles = told.troubles.lock().unwrap().join("\n");
    assert!(troubles.contains("cannot open b"), "{troubles}");
    fs::remove_file(root.join("b")).unwrap();
    let (_to, restored) = temporary();
    let unpacked = crate::location::unpack(&location, &snapshot, &restored, &control).await;
    assert_eq!(unpacked.unwrap().failures, 0);
    assert_eq!(fs::read(restored.join("a")).unwrap(), b"before");
    assert_eq!(fs::read(restored.join("c")).unwrap(), b"behind");
}

/// A tree in which one name cannot be opened any more when its turn comes.
struct Vanishing {
    tree: strongroom::fs::walk::LocalTree,
    name: &'static str,
}

impl Vanishing {
    fn new(root: &std::path::Path, name: &'static str) -> Self {
        let options = strongroom::fs::walk::WalkOptions::default();
        let tree = strongroom::fs::walk::LocalTree::open(&[root.to_owned()], options).unwrap();
        Self { tree, name }
    }
}

impl strongroom::source::Source for Vanishing {
    fn walk(&self) -> Box<dyn Iterator<Item = strongroom::source::Found> + Send + '_> {
        self.tree.walk()
    }

    fn open(
        &self,
        entry: &strongroom::entry::Entry,
    ) -> std::io::Result<Box<dyn strongroom::source::SourceFile>> {
        if entry.path.name() == self.name.as_bytes() {
            return Err(std::io::ErrorKind::PermissionDenied.into());
        }
        self.tree.open(entry)
    }
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let empty = memory();
    let error = open(&empty).await.map(drop).unwrap_err();
    assert!(matches!(error, Error::NotALocation { .. }), "{error}");
    assert_eq!(error.cause(), Cause::Location);

    let store = memory();
    create(&store).await;
    let again = Location::create(wrap(store.clone()), raw_key(1), &CreateOptions::default()).await;
    let error = again.map(drop).unwrap_err();
    assert!(matches!(error, Error::LocationExists { .. }), "{error}");

    let other = Location::open(wrap(store), raw_key(2), &OpenOptions::default()).await;
    let error = other.map(drop).unwrap_err();
    assert_eq!(error.cause(), Cause::KeyWrong, "{error}");
    assert!(error.to_string().contains("keys/0"), "{error}");

    let barred = memory();
    let options = CreateOptions { readers: vec![raw_key(2)], ..CreateOptions::default() };
    let unreadable = Location::create(wrap(barred.clone()), raw_key(1), &options).await;
    assert_eq!(unreadable.map(drop).unwrap_err().cause(), Cause::KeyWrong);
    assert_eq!(
        objects(&barred).await,
        [],
        "nothing is left of a location that a reader cannot open"
    );

    let missing = connect("file:///no/such/folder", &StoreOptions::default());
    assert_eq!(missing.map(drop).unwrap_err().cause(), Cause::StoreMissing);
    for bad in ["", "/folder", "ftp://x", "s3:bucket", "s3://", "file://relative", "http://h/b"] {
        let error = connect(bad, &StoreOptions::default()).map(drop).unwrap_err();
        assert!(matches!(error, Error::StoreUrl { .. }), "{bad}: {error}");
    }
}

#[tokio::test]
async fn an_interrupted_creation_is_completed_by_the_next() {
    let store = memory();
    let id = create(&store).await.id();
    let format = object_store::path::Path::from("format");
    object_store::ObjectStoreExt::delete(&*store, &format).await.unwrap();
    assert!(open(&store).await.is_err());
    assert_eq!(create(&store).await.id(), id);
}

#[tokio::test]
async fn a_stopped_backup_commits_nothing() {
    let (_folder, root) = temporary();
    fs::write(root.join("a"), pattern(100_000)).unwrap();
    let location = create(&memory()).await;
    let control = Control::default();
    control.stop();
    let stopped = archive_with(&location, &root, BackupOptions::default(), &control).await;
    assert!(matches!(stopped, Err(Error::Stopped)), "{stopped:?}");
    assert!(load_all(&location).await.unwrap().is_empty());
    assert_whole(&location).await;
}

#[tokio::test]
async fn a_cache_is_used_and_may_be_wrong_or_gone() {
    let (_folder, root) = temporary();
    fs::write(root.join("a"), pattern(100_000)).unwrap();
    let store = memory();
    create(&store).await;
    let (_cache_folder, cache) = temporary();
    let open = || async {
        let options = OpenOptions { cache: Some(cache.clone()) };
        Arc::new(Location::open(wrap(store.clone()), raw_key(1), &options).await.unwrap())
    };
    let snapshot = archive(&open().await, &root).await.unwrap();
    let location = open().await;
    let before = location.store().traffic().requests();
    let (catalog, all) = (location.catalog().await.unwrap(), load_all(&location).await.unwrap());
    assert_eq!(all, std::slice::from_ref(&snapshot));
    assert!(catalog.pack(root_pack(&snapshot)).is_some());
    assert_eq!(location.store().traffic().requests() - before, 2, "two listings and no read");
    for folder in ["index", "snapshots"] {
        let folder = cache.join(location.id().to_string()).join(folder);
        for file in fs::read_dir(folder).unwrap() {
            fs::write(
                file.unwrap().path(),
                b"lies that are longer than a hash of thirty-two bytes",
            )
            .unwrap();
        }
    }
    let location = open().await;
    assert!(location.catalog().await.unwrap().pack(root_pack(&snapshot)).is_some());
    assert_eq!(load_all(&location).await.unwrap(), [snapshot]);
    fs::remove_dir_all(&cache).unwrap();
    assert_whole(&open().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_index_is_looked_up_in_the_cache_and_may_be_damaged_there() {
    let (_folder, root) = temporary();
    fs::write(root.join("a"), pattern(30 << 20)).unwrap();
    let store = memory();
    let chunker = ChunkerParameters { bytes_min: 256, bytes_average: 1024, bytes_max: 4096 };
    create_as(&store, &CreateOptions { chunker, ..CreateOptions::default() }).await;
    let (_cache_folder, cache) = temporary();
    let open = || async {
        let options = OpenOptions { cache: Some(cache.clone()) };
        Arc::new(Location::open(wrap(store.clone()), raw_key(1), &options).await.unwrap())
    };
    let anew = BackupOptions { parent: ParentChoice::None, ..BackupOptions::default() };
    let first = archive(&open().await, &root).await.unwrap();
    // A collector merges what the archive wrote.
    prune_at_once(&open().await).await.unwrap();
    open().await.catalog().await.unwrap();
    let pages = || {
        let folder = fs::read_dir(&cache).unwrap().next().unwrap().unwrap().path().join("index");
        let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|end| end == "paged")).collect::<Vec<_>>()
    };
    let [file] = &pages()[..] else { panic!("{:?}", pages()) };
    let length = fs::metadata(file).unwrap().len();
    assert!(length > 1 << 20, "{length}");

    let location = open().await;
    let before = location.store().traffic().requests();
    location.catalog().await.unwrap();
    assert_eq!(location.store().traffic().requests() - before, 1, "a listing and no read");
    let again = archive_with(&location, &root, anew.clone(), &Control::default()).await.unwrap();
    assert_eq!(again.commit.statistics.chunks_new, 0);
    assert_restores(&location, &again, &root).await;

    // Pages that are damaged: what they say is not known, and stored once more.
    let mut bytes = fs::read(file).unwrap();
    bytes[100_000..600_000].fill(0xff);
    fs::write(file, &bytes).unwrap();
    let again = archive_with(&open().await, &root, anew, &Control::default()).await.unwrap();
    let (new, all) = (again.commit.statistics.chunks_new, first.commit.statistics.chunks_new);
    assert!(new > 100 && new < all, "{new} of {all}");
    assert_restores(&open().await, &again, &root).await;
    // Collectors do not believe it at all.
    prune_at_once(&open().await).await.unwrap();
    assert_whole(&open().await).await;
    assert_restores(&open().await, &first, &root).await;
}

/// The pack that a snapshot's root lies in.
fn root_pack(snapshot: &Snapshot) -> ObjectName {
    let root = snapshot.commit.tree.as_ref().unwrap().block().unwrap();
    ObjectName::MetaPack(root.at.segment.pack)
}

#[tokio::test]
async fn a_check_tells_leftovers_from_damage() {
    let (_folder, root) = temporary();
    fs::write(root.join("a"), pattern(100_000)).unwrap();
    let store = memory();
    let location = create(&store).await;
    archive(&location, &root).await.unwrap();
    let key = object_store::path::Path::from("somebody/else's");
    object_store::ObjectStoreExt::put(&*store, &key, "x".into()).await.unwrap();
    let report = check_all(&location).await.unwrap();
    assert!(report.problems.is_empty());
    assert_eq!(report.foreign, ["somebody/else's"]);
}
