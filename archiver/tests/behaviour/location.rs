//! A location in memory or in a folder, under a raw key, for tests of the engine.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt};
use strongroom::backup::{BackupOptions, backup};
use strongroom::check::{CheckOptions, Report, check};
use strongroom::clock::SystemClock;
use strongroom::control::{Control, Observer};
use strongroom::fs::compare::compare;
use strongroom::fs::restore::{LocalTarget, RestoreOptions as TargetOptions};
use strongroom::fs::walk::{LocalTree, WalkOptions};
use strongroom::location::{CreateOptions, Location, OpenOptions};
use strongroom::pack::WriterOptions;
use strongroom::prune::{PruneOptions, Pruned, prune};
use strongroom::restore::{RestoreOptions, Restored, restore};
use strongroom::snapshot::Snapshot;
use strongroom::source::Trouble;
use strongroom::store::{ObjectName, Store};
use strongroom::{Result, chunk::ChunkerParameters};
use strongroom_sdk::cmm::{DefaultCmm, MaterialsManager};
use strongroom_sdk::keyring::RawAesKeyring;
use strongroom_sdk::secret::SecretBytes;

/// Remembers what it was told.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) troubles: Mutex<Vec<String>>,
}

impl Observer for Told {
    fn trouble(&self, trouble: &Trouble) {
        self.troubles.lock().unwrap().push(trouble.to_string());
    }
}

/// A materials manager over the raw AES key whose bytes all are `byte`.
pub(crate) fn raw_key(byte: u8) -> Arc<dyn MaterialsManager> {
    Arc::new(DefaultCmm::new(Arc::new(raw_keyring(byte))))
}

/// The raw AES key whose bytes all are `byte`.
pub(crate) fn raw_keyring(byte: u8) -> RawAesKeyring {
    RawAesKeyring::new("tests", "key", SecretBytes::copy_of(&[byte; 32])).unwrap()
}

/// A fresh store in memory.
pub(crate) fn memory() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

/// Wraps a store as the archiver sees it.
pub(crate) fn wrap(inner: Arc<dyn ObjectStore>) -> Arc<Store> {
    Arc::new(Store::new(inner, Key::default(), "memory:".into()))
}

/// Small chunks, so that small trees have many.
pub(crate) fn small_chunks() -> CreateOptions {
    let chunker = ChunkerParameters { bytes_min: 1024, bytes_average: 4096, bytes_max: 16 << 10 };
    CreateOptions { chunker, ..CreateOptions::default() }
}

/// Packs and parts so small that small trees have several.
pub(crate) fn small_packs() -> WriterOptions {
    WriterOptions { pack_bytes: 512 << 10, part_bytes: 100_000 }
}

/// Makes a location in `inner` under [`raw_key`] 1.
pub(crate) async fn create(inner: &Arc<dyn ObjectStore>) -> Arc<Location> {
    create_as(inner, &small_chunks()).await
}

/// The same with options.
pub(crate) async fn create_as(
    inner: &Arc<dyn ObjectStore>,
    options: &CreateOptions,
) -> Arc<Location> {
    let store = wrap(inner.clone());
    Arc::new(Location::create(store, raw_key(1), options).await.unwrap())
}

/// Opens the location in `inner` with [`raw_key`] 1.
pub(crate) async fn open(inner: &Arc<dyn ObjectStore>) -> Result<Arc<Location>> {
    let options = OpenOptions::default();
    Location::open(wrap(inner.clone()), raw_key(1), &options).await.map(Arc::new)
}

/// Archives the tree at `root`.
pub(crate) async fn archive(location: &Arc<Location>, root: &Path) -> Result<Snapshot> {
    archive_with(location, root, BackupOptions::default(), &Control::default()).await
}

/// Archives the tree at `root`, in packs and parts so small that there are several.
pub(crate) async fn archive_with(
    location: &Arc<Location>,
    root: &Path,
    options: BackupOptions,
    control: &Control,
) -> Result<Snapshot> {
    let options = BackupOptions { packs: small_packs(), host: "host".into(), ..options };
    let tree = LocalTree::open(&[root.to_owned()], WalkOptions::default()).expect("opens");
    backup(location, Arc::new(tree), options, &SystemClock, control).await
}

/// Forgets a snapshot.
pub(crate) async fn forget(location: &Location, snapshot: &Snapshot) {
    location.store().delete(ObjectName::Snapshot(snapshot.id)).await.unwrap();
}

/// How to collect at once: whatever writer there is, it is dead, and no unneeded byte is tolerated.
pub(crate) fn at_once() -> PruneOptions {
    PruneOptions {
        dead_after: Duration::ZERO,
        unused_max_permille: 0,
        packs: small_packs(),
        ..PruneOptions::default()
    }
}

/// Collects at once.
pub(crate) async fn prune_at_once(location: &Arc<Location>) -> Result<Pruned> {
    prune(location, &at_once(), &Control::default()).await
}

/// All objects with their bytes.
pub(crate) async fn objects(store: &Arc<dyn ObjectStore>) -> Vec<(Key, Bytes)> {
    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    let mut objects = Vec::new();
    for meta in listed {
        let bytes = store.get(&meta.location).await.unwrap().bytes().await.unwrap();
        objects.push((meta.location, bytes));
    }
    objects
}

/// A store in memory with all that another one holds.
pub(crate) async fn copy_of(store: &Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> {
    let copy = memory();
    for (key, bytes) in objects(store).await {
        copy.put(&key, bytes.into()).await.unwrap();
    }
    copy
}

/// Restores a snapshot to `to`.
pub(crate) async fn unpack(
    location: &Arc<Location>,
    snapshot: &Snapshot,
    to: &Path,
    control: &Control,
) -> Result<Restored> {
    let target = LocalTarget::open(to, TargetOptions::default()).expect("opens");
    restore(location, snapshot, Arc::new(target), RestoreOptions::default(), control).await
}

/// Restores a snapshot to a fresh folder and demands that it equals the tree at `root`.
pub(crate) async fn assert_restores(location: &Arc<Location>, snapshot: &Snapshot, root: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().canonicalize().unwrap().join("restored");
    std::fs::create_dir(&to).unwrap();
    let restored = unpack(location, snapshot, &to, &Control::default()).await.unwrap();
    assert_eq!(restored.failures, 0, "{restored:?}");
    assert_same(root, &to);
}

/// Demands that two trees are equal in every byte and attribute.
pub(crate) fn assert_same(left: &Path, right: &Path) {
    let mut differences = Vec::new();
    compare(left, right, None, |difference| differences.push(difference.to_string())).unwrap();
    assert!(differences.is_empty(), "{differences:#?}");
}

/// Checks a location, everything read.
pub(crate) async fn check_all(location: &Arc<Location>) -> Result<Report> {
    check(location, CheckOptions { read_data: true }, &Control::default()).await
}

/// Demands that a location is whole.
pub(crate) async fn assert_whole(location: &Arc<Location>) {
    let report = check_all(location).await.unwrap();
    assert!(report.problems.is_empty(), "{:#?}", report.problems);
}
