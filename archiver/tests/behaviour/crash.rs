//! A1: whatever happens at any store operation of a backup, what was acknowledged before is
//! there after, and the next backup succeeds.

use std::fs;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path as Key;
use strongroom::location::{Location, OpenOptions};
use strongroom::snapshot::load_all;
use strongroom::store::Store;
use strongroom::store::fault::{Fault, FaultyStore};

use crate::location::{
    archive, assert_restores, assert_whole, create, memory, open, raw_key, small_chunks, wrap,
};
use crate::support::{figure, pattern, temporary};

fn faulty(inner: &Arc<dyn ObjectStore>, fault: Fault, at: u64) -> (Arc<Store>, FaultyStore) {
    let faulty = FaultyStore::new(inner.clone(), fault, at);
    let store = Store::new(Arc::new(faulty.clone()), Key::default(), "memory:".into());
    (Arc::new(store), faulty)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_may_crash_at_every_store_operation() {
    let (_folder, root) = temporary();
    let mut points = 0;
    for fault in Fault::ALL {
        for at in 0.. {
            fs::write(root.join("stays"), pattern(300_000)).unwrap();
            fs::write(root.join("changes"), b"before").unwrap();
            let store = memory();
            let before = archive(&create(&store).await, &root).await.unwrap();
            let (_kept_folder, kept) = temporary();
            fs::write(root.join("changes"), pattern(900_000 + at as usize)).unwrap();

            let (spoiled, counter) = faulty(&store, fault, at);
            let location = Location::open(spoiled, raw_key(1), &OpenOptions::default()).await;
            let outcome = archive(&Arc::new(location.unwrap()), &root).await;

            let location = open(&store).await.unwrap();
            assert_whole(&location).await;
            let snapshots = load_all(&location).await.unwrap();
            assert!(snapshots.contains(&before), "{fault:?} at {at} lost a snapshot");
            if let Ok(acknowledged) = &outcome {
                assert!(snapshots.contains(acknowledged), "{fault:?} at {at}");
                assert_restores(&location, acknowledged, &root).await;
            }
            // Committed without being acknowledged is allowed; half committed is not.
            for snapshot in &snapshots {
                let to = kept.join(snapshot.id.to_string());
                fs::create_dir_all(&to).unwrap();
                let control = strongroom::control::Control::default();
                let restored = crate::location::unpack(&location, snapshot, &to, &control).await;
                assert_eq!(restored.unwrap().failures, 0, "{fault:?} at {at}");
            }
            let again = archive(&location, &root).await.unwrap();
            assert_restores(&location, &again, &root).await;
            points += 1;
            if counter.operations() <= at {
                assert!(outcome.is_ok(), "{:?}", outcome.err());
                break;
            }
        }
    }
    assert!(points > 40, "{points} points");
    figure(&format!("A1: backup crashed at {points} points, 0 acknowledged snapshots lost"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_may_crash_at_every_store_operation() {
    for fault in Fault::ALL {
        for at in 0.. {
            let store = memory();
            let (spoiled, counter) = faulty(&store, fault, at);
            let outcome = Location::create(spoiled, raw_key(1), &small_chunks()).await;
            match (&outcome, open(&store).await) {
                (Ok(acknowledged), Ok(found)) => assert_eq!(acknowledged.id(), found.id()),
                (Ok(_), Err(error)) => panic!("{fault:?} at {at}: {error}"),
                (Err(_), Ok(_)) => {}
                (Err(_), Err(_)) => {
                    let made = Location::create(wrap(store), raw_key(1), &small_chunks()).await;
                    assert!(made.is_ok(), "{fault:?} at {at}: {:?}", made.err());
                }
            }
            if counter.operations() <= at {
                assert!(outcome.is_ok());
                break;
            }
        }
    }
}
