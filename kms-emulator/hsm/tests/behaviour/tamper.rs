//! The tamper response leaves nothing.

use std::sync::Arc;

use strongroom_hsm::{Device, Port, Refusal};

use crate::support::{Node, any_file_contains, config, refusal};

#[tokio::test]
async fn a_tampered_device_forgets_everything_and_says_so() {
    let node = Node::activated().await;
    let user = node.user().await;
    let key = user.generate_key("label").await.unwrap();
    let sealing_key = std::fs::read(node.path("sealing.key")).unwrap();
    let state = std::fs::read(node.path("state.sealed")).unwrap();
    node.provider().tamper().await.unwrap();

    assert_eq!(refusal(user.info().await), Refusal::Tampered);
    assert!(matches!(
        refusal(user.generate_data_key(key, b"", 32).await),
        Refusal::Tampered | Refusal::SessionClosed
    ));
    assert_eq!(node.device.open_session(Port::Client), Err(Refusal::Tampered));
    assert!(node.provider().status().await.unwrap().info.is_none());
    assert!(!any_file_contains(node.dir.path(), &sealing_key));
    assert!(!any_file_contains(node.dir.path(), &state[..32]));
    assert!(!node.path("sealing.key").exists() && !node.path("state.sealed").exists());

    drop(user);
    let node = node.reboot();
    assert_eq!(node.device.open_session(Port::Client), Err(Refusal::Tampered));
}

#[tokio::test]
async fn an_interrupted_response_is_completed_at_the_next_power_on() {
    let node = Node::activated().await;
    let dir = node.power_off();
    // The mark is what a tamper response writes first.
    std::fs::write(dir.path().join("tampered"), b"").unwrap();
    let device = Arc::new(Device::power_on(dir.path(), config()).unwrap());
    assert_eq!(device.open_session(Port::Client), Err(Refusal::Tampered));
    assert!(!dir.path().join("sealing.key").exists());
    assert!(!dir.path().join("state.sealed").exists());
}

#[tokio::test]
async fn the_zeroisation_is_in_the_audit_log() {
    let node = Node::activated().await;
    node.provider().tamper().await.unwrap();
    let log = node.provider().audit_log(0).await.unwrap();
    assert!(log.contains("Opcode : CN_ZEROIZE\n"));
}
