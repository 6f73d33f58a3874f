//! K1: a data directory that an earlier build wrote is opened by this one, with every key in it.
//!
//! `testdata/state-1` was written by [`freeze`]; `state-1.json` has what was encrypted, signed and said in it. They stay
//! as they are: a build that changes what is stored opens them too. The directory has an HSM network of its own, so
//! that the test does not run twice at a time on one machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use strongroom_kms::DataDir;
use strongroom_kms::clock::{Clock, ManualClock, SystemClock, Timestamp};

use crate::harness::Server;
use crate::story::Played;

const PLAINTEXT: &str = "c2VjcmV0";

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

/// A server on `data` at a time that was.
async fn server_at(data: &Path, milliseconds: i64) -> Server {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(milliseconds)));
    let data = data.to_owned();
    Server::with(move |config| {
        config.data_dir = DataDir::Persistent(data);
        config.clock = clock;
    })
    .await
}

async fn call(server: &Server, operation: &str, input: &Value) -> Value {
    let done = server.emulator.call(&format!("TrentService.{operation}"), input).await;
    done.unwrap_or_else(|error| panic!("{operation} {input}: {error}"))
}

/// What is asked of the frozen server: each operation with its input, and members of the reply.
async fn answers(server: &Server, questions: &Value) -> Value {
    let mut answers = Vec::new();
    for question in questions.as_array().unwrap() {
        let operation = question["operation"].as_str().unwrap();
        let mut reply = call(server, operation, &question["input"]).await;
        if let Some(members) = reply.as_object_mut() {
            // Another each time.
            members.retain(|name, _| !["NextMarker"].contains(&name.as_str()));
        }
        answers.push(reply);
    }
    answers.into()
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy_folder(&entry.path(), &target);
        } else if kind.is_file() {
            // There are sockets too, which belong to a server that runs.
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_of_the_first_version_opens_with_all_its_keys() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    copy_folder(&testdata("state-1"), &data);
    let frozen: Value =
        serde_json::from_slice(&fs::read(testdata("state-1.json")).unwrap()).unwrap();
    let server = server_at(&data, frozen["time"].as_i64().unwrap()).await;
    let store = json!({ "CustomKeyStoreId": frozen["store"] });
    for tries in 0.. {
        let reply = call(&server, "DescribeCustomKeyStores", &store).await;
        let state = &reply["CustomKeyStores"][0]["ConnectionState"];
        if state == "CONNECTED" {
            break;
        }
        assert!(tries < 200, "{reply}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(answers(&server, &frozen["questions"]).await, frozen["answers"]);
    // It goes on: keys are made, and are there after another start.
    let made = call(&server, "CreateKey", &json!({})).await["KeyMetadata"]["KeyId"].clone();
    server.emulator.shutdown().await;
    let server = server_at(&data, frozen["time"].as_i64().unwrap()).await;
    call(&server, "DescribeKey", &json!({ "KeyId": made })).await;
    let count = frozen["questions"].as_array().unwrap().len();
    println!("K1: {count} answers of a frozen data directory are what they were");
}

/// Writes a frozen directory: for a new version of what is stored only, under a new name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "writes testdata; run it by name for a new version of what is stored"]
async fn freeze() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let time = SystemClock.now().as_millis();
    let played = Played::on(server_at(&data, time).await).await;
    let server = &played.server;
    let mut questions = Vec::new();
    let mut ask = |operation: &str, input: Value| {
        questions.push(json!({ "operation": operation, "input": input }));
    };
    let context = json!({ "a": "b" });
    let make = async |input: Value| {
        call(server, "CreateKey", &input).await["KeyMetadata"]["KeyId"].clone()
    };

    let rotated =
        make(json!({ "Description": "d", "Tags": [{ "TagKey": "k", "TagValue": "v" }] })).await;
    let encrypt = json!({ "KeyId": rotated, "Plaintext": PLAINTEXT, "EncryptionContext": context });
    for _ in 0..2 {
        let blob = call(server, "Encrypt", &encrypt).await["CiphertextBlob"].clone();
        ask("Decrypt", json!({ "CiphertextBlob": blob, "EncryptionContext": context }));
        call(server, "RotateKeyOnDemand", &json!({ "KeyId": rotated })).await;
    }
    call(server, "CreateAlias", &json!({ "AliasName": "alias/a", "TargetKeyId": rotated })).await;
    call(server, "EnableKeyRotation", &json!({ "KeyId": rotated, "RotationPeriodInDays": 100 }))
        .await;
    let grant = json!({ "KeyId": rotated, "GranteePrincipal": "arn:aws:iam::111122223333:user/a",
        "Operations": ["Decrypt"], "Constraints": { "EncryptionContextSubset": context } });
    call(server, "CreateGrant", &grant).await;
    for operation in
        ["ListGrants", "ListResourceTags", "GetKeyPolicy", "GetKeyRotationStatus", "ListAliases"]
    {
        ask(operation, json!({ "KeyId": rotated }));
    }
    ask("DescribeKey", json!({ "KeyId": "alias/a" }));
    ask("ListKeyRotations", json!({ "KeyId": rotated }));

    for (spec, usage, algorithm) in [
        ("RSA_2048", "SIGN_VERIFY", "RSASSA_PSS_SHA_256"),
        ("ECC_NIST_P256", "SIGN_VERIFY", "ECDSA_SHA_256"),
        ("ML_DSA_44", "SIGN_VERIFY", "ML_DSA_SHAKE_256"),
    ] {
        let key = make(json!({ "KeySpec": spec, "KeyUsage": usage })).await;
        let input = json!({ "KeyId": key, "Message": PLAINTEXT, "SigningAlgorithm": algorithm });
        let signature = call(server, "Sign", &input).await["Signature"].clone();
        ask(
            "Verify",
            json!({ "KeyId": key, "Message": PLAINTEXT, "SigningAlgorithm": algorithm,
            "Signature": signature }),
        );
        ask("GetPublicKey", json!({ "KeyId": key }));
    }
    let mac = make(json!({ "KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC" })).await;
    ask(
        "GenerateMac",
        json!({ "KeyId": mac, "Message": PLAINTEXT, "MacAlgorithm": "HMAC_SHA_256" }),
    );
    let many = make(json!({ "MultiRegion": true })).await;
    call(server, "ReplicateKey", &json!({ "KeyId": many, "ReplicaRegion": "eu-west-1" })).await;
    ask("DescribeKey", json!({ "KeyId": many }));
    let disabled = make(json!({})).await;
    call(server, "DisableKey", &json!({ "KeyId": disabled })).await;
    ask("DescribeKey", json!({ "KeyId": disabled }));

    let input = json!({ "KeyId": played.ending.key_arn, "KeySpec": "AES_256" });
    let made = call(server, "GenerateDataKey", &input).await;
    ask("Decrypt", json!({ "CiphertextBlob": made["CiphertextBlob"] }));
    ask("DescribeKey", json!({ "KeyId": played.ending.key_arn }));

    let questions = Value::from(questions);
    let answers = answers(server, &questions).await;
    let frozen = json!({ "time": time, "store": played.ending.custom_key_store_id,
        "questions": questions, "answers": answers });
    played.server.emulator.shutdown().await;
    copy_folder(&data, &testdata("state-new"));
    fs::write(testdata("state-new.json"), serde_json::to_vec_pretty(&frozen).unwrap()).unwrap();
}
