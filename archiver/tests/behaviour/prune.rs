//! Collecting: what goes, what stays, who is waited for, and what everybody else sees of it.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Barrier};

use bytes::Bytes;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt};
use strongroom::backup::{BackupOptions, ParentChoice, backup};
use strongroom::clock::SystemClock;
use strongroom::control::Control;
use strongroom::entry::Entry;
use strongroom::fs::walk::{LocalTree, WalkOptions};
use strongroom::location::Location;
use strongroom::prune::{PruneOptions, prune};
use strongroom::snapshot::{Snapshot, load_all};
use strongroom::source::{Found, Source, SourceFile};
use strongroom::{Error, Result};

use crate::crash::Scene;
use crate::location::{
    archive, archive_with, assert_restores, assert_whole, at_once, check_all, create, forget,
    memory, objects, open, prune_at_once, small_packs, unpack,
};
use crate::support::{pattern, temporary};

/// `count` files of 20 kB that have nothing in common, numbered from `first` on.
fn write_files(root: &Path, first: usize, count: usize) {
    for number in first..first + count {
        let bytes: Vec<u8> =
            pattern(20_000 + number).into_iter().map(|b| b ^ number as u8).collect();
        fs::write(root.join(format!("{number:04}")), bytes).unwrap();
    }
}

/// Bytes of everything in a store below these prefixes.
async fn bytes_in(store: &Arc<dyn ObjectStore>, prefixes: &[&str]) -> usize {
    let all = objects(store).await;
    let ours = all.iter().filter(|(key, _)| prefixes.iter().any(|p| key.as_ref().starts_with(p)));
    ours.map(|(_, bytes)| bytes.len()).sum()
}

