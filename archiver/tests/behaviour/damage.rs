//! A3: damage anywhere in the store is noticed, and the object is named.

use std::fs;
use std::sync::Arc;

use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt};
use strongroom::control::Control;
use strongroom::snapshot::load_all;

use crate::location::{archive, check_all, create, memory, objects, open, unpack};
use crate::support::{figure, pattern, temporary};

async fn small_location() -> (Arc<dyn ObjectStore>, tempfile::TempDir) {
    let (folder, root) = temporary();
    fs::create_dir(root.join("dir")).unwrap();
    fs::write(root.join("dir/compressible"), b"strongroom ".repeat(2000)).unwrap();
    fs::write(root.join("noise"), pattern(40_000)).unwrap();
    fs::write(root.join("tiny"), b"x").unwrap();
    let store = memory();
    let location = create(&store).await;
    archive(&location, &root).await.unwrap();
    fs::write(root.join("tiny"), b"xy").unwrap();
    archive(&location, &root).await.unwrap();
    (store, folder)
}

/// What opening and checking says about a location: the problems, or the error that kept it from
/// being opened.
async fn verdict(store: &Arc<dyn ObjectStore>) -> Vec<String> {
    let location = match open(store).await {
        Ok(location) => location,
        Err(error) => return vec![error.to_string()],
    };
    match check_all(&location).await {
        Ok(report) => report.problems.iter().map(ToString::to_string).collect(),
        Err(error) => vec![error.to_string()],
    }
}

fn names(problems: &[String], key: &Key) -> bool {
    problems.iter().any(|problem| problem.contains(key.as_ref()))
}

async fn assert_noticed(store: &Arc<dyn ObjectStore>, key: &Key, what: &str) {
    let problems = verdict(store).await;
    assert!(names(&problems, key), "{what} of {key}: {problems:?}");
}

/// Positions all over an object: both ends closely, the middle in strides.
fn positions(length: usize) -> impl Iterator<Item = usize> {
    let stride = (length / 24).max(1);
    let ends = (0..24).chain(length.saturating_sub(24)..length);
    let mut positions: Vec<usize> = ends.chain((0..length).step_by(stride)).collect();
    positions.retain(|&p| p < length);
    positions.sort_unstable();
    positions.dedup();
    positions.into_iter()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_in_any_object_is_noticed_and_the_object_named() {
    let (store, _folder) = small_location().await;
    assert_eq!(verdict(&store).await, Vec::<String>::new());
    let mut flips = 0;
    for (key, bytes) in objects(&store).await {
        for position in positions(bytes.len()) {
            let mut flipped = bytes.to_vec();
            flipped[position] ^= 1 << (position % 8);
            store.put(&key, flipped.into()).await.unwrap();
            assert_noticed(&store, &key, &format!("flipped byte {position}")).await;
            flips += 1;
        }
        store.put(&key, bytes.into()).await.unwrap();
    }
    assert!(flips > 300, "{flips}");
    figure(&format!("A3: {flips} flipped bits, 0 unnoticed, every object named"));
    assert_eq!(verdict(&store).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_extended_or_missing_object_is_named() {
    let (store, _folder) = small_location().await;
    for (key, bytes) in objects(&store).await {
        for cut in [0, 1, bytes.len() / 2, bytes.len() - 1] {
            store.put(&key, bytes.slice(..cut).into()).await.unwrap();
            assert_noticed(&store, &key, &format!("cut at {cut}")).await;
        }
        let longer = [bytes.as_ref(), b"!"].concat();
        store.put(&key, longer.into()).await.unwrap();
        assert_noticed(&store, &key, "a byte more").await;
        store.put(&key, bytes.clone().into()).await.unwrap();
        // A snapshot or session that is gone leaves no trace: retention is what guards those.
        if ["s/", "x/"].iter().any(|prefix| key.as_ref().starts_with(prefix)) {
            continue;
        }
        store.delete(&key).await.unwrap();
        let problems = verdict(&store).await;
        assert!(!problems.is_empty(), "{key} is gone");
        store.put(&key, bytes.into()).await.unwrap();
    }
    assert_eq!(verdict(&store).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_in_anothers_place_is_named() {
    let (store, _folder) = small_location().await;
    let (other, _other_folder) = small_location().await;
    let objects = objects(&store).await;
    let foreign = crate::location::objects(&other).await;
    for (key, bytes) in &objects {
        let others = objects.iter().chain(&foreign).filter(|(_, other)| other != bytes);
        for (from, replacement) in others {
            store.put(key, replacement.clone().into()).await.unwrap();
            assert_noticed(&store, key, &format!("the bytes of {from}")).await;
        }
        store.put(key, bytes.clone().into()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_from_a_damaged_store_writes_nothing_wrong() {
    let (store, folder) = small_location().await;
    let root = folder.path().canonicalize().unwrap();
    let mut refused = 0;
    for (key, bytes) in objects(&store).await {
        for position in positions(bytes.len()).step_by(5) {
            let mut flipped = bytes.to_vec();
            flipped[position] ^= 0x10;
            store.put(&key, flipped.into()).await.unwrap();
            refused += u32::from(!restores_nothing_wrong(&store, &root).await);
        }
        store.put(&key, bytes.into()).await.unwrap();
    }
    assert!(refused > 20, "{refused}");
}

/// Restores the latest snapshot as far as that goes; every file that is there then must be right.
/// Says whether the restore claimed to be complete.
async fn restores_nothing_wrong(store: &Arc<dyn ObjectStore>, root: &std::path::Path) -> bool {
    let Ok(location) = open(store).await else { return false };
    let Ok(snapshots) = load_all(&location).await else { return false };
    let (_folder, to) = temporary();
    let latest = snapshots.last().unwrap();
    let restored = unpack(&location, latest, &to, &Control::default()).await;
    let complete = restored.is_ok_and(|restored| restored.failures == 0);
    for file in ["dir/compressible", "noise", "tiny"] {
        match fs::read(to.join(file)) {
            Ok(bytes) => assert_eq!(bytes, fs::read(root.join(file)).unwrap(), "{file}"),
            Err(_) => assert!(!complete, "{file} is missing from a restore that says it is not"),
        }
    }
    complete
}
