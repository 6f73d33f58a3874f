//! K1 for the storage alone: the power fails at any byte of the write that follows an acknowledgement.
//!
//! The log is cut, or its tail is torn, between where it ended when one commit was acknowledged and where
//! it ended at the next; what lies before was synced and stays.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::{Change, SqliteStorage, Storage};
use crate::clock::Timestamp;
use crate::ids::{KeyId, RealmId};
use crate::policy::{KeyPolicy, default_key_policy};
use crate::records::{Key, KeyManager, KeySpec, KeyUsage, Lifecycle, Material, MaterialId, Origin};

const COMMITS: usize = 12;
const CRASH_POINTS: usize = 600;

fn key() -> Arc<Key> {
    let account = "111122223333".parse().unwrap();
    let realm = RealmId { account, region: "us-east-1".parse().unwrap() };
    Arc::new(Key {
        realm,
        id: KeyId::random(),
        created: Timestamp::from_millis(0),
        description: "".into(),
        lifecycle: Lifecycle::Enabled,
        spec: KeySpec::SymmetricDefault,
        usage: KeyUsage::EncryptDecrypt,
        origin: Origin::AwsKms,
        manager: KeyManager::Customer,
        custom_key_store: None,
        policy: Arc::new(KeyPolicy::parse(&default_key_policy(account)).unwrap()),
        tags: Arc::new(BTreeMap::new()),
        material: Arc::new(Material::made(MaterialId([1; 32]), &[2; 77])),
        earlier: Arc::default(),
        pending: None,
        rotation: None,
        primary_region: None,
        last_usage: Arc::default(),
    })
}

/// Which of `keys` a database that is found in `dir` after the crash still has.
fn kept(dir: &Path, keys: &[Arc<Key>]) -> usize {
    let state = SqliteStorage::open(dir).unwrap().load().unwrap();
    keys.iter().take_while(|key| state.key(&key.realm, key.id).is_some()).count()
}

#[test]
fn an_acknowledged_commit_survives_any_crash_of_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let (live, after) = (dir.path().join("live"), dir.path().join("after"));
    let mut storage = SqliteStorage::open(&live).unwrap();
    let log = live.join("kms.sqlite3-wal");
    let keys: Vec<Arc<Key>> = (0..COMMITS).map(|_| key()).collect();
    let mut acknowledged_bytes = Vec::new();
    for key in &keys {
        storage.commit(&[Change::PutKey(Arc::clone(key))]).unwrap();
        acknowledged_bytes.push(usize::try_from(fs::metadata(&log).unwrap().len()).unwrap());
    }
    let (base, log) = (fs::read(live.join("kms.sqlite3")).unwrap(), fs::read(&log).unwrap());
    fs::create_dir_all(&after).unwrap();

    for point in 0..CRASH_POINTS {
        let commit = point % (COMMITS - 1);
        let (from, to) = (acknowledged_bytes[commit], acknowledged_bytes[commit + 1]);
        let cut = from + (to - from) * (point / COMMITS) / (CRASH_POINTS / COMMITS);
        let mut found = log[..cut].to_vec();
        if point % 2 == 1 {
            // Sectors that were allocated and never written, up to the end of the write.
            found.resize(to, 0);
        }
        fs::write(after.join("kms.sqlite3"), &base).unwrap();
        fs::write(after.join("kms.sqlite3-wal"), &found).unwrap();
        let survived = kept(&after, &keys);
        assert!(survived > commit, "point {point}: {survived} of {} acknowledged", commit + 1);
    }
    println!("K1: {CRASH_POINTS} crash points, 0 acknowledged commits lost");
}

#[test]
fn a_deleted_keys_material_is_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let marker = [0xc7_u8; 77];
    let mut doomed = Key::clone(&key());
    doomed.material = Arc::new(Material::made(MaterialId([3; 32]), &marker));
    let mut storage = SqliteStorage::open(dir.path()).unwrap();
    storage.commit(&[Change::PutKey(Arc::new(doomed.clone()))]).unwrap();
    assert!(holds(dir.path(), &marker), "the search would find it");
    storage.commit(&[Change::DeleteKey(doomed.realm.clone(), doomed.id)]).unwrap();
    assert!(!holds(dir.path(), &marker));
}

#[test]
fn imported_material_that_was_deleted_is_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let marker = [0xc7_u8; 77];
    let material = Arc::new(Material::made(MaterialId([3; 32]), &marker));
    let mut key = Key { origin: Origin::External, material, ..Key::clone(&key()) };
    let mut storage = SqliteStorage::open(dir.path()).unwrap();
    storage.commit(&[Change::PutKey(Arc::new(key.clone()))]).unwrap();
    assert!(holds(dir.path(), &marker), "the search would find it");
    key.material = Arc::new(key.material.forgotten());
    storage.commit(&[Change::PutKey(Arc::new(key.clone()))]).unwrap();
    assert!(!holds(dir.path(), &marker));
    drop(storage);
    let state = SqliteStorage::open(dir.path()).unwrap().load().unwrap();
    assert_eq!(state.key(&key.realm, key.id).unwrap().material, key.material);
}

fn holds(dir: &Path, marker: &[u8]) -> bool {
    fs::read_dir(dir).unwrap().any(|file| {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        bytes.windows(marker.len()).any(|window| window == marker)
    })
}
