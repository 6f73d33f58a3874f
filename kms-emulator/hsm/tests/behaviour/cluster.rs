//! What HSMs of a cluster do among themselves: backups, clones, masked objects.

use strongroom_hsm::clock::SystemClock;
use strongroom_hsm::provision::Backup;
use strongroom_hsm::{Client, Factory, Password, Plaintext, Port, Provider, Refusal, Role};

use crate::support::{KMSUSER, Node, config, password, refusal};

async fn seal(client: &Client, label: &str) -> Vec<u8> {
    let key = client.generate_key(label).await.unwrap();
    client.seal(key, b"aad", Plaintext::new(b"data key").unwrap()).await.unwrap()
}

async fn opens(client: &Client, label: &str, sealed: &[u8]) -> bool {
    let keys = client.find_keys(label).await.unwrap();
    let Some(key) = keys.first() else { return false };
    client.open(*key, b"aad", sealed).await.is_ok_and(|opened| opened.expose() == b"data key")
}

#[tokio::test]
async fn a_clone_has_users_keys_and_the_certificate() {
    let first = Node::activated().await;
    let sealed = seal(&first.user().await, "label").await;
    let second = first.cloned().await;
    assert!(opens(&second.user().await, "label", &sealed).await);
    let certificates = first.provider().make_request().await.unwrap();
    assert_eq!(second.provider().make_request().await.unwrap(), certificates);
    assert!(certificates.cluster_certificate.is_some());
}

#[tokio::test]
async fn a_key_reaches_the_other_node_as_a_masked_object() {
    let first = Node::activated().await;
    let second = first.cloned().await;
    let (here, there) = (first.user().await, second.user().await);
    let sealed = seal(&here, "label").await;
    assert!(!opens(&there, "label", &sealed).await);
    let key = here.find_keys("label").await.unwrap()[0];
    let masked = here.extract_masked(key).await.unwrap();
    assert_eq!(there.insert_masked(masked.clone()).await.unwrap(), key);
    assert!(opens(&there, "label", &sealed).await);
    // Twice is once.
    assert_eq!(there.insert_masked(masked).await.unwrap(), key);
    assert_eq!(there.find_all_keys().await.unwrap().len(), 1);
    let digest = async |client: &Client| {
        let user = client.list_users().await.unwrap()[2].id;
        client.keys_of_user(user).await.unwrap().digest
    };
    assert_eq!(digest(&here).await, digest(&there).await);
}

#[tokio::test]
async fn a_masked_object_is_useless_elsewhere() {
    let first = Node::activated().await;
    let stranger = Node::activated().await;
    let here = first.user().await;
    let key = here.generate_key("label").await.unwrap();
    let masked = here.extract_masked(key).await.unwrap();
    let there = stranger.user().await;
    assert_eq!(refusal(there.insert_masked(masked.clone()).await), Refusal::OtherCluster);
    let second = first.cloned().await;
    let there = second.user().await;
    let mut altered = masked.into_vec();
    *altered.last_mut().unwrap() ^= 1;
    let altered = strongroom_hsm::Blob::new(altered).unwrap();
    assert_eq!(refusal(there.insert_masked(altered).await), Refusal::NotAuthentic);
}

#[tokio::test]
async fn users_are_not_synchronised_and_a_key_needs_its_owner() {
    let first = Node::activated().await;
    let second = first.cloned().await;
    let officer = first.officer().await;
    officer.create_user(Role::CryptoUser, "alice", password("alice123"), None).await.unwrap();
    let alice = first.client(Port::Client);
    alice.login(Role::CryptoUser, "alice", password("alice123")).await.unwrap();
    let missing = second.client(Port::Client);
    let login = missing.login(Role::CryptoUser, "alice", password("alice123")).await;
    assert!(matches!(refusal(login), Refusal::UserNotFound { .. }));
    let key = alice.generate_key("label").await.unwrap();
    let masked = alice.extract_masked(key).await.unwrap();
    let there = second.officer().await;
    assert_eq!(refusal(there.insert_masked(masked).await), Refusal::OwnerMissing);
}

#[tokio::test]
async fn lock_out_counts_per_node() {
    let first = Node::activated().await;
    let second = first.cloned().await;
    let guess = first.client(Port::Client);
    for _ in 0..5 {
        refusal(guess.login(Role::CryptoUser, "kmsuser", password("wrong123")).await);
    }
    let locked = guess.login(Role::CryptoUser, "kmsuser", password(KMSUSER)).await;
    assert!(matches!(refusal(locked), Refusal::UserLockedOut { .. }));
    second.user().await;
}

#[tokio::test]
async fn a_backup_restores_after_the_loss_of_every_device() {
    let node = Node::activated().await;
    let sealed = seal(&node.user().await, "label").await;
    let backup = node.provider().backup().await.unwrap();
    node.provider().tamper().await.unwrap();
    drop(node);
    let fresh = Node::new();
    fresh.provider().restore(backup).await.unwrap();
    let fresh = fresh.reboot();
    assert!(opens(&fresh.user().await, "label", &sealed).await);
}

#[tokio::test]
async fn an_altered_backup_or_one_of_another_factory_is_refused() {
    let node = Node::activated().await;
    let backup = node.provider().backup().await.unwrap();
    let target = Node::new();
    for position in (0..backup.as_slice().len()).step_by(97) {
        let mut altered = backup.as_slice().to_vec();
        altered[position] ^= 1;
        let refused = target.provider().restore(Backup::new(altered).unwrap()).await;
        assert_eq!(refusal(refused), Refusal::NotAuthentic, "byte {position}");
    }
    let dir = tempfile::tempdir().unwrap();
    let other = Factory::open(&dir.path().join("factory"), &SystemClock).unwrap();
    let elsewhere = dir.path().join("device");
    other.manufacture(&elsewhere, "hsm-abcdefghijk", &SystemClock).unwrap();
    let device = strongroom_hsm::Device::power_on(&elsewhere, config()).unwrap();
    let provider = Provider::of_device(std::sync::Arc::new(device));
    assert_eq!(refusal(provider.restore(backup).await), Refusal::NotAuthentic);
}

#[tokio::test]
async fn a_restore_ends_every_session() {
    let node = Node::activated().await;
    let user = node.user().await;
    let backup = node.provider().backup().await.unwrap();
    node.provider().restore(backup).await.unwrap();
    assert_eq!(refusal(user.random(8).await), Refusal::SessionClosed);
}

#[tokio::test]
async fn a_password_changed_on_one_node_stays_as_it_was_on_the_other() {
    let first = Node::activated().await;
    let second = first.cloned().await;
    let renewed: Password = password("renewed1");
    let officer = first.officer().await;
    officer.change_password(Role::CryptoUser, "kmsuser", renewed).await.unwrap();
    let client = first.client(Port::Client);
    refusal(client.login(Role::CryptoUser, "kmsuser", password(KMSUSER)).await);
    second.user().await;
}
