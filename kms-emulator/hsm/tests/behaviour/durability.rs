//! Power failures: the state is the old one or the new one, whole.

use strongroom_hsm::{Device, HsmError, Port, Role};

use crate::support::{Node, config, password};

#[tokio::test]
async fn everything_acknowledged_survives_a_power_failure() {
    let node = Node::activated().await;
    let user = node.user().await;
    let key = user.generate_key("label").await.unwrap();
    let sealed = user.generate_sealed_data_key(key, b"", 32).await.unwrap();
    drop(user);
    let reboots = node.provider().status().await.unwrap().info.unwrap().reboot_counter;
    let node = node.reboot();
    let user = node.user().await;
    assert_eq!(user.find_keys("label").await.unwrap(), [key]);
    user.open(key, b"", &sealed).await.unwrap();
    assert_eq!(user.info().await.unwrap().reboot_counter, reboots + 1);
}

/// Stops the device at every point of a write: before the new file is whole, between its completion
/// and the renaming, and after.
#[tokio::test]
async fn a_write_that_was_cut_off_leaves_the_old_state() {
    let node = Node::activated().await;
    let state = node.path("state.sealed");
    let old = std::fs::read(&state).unwrap();
    let user = node.user().await;
    user.generate_key("label").await.unwrap();
    drop(user);
    let new = std::fs::read(&state).unwrap();
    let dir = node.power_off();
    for cut in [0, 1, new.len() / 2, new.len() - 1, new.len()] {
        std::fs::write(dir.path().join("state.sealed"), &old).unwrap();
        std::fs::write(dir.path().join("state.new"), &new[..cut]).unwrap();
        let device = Device::power_on(dir.path(), config()).unwrap();
        let client =
            strongroom_hsm::Client::in_process(std::sync::Arc::new(device), Port::Client).unwrap();
        client.login(Role::CryptoUser, "kmsuser", password(crate::support::KMSUSER)).await.unwrap();
        assert!(client.find_all_keys().await.unwrap().is_empty(), "cut at {cut}");
        assert!(!dir.path().join("state.new").exists());
    }
    std::fs::write(dir.path().join("state.sealed"), &new).unwrap();
    Device::power_on(dir.path(), config()).unwrap();
}

#[tokio::test]
async fn an_altered_state_is_refused() {
    let node = Node::activated().await;
    let dir = node.power_off();
    let path = dir.path().join("state.sealed");
    let whole = std::fs::read(&path).unwrap();
    for position in [0, 16, 28, whole.len() / 2, whole.len() - 1] {
        let mut altered = whole.clone();
        altered[position] ^= 1;
        std::fs::write(&path, altered).unwrap();
        assert!(matches!(Device::power_on(dir.path(), config()), Err(HsmError::NotADevice { .. })));
    }
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    assert!(matches!(Device::power_on(dir.path(), config()), Err(HsmError::NotADevice { .. })));
}

#[tokio::test]
async fn a_state_is_sealed_to_its_device() {
    let (one, other) = (Node::activated().await, Node::activated().await);
    let (one, other) = (one.power_off(), other.power_off());
    std::fs::copy(one.path().join("state.sealed"), other.path().join("state.sealed")).unwrap();
    assert!(matches!(Device::power_on(other.path(), config()), Err(HsmError::NotADevice { .. })));
}

#[test]
fn a_device_is_on_once() {
    let node = Node::new();
    assert!(matches!(Device::power_on(node.dir.path(), config()), Err(HsmError::InUse { .. })));
}

#[test]
fn an_empty_directory_is_no_device() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(Device::power_on(dir.path(), config()), Err(HsmError::NotADevice { .. })));
}

/// A change that cannot be stored is refused and not made, in memory either.
#[tokio::test]
async fn a_write_that_fails_changes_nothing() {
    let node = Node::activated().await;
    let user = node.user().await;
    // A directory in the place of the new file makes its creation fail, for any user.
    let obstacle = node.path("state.new");
    std::fs::create_dir(&obstacle).unwrap();
    let refused = user.generate_key("label").await;
    assert_eq!(crate::support::refusal(refused), strongroom_hsm::Refusal::StorageFailed);
    assert!(user.find_keys("label").await.unwrap().is_empty());
    std::fs::remove_dir(&obstacle).unwrap();
    user.generate_key("label").await.unwrap();
}

#[test]
fn too_few_iterations_are_refused() {
    let node = Node::new();
    let dir = node.power_off();
    let weak = strongroom_hsm::Config { pbkdf2_iterations: 999, ..config() };
    assert!(matches!(
        Device::power_on(dir.path(), weak),
        Err(HsmError::Configuration { what: "pbkdf2_iterations" })
    ));
}
