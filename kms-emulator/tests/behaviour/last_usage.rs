//! The last use of a key: which requests count, and that it survives a restart.

use serde_json::{Value, json};

use crate::harness::Server;

async fn last_usage(server: &Server, key: &str) -> Value {
    let reply = server.kms("GetKeyLastUsage", &json!({"KeyId": key}).to_string()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

/// Sends a request and returns its id and the reply.
async fn send(server: &Server, operation: &str, input: Value) -> (String, Value) {
    let reply = server.kms(operation, &input.to_string()).await;
    let head = reply.head.to_ascii_lowercase();
    let id = head.split("x-amzn-requestid: ").nth(1).unwrap().split("\r\n").next().unwrap();
    (id.to_owned(), reply.json())
}

#[tokio::test]
async fn the_last_successful_use_is_shown() {
    let server = Server::start().await;
    let (key, other) = (server.create_key().await, server.create_key().await);
    let unused = last_usage(&server, &key).await;
    assert_eq!(unused["KeyLastUsage"], json!({}));
    assert_eq!(unused["TrackingStartDate"], unused["KeyCreationDate"]);

    let (id, sealed) = send(&server, "Encrypt", json!({"KeyId": key, "Plaintext": "AAAA"})).await;
    let shown = last_usage(&server, &key).await["KeyLastUsage"].clone();
    assert_eq!((&shown["Operation"], &shown["KmsRequestId"]), (&json!("Encrypt"), &json!(id)));
    assert!(shown["Timestamp"].as_f64() >= unused["KeyCreationDate"].as_f64(), "{shown}");

    // What fails, tries, or only looks is no use.
    for (operation, input) in [
        ("Encrypt", json!({"KeyId": key, "Plaintext": "AAAA", "DryRun": true})),
        (
            "Decrypt",
            json!({"CiphertextBlob": sealed["CiphertextBlob"],
            "EncryptionContext": {"a": "b"}}),
        ),
        ("DescribeKey", json!({"KeyId": key})),
        ("GetKeyRotationStatus", json!({"KeyId": key})),
    ] {
        send(&server, operation, input).await;
        assert_eq!(last_usage(&server, &key).await["KeyLastUsage"], shown, "{operation}");
    }

    let blob = &sealed["CiphertextBlob"];
    let input = json!({"CiphertextBlob": blob, "DestinationKeyId": other});
    let (id, _) = send(&server, "ReEncrypt", input).await;
    for key in [&key, &other] {
        let shown = last_usage(&server, key).await["KeyLastUsage"].clone();
        assert_eq!(
            (&shown["Operation"], &shown["KmsRequestId"]),
            (&json!("ReEncrypt"), &json!(id))
        );
    }
}

#[tokio::test]
async fn it_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::on(dir.path()).await;
    let key = server.create_key().await;
    send(&server, "GenerateDataKey", json!({"KeyId": key, "KeySpec": "AES_256"})).await;
    let before = last_usage(&server, &key).await;
    assert_eq!(before["KeyLastUsage"]["Operation"], "GenerateDataKey");
    server.emulator.shutdown().await;
    let server = Server::on(dir.path()).await;
    assert_eq!(last_usage(&server, &key).await, before);
}
