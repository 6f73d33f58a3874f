//! Rotation: by period with a clock that the test moves, on demand, and across restarts.

use serde_json::{Value, json};

use crate::harness::Server;

const DAY_SECONDS: i64 = 86_400;

/// Calls without the network: a signature of today would be refused by a clock that is elsewhere.
async fn call(server: &Server, operation: &str, input: Value) -> Value {
    server.emulator.call(&format!("TrentService.{operation}"), &input).await.unwrap()
}

async fn rotations(server: &Server, key: &str) -> Vec<Value> {
    let listed = call(server, "ListKeyRotations", json!({"KeyId": key})).await;
    listed["Rotations"].as_array().unwrap().clone()
}

async fn encrypt(server: &Server, key: &str) -> Value {
    call(server, "Encrypt", json!({"KeyId": key, "Plaintext": "AAAA"})).await["CiphertextBlob"]
        .clone()
}

/// Waits for the task that rotates, which looks every few seconds.
async fn wait_for_rotations(server: &Server, key: &str, count: usize) -> Vec<Value> {
    for _ in 0..300 {
        let found = rotations(server, key).await;
        if found.len() >= count {
            return found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    panic!("{key} was not rotated");
}

#[tokio::test]
async fn a_key_is_rotated_when_its_period_is_over_and_it_is_enabled() {
    let (server, clock) = Server::with_clock().await;
    let (key, disabled) = (server.create_key().await, server.create_key().await);
    for key in [&key, &disabled] {
        let input = json!({"KeyId": key, "RotationPeriodInDays": 90});
        call(&server, "EnableKeyRotation", input).await;
    }
    call(&server, "DisableKey", json!({"KeyId": disabled})).await;
    let before = encrypt(&server, &key).await;
    clock.advance_seconds(90 * DAY_SECONDS + 1);
    let found = wait_for_rotations(&server, &key, 1).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["RotationType"], "AUTOMATIC");
    let after = encrypt(&server, &key).await;
    let opened = async |blob: &Value| {
        let opened = call(&server, "Decrypt", json!({"CiphertextBlob": blob})).await;
        assert_eq!(opened["Plaintext"], "AAAA");
        opened["KeyMaterialId"].clone()
    };
    assert_ne!(opened(&before).await, opened(&after).await);
    assert_eq!(opened(&after).await, found[0]["KeyMaterialId"]);
    let status = call(&server, "GetKeyRotationStatus", json!({"KeyId": key})).await;
    assert!(status["NextRotationDate"].as_f64() > found[0]["RotationDate"].as_f64(), "{status}");
    assert!(rotations(&server, &disabled).await.is_empty());
    call(&server, "EnableKey", json!({"KeyId": disabled})).await;
    assert_eq!(wait_for_rotations(&server, &disabled, 1).await.len(), 1);
}

#[tokio::test]
async fn rotations_are_bounded_and_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::on(dir.path()).await;
    let key = server.create_key().await;
    let rotate = json!({"KeyId": key}).to_string();
    let mut blobs = Vec::new();
    for _ in 0..25 {
        blobs.push(encrypt(&server, &key).await);
        assert_eq!(server.kms("RotateKeyOnDemand", &rotate).await.status, 200);
    }
    assert_eq!(server.kms("RotateKeyOnDemand", &rotate).await.code(), "LimitExceededException");
    let input = json!({"KeyId": key, "RotationPeriodInDays": 90}).to_string();
    assert_eq!(server.kms("EnableKeyRotation", &input).await.status, 200);
    let status = call(&server, "GetKeyRotationStatus", json!({"KeyId": key})).await;
    let before = rotations(&server, &key).await;
    assert_eq!(before.len(), 25);
    server.emulator.shutdown().await;

    let server = Server::on(dir.path()).await;
    assert_eq!(rotations(&server, &key).await, before);
    assert_eq!(call(&server, "GetKeyRotationStatus", json!({"KeyId": key})).await, status);
    for blob in blobs {
        let opened = call(&server, "Decrypt", json!({"CiphertextBlob": blob})).await;
        assert_eq!(opened["Plaintext"], "AAAA");
    }
}
