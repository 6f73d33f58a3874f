//! The audit trail of a server, as an auditor reads it.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use aws_sdk_kms::primitives::Blob;
use serde_json::{Value, json};
use strongroom_kms::DataDir;
use strongroom_kms::audit::{OnFailure, directory_in, newest_records, verify};
use strongroom_kms::clock::{Clock as _, ManualClock, SystemClock};

use crate::harness::{ACCOUNT, OTHER_ACCOUNT, Server};
use crate::signer::RawRequest;
use crate::story::Played;

/// Stands in everything that must not be recorded.
const SECRET: &str = "never-to-be-recorded-plaintext";

async fn audited(dir: &Path) -> Server {
    let dir = dir.to_owned();
    Server::with(move |config| {
        config.data_dir = DataDir::Persistent(dir);
        config.audit = Some(OnFailure::Refuse);
    })
    .await
}

fn records(dir: &Path) -> Vec<Value> {
    let lines = newest_records(&directory_in(dir), usize::MAX).unwrap();
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of<'a>(records: &'a [Value], name: &str) -> Vec<&'a Value> {
    records.iter().filter(|record| record["eventName"] == name).collect()
}

#[tokio::test]
async fn records_have_the_form_of_the_guide_and_hold_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let server = audited(dir.path()).await;
    let client = server.client();
    let key = client.create_key().description("audited").send().await.unwrap();
    let key = key.key_metadata().unwrap().key_id().to_owned();
    let arn = format!("arn:aws:kms:us-east-1:{ACCOUNT}:key/{key}");
    let context = |name: &str| std::collections::HashMap::from([("Dept".into(), name.into())]);
    let encrypted = client
        .encrypt()
        .key_id(&key)
        .plaintext(Blob::new(SECRET))
        .set_encryption_context(Some(context("It")))
        .send()
        .await
        .unwrap();
    let blob = encrypted.ciphertext_blob().unwrap().clone();
    let open = |name: &str| {
        client
            .decrypt()
            .ciphertext_blob(blob.clone())
            .set_encryption_context(Some(context(name)))
            .send()
    };
    assert!(open("It").await.is_ok());
    assert!(open("Hr").await.is_err());
    client.create_alias().alias_name("alias/a").target_key_id(&key).send().await.unwrap();
    client.schedule_key_deletion().key_id(&key).pending_window_in_days(7).send().await.unwrap();
    client.list_keys().send().await.unwrap();
    let stranger = RawRequest::json(&server.host(), "TrentService.ListKeys", "{}");
    assert_eq!(server.send(&stranger).await.status, 400);
    server.emulator.shutdown().await;

    let found = records(dir.path());
    let names: Vec<&str> = found.iter().map(|r| r["eventName"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "CreateKey",
            "Encrypt",
            "Decrypt",
            "Decrypt",
            "CreateAlias",
            "ScheduleKeyDeletion",
            "ListKeys",
            "ListKeys"
        ]
    );
    let made = &found[0];
    assert_eq!(made["requestParameters"], json!({"description": "audited"}));
    assert_eq!(made["responseElements"]["keyMetadata"]["arn"], arn.as_str());
    assert_eq!(made["resources"][0]["ARN"], arn.as_str());
    assert_eq!((&made["readOnly"], &made["eventType"]), (&json!(false), &json!("AwsApiCall")));

    let encrypt = &found[1];
    let root = server_root(encrypt);
    assert_eq!(root["type"], "Root");
    assert_eq!(root["accountId"], ACCOUNT);
    assert_eq!(encrypt["eventSource"], "kms.amazonaws.com");
    assert_eq!(encrypt["awsRegion"], "us-east-1");
    assert_eq!(encrypt["sourceIPAddress"], "127.0.0.1");
    assert!(encrypt["userAgent"].as_str().unwrap().contains("aws-sdk-rust"), "{encrypt}");
    assert_eq!(
        encrypt["requestParameters"],
        json!({"keyId": key, "encryptionContext": {"Dept": "It"},
               "encryptionAlgorithm": "SYMMETRIC_DEFAULT"})
    );
    assert_eq!(encrypt["responseElements"], Value::Null);
    assert_eq!(
        encrypt["resources"],
        json!([{"accountId": ACCOUNT, "type": "AWS::KMS::Key", "ARN": arn}])
    );
    assert_eq!(encrypt["recipientAccountId"], ACCOUNT);

    let decrypts = of(&found, "Decrypt");
    assert_eq!(decrypts[0].get("errorCode"), None);
    assert_eq!(decrypts[0]["additionalEventData"]["keyMaterialId"].as_str().unwrap().len(), 64);
    assert_eq!(decrypts[1]["errorCode"], "InvalidCiphertextException");
    assert_ne!(decrypts[0]["eventID"], decrypts[1]["eventID"]);

    let alias = format!("arn:aws:kms:us-east-1:{ACCOUNT}:alias/a");
    let alias_resources = found[4]["resources"].as_array().unwrap();
    assert!(alias_resources.iter().any(|resource| resource["ARN"] == alias.as_str()));
    assert!(alias_resources.iter().any(|resource| resource["ARN"] == arn.as_str()));
    let deletion = found[5]["responseElements"]["deletionDate"].as_str().unwrap();
    assert!(deletion.ends_with('M') && deletion.contains(", 20"), "{deletion}");
    assert_eq!(found[7]["errorCode"], "MissingAuthenticationTokenException");
    assert_eq!(server_root(&found[7])["type"], "Unknown");

    let text = newest_records(&directory_in(dir.path()), usize::MAX).unwrap().join("\n");
    use base64::Engine;
    let standard = base64::engine::general_purpose::STANDARD;
    for secret in [SECRET.to_owned(), standard.encode(SECRET), standard.encode(blob.as_ref())] {
        assert!(!text.contains(&secret), "a secret is recorded");
    }
    assert!(verify(&directory_in(dir.path()), None).unwrap().is_ok());
}

