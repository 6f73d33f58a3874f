//! Backups: taken while the server works, restored into a server of their own.

use std::path::Path;

use serde_json::json;
use strongroom_kms::backup::{BackupError, back_up, restore};

use crate::harness::Server;

/// Encrypts under a new key and returns the request that decrypts.
async fn encrypted(server: &Server) -> String {
    let key = server.create_key().await;
    let body = json!({"KeyId": key, "Plaintext": "c2VjcmV0"}).to_string();
    let reply = server.kms("Encrypt", &body).await.json();
    json!({"CiphertextBlob": reply["CiphertextBlob"]}).to_string()
}

async fn opens(server: &Server, request: &str) -> bool {
    let reply = server.kms("Decrypt", request).await;
    reply.json()["Plaintext"] == "c2VjcmV0"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_server_that_works_holds_every_key_of_before() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let server = Server::on(&path("data")).await;
    let before = encrypted(&server).await;
    // Keys are made while the backup is taken.
    let (data, to) = (path("data"), path("backup"));
    let (taken, during) = tokio::join!(back_up_soon(&data, &to), async {
        let mut made = Vec::new();
        for _ in 0..10 {
            made.push(encrypted(&server).await);
        }
        made
    });
    taken.unwrap();
    let after = encrypted(&server).await;
    assert!(matches!(
        back_up(&path("data"), &path("backup")).await,
        Err(BackupError::Exists { .. })
    ));
    server.emulator.shutdown().await;

    restore(&path("backup"), &path("restored")).unwrap();
    let restored = Server::on(&path("restored")).await;
    assert!(opens(&restored, &before).await);
    assert!(!opens(&restored, &after).await, "made after the backup");
    // Of the keys made meanwhile each is there with its material, or not there.
    for request in during {
        let reply = restored.kms("Decrypt", &request).await;
        assert!(reply.status == 200 || reply.code() == "AccessDeniedException", "{reply:?}");
    }
}

async fn back_up_soon(data: &Path, to: &Path) -> Result<(), BackupError> {
    tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    back_up(data, to).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_without_a_server() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let server = Server::on(&path("data")).await;
    let before = encrypted(&server).await;
    server.emulator.shutdown().await;
    back_up(&path("data"), &path("backup")).await.unwrap();
    restore(&path("backup"), &path("restored")).unwrap();
    assert!(opens(&Server::on(&path("restored")).await, &before).await);
    assert!(matches!(restore(&path("backup"), &path("restored")), Err(BackupError::Exists { .. })));
    for nothing in ["nowhere", "."] {
        assert!(restore(&path(nothing), &path("new")).is_err());
        assert!(back_up(&path(nothing), &path("new")).await.is_err());
        assert!(!path("new").exists() && !path("new.partial").exists());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_backup_is_not_restored() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let server = Server::on(&path("data")).await;
    server.create_key().await;
    back_up(&path("data"), &path("backup")).await.unwrap();
    let database = path("backup").join("kms.sqlite3");
    let bytes = std::fs::read(&database).unwrap();
    std::fs::write(&database, &bytes[..bytes.len() / 2]).unwrap();
    assert!(restore(&path("backup"), &path("restored")).is_err());
    assert!(!path("restored").exists() && !path("restored.partial").exists());
}
