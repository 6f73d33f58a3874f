//! What the server does for other people's tests.

use std::path::Path;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use strongroom_kms::{DataDir, Emulator, EmulatorConfig, Latency, TestOptions};

use crate::harness::Server;

async fn testing(seed: Option<&Path>) -> Server {
    let seed_file = seed.map(Path::to_owned);
    Server::with(|config| {
        config.tests = TestOptions { endpoints: true, seed_file, ..TestOptions::default() };
    })
    .await
}

async fn post(server: &Server, path: &str, body: &Value) -> Value {
    let path = format!("/_strongroom/{path}");
    let reply = server.plain(&server.host(), "POST", &path, &body.to_string()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

async fn state_of(server: &Server, key: &str) -> String {
    let reply = server.kms("DescribeKey", &json!({"KeyId": key}).to_string()).await;
    match reply.status {
        200 => reply.json()["KeyMetadata"]["KeyState"].as_str().unwrap().to_owned(),
        _ => reply.code(),
    }
}

#[tokio::test]
async fn time_moves_and_what_is_due_has_happened() {
    let server = testing(None).await;
    let (doomed, kept) = (server.create_key().await, server.create_key().await);
    let body = json!({"KeyId": doomed, "PendingWindowInDays": 7}).to_string();
    assert_eq!(server.kms("ScheduleKeyDeletion", &body).await.status, 200);
    let body = json!({"KeyId": kept, "RotationPeriodInDays": 90}).to_string();
    assert_eq!(server.kms("EnableKeyRotation", &body).await.status, 200);
    post(&server, "clock", &json!({"advanceDays": 6})).await;
    assert_eq!(state_of(&server, &doomed).await, "PendingDeletion");
    post(&server, "clock", &json!({"advanceDays": 1, "advanceSeconds": 1})).await;
    assert_eq!(state_of(&server, &doomed).await, "NotFoundException");
    let body = json!({"KeyId": kept}).to_string();
    assert_eq!(server.kms("ListKeyRotations", &body).await.json()["Rotations"], json!([]));
    post(&server, "clock", &json!({"advanceDays": 90})).await;
    let reply = server.kms("ListKeyRotations", &body).await.json();
    assert_eq!(reply["Rotations"].as_array().unwrap().len(), 1, "{reply}");
    for wrong in [json!({}), json!({"advanceSeconds": -1}), json!({"advanceYears": 1})] {
        let path = "/_strongroom/clock";
        let reply = server.plain(&server.host(), "POST", path, &wrong.to_string()).await;
        assert_eq!(reply.status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn reset_forgets_all_but_who_may_call_and_sows_again() {
    let dir = tempfile::tempdir().unwrap();
    let seed = dir.path().join("seed.json");
    let id = "1234abcd-12ab-34cd-56ef-1234567890ab";
    let mac_id = "2234abcd-12ab-34cd-56ef-1234567890ab";
    let keys = json!({"keys": [
        {"keyId": id, "aliases": ["alias/seeded"], "tags": {"team": "a"}, "description": "seeded",
         "material": "00".repeat(32)},
        {"keyId": mac_id, "keySpec": "HMAC_256", "material": "0b".repeat(32)}
    ]});
    std::fs::write(&seed, keys.to_string()).unwrap();
    let server = testing(Some(&seed)).await;
    let body = json!({"KeyId": "alias/seeded", "Plaintext": "c2VjcmV0"}).to_string();
    let encrypted = server.kms("Encrypt", &body).await.json();
    assert!(encrypted["KeyId"].as_str().unwrap().ends_with(id), "{encrypted}");
    // An HMAC key whose bytes are known: its MAC is one that anybody can compute.
    let body =
        json!({"KeyId": mac_id, "Message": STANDARD.encode("Hi"), "MacAlgorithm": "HMAC_SHA_256"});
    let made = server.kms("GenerateMac", &body.to_string()).await.json();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &[0x0b; 32]);
    assert_eq!(made["Mac"], STANDARD.encode(aws_lc_rs::hmac::sign(&key, b"Hi")));

    let other = server.create_key().await;
    let body = json!({"CiphertextBlob": encrypted["CiphertextBlob"]}).to_string();
    assert_eq!(server.kms("Decrypt", &body).await.status, 200);
    post(&server, "clock", &json!({"advanceDays": 400})).await;
    let later = server.plain(&server.host(), "GET", "/_strongroom/clock", "").await.json();
    let reset = post(&server, "reset", &json!({})).await;
    assert!(reset["now"].as_str().unwrap() < later["now"].as_str().unwrap());
    assert_eq!(state_of(&server, &other).await, "NotFoundException");
    assert_eq!(state_of(&server, id).await, "Enabled");
    // The material is the same as before: what it encrypted then it decrypts now.
    let opened = server.kms("Decrypt", &body).await;
    assert_eq!(opened.json()["Plaintext"], "c2VjcmV0", "{opened:?}");
}

#[tokio::test]
async fn hsms_are_listed_and_only_known_ones_are_broken() {
    let server = testing(None).await;
    let reply = server.plain(&server.host(), "GET", "/_strongroom/hsms", "").await;
    assert_eq!(reply.json(), json!({"hsms": []}));
    let path = "/_strongroom/hsms/hsm-1234567890a/tamper";
    assert_eq!(server.plain(&server.host(), "POST", path, "").await.status, 404);
}

#[tokio::test]
async fn without_being_asked_for_there_are_none() {
    let server = Server::start().await;
    for (method, path) in [("POST", "reset"), ("POST", "clock"), ("GET", "clock"), ("GET", "hsms")]
    {
        let path = format!("/_strongroom/{path}");
        assert_eq!(server.plain(&server.host(), method, &path, "{}").await.status, 404, "{path}");
    }
    // What a web page can send without asking is refused.
    let server = testing(None).await;
    let host = server.host();
    let page = format!(
        "POST /_strongroom/reset HTTP/1.1\r\nhost: {host}\r\ncontent-type: text/plain\r\n\
         content-length: 0\r\nconnection: close\r\n\r\n"
    );
    assert_eq!(server.send_bytes(page.into_bytes()).await.status, 415);
    let mut config = EmulatorConfig::loopback(DataDir::Ephemeral).unwrap();
    config.listen = "0.0.0.0:0".parse().unwrap();
    config.tests.endpoints = true;
    assert!(Emulator::start(config).await.is_err());
}

#[tokio::test]
async fn quotas_and_latency_on_request() {
    let server = Server::with(|config| {
        config.tests =
            TestOptions { quotas: true, latency: Latency::Realistic, ..TestOptions::default() };
    })
    .await;
    let started = Instant::now();
    let mut throttled = 0;
    for _ in 0..12 {
        let body = json!({"KeyId": "alias/none", "Description": ""}).to_string();
        let reply = server.kms("UpdateKeyDescription", &body).await;
        if reply.code() == "ThrottlingException" {
            assert!(reply.message().contains("Reduce the frequency"), "{reply:?}");
            throttled += 1;
        }
    }
    assert!(throttled > 0);
    // Twelve answers of at least thirty milliseconds each.
    assert!(started.elapsed().as_millis() >= 360);
}