/// Keys below `x/`: nothing of them is left where nobody is at work.
async fn traces(store: &Arc<dyn ObjectStore>) -> Vec<String> {
    let keys = objects(store).await.into_iter().map(|(key, _)| key.to_string());
    keys.filter(|key| key.starts_with("x/")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_a_forgotten_snapshot_needs_goes() {
    let (_folder, root) = temporary();
    let store = memory();
    let location = create(&store).await;
    write_files(&root, 0, 60);
    let first = archive(&location, &root).await.unwrap();
    let first_bytes = bytes_in(&store, &["d/"]).await;
    (0..60).for_each(|number| fs::remove_file(root.join(format!("{number:04}"))).unwrap());
    write_files(&root, 100, 30);
    let second = archive(&location, &root).await.unwrap();
    let pruned = prune_at_once(&location).await.unwrap();
    assert_eq!((pruned.packs_removed, pruned.snapshots), (0, 2), "{pruned:?}");
    forget(&location, &first).await;

    let options = PruneOptions { dry_run: true, ..at_once() };
    let before = objects(&store).await;
    let would = prune(&location, &options, &Control::default()).await.unwrap();
    assert_eq!(objects(&store).await, before, "a dry run changes nothing");
    let pruned = prune_at_once(&location).await.unwrap();
    assert_eq!(pruned.packs_removed, would.packs_removed);
    assert_eq!(pruned.bytes_removed, would.bytes_removed);
    assert!(pruned.bytes_removed as usize >= first_bytes, "{pruned:?}");
    assert_eq!(traces(&store).await, [""; 0]);
    assert_restores(&location, &second, &root).await;
    let report = check_all(&location).await.unwrap();
    assert!(
        report.problems.is_empty() && report.unreferenced.is_empty() && report.stale.is_empty()
    );
    let again = prune_at_once(&location).await.unwrap();
    assert_eq!((again.packs_removed, again.runs_removed), (0, 0), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn packs_that_are_needed_in_part_are_repacked() {
    let (_folder, root) = temporary();
    let store = memory();
    let location = create(&store).await;
    write_files(&root, 0, 100);
    let first = archive(&location, &root).await.unwrap();
    let before = bytes_in(&store, &["d/", "m/"]).await;
    (0..100)
        .filter(|n| n % 2 == 0)
        .for_each(|n| fs::remove_file(root.join(format!("{n:04}"))).unwrap());
    // Past the grain of file times, within which a file may have changed unnoticed.
    std::thread::sleep(std::time::Duration::from_millis(60));
    let second = archive(&location, &root).await.unwrap();
    forget(&location, &first).await;
    let tolerant = PruneOptions { unused_max_permille: 600, ..at_once() };
    let pruned = prune(&location, &tolerant, &Control::default()).await.unwrap();
    assert_eq!(pruned.packs_repacked, 0, "{pruned:?}");
    let pruned = prune_at_once(&location).await.unwrap();
    assert!(pruned.packs_repacked >= 2, "{pruned:?}");
    let after = bytes_in(&store, &["d/", "m/"]).await;
    assert!(after * 100 < before * 55, "{before} bytes became {after}");

    // Where the snapshot says that its chunks are they are no more.
    assert_whole(&location).await;
    assert_restores(&location, &second, &root).await;
    // The next archive takes unchanged files over from there without reading them.
    let third = archive(&location, &root).await.unwrap();
    assert_eq!(third.commit.statistics.bytes_read, 0, "{:?}", third.commit.statistics);
    forget(&location, &second).await;
    prune_at_once(&location).await.unwrap();
    assert_whole(&location).await;
    assert_restores(&location, &third, &root).await;
    let again = prune_at_once(&location).await.unwrap();
    assert_eq!(again.packs_removed, 0, "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_two_writers_stored_is_kept_once() {
    let (_folder, root) = temporary();
    write_files(&root, 0, 50);
    let store = memory();
    let location = create(&store).await;
    // Two that began before either had anything in the index.
    let (one, two) = tokio::join!(archive(&location, &root), archive(&location, &root));
    let (one, two) = (one.unwrap(), two.unwrap());
    let before = bytes_in(&store, &["d/"]).await;
    prune_at_once(&location).await.unwrap();
    let after = bytes_in(&store, &["d/"]).await;
    if one.commit.statistics.chunks_new > 0 && two.commit.statistics.chunks_new > 0 {
        assert!(after * 10 < before * 7, "{before} bytes became {after}");
    }
    for snapshot in [one, two] {
        assert_restores(&location, &snapshot, &root).await;
    }
    assert_whole(&location).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_packs_become_few() {
    let (_folder, root) = temporary();
    let store = memory();
    let location = create(&store).await;
    let mut made = Vec::new();
    let packs = |objects: &[(Key, Bytes)], prefix: &str| {
        objects.iter().filter(|(key, _)| key.as_ref().starts_with(prefix)).count()
    };
    for n in 0..20 {
        write_files(&root, n, 1);
        made.push(archive(&location, &root).await.unwrap());
        if n == 8 {
            // Few are left alone.
            assert_eq!(prune_at_once(&location).await.unwrap().packs_removed, 0);
        }
    }
    let before = objects(&store).await;
    assert!(packs(&before, "d/") >= 20 && packs(&before, "m/") >= 20);
    let budget = PruneOptions { repack_bytes_max: Some(0), ..at_once() };
    let none = prune(&location, &budget, &Control::default()).await.unwrap();
    assert_eq!(none.packs_removed, 0, "more than was allowed");
    let pruned = prune_at_once(&location).await.unwrap();
    assert!(pruned.packs_repacked >= 40 && pruned.bytes_unused == 0, "{pruned:?}");
    let after = objects(&store).await;
    assert!(packs(&after, "d/") <= 2 && packs(&after, "m/") <= 2, "{pruned:?}");
    assert_whole(&location).await;
    assert_restores(&location, &made[19], &root).await;
    let (_folder, first) = temporary();
    unpack(&location, &made[0], &first, &Control::default()).await.unwrap();
    assert_eq!(fs::read(first.join("0000")).unwrap(), fs::read(root.join("0000")).unwrap());
    let again = prune_at_once(&location).await.unwrap();
    assert_eq!((again.packs_removed, again.bytes_copied), (0, 0), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_index_runs_become_one() {
    let (_folder, root) = temporary();
    let location = create(&memory()).await;
    for n in 0..6 {
        fs::write(root.join(n.to_string()), pattern(5000 + n)).unwrap();
        archive(&location, &root).await.unwrap();
    }
    assert_eq!(location.index().list().await.unwrap().len(), 6);
    prune(&location, &PruneOptions::default(), &Control::default()).await.unwrap();
    assert_eq!(location.index().list().await.unwrap().len(), 1);
    let options = BackupOptions { parent: ParentChoice::None, ..BackupOptions::default() };
    let again = archive_with(&location, &root, options, &Control::default()).await.unwrap();
    assert_eq!(again.commit.statistics.chunks_new, 0);
    assert_restores(&location, &again, &root).await;
    assert_whole(&location).await;
}

/// A tree whose first entry waits twice for somebody else: once that it is asked for, and once
/// before it is handed out.
struct Held {
    tree: LocalTree,
    gate: Arc<Barrier>,
}

impl Source for Held {
    fn walk(&self) -> Box<dyn Iterator<Item = Found> + Send + '_> {
        let mut first = true;
        Box::new(self.tree.walk().inspect(move |_| {
            if std::mem::take(&mut first) {
                self.gate.wait();
                self.gate.wait();
            }
        }))
    }

    fn open(&self, entry: &Entry) -> std::io::Result<Box<dyn SourceFile>> {
        self.tree.open(entry)
    }
}

/// An archive that has begun, and goes on when the gate is passed.
async fn begin(
    location: &Arc<Location>,
    root: &Path,
    parent: ParentChoice,
) -> (tokio::task::JoinHandle<Result<Snapshot>>, Arc<Barrier>) {
    let gate = Arc::new(Barrier::new(2));
    let tree = LocalTree::open(&[root.to_owned()], WalkOptions::default()).unwrap();
    let source = Arc::new(Held { tree, gate: gate.clone() });
    let options = BackupOptions {
        packs: small_packs(),
        host: "host".into(),
        parent,
        ..BackupOptions::default()
    };
    let location = location.clone();
    let archive = tokio::spawn(async move {
        backup(&location, source, options, &SystemClock, &Control::default()).await
    });
    pass(&gate).await;
    (archive, gate)
}

async fn pass(gate: &Arc<Barrier>) {
    let gate = gate.clone();
    tokio::task::spawn_blocking(move || gate.wait()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_relies_on_what_is_condemned_is_waited_for() {
    let (_folder, root) = temporary();
    write_files(&root, 0, 40);
    let store = memory();
    let location = create(&store).await;
    let parent = archive(&location, &root).await.unwrap();
    for choice in [ParentChoice::Latest, ParentChoice::None] {
        // Its parent, and with it all that it relies on, is forgotten while it runs.
        let (archive, gate) = begin(&location, &root, choice).await;
        for snapshot in load_all(&location).await.unwrap() {
            forget(&location, &snapshot).await;
        }
        let impatient = PruneOptions {
            dead_after: PruneOptions::default().dead_after,
            wait_max: Some(std::time::Duration::ZERO),
            ..at_once()
        };
        let error = prune(&location, &impatient, &Control::default()).await.unwrap_err();
        assert!(matches!(error, Error::WritersAtWork { count: 1 }), "{error}");
        // One that begins now does not rely on it any more.
        let other = archive_elsewhere(&store, &root).await;
        assert!(other.commit.statistics.chunks_new > 0);
        let patient = PruneOptions { wait_max: None, ..impatient };
        let collecting = {
            let location = location.clone();
            tokio::spawn(async move { prune(&location, &patient, &Control::default()).await })
        };
        pass(&gate).await;
        let snapshot = archive.await.unwrap().unwrap();
        let pruned = collecting.await.unwrap().unwrap();
        assert_whole(&location).await;
        assert_restores(&location, &snapshot, &root).await;
        assert_restores(&location, &other, &root).await;
        assert!(pruned.writers_awaited <= 1 && pruned.writers_fenced == 0, "{pruned:?}");
    }
    assert!(parent.commit.statistics.chunks_new > 0);
    assert_eq!(traces(&store).await, [""; 0]);
}

async fn archive_elsewhere(store: &Arc<dyn ObjectStore>, root: &Path) -> Snapshot {
    archive(&open(store).await.unwrap(), root).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_seems_dead_cannot_commit() {
    let (_folder, root) = temporary();
    write_files(&root, 0, 40);
    let store = memory();
    let location = create(&store).await;
    let kept = archive(&location, &root).await.unwrap();
    write_files(&root, 50, 10);
    let (archiving, gate) = begin(&location, &root, ParentChoice::Latest).await;
    let pruned = prune_at_once(&location).await.unwrap();
    assert_eq!(pruned.writers_fenced, 1, "{pruned:?}");
    pass(&gate).await;
    let error = archiving.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Fenced { .. }), "{error}");
    assert!(error.to_string().contains("fenced by a collector"), "{error}");
    assert_eq!(load_all(&location).await.unwrap(), [kept]);
    assert_whole(&location).await;
    let again = archive(&location, &root).await.unwrap();
    prune_at_once(&location).await.unwrap();
    assert_restores(&location, &again, &root).await;
    // The tombstone stays, whoever prunes: the writer could have been a mere sleeper.
    let slots = objects(&store).await.into_iter().filter(|(key, _)| key.as_ref().starts_with("s/"));
    assert_eq!(slots.count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_names_packs_that_are_gone_misleads_nobody() {
    let (_folder, root) = temporary();
    write_files(&root, 0, 40);
    let store = memory();
    let location = create(&store).await;
    let first = archive(&location, &root).await.unwrap();
    let runs: Vec<_> = objects(&store)
        .await
        .into_iter()
        .filter(|(key, _)| key.as_ref().starts_with("i/"))
        .collect();
    forget(&location, &first).await;
    prune_at_once(&location).await.unwrap();
    assert_eq!(bytes_in(&store, &["d/", "m/", "i/"]).await, 0);
    // As a writer or collector does that was away for long.
    for (key, bytes) in runs {
        store.put(&key, bytes.into()).await.unwrap();
    }
    let second = archive(&location, &root).await.unwrap();
    assert_eq!(second.commit.statistics.chunks_new, first.commit.statistics.chunks_new);
    assert_restores(&location, &second, &root).await;
    let report = check_all(&location).await.unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert!(!report.stale.is_empty());
    let pruned = prune_at_once(&location).await.unwrap();
    assert!(pruned.packs_removed == 0 && pruned.runs_removed > 0, "{pruned:?}");
    assert!(check_all(&location).await.unwrap().stale.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_while_a_snapshot_cannot_be_read() {
    let (_folder, root) = temporary();
    write_files(&root, 0, 20);
    let store = memory();
    let location = create(&store).await;
    let first = archive(&location, &root).await.unwrap();
    write_files(&root, 50, 20);
    archive(&location, &root).await.unwrap();
    forget(&location, &first).await;
    let root_block = load_all(&location).await.unwrap()[0].commit.tree.clone().unwrap();
    let pack = Key::from(format!("m/{}/{}", &root_block.pack[..2], root_block.pack));
    let bytes = store.get(&pack).await.unwrap().bytes().await.unwrap();
    let mut damaged = bytes.to_vec();
    damaged.iter_mut().skip(bytes.len() / 2).for_each(|byte| *byte ^= 1);
    store.put(&pack, damaged.into()).await.unwrap();
    let before = objects(&store).await;
    let error = prune_at_once(&location).await.unwrap_err();
    assert!(error.to_string().contains(&root_block.pack), "{error}");
    assert_eq!(objects(&store).await, before);
    store.put(&pack, bytes.into()).await.unwrap();
    prune_at_once(&location).await.unwrap();
    assert_whole(&location).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_is_repacked_than_was_allowed() {
    let scene = Scene::new().await;
    let location = open(&scene.store).await.unwrap();
    let sparing = PruneOptions { repack_bytes_max: Some(1000), ..at_once() };
    let pruned = prune(&location, &sparing, &Control::default()).await.unwrap();
    assert!(pruned.packs_removed > 0 && pruned.packs_repacked == 0, "{pruned:?}");
    let pruned = prune_at_once(&location).await.unwrap();
    assert!(pruned.packs_repacked > 0, "{pruned:?}");
    assert_restores(&location, &scene.kept, &scene.then).await;
}
