//! Everything under other keys: nothing is lost on the way, whatever happens meanwhile, and in the end the earlier keys
//! open nothing and are believed by nobody.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt};
use strongroom::backup::{BackupOptions, ParentChoice};
use strongroom::control::Control;
use strongroom::fs::restore::RestoreOptions as TargetOptions;
use strongroom::location::{Location, NewKeys, OpenOptions, Recipients, Succession};
use strongroom::prune::PruneOptions;
use strongroom::rekey::{Rekeyed, rekey};
use strongroom::snapshot::{Snapshot, load_all, load_all_stored};
use strongroom::store::Store;
use strongroom::store::fault::{Fault, FaultyStore};
use strongroom::{Cause, Error, Result};
use strongroom_sdk::cmm::{DefaultCmm, MaterialsManager};
use strongroom_sdk::keyring::{Keyring, MultiKeyring, RawAesKeyring};
use strongroom_sdk::message::encrypted_data_key::EncryptedDataKey;
use strongroom_sdk::message::header::Header;
use strongroom_sdk::message::limits::Limits;
use strongroom_sdk::secret::SecretBytes;
use tokio::sync::oneshot;

use crate::crash::Scene;
use crate::location::{
    archive, archive_with, assert_restores, assert_whole, at_once, check_all, copy_of, create,
    forget, memory, objects, open, prune_at_once, raw_keyring, wrap,
};
use crate::meanwhile::meanwhile;
use crate::program::{ALIAS, Program};
use crate::recipients::has_keys;
use crate::support::{copy_tree, figure, make_rich_tree, pattern, temporary};

/// The key of epoch `number`; that of the first is the other tests' own.
fn keyring(number: u8) -> Arc<dyn Keyring> {
    if number == 0 {
        return Arc::new(raw_keyring(1));
    }
    let (name, key) = (format!("key of {number}"), SecretBytes::copy_of(&[number; 32]));
    Arc::new(RawAesKeyring::new("tests", &name, key).unwrap())
}

pub(crate) fn keys(number: u8) -> Arc<dyn MaterialsManager> {
    Arc::new(DefaultCmm::new(keyring(number)))
}

fn new_keys(number: u8) -> NewKeys {
    let (materials, readers) = (keys(number), vec![keys(number)]);
    NewKeys { materials, recipients: Recipients::default(), readers }
}

pub(crate) async fn open_under(
    store: &Arc<dyn ObjectStore>,
    materials: Arc<dyn MaterialsManager>,
) -> Result<Arc<Location>> {
    Location::open(wrap(store.clone()), materials, &OpenOptions::default()).await.map(Arc::new)
}

/// As whoever does not know whether the exchange has begun, or come to its end.
pub(crate) async fn open_during(
    store: &Arc<dyn ObjectStore>,
    old: u8,
    new: u8,
) -> Result<Arc<Location>> {
    match open_under(store, keys(old)).await {
        Ok(location) => Ok(location),
        Err(_) => open_under(store, Arc::new(Succession::new(keys(new), keys(old)))).await,
    }
}

pub(crate) async fn rekey_to(location: &Arc<Location>, number: u8) -> Result<Rekeyed> {
    rekey(location, &new_keys(number), &at_once(), &Control::default(), || {}).await
}

/// The names of keys that each object's data key is wrapped under.
pub(crate) async fn wrapped_under(store: &Arc<dyn ObjectStore>) -> Vec<(Key, String)> {
    let mut all = Vec::new();
    for (key, bytes) in objects(store).await {
        if let Ok(parsed) = Header::parse(&bytes, &Limits::default()) {
            let names = parsed.header.encrypted_data_keys().iter().map(EncryptedDataKey::key_name);
            all.push((key, names.collect()));
        }
    }
    all
}

