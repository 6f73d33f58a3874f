//! An index that is damaged or lost is written anew from the packs, and damaged snapshots without what is lost.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use object_store::{ObjectStore, ObjectStoreExt};
use strongroom::backup::{BackupOptions, ParentChoice};
use strongroom::clock::SystemClock;
use strongroom::control::{Control, Observer};
use strongroom::id::ObjectId;
use strongroom::location::Location;
use strongroom::repair::{
    Loss, REPAIRED_TAG, RepairIndexOptions, RepairSnapshotsOptions, SnapshotsRepaired,
    repair_index, repair_snapshots,
};
use strongroom::snapshot::load_all;

use crate::location::{
    archive, archive_with, assert_restores, assert_whole, check_all, copy_of, create, memory,
    objects, open, prune_at_once, small_packs, unpack,
};
use crate::program::Program;
use crate::support::{pattern, temporary};

/// Spoils every index run: the first is damaged, the others are lost.
async fn spoil_index(store: &Arc<dyn ObjectStore>) {
    let runs = objects(store).await.into_iter().filter(|(key, _)| key.as_ref().starts_with("i/"));
    for (number, (key, bytes)) in runs.enumerate() {
        if number == 0 {
            let mut bytes = bytes.to_vec();
            bytes.iter_mut().skip(800).for_each(|byte| *byte ^= 1);
            store.put(&key, bytes.into()).await.unwrap();
        } else {
            store.delete(&key).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_and_a_lost_run_are_written_anew() {
    let (_folder, root) = temporary();
    let store = memory();
    let location = create(&store).await;
    let mut chunks = 0;
    for number in 0..3 {
        fs::write(root.join(number.to_string()), pattern(300_000 + number)).unwrap();
        chunks += archive(&location, &root).await.unwrap().commit.statistics.chunks_new;
    }
    for all in [false, true] {
        let latest = archive(&location, &root).await.unwrap();
        spoil_index(&store).await;
        let location = open(&store).await.unwrap();
        assert!(archive(&location, &root).await.is_err(), "the index cannot be read");
        assert!(prune_at_once(&location).await.is_err());
        // What the snapshots say themselves is enough to restore.
        assert_restores(&location, &latest, &root).await;

        let options = RepairIndexOptions { all };
        let repaired = repair_index(&location, options, &Control::default()).await.unwrap();
        assert_eq!((repaired.damaged_runs.len(), repaired.unreadable.len()), (1, 0));
        // Blocks of the trees beside them.
        assert!(repaired.packs > 3 && repaired.chunks > chunks, "{repaired:?}");
        assert_whole(&location).await;
        let report = check_all(&location).await.unwrap();
        assert!(report.unreferenced.is_empty(), "{:?}", report.unreferenced);
        let options = BackupOptions { parent: ParentChoice::None, ..BackupOptions::default() };
        let again = archive_with(&location, &root, options, &Control::default()).await.unwrap();
        assert_eq!(again.commit.statistics.chunks_new, 0, "all is found again");
        prune_at_once(&location).await.unwrap();
        assert_restores(&location, &again, &root).await;
    }
}

/// Takes down what is told to be lost.
#[derive(Default)]
struct Losses(Mutex<Vec<String>>);

impl Observer for Losses {
    fn lost(&self, _snapshot: ObjectId, loss: &Loss) {
        self.0.lock().unwrap().push(match loss {
            Loss::File(path) => path.to_string(),
            Loss::Entries { count, .. } => format!("{count} entries"),
            other => format!("{other:?}"),
        });
    }
}

async fn repair(
    location: &Arc<Location>,
    options: RepairSnapshotsOptions,
) -> (SnapshotsRepaired, Vec<String>) {
    let losses = Arc::new(Losses::default());
    let control = Control::new(losses.clone());
    let options = RepairSnapshotsOptions { packs: small_packs(), ..options };
    let repaired = repair_snapshots(location, &options, &SystemClock, &control).await.unwrap();
    let lost = losses.0.lock().unwrap().clone();
    (repaired, lost)
}

/// Removes the objects of a family that `after` has and `before` had not.
async fn remove_new(store: &Arc<dyn ObjectStore>, before: &[String], family: &str) {
    for (key, _) in objects(store).await {
        if key.as_ref().starts_with(family) && !before.contains(&key.to_string()) {
            store.delete(&key).await.unwrap();
        }
    }
}

async fn keys(store: &Arc<dyn ObjectStore>) -> Vec<String> {
    objects(store).await.into_iter().map(|(key, _)| key.to_string()).collect()
}

fn write_small_tree(root: &Path) {
    for folder in 0..4 {
        let folder = root.join(format!("folder {folder}"));
        fs::create_dir(&folder).unwrap();
        for file in 0..30 {
            fs::write(folder.join(format!("{file:02}")), pattern(5_000 + file)).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_without_some_of_its_content_is_written_anew_without_those_files() {
    let (_folder, root) = temporary();
    let store = memory();
    let location = create(&store).await;
    write_small_tree(&root);
    let whole = archive(&location, &root).await.unwrap();
    let before = keys(&store).await;
    for name in ["later", "folder 1/later"] {
        fs::write(root.join(name), pattern(400_000)).unwrap();
    }
    let damaged = archive(&location, &root).await.unwrap();
    let twin = archive(&location, &root).await.unwrap();
    assert_eq!(twin.commit.tree, damaged.commit.tree);
    remove_new(&store, &before, "d/").await;
    let location = open(&store).await.unwrap();
    assert!(!check_all(&location).await.unwrap().problems.is_empty());

    let all = keys(&store).await;
    let dry = RepairSnapshotsOptions { dry_run: true, forget: true, ..Default::default() };
    let (seen, lost) = repair(&location, dry).await;
    assert_eq!((seen.whole, seen.repaired.len(), seen.forgotten), (1, 2, 0));
    assert_eq!((seen.repaired[0].damaged, seen.repaired[0].saved), (damaged.id, None));
    assert_eq!(lost[..2], ["later", "folder 1/later"]);
    assert_eq!(keys(&store).await, all, "nothing is written or removed");

    let (repaired, lost) = repair(&location, Default::default()).await;
    assert_eq!((repaired.whole, repaired.forgotten, lost.len()), (1, 0, 4));
    assert_eq!(repaired.repaired[0].files_lost, 2);
    let saved = repaired.repaired[0].saved.unwrap();
    let snapshots = load_all(&location).await.unwrap();
    assert_eq!(snapshots.len(), 5, "the damaged ones stay");
    let saved = snapshots.iter().find(|snapshot| snapshot.id == saved).unwrap();
    assert_eq!(saved.commit.tags, [REPAIRED_TAG]);
    assert_eq!(saved.commit.started, damaged.commit.started);
    assert_eq!((saved.commit.statistics.files, saved.commit.statistics.unreadable), (120, 2));
    for name in ["later", "folder 1/later"] {
        fs::remove_file(root.join(name)).unwrap();
    }
    // The times of folders that a file was taken out of are those of the archive.
    let to = tempfile::tempdir().unwrap();
    let restored = unpack(&location, saved, to.path(), &Control::default()).await.unwrap();
    assert_eq!((restored.failures, restored.files), (0, 120));

    let forget = RepairSnapshotsOptions { forget: true, ..Default::default() };
    let (again, _) = repair(&location, forget).await;
    assert_eq!((again.whole, again.repaired.len(), again.forgotten), (3, 2, 2));
    prune_at_once(&location).await.unwrap();
    assert_whole(&open(&store).await.unwrap()).await;
    assert!(load_all(&location).await.unwrap().iter().any(|snapshot| snapshot.id == whole.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_without_some_of_its_blocks_keeps_the_others() {
    const FILES: u64 = 8_000;
    let (_folder, root) = temporary();
    let store = memory();
    let location = create(&store).await;
    let write = |from: u64| {
        (from..from + FILES).for_each(|n| fs::write(root.join(format!("{n:05}")), b"").unwrap());
    };
    write(0);
    let first = archive(&location, &root).await.unwrap();
    let first_packs = packs_of_metadata(&store).await;
    write(FILES);
    let second = archive(&location, &root).await.unwrap();
    let forget = RepairSnapshotsOptions { forget: true, ..Default::default() };

    // Without what the first stored, nothing of it is left, and of the second what it stored itself.
    let copy = copy_of(&store).await;
    for pack in &first_packs {
        copy.delete(pack).await.unwrap();
    }
    let location = open(&copy).await.unwrap();
    let (repaired, lost) = repair(&location, forget.clone()).await;
    assert_eq!((repaired.whole, repaired.forgotten), (0, 2));
    let [one, two] = repaired.repaired.as_slice() else { panic!("{repaired:?}") };
    assert_eq!((one.damaged, one.saved, one.entries_lost), (first.id, None, FILES + 1));
    assert_eq!(two.damaged, second.id);
    assert!((FILES / 2..FILES + 1).contains(&two.entries_lost), "{two:?}");
    assert!(lost.len() > 2, "each block is told: {lost:?}");
    let saved = load_all(&location).await.unwrap();
    let [saved] = saved.as_slice() else { panic!("{saved:?}") };
    assert_eq!(Some(saved.id), two.saved);
    assert_eq!(saved.commit.statistics.unreadable, two.entries_lost);
    let files = saved.commit.statistics.files;
    assert_eq!(files + saved.commit.statistics.directories, 2 * FILES + 1 - two.entries_lost);
    let to = tempfile::tempdir().unwrap();
    let restored = unpack(&location, saved, to.path(), &Control::default()).await.unwrap();
    assert_eq!((restored.failures, restored.files), (0, files));
    prune_at_once(&location).await.unwrap();
    assert_whole(&open(&copy).await.unwrap()).await;

    // Without what the second stored, the first is whole.
    let copy = copy_of(&store).await;
    for pack in packs_of_metadata(&store).await {
        if !first_packs.contains(&pack) {
            copy.delete(&pack).await.unwrap();
        }
    }
    let location = open(&copy).await.unwrap();
    let (repaired, lost) = repair(&location, forget).await;
    assert_eq!((repaired.whole, repaired.forgotten, lost.len()), (1, 1, 1));
    assert_eq!(repaired.repaired[0].saved, None);
    assert_restores_first(&location, first.id, FILES).await;
    prune_at_once(&location).await.unwrap();
    assert_whole(&open(&copy).await.unwrap()).await;
}

async fn packs_of_metadata(store: &Arc<dyn ObjectStore>) -> Vec<object_store::path::Path> {
    let all = objects(store).await.into_iter().map(|(key, _)| key);
    all.filter(|key| key.as_ref().starts_with("m/")).collect()
}

async fn assert_restores_first(location: &Arc<Location>, id: ObjectId, files: u64) {
    let all = load_all(location).await.unwrap();
    let [snapshot] = all.as_slice() else { panic!("{all:?}") };
    let to = tempfile::tempdir().unwrap();
    let restored = unpack(location, snapshot, to.path(), &Control::default()).await.unwrap();
    assert_eq!((snapshot.id, restored.failures, restored.files), (id, 0, files));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_cannot_be_read_is_named_and_goes_only_on_request() {
    let (_folder, root) = temporary();
    let store = memory();
    let location = create(&store).await;
    fs::write(root.join("file"), b"content").unwrap();
    let snapshot = archive(&location, &root).await.unwrap();
    let key = object_store::path::Path::from(format!("s/{}", snapshot.id));
    let mut bytes = store.get(&key).await.unwrap().bytes().await.unwrap().to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    store.put(&key, bytes.into()).await.unwrap();
    let location = open(&store).await.unwrap();
    let (repaired, _) = repair(&location, Default::default()).await;
    assert_eq!((repaired.unreadable.len(), repaired.forgotten), (1, 0));
    assert!(prune_at_once(&location).await.is_err(), "what it needs is not known");
    let forget = RepairSnapshotsOptions { forget: true, ..Default::default() };
    let (repaired, _) = repair(&location, forget).await;
    assert_eq!((repaired.unreadable.len(), repaired.forgotten), (1, 1));
    prune_at_once(&location).await.unwrap();
    assert_whole(&location).await;
}

/// The files of a family in the folder of a location.
fn files_of(store: &Path, family: &str) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for folder in fs::read_dir(store.join(family)).unwrap() {
        files
            .extend(fs::read_dir(folder.unwrap().path()).unwrap().map(|file| file.unwrap().path()));
    }
    files
}

#[test]
fn what_a_check_finds_is_mended_by_the_commands_that_it_takes() {
    let program = strongroom_peers::require!(Program::start());
    let tree = program.at("tree");
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("kept"), pattern(300_000)).unwrap();
    program.create_location();
    let first = program.archive(&tree);
    let store = program.at("store");
    let before = files_of(&store, "d");
    fs::write(tree.join("lost"), pattern(299_000)).unwrap();
    let second = program.archive(&tree);
    // A byte of the content goes wrong, which only reading it tells.
    let pack = files_of(&store, "d").into_iter().find(|file| !before.contains(file)).unwrap();
    let mut bytes = fs::read(&pack).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&pack, bytes).unwrap();
    program.run(&["check"]).expect(0);
    program.run(&["check", "--read-data"]).expect(13);
    program.run(&["repair", "snapshots", "--dry-run"]).expect(0);

    let told = program.run(&["repair", "index", "--all"]).expect(13);
    assert!(told.stdout.contains("damaged"), "{told:?}");
    program.run(&["check"]).expect(13);
    let told = program.run(&["repair", "snapshots", "--dry-run"]).expect(13);
    assert!(told.stdout.contains(&second) && told.stderr.contains("lost"), "{told:?}");
    let mended = program.json(&["repair", "snapshots", "--forget"]);
    assert_eq!((&mended["whole"], &mended["forgotten"]), (&1.into(), &1.into()));
    assert_eq!(mended["repaired"][0]["damaged"], second.as_str());
    assert_eq!(mended["lost"][0]["kind"], "lost");
    program.run(&["prune", "--max-unused", "0%"]).expect(0);
    program.run(&["check", "--read-data"]).expect(0);

    fs::remove_file(tree.join("lost")).unwrap();
    let saved = mended["repaired"][0]["saved"].as_str().unwrap();
    let listed = program.run(&["ls", saved]).expect(0).stdout;
    assert!(listed.contains("kept") && !listed.contains("lost"), "{listed}");
    program.run(&["ls", &first]).expect(0);
    let whole = program.json(&["repair", "snapshots"]);
    assert_eq!(whole["whole"], 2);
}
