//! Data keys under branch keys: the keys of a location open a handful of objects, and these open all others.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt};
use strongroom::Error;
use strongroom::backup::{BackupOptions, ParentChoice};
use strongroom::control::Control;
use strongroom::location::{CreateOptions, DataKeys};
use strongroom_peers::User;
use strongroom_sdk::cmm::MaterialsManager;
use strongroom_sdk::materials::{
    DecryptionMaterials, DecryptionRequest, EncryptionMaterials, EncryptionRequest,
};
use strongroom_sdk::message::header::Header;
use strongroom_sdk::message::limits::Limits;

use crate::crash::Scene;
use crate::location::{
    archive, archive_with, assert_restores, assert_whole, create_as, memory, objects, open,
    prune_at_once, raw_key, small_chunks,
};
use crate::program::{ALIAS, LOCATION, Program};
use crate::rekey::{EXCHANGES, crash_everywhere, keys, open_under, rekey_to, storm, wrapped_under};
use crate::support::{figure, make_rich_tree, temporary};

fn hierarchical() -> CreateOptions {
    CreateOptions { data_keys: DataKeys::Hierarchical, ..small_chunks() }
}

/// Objects outside `keys/` that are not in plain text.
async fn content(store: &Arc<dyn ObjectStore>) -> BTreeMap<Key, Bytes> {
    let all = objects(store).await.into_iter();
    all.filter(|(key, _)| !key.as_ref().starts_with("keys/")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_but_the_branch_keys_is_under_branch_keys() {
    let scene = Scene::in_location_as(&hierarchical()).await;
    let store = scene.store.clone();
    let location = open(&store).await.unwrap();
    let made = archive(&location, &scene.now).await.unwrap();
    prune_at_once(&location).await.unwrap();
    assert_whole(&location).await;
    assert_restores(&location, &scene.kept, &scene.then).await;
    assert_restores(&location, &made, &scene.now).await;

    let (mut under_keys, mut branches) = (0, BTreeSet::new());
    for (key, names) in wrapped_under(&store).await {
        let is_branch = names.starts_with("strongroom/");
        assert_ne!(key.as_ref().starts_with("keys/"), is_branch, "{key} is under {names}");
        under_keys += u32::from(!is_branch);
        branches.insert(names);
    }
    // The secrets and five branch keys; the names of these and of the key.
    assert_eq!(under_keys, 6);
    let all = format!("{branches:?}");
    for kind in ["data", "meta", "index", "snapshot"] {
        assert!(all.contains(&format!("/{kind}\"")), "{all}");
    }
}

/// The versions of branch keys that data packs are under: 16 bytes behind salt and IV of the wrapped key.
async fn versions(store: &Arc<dyn ObjectStore>) -> BTreeSet<Vec<u8>> {
    let packs = content(store).await.into_iter().filter(|(key, _)| key.as_ref().starts_with("d/"));
    let version = |(_, bytes): (Key, Bytes)| {
        let parsed = Header::parse(&bytes, &Limits::default()).unwrap();
        parsed.header.encrypted_data_keys()[0].ciphertext[16 + 12..][..16].to_vec()
    };
    packs.map(version).collect()
}

/// Counts what is asked of the key itself.
struct Counting {
    key: Arc<dyn MaterialsManager>,
    made: AtomicUsize,
    opened: AtomicUsize,
}

#[async_trait]
impl MaterialsManager for Counting {
    async fn encryption_materials(
        &self,
        request: &EncryptionRequest,
    ) -> strongroom_sdk::Result<EncryptionMaterials> {
        self.made.fetch_add(1, Ordering::Relaxed);
        self.key.encryption_materials(request).await
    }

    async fn decryption_materials(
        &self,
        request: &DecryptionRequest,
    ) -> strongroom_sdk::Result<DecryptionMaterials> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        self.key.decryption_materials(request).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_asks_the_key_once_for_each_kind_of_object() {
    let scene = Scene::in_location_as(&hierarchical()).await;
    let (made, opened) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let counting = Arc::new(Counting { key: raw_key(1), made, opened });
    let location = open_under(&scene.store, counting.clone()).await.unwrap();
    let snapshot = archive(&location, &scene.now).await.unwrap();
    assert_restores(&location, &snapshot, &scene.now).await;
    prune_at_once(&location).await.unwrap();
    let packs = content(&scene.store).await.len();
    let (made, opened) =
        (counting.made.load(Ordering::Relaxed), counting.opened.load(Ordering::Relaxed));
    assert_eq!((made, opened), (0, 6));
    figure(&format!("hierarchical: {packs} objects, {opened} calls of the key"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_of_keys_writes_the_branch_keys_anew_and_nothing_else() {
    let scene = Scene::in_location_as(&hierarchical()).await;
    let store = scene.store.clone();
    let stale = open(&store).await.unwrap();
    let before = content(&store).await;
    let rekeyed = rekey_to(&open(&store).await.unwrap(), 1).await.unwrap();
    assert!(rekeyed.changed && rekeyed.packs.packs_repacked == 0 && rekeyed.snapshots == 0);
    // But the session of a writer that is dead.
    let after = content(&store).await;
    for (key, bytes) in &after {
        let is_end = key.as_ref().starts_with("s/") && !before.contains_key(key);
        assert!(before.get(key) == Some(bytes) || is_end, "{key} is new");
    }
    let of_keys: Vec<_> =
        objects(&store).await.into_iter().map(|(key, _)| key.to_string()).collect();
    let of_keys: Vec<_> = of_keys.iter().filter(|key| key.starts_with("keys/")).collect();
    assert!(
        of_keys.len() == 7 && of_keys.iter().all(|key| key.starts_with("keys/1")),
        "{of_keys:?}"
    );

    assert!(open(&store).await.is_err());
    let refused = archive(&stale, &scene.now).await.unwrap_err();
    assert!(matches!(refused, Error::KeysExchanged { .. }), "{refused}");
    let location = open_under(&store, keys(1)).await.unwrap();
    assert!(!location.is_in_exchange());
    assert_eq!(versions(&store).await.len(), 1);
    let made = archive(&location, &scene.now).await.unwrap();
    assert_eq!(versions(&store).await.len(), 2, "what is new is under keys of its own");
    assert_whole(&location).await;
    // Deduplicated against what lies under the first version, and both of them read.
    assert_restores(&location, &scene.kept, &scene.then).await;
    assert_restores(&location, &made, &scene.now).await;
    prune_at_once(&location).await.unwrap();
    let options = BackupOptions { parent: ParentChoice::None, ..BackupOptions::default() };
    let again = archive_with(&location, &scene.now, options, &Control::default()).await.unwrap();
    assert_eq!(again.commit.statistics.chunks_new, 0, "what the first version wraps is relied on");
    let pruned = prune_at_once(&location).await.unwrap();
    assert_eq!((pruned.packs_removed, pruned.packs_repacked), (0, 0), "{pruned:?}");
    assert!(!rekey_to(&location, 1).await.unwrap().changed);
    rekey_to(&location, 2).await.unwrap();
    let location = open_under(&store, keys(2)).await.unwrap();
    assert_whole(&location).await;
    assert_restores(&location, &scene.kept, &scene.then).await;
    prune_at_once(&location).await.unwrap();
    assert_restores(&location, &made, &scene.now).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_exchange_damage_is_still_damage() {
    let scene = Scene::in_location_as(&hierarchical()).await;
    let store = scene.store.clone();
    rekey_to(&open(&store).await.unwrap(), 1).await.unwrap();
    let location = open_under(&store, keys(1)).await.unwrap();
    let all = content(&store).await;
    let (run, bytes) = all.iter().find(|(key, _)| key.as_ref().starts_with("i/")).unwrap();
    let mut flipped = bytes.to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    store.put(run, flipped.into()).await.unwrap();
    let refused = location.catalog().await.map(drop).unwrap_err();
    assert!(matches!(refused, Error::Decrypt { .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_with_branch_keys_may_crash_at_every_store_operation() {
    let scene = Scene::in_location_as(&hierarchical()).await;
    let (points, begun) = crash_everywhere(&scene).await;
    assert!(points > 60 && begun > 10, "{points} points, {begun} of them in the midst");
    figure(&format!("A1: exchange with branch keys crashed at {points} points, 0 snapshots lost"));
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_archive_and_collect_while_branch_keys_change_hands() {
    let store = memory();
    create_as(&store, &hierarchical()).await;
    storm(&store).await;
    for (key, names) in wrapped_under(&store).await {
        let is_new = names.starts_with(&format!("key of {EXCHANGES}"));
        assert!(is_new || names.starts_with("strongroom/"), "{key} is under {names}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_key_does_not_pass_for_another() {
    let store = memory();
    create_as(&store, &hierarchical()).await;
    let (_folder, tree) = temporary();
    fs::write(tree.join("file"), b"content").unwrap();
    archive(&open(&store).await.unwrap(), &tree).await.unwrap();
    let all = objects(&store).await;
    let find = |end: &str| all.iter().find(|(key, _)| key.as_ref().ends_with(end)).unwrap();
    let ((data, _), (_, of_meta)) = (find(".data"), find(".meta"));
    store.put(data, of_meta.clone().into()).await.unwrap();
    let refused = archive(&open(&store).await.unwrap(), &tree).await;
    // Nothing new has to be written, or the branch key of data is refused.
    assert!(refused.is_ok() || refused.unwrap_err().to_string().contains("context"));
    fs::write(tree.join("more"), b"more content").unwrap();
    let refused = archive(&open(&store).await.unwrap(), &tree).await.unwrap_err();
    assert!(format!("{refused:?}").contains("ContextMismatch"), "{refused:?}");
}

const WRITER: User = User { name: "writer", access_key: "AKIASTRONGROOMWRIT01" };
const COLLECTOR: User = User { name: "collector", access_key: "AKIASTRONGROOMCOLL02" };

#[test]
fn the_command_makes_and_uses_branch_keys() {
    let program = strongroom_peers::require!(Program::start_with_users(&[WRITER, COLLECTOR]));
    let tree = program.at("tree");
    make_rich_tree(&tree);
    let url = program.url("store");
    let create = ["location", "create", LOCATION, &url, "--key", ALIAS];
    program.run(&[&create[..], &["--data-keys", "hierarchical"]].concat()).expect(0);
    let shown = program.run(&["location", "show"]).expect(0).stdout;
    assert!(shown.contains("hierarchical"), "{shown}");
    assert_eq!(program.json(&["location", "show"])["format"]["data_keys"], "hierarchical");
    let first = program.archive(&tree);
    program.restored_equal(&first, &tree);

    let mut all = Vec::new();
    for (role, user) in [("writer", WRITER), ("collector", COLLECTOR)] {
        let made = program.json(&["location", "policy", role, "--principal", &user.arn()]);
        all.extend(made["policy"]["Statement"].as_array().unwrap().clone());
    }
    program.put_policy(all);
    fs::write(tree.join("new"), b"content that is not stored yet").unwrap();
    let path = tree.to_str().unwrap();
    program.run_as(&WRITER, &["archive", path]).expect(0);
    program.run_as(&COLLECTOR, &["check"]).expect(0);
    program.run_as(&COLLECTOR, &["forget", &first]).expect(0);
    program.run_as(&COLLECTOR, &["prune", "--dead-after", "0s"]).expect(0);
    let denied = program.run_as(&COLLECTOR, &["cat", "latest:file"]).expect(12);
    assert!(denied.stderr.contains("\"data\""), "{}", denied.stderr);
    program.run(&["check", "--read-data"]).expect(0);

    let new = program.make_key();
    let told = program.json(&["rekey", "--new-key", &new]);
    assert_eq!(told["rekeyed"]["packs"]["packs_repacked"], 0, "{told}");
    program.disable(&program.key);
    program.run(&["check", "--read-data"]).expect(0);
}
