//! The operator's address: health, readiness, metrics.

use std::path::Path;

use strongroom_kms::DataDir;
use strongroom_kms::audit::{OnFailure, directory_in};

use crate::harness::Server;

async fn monitored(dir: &Path) -> (Server, String) {
    let dir = dir.to_owned();
    let server = Server::with(move |config| {
        config.data_dir = DataDir::Persistent(dir);
        config.audit = Some(OnFailure::Refuse);
        config.metrics = Some("127.0.0.1:0".parse().unwrap());
    })
    .await;
    let address = server.emulator.metrics_address().unwrap().to_string();
    (server, address)
}

#[tokio::test]
async fn requests_are_counted_by_operation_and_outcome() {
    let dir = tempfile::tempdir().unwrap();
    let (server, address) = monitored(dir.path()).await;
    server.create_key().await;
    for _ in 0..3 {
        assert_eq!(server.kms("ListKeys", "{}").await.status, 200);
    }
    assert_eq!(server.kms("DescribeKey", r#"{"KeyId":"alias/none"}"#).await.status, 400);
    assert_eq!(server.kms("NoSuchOperation", "{}").await.status, 400);
    let reply = server.plain(&address, "GET", "/metrics", "").await;
    assert_eq!(reply.status, 200);
    let text = String::from_utf8(reply.body).unwrap();
    for line in [
        r#"strongroom_kms_requests_total{operation="ListKeys",outcome="Success"} 3"#,
        r#"strongroom_kms_requests_total{operation="DescribeKey",outcome="NotFoundException"} 1"#,
        r#"strongroom_kms_requests_total{operation="",outcome="UnknownOperationException"} 1"#,
        r#"strongroom_kms_request_duration_seconds_count{operation="ListKeys"} 3"#,
        r#"strongroom_kms_keys{region="us-east-1"} 1"#,
        "strongroom_kms_audit_failing 0",
        "strongroom_kms_storage_failing 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let secret = server.emulator.credentials().secret_access_key;
    assert!(!text.contains(secret));
}

#[tokio::test]
async fn live_ready_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (server, address) = monitored(dir.path()).await;
    assert_eq!(server.plain(&address, "GET", "/healthz", "").await.status, 200);
    assert_eq!(server.plain(&address, "GET", "/readyz", "").await.status, 200);
    assert_eq!(server.plain(&address, "POST", "/metrics", "").await.status, 405);
    assert_eq!(server.plain(&address, "GET", "/", "").await.status, 404);
    // The address of the services answers none of it.
    assert_ne!(server.plain(&server.host(), "GET", "/metrics", "").await.status, 200);
    std::fs::write(directory_in(dir.path()).join("logs"), "").unwrap();
    server.kms("ListKeys", "{}").await;
    let mut unready = server.plain(&address, "GET", "/readyz", "").await;
    for _ in 0..100 {
        if unready.status == 503 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        unready = server.plain(&address, "GET", "/readyz", "").await;
    }
    assert_eq!(unready.status, 503);
    assert!(String::from_utf8_lossy(&unready.body).contains("audit trail"));
    assert_eq!(server.plain(&address, "GET", "/healthz", "").await.status, 200);
}
