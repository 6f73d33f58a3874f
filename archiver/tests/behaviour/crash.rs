//! A1: whatever happens at any store operation of an archive or a collection, what was acknowledged
//! before is there after, every command works, and the next run finishes the job.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt};
use strongroom::Result;
use strongroom::backup::BackupOptions;
use strongroom::clock::SystemClock;
use strongroom::control::Control;
use strongroom::location::{CreateOptions, Location, OpenOptions};
use strongroom::repair::{REPAIRED_TAG, RepairSnapshotsOptions, repair_snapshots};
use strongroom::snapshot::{Snapshot, load_all};
use strongroom::store::Store;
use strongroom::store::fault::{Fault, FaultyStore};

use crate::location::{
    archive, archive_with, assert_restores, assert_whole, copy_of, create_as, forget, memory,
    objects, open, prune_at_once, raw_key, small_chunks, small_packs, wrap,
};
use crate::support::{figure, pattern, temporary};

/// The variable that makes the quick form try every second fault too.
const LONG_VARIABLE: &str = "STRONGROOM_CRASH_LONG";

/// A location that fails at one operation, and the count of its operations.
async fn faulty(
    inner: &Arc<dyn ObjectStore>,
    fault: Fault,
    at: u64,
) -> (Result<Arc<Location>>, FaultyStore) {
    let faulty = FaultyStore::new(inner.clone(), fault, at);
    let store = Store::new(Arc::new(faulty.clone()), Key::default(), "memory:".into());
    let location = Location::open(Arc::new(store), raw_key(1), &OpenOptions::default()).await;
    (location.map(Arc::new), faulty)
}

/// A location with something to keep, something to take over, something to repack and something to
/// remove.
pub(crate) struct Scene {
    _folders: [tempfile::TempDir; 2],
    pub(crate) store: Arc<dyn ObjectStore>,
    /// The tree as the acknowledged snapshot has it, and as it is now.
    pub(crate) then: PathBuf,
    pub(crate) now: PathBuf,
    pub(crate) kept: Snapshot,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::in_location_as(&small_chunks()).await
    }

    pub(crate) async fn in_location_as(options: &CreateOptions) -> Self {
        let ((one, then), (two, now)) = (temporary(), temporary());
        let store = memory();
        let location = create_as(&store, options).await;
        // Of one pack a part is needed later; other packs, nothing.
        write(&then, &[("stays", 60_000), ("goes", 200_000), ("gone", 700_000)]);
        let first = archive(&location, &then).await.unwrap();
        fs::remove_file(then.join("goes")).unwrap();
        fs::remove_file(then.join("gone")).unwrap();
        write(&then, &[("changes", 5000)]);
        let kept = archive(&location, &then).await.unwrap();
        forget(&location, &first).await;
        // An archive that ended half way, with a session that nobody ended.
        write(&now, &[("stays", 60_000), ("changes", 900_000), ("new", 300_001)]);
        let (location, _) = faulty(&store, Fault::StopBefore, 4).await;
        assert!(archive(&location.unwrap(), &now).await.is_err());
        Self { _folders: [one, two], store, then, now, kept }
    }

    /// A store of one's own to spoil.
    async fn store(&self) -> Arc<dyn ObjectStore> {
        copy_of(&self.store).await
    }

    /// The location is whole, and has what it should have.
    async fn assert_sound(&self, store: &Arc<dyn ObjectStore>, acknowledged: Option<&Snapshot>) {
        let location = open(store).await.unwrap();
        assert_whole(&location).await;
        let snapshots = load_all(&location).await.unwrap();
        assert!(snapshots.contains(&self.kept), "lost a snapshot");
        assert!(
            acknowledged.is_none_or(|snapshot| snapshots.contains(snapshot)),
            "lost the newest"
        );
        // Committed without being acknowledged is allowed; half committed is not.
        for snapshot in &snapshots {
            let is_then = snapshot.id == self.kept.id;
            let tree = if is_then { &self.then } else { &self.now };
            assert_restores(&location, snapshot, tree).await;
        }
    }

    /// The next archive and the next collection do all that there is to do.
    async fn assert_recovers(&self, store: &Arc<dyn ObjectStore>) {
        let location = open(store).await.unwrap();
        let again = archive_all(&location, &self.now).await.unwrap();
        prune_at_once(&location).await.unwrap();
        self.assert_sound(store, Some(&again)).await;
        let pruned = prune_at_once(&location).await.unwrap();
        assert_eq!((pruned.packs_removed, pruned.runs_removed), (0, 0), "{pruned:?}");
    }
}

fn write(root: &Path, files: &[(&str, usize)]) {
    for (name, length) in files {
        fs::write(root.join(name), pattern(*length)).unwrap();
    }
}

async fn archive_all(location: &Arc<Location>, root: &Path) -> Result<Snapshot> {
    archive_with(location, root, BackupOptions::default(), &Control::default()).await
}