fn server_root(record: &Value) -> &Value {
    &record["userIdentity"]
}

#[tokio::test]
async fn refusals_name_the_user_and_both_accounts() {
    let dir = tempfile::tempdir().unwrap();
    let users = dir.path().join("users.json");
    let entry = json!({"credentials": [{"accountId": OTHER_ACCOUNT, "userName": "eve",
        "accessKeyId": "AKIAEVE0000000000000", "secretAccessKey": "s", "policies": []}]});
    std::fs::write(&users, entry.to_string()).unwrap();
    let data = dir.path().join("data");
    let given = data.clone();
    let server = Server::with(move |config| {
        config.data_dir = DataDir::Persistent(given);
        config.audit = Some(OnFailure::Refuse);
        config.credentials_file = Some(users);
    })
    .await;
    let key = server.create_key().await;
    let arn = format!("arn:aws:kms:us-east-1:{ACCOUNT}:key/{key}");
    let eve = server.client_as("AKIAEVE0000000000000", "s", "us-east-1");
    assert!(eve.describe_key().key_id(&arn).send().await.is_err());
    server.emulator.shutdown().await;
    let found = records(&data);
    let refused = of(&found, "DescribeKey")[0];
    assert_eq!(refused["errorCode"], "AccessDenied");
    assert_eq!(refused["userIdentity"]["userName"], "eve");
    assert_eq!(refused["userIdentity"]["accessKeyId"], "AKIAEVE0000000000000");
    assert_eq!(refused["recipientAccountId"], OTHER_ACCOUNT);
    assert_eq!(refused["resources"][0]["accountId"], ACCOUNT);
}

#[tokio::test]
async fn what_the_service_does_by_itself_is_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let (given, data) = (Arc::clone(&clock), dir.path().to_owned());
    let server = Server::with(move |config| {
        config.data_dir = DataDir::Persistent(data);
        config.audit = Some(OnFailure::Refuse);
        config.clock = given;
    })
    .await;
    let doomed = server.create_key().await;
    let kept = server.create_key().await;
    let body = json!({"KeyId": doomed, "PendingWindowInDays": 7}).to_string();
    assert_eq!(server.kms("ScheduleKeyDeletion", &body).await.status, 200);
    let body = json!({"KeyId": kept, "RotationPeriodInDays": 90}).to_string();
    assert_eq!(server.kms("EnableKeyRotation", &body).await.status, 200);
    clock.advance_seconds(91 * 86_400);
    let mut found = Vec::new();
    for _ in 0..300 {
        found = records(dir.path());
        if !of(&found, "DeleteKey").is_empty() && !of(&found, "RotateKey").is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let deleted = of(&found, "DeleteKey")[0];
    assert_eq!(deleted["eventType"], "AwsServiceEvent");
    assert_eq!(deleted["userIdentity"], json!({"accountId": ACCOUNT, "invokedBy": "AWS Internal"}));
    assert!(deleted["resources"][0]["ARN"].as_str().unwrap().ends_with(&doomed));
    assert_eq!(of(&found, "RotateKey")[0]["serviceEventDetails"]["keyId"], kept.as_str());
    server.emulator.shutdown().await;
}

#[tokio::test]
async fn the_command_verifies_and_names_the_first_broken_link() {
    let dir = tempfile::tempdir().unwrap();
    let server = audited(dir.path()).await;
    server.create_key().await;
    server.emulator.shutdown().await;
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_strongroom-kms"))
            .arg("audit")
            .args(arguments)
            .arg("--data-dir")
            .arg(dir.path())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, out, _) = run(&["verify"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("1 digests, 1 records"), "{out}");
    assert!(run(&["show"]).1.contains("\"eventName\":\"CreateKey\""));
    let log = walk(&directory_in(dir.path()).join("logs"));
    let altered = std::fs::read_to_string(&log).unwrap().replace("CreateKey", "ListKeys!");
    std::fs::write(&log, altered).unwrap();
    let (code, _, message) = run(&["verify"]);
    assert_eq!(code, Some(1));
    assert!(message.contains("00000001.json: it was altered"), "{message}");
}