/// A commit that stands for a snapshot's existence and age, and is read no more.
fn is_original(store: &[(Key, String)], key: &Key) -> bool {
    let copy = format!("{key}.");
    key.as_ref().starts_with("s/")
        && store.iter().any(|(other, _)| other.as_ref().starts_with(&copy))
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_comes_under_the_new_keys_and_nothing_else_changes() {
    let scene = Scene::new().await;
    let store = scene.store.clone();
    let location = open(&store).await.unwrap();
    let made = archive(&location, &scene.now).await.unwrap();
    let before = load_all_stored(&location).await.unwrap();
    let mut begun = false;
    let rekeyed =
        rekey(&location, &new_keys(1), &at_once(), &Control::default(), || begun = true).await;
    let rekeyed = rekeyed.unwrap();
    assert!(begun && rekeyed.changed && rekeyed.epoch == 1, "{rekeyed:?}");
    assert!(rekeyed.packs.packs_repacked > 0 && rekeyed.runs + rekeyed.packs.runs_removed > 0);
    assert!(rekeyed.snapshots >= 2, "{rekeyed:?}");

    let refused = open(&store).await.map(drop).unwrap_err();
    assert_eq!(refused.cause(), Cause::KeyWrong, "{refused}");
    let location = open_under(&store, keys(1)).await.unwrap();
    assert!(!location.is_in_exchange());
    assert_whole(&location).await;
    let after = load_all_stored(&location).await.unwrap();
    assert_eq!(after, before, "snapshots, and when the store took them");
    assert_restores(&location, &scene.kept, &scene.then).await;
    assert_restores(&location, &made, &scene.now).await;
    let under = wrapped_under(&store).await;
    for (key, names) in &under {
        let is_new = names.starts_with("key of 1");
        assert!(is_new || is_original(&under, key), "{key} is under {names}");
    }

    // Nothing is stored twice for it, and there is nothing left to collect.
    let again = archive(&location, &scene.now).await.unwrap();
    assert_eq!(again.commit.statistics.chunks_new, 0, "{:?}", again.commit.statistics);
    let pruned = prune_at_once(&location).await.unwrap();
    assert_eq!((pruned.packs_removed, pruned.packs_repacked), (0, 0), "{pruned:?}");
    assert!(!rekey_to(&location, 1).await.unwrap().changed);

    // The next exchange follows upon this one, and outdoes its copies; also one that was left behind.
    let copy = |key: &Key| key.as_ref().starts_with("s/") && key.as_ref().ends_with(".1");
    let copies = objects(&store).await.into_iter().filter(|(key, _)| copy(key));
    let copies: Vec<_> = copies.collect();
    rekey_to(&location, 2).await.unwrap();
    for (key, bytes) in copies {
        store.put(&key, bytes.into()).await.unwrap();
    }
    rekey_to(&open_under(&store, keys(2)).await.unwrap(), 3).await.unwrap();
    assert!(open_under(&store, keys(1)).await.is_err());
    let location = open_under(&store, keys(3)).await.unwrap();
    assert_whole(&location).await;
    assert_restores(&location, &made, &scene.now).await;
    assert_eq!(load_all_stored(&location).await.unwrap()[..before.len()], before[..]);
    let listed = objects(&store).await;
    assert!(!listed.iter().any(|(key, _)| copy(key)), "copies that are outdone");

    // A snapshot that is forgotten leaves no copy behind.
    for snapshot in load_all(&location).await.unwrap() {
        strongroom::snapshot::forget(&location, &snapshot).await.unwrap();
    }
    let left = objects(&store).await.into_iter().filter(|(key, _)| key.as_ref().starts_with("s/"));
    let tombstones = left.map(|(key, _)| key.to_string()).collect::<Vec<_>>();
    assert!(tombstones.len() <= 2, "{tombstones:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_may_crash_at_every_store_operation() {
    let (points, begun) = crash_everywhere(&Scene::new().await).await;
    assert!(points > 60 && begun > 40, "{points} points, {begun} of them in the midst");
    figure(&format!("A1: exchange of keys crashed at {points} points, 0 snapshots lost"));
}

/// Answers how many points there were, and how many of them left an exchange that had begun.
pub(crate) async fn crash_everywhere(scene: &Scene) -> (u32, u32) {
    let (mut points, mut begun) = (0, 0);
    for fault in Fault::ALL {
        for at in 0.. {
            let store = copy_of(&scene.store).await;
            let faulty = FaultyStore::new(store.clone(), fault, at);
            let spoiled = Store::new(Arc::new(faulty.clone()), Key::default(), "memory:".into());
            let location =
                Location::open(Arc::new(spoiled), keys(0), &OpenOptions::default()).await;
            let outcome = rekey_to(&Arc::new(location.unwrap()), 1).await;

            // Whoever has both keys finds everything, and can go on with whatever he does.
            let location = open_during(&store, 0, 1).await.unwrap();
            begun += u32::from(location.is_in_exchange());
            assert_whole(&location).await;
            assert_restores(&location, &scene.kept, &scene.then).await;
            let made = archive(&location, &scene.now).await.unwrap();
            prune_at_once(&location).await.unwrap();

            rekey_to(&location, 1).await.unwrap();
            let location = open_under(&store, keys(1)).await.unwrap();
            assert!(!location.is_in_exchange());
            assert_whole(&location).await;
            assert_restores(&location, &scene.kept, &scene.then).await;
            assert_restores(&location, &made, &scene.now).await;
            points += 1;
            if faulty.operations() <= at {
                assert!(outcome.is_ok(), "{:?}", outcome.err());
                break;
            }
        }
    }
    (points, begun)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_opened_the_location_before_writes_nothing_under_the_keys_of_before() {
    let scene = Scene::new().await;
    let store = scene.store.clone();
    let stale = open(&store).await.unwrap();
    rekey_to(&open(&store).await.unwrap(), 1).await.unwrap();
    let before = objects(&store).await;
    let refused = archive(&stale, &scene.now).await.unwrap_err();
    assert!(matches!(refused, Error::KeysExchanged { .. }), "{refused}");
    assert_eq!(refused.cause(), Cause::Concurrency);
    let refused = prune_at_once(&stale).await.unwrap_err();
    assert!(matches!(refused, Error::Decrypt { .. } | Error::KeysExchanged { .. }), "{refused}");
    let refused = rekey_to(&stale, 2).await.unwrap_err();
    assert!(refused.to_string().contains("keys/"), "{refused}");
    assert_eq!(objects(&store).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_before_are_waited_for() {
    let scene = Scene::new().await;
    let store = scene.store.clone();
    let patient = PruneOptions {
        dead_after: Duration::from_secs(3600),
        wait_max: Some(Duration::ZERO),
        ..at_once()
    };
    let location = open(&store).await.unwrap();
    let control = Control::default();
    let ended = rekey(&location, &new_keys(1), &patient, &control, || {}).await;
    assert!(matches!(ended, Err(Error::WritersAtWork { count: 1 })), "{ended:?}");
    let location = open_during(&store, 0, 1).await.unwrap();
    assert!(location.is_in_exchange());
    assert_whole(&location).await;
    // Once more, to other keys than were meant then: what is under either comes under these.
    let made = archive(&location, &scene.now).await.unwrap();
    rekey_to(&location, 2).await.unwrap();
    let location = open_under(&store, keys(2)).await.unwrap();
    assert_whole(&location).await;
    assert_restores(&location, &scene.kept, &scene.then).await;
    assert_restores(&location, &made, &scene.now).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_is_waited_for_though_there_is_nothing_to_copy() {
    let store = memory();
    let location = create(&store).await;
    let session = Key::from("x/session/00112233445566778899aabbccddeeff");
    store.put(&session, "a writer of before".into()).await.unwrap();
    let patient = PruneOptions {
        dead_after: Duration::from_secs(3600),
        wait_max: Some(Duration::ZERO),
        ..at_once()
    };
    let ended = rekey(&location, &new_keys(1), &patient, &Control::default(), || {}).await;
    assert!(matches!(ended, Err(Error::WritersAtWork { count: 1 })), "{ended:?}");
    assert!(open_during(&store, 0, 1).await.unwrap().is_in_exchange());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_late_under_the_keys_of_before_is_not_believed_and_is_removed() {
    let scene = Scene::new().await;
    let store = scene.store.clone();
    let before = objects(&store).await;
    let late: Vec<_> = before
        .into_iter()
        .filter(|(key, _)| ["i/", "d/", "m/"].iter().any(|family| key.as_ref().starts_with(family)))
        .collect();
    rekey_to(&open(&store).await.unwrap(), 1).await.unwrap();
    let sound = objects(&store).await;
    for (key, bytes) in &late {
        store.put(key, bytes.clone().into()).await.unwrap();
    }
    let location = open_under(&store, keys(1)).await.unwrap();
    assert_restores(&location, &scene.kept, &scene.then).await;
    let report = check_all(&location).await.unwrap();
    let said: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    assert!(!said.is_empty());
    for problem in &said {
        assert!(problem.contains("`i/") && problem.contains("has given up"), "{problem}");
    }
    let made = archive(&location, &scene.now).await.unwrap();
    prune_at_once(&location).await.unwrap();
    assert_whole(&location).await;
    assert_restores(&location, &scene.kept, &scene.then).await;
    assert_restores(&location, &made, &scene.now).await;
    let left = objects(&store).await;
    for (key, _) in &late {
        let was_there = sound.iter().any(|(known, _)| known == key);
        assert!(was_there || !left.iter().any(|(found, _)| found == key), "{key} is still there");
    }
}

/// The first epoch's key and another one, each of which opens the location alone.
fn first_and(number: u8) -> NewKeys {
    let both = MultiKeyring::new(Some(keyring(0)), vec![keyring(number)]).unwrap();
    NewKeys {
        materials: Arc::new(DefaultCmm::new(Arc::new(both))),
        recipients: Recipients::default(),
        readers: vec![keys(0), keys(number)],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_run_that_is_merged_meanwhile_comes_under_the_new_keys_too() {
    let scene = Scene::new().await;
    let store = scene.store.clone();
    let stale = open(&store).await.unwrap();
    let happening = async move {
        prune_at_once(&stale).await.unwrap();
    };
    let location = open(&meanwhile(&store, "i/L1/", 1, happening)).await.unwrap();
    rekey(&location, &first_and(1), &at_once(), &Control::default(), || {}).await.unwrap();
    let second = open_under(&store, keys(1)).await.unwrap();
    assert_whole(&second).await;
    assert_restores(&second, &scene.kept, &scene.then).await;
}

async fn exchange(store: Arc<dyn ObjectStore>, materials: Arc<dyn MaterialsManager>, new: NewKeys) {
    let location = open_under(&store, materials).await.unwrap();
    rekey(&location, &new, &at_once(), &Control::default(), || {}).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_condemns_after_an_exchange_goes_no_further() {
    let scene = Scene::new().await;
    let store = scene.store.clone();
    let happening = exchange(store.clone(), keys(0), first_and(1));
    let late = open(&meanwhile(&store, "x/gc/", 0, happening)).await.unwrap();
    let refused = prune_at_once(&late).await.unwrap_err();
    assert!(matches!(refused, Error::KeysExchanged { .. }), "{refused}");
    let location = open_under(&store, keys(1)).await.unwrap();
    assert_whole(&location).await;
    assert_restores(&location, &scene.kept, &scene.then).await;
    assert!(!objects(&store).await.iter().any(|(key, _)| key.as_ref().starts_with("x/gc/")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_merges_the_index_during_an_exchange_removes_nothing_of_the_new_one() {
    let scene = Scene::new().await;
    let store = scene.store.clone();
    exchange(store.clone(), keys(0), new_keys(1)).await;
    let location = open_under(&store, keys(1)).await.unwrap();
    // Two runs, so that there is something to merge.
    archive(&location, &scene.now).await.unwrap();
    let happening = exchange(store.clone(), keys(1), new_keys(2));
    let late = open_under(&meanwhile(&store, "i/L1/", 0, happening), keys(1)).await.unwrap();
    let refused = prune_at_once(&late).await.unwrap_err();
    assert!(matches!(refused, Error::KeysExchanged { .. }), "{refused}");
    let location = open_under(&store, keys(2)).await.unwrap();
    assert_restores(&location, &scene.kept, &scene.then).await;
    prune_at_once(&location).await.unwrap();
    assert_whole(&location).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_on_after_an_exchange_is_told_of_it() {
    let scene = Scene::new().await;
    let store = scene.store.clone();
    exchange(store.clone(), keys(0), new_keys(1)).await;
    let stale = open_under(&store, keys(1)).await.unwrap();
    exchange(store.clone(), keys(1), new_keys(2)).await;
    let refused = check_all(&stale).await.map(|report| report.problems).unwrap_err();
    assert!(matches!(refused, Error::KeysExchanged { .. }), "check: {refused}");
    let refused = stale.catalog().await.map(drop).unwrap_err();
    assert!(matches!(refused, Error::KeysExchanged { .. }), "index: {refused}");
    let refused = prune_at_once(&stale).await.unwrap_err();
    assert!(matches!(refused, Error::KeysExchanged { .. }), "prune: {refused}");
    assert_whole(&open_under(&store, keys(2)).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_relies_on_what_comes_late_and_lacks_a_key() {
    // Which of two copies is the first that is found depends on random names.
    let mut late = 0;
    for _ in 0..8 {
        late += late_copies_are_not_relied_on(Scene::new().await).await;
    }
    assert!(late > 0, "no pack was late");
}

/// Answers how many packs were late.
async fn late_copies_are_not_relied_on(scene: Scene) -> usize {
    let store = scene.store.clone();
    // Copies of a collector of before, under the first key alone, which still opens the location.
    let happening = exchange(store.clone(), keys(0), first_and(1));
    let late = open(&meanwhile(&store, "d/", 0, happening)).await.unwrap();
    let _ = prune_at_once(&late).await;
    let under = wrapped_under(&store).await;
    let is_late =
        |(key, names): &&(Key, String)| key.as_ref().starts_with("d/") && names.len() < 40;
    let lacking = under.iter().filter(is_late).count();

    let location = open_under(&store, first_and(1).materials).await.unwrap();
    let options = BackupOptions { parent: ParentChoice::None, ..BackupOptions::default() };
    let made = archive_with(&location, &scene.now, options, &Control::default()).await.unwrap();
    // Of a new pack nothing is removed that a late one has too.
    forget(&location, &scene.kept).await;
    prune_at_once(&location).await.unwrap();
    let second = open_under(&store, keys(1)).await.unwrap();
    assert_restores(&second, &made, &scene.now).await;
    lacking
}

/// A location in which a collector of before has copied something that nobody needs any more, and tells of it late.
struct Late {
    _folders: [tempfile::TempDir; 2],
    store: Arc<dyn ObjectStore>,
    /// The tree of the snapshot that is there, and one that has what was copied.
    then: PathBuf,
    now: PathBuf,
    kept: Snapshot,
    /// What comes late: a pack, and an index run that tells of it.
    objects: Vec<(Key, Bytes)>,
}

impl Late {
    async fn new() -> Self {
        let ((one, now), (two, then)) = (temporary(), temporary());
        let write = |name: &str, length| fs::write(now.join(name), pattern(length)).unwrap();
        let store = memory();
        let location = create(&store).await;
        write("stays", 60_000);
        copy_tree(&now, &then, TargetOptions::default());
        let kept = archive(&location, &then).await.unwrap();
        write("comes back", 200_000);
        write("goes", 310_000);
        let first = archive(&location, &now).await.unwrap();
        fs::remove_file(now.join("goes")).unwrap();
        let second = archive(&location, &now).await.unwrap();
        forget(&location, &first).await;

        let elsewhere = copy_of(&store).await;
        prune_at_once(&open(&elsewhere).await.unwrap()).await.unwrap();
        let known = objects(&store).await;
        let mut late = objects(&elsewhere).await;
        late.retain(|(key, _)| !known.iter().any(|(other, _)| other == key));
        assert!(late.iter().any(|(key, _)| key.as_ref().starts_with("d/")), "{late:?}");
        forget(&location, &second).await;
        Self { _folders: [one, two], store, then, now, kept, objects: late }
    }

    /// What comes late is there, and then a host archives what it has, during the exchange, into `store`.
    async fn archive(&self, store: &Arc<dyn ObjectStore>) -> Result<Snapshot> {
        for (key, bytes) in &self.objects {
            self.store.put(key, bytes.clone().into()).await.unwrap();
        }
        let location = open_during(store, 0, 1).await.unwrap();
        let options = BackupOptions { parent: ParentChoice::None, ..BackupOptions::default() };
        archive_with(&location, &self.now, options, &Control::default()).await
    }

    /// Whatever was acknowledged is there, and what came late is nothing but rubbish.
    async fn assert_sound(&self, made: Option<&Snapshot>) {
        let location = open_under(&self.store, keys(1)).await.unwrap();
        for _ in 0..2 {
            assert_restores(&location, &self.kept, &self.then).await;
            if let Some(made) = made {
                assert_restores(&location, made, &self.now).await;
            }
            prune_at_once(&location).await.unwrap();
            assert_whole(&location).await;
        }
        let markers = objects(&self.store).await.into_iter().map(|(key, _)| key.to_string());
        assert!(!markers.into_iter().any(|key| key.ends_with("closing")), "the exchange has ended");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_collector_of_before_copies_late_misleads_no_writer() {
    let late = Arc::new(Late::new().await);
    let made = Arc::new(std::sync::Mutex::new(None));
    let happening = {
        let (late, made) = (late.clone(), made.clone());
        async move {
            let snapshot = late.archive(&late.store).await.unwrap();
            *made.lock().unwrap() = Some(snapshot);
        }
    };
    // When all packs and the index have been gone through.
    exchange(meanwhile(&late.store, "s/", 0, happening), keys(0), new_keys(1)).await;
    let made = made.lock().unwrap().take().unwrap();
    late.assert_sound(Some(&made)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_relies_on_earlier_keys_when_an_exchange_closes_is_waited_for() {
    let late = Arc::new(Late::new().await);
    let ((reached, at_commit), (go, may_go)) = (oneshot::channel(), oneshot::channel());
    let (outcome, of_writer) = oneshot::channel();
    let happening = {
        let late = late.clone();
        async move {
            let paused = meanwhile(&late.store.clone(), "s/", 0, async move {
                reached.send(()).unwrap();
                may_go.await.unwrap();
            });
            tokio::spawn(async move { outcome.send(late.archive(&paused).await) });
            at_commit.await.unwrap();
        }
    };
    // It takes whoever is at work for dead: the writer can commit no more.
    exchange(meanwhile(&late.store, "keys/1.closing", 0, happening), keys(0), new_keys(1)).await;
    go.send(()).unwrap();
    let made = of_writer.await.unwrap();
    late.assert_sound(made.ok().as_ref()).await;
}

/// One host: archives again and again, under whatever keys the location has, and collects now and then.
async fn work(store: Arc<dyn ObjectStore>, root: &Path, host: u8, until: u8) -> (u32, Vec<String>) {
    let (mut refused, mut acknowledged) = (0, Vec::new());
    for round in 0_u32.. {
        let mut opened = None;
        for number in 1..=until {
            opened = opened.or(open_during(&store, number - 1, number).await.ok());
        }
        let Some(location) = opened else { continue };
        let is_last = location.format().epoch == u32::from(until) && !location.is_in_exchange();
        let noise = pattern(3000 + round as usize * 100 + usize::from(host) * 7919);
        fs::write(root.join(format!("host-{host}")), noise).unwrap();
        match archive(&location, root).await {
            Ok(snapshot) => acknowledged.push(snapshot.id.to_string()),
            Err(error) => {
                let concurrent = [Cause::Concurrency, Cause::KeyWrong, Cause::StoreMissing];
                assert!(concurrent.contains(&error.cause()), "{error}");
                refused += 1;
            }
        }
        if round % 3 == 2 {
            let patient = PruneOptions { dead_after: Duration::from_secs(3600), ..at_once() };
            let _ = strongroom::prune::prune(&location, &patient, &Control::default()).await;
        }
        if is_last && round > 20 {
            break;
        }
    }
    (refused, acknowledged)
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_archive_and_collect_while_keys_are_exchanged() {
    let store = memory();
    create(&store).await;
    storm(&store).await;
    let under = wrapped_under(&store).await;
    for (key, names) in &under {
        let is_new = names.starts_with(&format!("key of {EXCHANGES}"));
        assert!(is_new || is_original(&under, key), "{key} is under {names}");
    }
}

/// Exchanges of keys in a storm.
pub(crate) const EXCHANGES: u8 = 4;

/// Has hosts archive and collect while keys are exchanged; nothing that was acknowledged is lost.
pub(crate) async fn storm(store: &Arc<dyn ObjectStore>) {
    let trees: Vec<_> = (0..3).map(|_| temporary()).collect();
    let hosts: Vec<_> = (0..3_u8)
        .map(|host| {
            let (store, root) = (store.clone(), trees[usize::from(host)].1.clone());
            tokio::spawn(async move { work(store, &root, host, EXCHANGES).await })
        })
        .collect();
    let patient = PruneOptions { dead_after: Duration::from_secs(3600), ..at_once() };
    for number in 1..=EXCHANGES {
        tokio::time::sleep(Duration::from_millis(300)).await;
        loop {
            let location = match open_during(store, number - 1, number).await {
                Ok(location) => location,
                Err(error) => panic!("{error}"),
            };
            match rekey(&location, &new_keys(number), &patient, &Control::default(), || {}).await {
                Ok(_) => break,
                Err(error) => assert_eq!(error.cause(), Cause::Concurrency, "{error}"),
            }
        }
    }
    let (mut refused, mut acknowledged) = (0, Vec::new());
    for host in hosts {
        let (its_refused, its_own) = host.await.unwrap();
        refused += its_refused;
        acknowledged.extend(its_own);
    }
    let location = open_under(store, keys(EXCHANGES)).await.unwrap();
    assert_whole(&location).await;
    let there: Vec<String> =
        load_all(&location).await.unwrap().iter().map(|snapshot| snapshot.id.to_string()).collect();
    for id in &acknowledged {
        assert!(there.contains(id), "{id} was acknowledged and is lost");
    }
    figure(&format!(
        "A2: {EXCHANGES} exchanges of keys while 3 hosts archived and collected: {} snapshots acknowledged, 0 lost, \
         {refused} archives refused",
        acknowledged.len()
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_lacks_something_is_to_be_repaired_first() {
    let scene = Scene::new().await;
    let store = scene.store.clone();
    for (key, _) in objects(&store).await {
        if key.as_ref().starts_with("i/") {
            store.delete(&key).await.unwrap();
        }
    }
    let location = open(&store).await.unwrap();
    let refused = rekey_to(&location, 1).await.unwrap_err();
    assert!(refused.to_string().contains("no index run says"), "{refused}");
    let location = open_during(&store, 0, 1).await.unwrap();
    let (options, control) =
        (strongroom::repair::RepairIndexOptions::default(), Control::default());
    strongroom::repair::repair_index(&location, options, &control).await.unwrap();
    rekey_to(&location, 1).await.unwrap();
    let location = open_under(&store, keys(1)).await.unwrap();
    assert_restores(&location, &scene.kept, &scene.then).await;
    assert_whole(&location).await;
}

#[test]
fn the_command_exchanges_the_key_and_notes_it() {
    let program = strongroom_peers::require!(Program::start());
    let tree = program.at("tree");
    make_rich_tree(&tree);
    program.create_location();
    let first = program.archive(&tree);
    let other_tree = program.at("other");
    fs::create_dir(&other_tree).unwrap();
    fs::write(other_tree.join("more"), b"more of it").unwrap();
    let second = program.archive(&other_tree);
    let config = program.at("home/.config/strongroom/config.toml");
    let elsewhere = fs::read_to_string(&config).unwrap();
    let new = program.make_key();
    let told = program.json(&["rekey", "--new-key", &new]);
    assert_eq!((&told["rekeyed"]["changed"], &told["rekeyed"]["epoch"]), (&true.into(), &1.into()));
    assert_eq!(told["key"], new.as_str());

    // The earlier key is gone for good, and nobody misses it.
    let old = program.key.clone();
    program.wait(program.client.disable_key().key_id(&old).send()).unwrap();
    program.restored_equal(&first, &tree);
    program.restored_equal(&second, &other_tree);
    program.run(&["check", "--read-data"]).expect(0);
    let third = program.archive(&tree);
    program.restored_equal(&third, &tree);
    assert_eq!(program.json(&["location", "show"])["key"], new.as_str());

    // Another host knows the earlier key only: it is told, and the same command sets it right.
    fs::write(&config, elsewhere).unwrap();
    let ended = program.run(&["check"]).expect(19);
    assert!(ended.stderr.contains("keys/1"), "{}", ended.stderr);
    let told = program.json(&["rekey", "--new-key", &new]);
    assert_eq!(told["rekeyed"]["changed"], false);
    program.run(&["check"]).expect(0);

    // By its URL, what is to be given from now on is said.
    let again = program.make_key();
    let url = program.url("store");
    let ended =
        program.run(&["rekey", "--location", &url, "--key", &new, "--new-key", &again]).expect(0);
    assert!(ended.stderr.contains(&format!("--key {again}")), "{}", ended.stderr);
    program.run(&["check", "--location", &url, "--key", &again]).expect(0);
}

#[test]
fn the_recovery_key_brings_a_location_whose_key_is_lost_under_another() {
    let program = strongroom_peers::require!(Program::start());
    if !has_keys(&program) {
        return;
    }
    let tree = program.at("tree");
    make_rich_tree(&tree);
    let other = program.create_shared_location();
    let snapshot = program.archive(&tree);
    program.disable(&program.key);
    program.disable(&other);
    let new = program.make_key();
    let rekey = ["rekey", "--new-key", &new];
    let refused = program.run(&rekey).expect(18);
    assert!(refused.stderr.contains("is disabled"), "{}", refused.stderr);
    // Interrupted before anything was read, it goes on where it was, though no key in the KMS reads that.
    let session = program.at("store/x/session/00112233445566778899aabbccddeeff");
    fs::create_dir_all(session.parent().unwrap()).unwrap();
    fs::write(&session, b"a writer of before").unwrap();
    let waiting = [&rekey[..], &["--max-wait", "0s"]].concat();
    program.run_with(&waiting, &program.private("recovery")).expect(25);
    // Nor when yet another key was meant.
    let new = program.make_key();
    let rekey = ["rekey", "--new-key", &new];
    let waiting = [&rekey[..], &["--max-wait", "0s"]].concat();
    program.run_with(&waiting, &program.private("recovery")).expect(25);
    let shown = program.run(&["location", "show"]).expect(0);
    assert!(shown.stdout.contains("being exchanged"), "{}", shown.stdout);
    fs::remove_file(&session).unwrap();
    program.run(&rekey).expect(18);
    program.run_with(&rekey, &program.private("recovery")).expect(0);

    program.restored_equal(&snapshot, &tree);
    program.run(&["check", "--read-data"]).expect(0);
    // It was not named again, so that it opens nothing any more.
    let refused = program.run_with(&["check"], &program.private("recovery")).expect(19);
    assert!(refused.stderr.contains("recovery key"), "{}", refused.stderr);
}

#[test]
fn a_recovery_key_is_added_to_a_location_that_has_none() {
    let mut program = strongroom_peers::require!(Program::start());
    if !has_keys(&program) {
        return;
    }
    let tree = program.at("tree");
    make_rich_tree(&tree);
    program.create_location();
    let snapshot = program.archive(&tree);
    let public = program.at("recovery.pub");
    let recovery = ["--recovery-public-key", public.to_str().unwrap()];
    let told = program.json(&[&["rekey", "--new-key", ALIAS][..], &recovery].concat());
    assert_eq!(told["key"], program.key.as_str());
    program.kms.kill();
    program.restored_equal_with(&snapshot, &tree, &program.private("recovery"));
    program.run_with(&["check", "--read-data"], &program.private("recovery")).expect(0);
}