/// Points at which a run that makes `operations` operations is stopped a second time.
fn second_points(operations: u64) -> Vec<u64> {
    let step = if std::env::var_os(LONG_VARIABLE).is_some() { 1 } else { 9 };
    (0..operations).step_by(step).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_may_crash_at_every_store_operation() {
    let scene = Scene::new().await;
    let mut points = 0;
    for fault in Fault::ALL {
        for at in 0.. {
            let store = scene.store().await;
            let (location, counter) = faulty(&store, fault, at).await;
            let outcome = archive_all(&location.unwrap(), &scene.now).await;
            scene.assert_sound(&store, outcome.as_ref().ok()).await;
            scene.assert_recovers(&store).await;
            points += 1;
            if counter.operations() <= at {
                assert!(outcome.is_ok(), "{:?}", outcome.err());
                break;
            }
        }
    }
    assert!(points > 30, "{points} points");
    figure(&format!("A1: archive crashed at {points} points, 0 acknowledged snapshots lost"));
}

/// A store whose latest snapshot lacks some of its content.
async fn damaged(scene: &Scene) -> (Arc<dyn ObjectStore>, Snapshot) {
    let store = scene.store().await;
    let before = objects(&store).await;
    let location = open(&store).await.unwrap();
    let damaged = archive_all(&location, &scene.now).await.unwrap();
    for (key, _) in objects(&store).await {
        let is_new = before.iter().all(|(known, _)| *known != key);
        if is_new && key.as_ref().starts_with("d/") {
            store.delete(&key).await.unwrap();
        }
    }
    (store, damaged)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_of_snapshots_may_crash_at_every_store_operation() {
    let scene = Scene::new().await;
    let (spoiled, damaged) = damaged(&scene).await;
    let options =
        RepairSnapshotsOptions { forget: true, packs: small_packs(), ..Default::default() };
    let repair = async |location: &Arc<Location>| {
        repair_snapshots(location, &options, &SystemClock, &Control::default()).await
    };
    let mut points = 0;
    for fault in Fault::ALL {
        for at in 0.. {
            let store = copy_of(&spoiled).await;
            let (location, counter) = faulty(&store, fault, at).await;
            let outcome = repair(&location.unwrap()).await;
            let is_saved = |snapshot: &Snapshot| {
                snapshot.commit.parent == Some(damaged.id.to_string())
                    && snapshot.commit.tags == [REPAIRED_TAG]
            };
            let location = open(&store).await.unwrap();
            let snapshots = load_all(&location).await.unwrap();
            assert!(snapshots.contains(&scene.kept), "lost a snapshot");
            assert_restores(&location, &scene.kept, &scene.then).await;
            let is_there = snapshots.contains(&damaged) || snapshots.iter().any(is_saved);
            assert!(is_there, "the damaged one went before what is left of it was committed");

            repair(&location).await.unwrap();
            prune_at_once(&location).await.unwrap();
            assert_whole(&open(&store).await.unwrap()).await;
            let snapshots = load_all(&location).await.unwrap();
            assert!(snapshots.contains(&scene.kept) && snapshots.iter().any(is_saved));
            assert!(!snapshots.contains(&damaged));
            points += 1;
            if counter.operations() <= at {
                assert!(outcome.is_ok(), "{:?}", outcome.err());
                break;
            }
        }
    }
    assert!(points > 20, "{points} points");
    figure(&format!("A1: repair of snapshots crashed at {points} points, 0 snapshots lost"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_may_crash_at_every_store_operation_and_again_in_its_recovery() {
    let scene = Scene::new().await;
    let (mut points, mut again) = (0, 0);
    for fault in Fault::ALL {
        for at in 0.. {
            let store = scene.store().await;
            let (location, counter) = faulty(&store, fault, at).await;
            let outcome = prune_at_once(&location.unwrap()).await;
            scene.assert_sound(&store, None).await;
            points += 1;
            if counter.operations() <= at {
                let pruned = outcome.unwrap();
                assert!(pruned.packs_repacked > 0 && pruned.writers_fenced > 0, "{pruned:?}");
                scene.assert_recovers(&store).await;
                break;
            }
            for second in second_points(counter.operations()) {
                let store = copy_of(&store).await;
                let (location, _) = faulty(&store, Fault::StopAfter, second).await;
                let _ = prune_at_once(&location.unwrap()).await;
                scene.assert_sound(&store, None).await;
                again += 1;
            }
            scene.assert_recovers(&store).await;
        }
    }
    assert!(points > 60, "{points} points");
    figure(&format!(
        "A1: collection crashed at {points} points and at {again} of its recovery, 0 snapshots lost"
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_may_crash_at_every_store_operation() {
    for fault in Fault::ALL {
        for at in 0.. {
            let store = memory();
            let faulty = FaultyStore::new(store.clone(), fault, at);
            let spoiled = Store::new(Arc::new(faulty.clone()), Key::default(), "memory:".into());
            let outcome = Location::create(Arc::new(spoiled), raw_key(1), &small_chunks()).await;
            match (&outcome, open(&store).await) {
                (Ok(acknowledged), Ok(found)) => assert_eq!(acknowledged.id(), found.id()),
                (Ok(_), Err(error)) => panic!("{fault:?} at {at}: {error}"),
                (Err(_), Ok(_)) => {}
                (Err(_), Err(_)) => {
                    let made = Location::create(wrap(store), raw_key(1), &small_chunks()).await;
                    assert!(made.is_ok(), "{fault:?} at {at}: {:?}", made.err());
                }
            }
            if faulty.operations() <= at {
                assert!(outcome.is_ok());
                break;
            }
        }
    }
}