/// The one file below a folder.
fn walk(folder: &Path) -> std::path::PathBuf {
    let entry = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    if entry.is_dir() { walk(&entry) } else { entry }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_records_cannot_be_written_calls_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = audited(dir.path()).await;
    // A file where a directory has to be: no log file can be made.
    let logs = directory_in(dir.path()).join("logs");
    std::fs::write(&logs, "").unwrap();
    let random = || server.kms("GenerateRandom", r#"{"NumberOfBytes":8}"#);
    // The first call finds out; from then on calls are refused before they do anything.
    let mut refused = false;
    for _ in 0..100 {
        let reply = random().await;
        refused = reply.status == 500;
        if refused {
            assert_eq!(reply.code(), "KMSInternalException");
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(refused);
    std::fs::remove_file(&logs).unwrap();
    let mut answered = false;
    for _ in 0..100 {
        answered = random().await.status == 200;
        if answered {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(answered, "the server recovers");
    server.emulator.shutdown().await;
    // Not one call that was answered is missing.
    assert!(of(&records(dir.path()), "GenerateRandom").len() >= 2);
    assert!(verify(&directory_in(dir.path()), None).unwrap().is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_hangs_up_is_recorded_too() {
    use std::io::Write;
    let dir = tempfile::tempdir().unwrap();
    let server = audited(dir.path()).await;
    for _ in 0..20 {
        let request = RawRequest::json(&server.host(), "TrentService.CreateKey", "{}");
        let bytes = server.signer("kms").sign(&request).to_bytes();
        let mut stream = std::net::TcpStream::connect(server.host()).unwrap();
        stream.write_all(&bytes).unwrap();
        drop(stream);
    }
    // Those whose connections end now are waited for.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let keys = server.kms("ListKeys", "{}").await.json()["Keys"].as_array().unwrap().len();
    server.emulator.shutdown().await;
    let found = records(dir.path());
    let recorded = of(&found, "CreateKey").len();
    assert!(recorded >= keys, "{recorded} records of {keys} keys");
}

/// Has a key of the custom key store made, and deleted when its time is over: what the two records say beside the call.
async fn made_and_deleted(
    played: &Played,
    clock: &ManualClock,
    dir: &Path,
    before_deletion: Option<&str>,
) -> (Value, Value) {
    let store = &played.ending.custom_key_store_id;
    let input = json!({"Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": store});
    // Making a key takes both HSMs, of which one may have been given up for a while.
    let mut attempts = 0;
    let arn = loop {
        match played.kms("CreateKey", input.clone()).await {
            Ok(made) => break made["KeyMetadata"]["Arn"].clone(),
            Err(error) => assert!(attempts < 150, "{error:?}"),
        }
        attempts += 1;
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    };
    let deletion = json!({"KeyId": arn, "PendingWindowInDays": 7});
    played.kms("ScheduleKeyDeletion", deletion).await.unwrap();
    if let Some(operation) = before_deletion {
        played.store(operation).await.unwrap();
    }
    clock.advance_seconds(8 * 86_400);
    let about = |record: &&Value| record["resources"][0]["ARN"] == arn;
    let found = loop {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let found = records(dir);
        if of(&found, "DeleteKey").iter().any(about) {
            break found;
        }
    };
    let beside = |name: &str| {
        let records = of(&found, name);
        let record = records.iter().find(|record| about(record)).unwrap();
        let key = &record["responseElements"]["keyId"];
        assert_eq!(*key, if name == "DeleteKey" { arn.clone() } else { Value::Null });
        record["additionalEventData"].clone()
    };
    (beside("CreateKey"), beside("DeleteKey"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_a_custom_key_store_is_recorded_with_its_material() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let (data, given) = (dir.path().to_owned(), Arc::clone(&clock));
    let server = Server::with(|config| {
        config.data_dir = DataDir::Persistent(data);
        config.audit = Some(OnFailure::Refuse);
        config.clock = given;
    });
    let played = Played::on(server.await).await;
    let listed = |said: &Value, member: &str| -> Value {
        serde_json::from_str(said[member].as_str().unwrap()).unwrap()
    };
    let status = |(made, said): &(Value, Value)| {
        let backing: Value = serde_json::from_str(made["backingKey"].as_str().unwrap()).unwrap();
        assert_eq!(said["customKeyStoreId"], played.ending.custom_key_store_id.as_str());
        assert_eq!(said["clusterId"], played.ending.cluster_id.as_str());
        assert_eq!(listed(said, "backingKeys"), json!([backing]));
        let ended = &listed(said, "backingKeysDeletionStatus")[0];
        assert_eq!(ended["backingKeyId"], backing["backingKeyId"]);
        ended["deletionStatus"].as_str().unwrap().to_owned()
    };
    // An HSM that takes too long on a busy machine keeps its copy for now, and the record says so.
    let mut ended = Vec::new();
    while !ended.contains(&"SUCCESS".to_owned()) && ended.len() < 8 {
        ended.push(status(&made_and_deleted(&played, &clock, dir.path(), None).await));
    }
    assert_eq!(ended.last().unwrap(), "SUCCESS", "{ended:?}");
    let apart = Some("DisconnectCustomKeyStore");
    assert_eq!(status(&made_and_deleted(&played, &clock, dir.path(), apart).await), "FAILURE");
}
