//! Key material that no key has does not stay in HSMs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use strongroom_hsm::Provider;
use strongroom_kms::admin::{AdminRequest, ask, ask_network};
use strongroom_kms::clock::{Clock, ManualClock, SystemClock, Timestamp};
use strongroom_kms::{DataDir, HsmFaults, NetworkChange};

use crate::harness::Server;
use crate::story::Played;

/// Longer than it takes to see that a key was made, shorter than the KMS waits.
const DELAY_MILLIS: u32 = 3_000;

async fn devices(data: &Path) -> Vec<PathBuf> {
    let hsms = ask(data, &AdminRequest::List).await.unwrap();
    hsms.into_iter().map(|hsm| hsm.directory).collect()
}

/// How many keys each device has; none if it is off.
async fn keys(devices: &[PathBuf]) -> Vec<Option<u32>> {
    let mut counts = Vec::new();
    for device in devices {
        let status = Provider::of_directory(device).status().await;
        counts.push(status.ok().and_then(|status| status.info).map(|info| info.keys));
    }
    counts
}

async fn becomes(devices: &[PathBuf], expected: &[Option<u32>]) {
    for _ in 0..300 {
        if keys(devices).await == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("keys on the HSMs: {:?}, not {expected:?}", keys(devices).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_not_finished_leaves_nothing_in_the_hsms() {
    let dir = tempfile::tempdir().unwrap();
    let played = Arc::new(Played::on(Server::on(dir.path()).await).await);
    let devices = devices(dir.path()).await;
    let slow = async |delay_millis| {
        for hsm_id in played.ending.hsm_ids.clone() {
            let faults = HsmFaults { delay_millis, ..HsmFaults::default() };
            let change = NetworkChange::SetHsm { hsm_id, faults };
            ask_network(dir.path(), Some(change)).await.unwrap();
        }
    };
    slow(DELAY_MILLIS).await;
    let creating = Arc::clone(&played);
    let store = played.ending.custom_key_store_id.clone();
    let create = tokio::spawn(async move {
        let input = json!({ "Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": store });
        creating.kms("CreateKey", input).await
    });
    for _ in 0..300 {
        if keys(&devices).await.contains(&Some(2)) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // One HSM has made the key and the KMS has not heard of it.
    create.abort();
    assert!(create.await.unwrap_err().is_cancelled());
    assert!(keys(&devices).await.contains(&Some(2)));
    slow(0).await;
    let Ok(Played { server, ending }) = Arc::try_unwrap(played) else { panic!("still in use") };
    server.emulator.shutdown().await;
    let played = Played { server: Server::on(dir.path()).await, ending };
    becomes(&devices, &[Some(1), Some(1)]).await;
    played.round_trip().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_copy_of_a_deleted_key_goes_when_its_hsm_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let now = Timestamp::from_millis(SystemClock.now().as_millis());
    let clock = Arc::new(ManualClock::new(now));
    let (data, given) = (dir.path().to_owned(), Arc::clone(&clock));
    let server = Server::with(|config| {
        config.data_dir = DataDir::Persistent(data);
        config.clock = given;
    });
    let played = Played::on(server.await).await;
    let hsms = ask(dir.path(), &AdminRequest::List).await.unwrap();
    let devices: Vec<_> = hsms.iter().map(|hsm| hsm.directory.clone()).collect();
    assert_eq!(keys(&devices).await, [Some(1), Some(1)]);
    ask(dir.path(), &AdminRequest::Stop(hsms[1].hsm_id.clone())).await.unwrap();
    let deletion = json!({ "KeyId": played.ending.key_arn, "PendingWindowInDays": 7 });
    played.kms("ScheduleKeyDeletion", deletion).await.unwrap();
    clock.advance_seconds(8 * 86_400);
    becomes(&devices, &[Some(0), None]).await;
    ask(dir.path(), &AdminRequest::Start(hsms[1].hsm_id.clone())).await.unwrap();
    becomes(&devices, &[Some(0), Some(0)]).await;
}
