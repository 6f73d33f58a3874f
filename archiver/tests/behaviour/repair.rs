//! An index that is damaged or lost is written anew from the packs.

use std::fs;
use std::sync::Arc;

use object_store::{ObjectStore, ObjectStoreExt};
use strongroom::backup::{BackupOptions, ParentChoice};
use strongroom::control::Control;
use strongroom::repair::{RepairIndexOptions, repair_index};

use crate::location::{
    archive, archive_with, assert_restores, assert_whole, check_all, create, memory, objects, open,
    prune_at_once,
};
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
    for number in 0..3 {
        fs::write(root.join(number.to_string()), pattern(300_000 + number)).unwrap();
        archive(&location, &root).await.unwrap();
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
        assert!(repaired.packs > 3 && repaired.chunks > 60, "{repaired:?}");
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
