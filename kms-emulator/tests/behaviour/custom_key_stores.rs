//! Custom key stores on living HSMs: the way that works, and each wrong turn of the troubleshooting
//! table with its documented outcome.

use serde_json::json;
use strongroom_hsm::{Password, Role};

use crate::harness::Server;
use crate::story::{Played, code};

#[tokio::test]
async fn a_key_of_a_custom_key_store_encrypts() {
    let played = Played::new().await;
    let described = played.kms("DescribeKey", json!({ "KeyId": "alias/story" })).await.unwrap();
    let key = &described["KeyMetadata"];
    assert_eq!(key["Origin"], "AWS_CLOUDHSM");
    assert_eq!(key["CustomKeyStoreId"], played.ending.custom_key_store_id.as_str());
    assert_eq!(key["CloudHsmClusterId"], played.ending.cluster_id.as_str());
    assert_eq!(key["KeyState"], "Enabled");
    played.round_trip().await.unwrap();
    let random =
        json!({ "NumberOfBytes": 32, "CustomKeyStoreId": played.ending.custom_key_store_id });
    assert!(played.kms("GenerateRandom", random).await.is_ok());
}

#[tokio::test]
async fn a_disconnected_store_has_unavailable_keys() {
    let played = Played::new().await;
    played.store("DisconnectCustomKeyStore").await.unwrap();
    assert_eq!(played.connection().await, "DISCONNECTED");
    assert_eq!(played.key_state().await, "Unavailable");
    assert_eq!(played.round_trip().await.unwrap_err().code, "KMSInvalidStateException");
    let create = json!({
        "Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": played.ending.custom_key_store_id,
    });
    assert_eq!(code(played.kms("CreateKey", create).await), "CustomKeyStoreInvalidStateException");
    let random =
        json!({ "NumberOfBytes": 8, "CustomKeyStoreId": played.ending.custom_key_store_id });
    assert_eq!(
        code(played.kms("GenerateRandom", random).await),
        "CustomKeyStoreInvalidStateException"
    );
    let again = played.store("DisconnectCustomKeyStore").await;
    assert_eq!(code(again), "CustomKeyStoreInvalidStateException");
    assert_eq!(played.connect().await, "CONNECTED");
    assert_eq!(played.key_state().await, "Enabled");
    played.round_trip().await.unwrap();
}

#[tokio::test]
async fn each_connection_gives_kmsuser_a_new_password() {
    let played = Played::new().await;
    played.store("DisconnectCustomKeyStore").await.unwrap();
    // Nobody but the KMS knows the password by now: the one that the user chose has been replaced.
    played.set_kmsuser_password("chosenByUs1").await;
    assert_eq!(played.connect().await, "FAILED INVALID_CREDENTIALS");
    let refused = played.store("ConnectCustomKeyStore").await;
    assert_eq!(code(refused), "CustomKeyStoreInvalidStateException");
    assert_eq!(
        code(played.update_password("chosenByUs1").await),
        "CustomKeyStoreInvalidStateException"
    );
    played.store("DisconnectCustomKeyStore").await.unwrap();
    played.update_password("chosenByUs1").await.unwrap();
    assert_eq!(played.connect().await, "CONNECTED");
    played.store("DisconnectCustomKeyStore").await.unwrap();
    let client = played.client(0).await;
    let old = Password::new("chosenByUs1").unwrap();
    assert!(client.login(Role::CryptoUser, "kmsuser", old).await.is_err());
}

#[tokio::test]
async fn a_kmsuser_who_is_locked_out_on_one_hsm_fails_the_connection() {
    let played = Played::new().await;
    played.store("DisconnectCustomKeyStore").await.unwrap();
    let client = played.client(1).await;
    for _ in 0..5 {
        let wrong = Password::new("wrongwrong").unwrap();
        client.login(Role::CryptoUser, "kmsuser", wrong).await.unwrap_err();
    }
    assert_eq!(played.connect().await, "FAILED USER_LOCKED_OUT");
    played.store("DisconnectCustomKeyStore").await.unwrap();
    played.set_kmsuser_password("unlocked1").await;
    played.update_password("unlocked1").await.unwrap();
    assert_eq!(played.connect().await, "CONNECTED");
}

#[tokio::test]
async fn a_kmsuser_who_is_missing_on_one_hsm_fails_the_connection() {
    let played = Played::new().await;
    // It owns the key's material there, so the key has to go first.
    played.store("DisconnectCustomKeyStore").await.unwrap();
    played.set_kmsuser_password("knownToUs1").await;
    let client = played.client(1).await;
    let password = Password::new("knownToUs1").unwrap();
    client.login(Role::CryptoUser, "kmsuser", password).await.unwrap();
    for handle in client.find_all_keys().await.unwrap() {
        client.delete_key(handle).await.unwrap();
    }
    client.logout().await.unwrap();
    played.officer(1).await.delete_user(Role::CryptoUser, "kmsuser").await.unwrap();
    played.update_password("knownToUs1").await.unwrap();
    assert_eq!(played.connect().await, "FAILED USER_NOT_FOUND");
}

#[tokio::test]
async fn a_kmsuser_who_is_logged_in_elsewhere_fails_the_connection() {
    let played = Played::new().await;
    played.store("DisconnectCustomKeyStore").await.unwrap();
    played.set_kmsuser_password("knownToUs1").await;
    played.update_password("knownToUs1").await.unwrap();
    let client = played.client(0).await;
    let password = Password::new("knownToUs1").unwrap();
    client.login(Role::CryptoUser, "kmsuser", password).await.unwrap();
    assert_eq!(played.connect().await, "FAILED USER_LOGGED_IN");
    client.logout().await.unwrap();
    assert_eq!(played.reconnect().await, "CONNECTED");
    played.round_trip().await.unwrap();
}

#[tokio::test]
async fn a_cluster_without_hsms_fails_the_connection_and_a_new_hsm_mends_it() {
    let played = Played::new().await;
    for id in &played.ending.hsm_ids {
        let input = json!({ "ClusterId": played.ending.cluster_id, "HsmId": id });
        played.hsm("DeleteHsm", input).await.unwrap();
    }
    let refused = played.round_trip().await.unwrap_err();
    assert_eq!(
        (refused.code.as_str(), refused.message.as_str()),
        ("KMSInvalidStateException", "KMS cannot communicate with your CloudHSM cluster"),
    );
    assert_eq!(played.reconnect().await, "FAILED INSUFFICIENT_CLOUDHSM_HSMS");
    // The new HSM is made from the backup that was taken before the last one was deleted.
    let input = json!({ "ClusterId": played.ending.cluster_id, "AvailabilityZone": "us-east-1b" });
    played.hsm("CreateHsm", input).await.unwrap();
    assert_eq!(played.reconnect().await, "CONNECTED");
    played.round_trip().await.unwrap();
}

#[tokio::test]
async fn a_deleted_cluster_is_not_found() {
    let played = Played::new().await;
    played.store("DisconnectCustomKeyStore").await.unwrap();
    let cluster = json!({ "ClusterId": played.ending.cluster_id });
    let refused = played.hsm("DeleteCluster", cluster.clone()).await;
    assert_eq!(code(refused), "CloudHsmInvalidRequestException");
    for id in &played.ending.hsm_ids {
        let input = json!({ "ClusterId": played.ending.cluster_id, "HsmId": id });
        played.hsm("DeleteHsm", input).await.unwrap();
    }
    played.hsm("DeleteCluster", cluster).await.unwrap();
    assert_eq!(played.connect().await, "FAILED CLUSTER_NOT_FOUND");
}

#[tokio::test]
async fn one_hsm_is_enough_to_use_a_key_and_too_few_to_make_one() {
    let played = Played::new().await;
    let input = json!({ "ClusterId": played.ending.cluster_id, "HsmId": played.ending.hsm_ids[0] });
    played.hsm("DeleteHsm", input).await.unwrap();
    played.round_trip().await.unwrap();
    let create = json!({
        "Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": played.ending.custom_key_store_id,
    });
    let refused = played.kms("CreateKey", create).await;
    assert_eq!(code(refused), "CloudHsmClusterInvalidConfigurationException");
    assert_eq!(played.reconnect().await, "CONNECTED");
}

#[tokio::test]
async fn material_deleted_from_the_hsms_makes_the_key_fail() {
    let played = Played::new().await;
    played.store("DisconnectCustomKeyStore").await.unwrap();
    played.set_kmsuser_password("knownToUs1").await;
    for index in 0..2 {
        let client = played.client(index).await;
        let password = Password::new("knownToUs1").unwrap();
        client.login(Role::CryptoUser, "kmsuser", password).await.unwrap();
        let handles = client.find_keys(&played.ending.key_arn).await.unwrap();
        assert_eq!(handles.len(), 1, "the key is on every HSM, labelled with its ARN");
        client.delete_key(handles[0]).await.unwrap();
        client.logout().await.unwrap();
    }
    played.update_password("knownToUs1").await.unwrap();
    assert_eq!(played.connect().await, "CONNECTED");
    assert_eq!(played.round_trip().await.unwrap_err().code, "KMSInvalidStateException");
}

#[tokio::test]
async fn a_tampered_hsm_is_survived() {
    let dir = tempfile::tempdir().unwrap();
    let played = Played::on(Server::on(dir.path()).await).await;
    use strongroom_kms::admin::{AdminRequest, ask};
    let tampered = AdminRequest::Tamper(played.ending.hsm_ids[0].clone());
    let reports = ask(dir.path(), &tampered).await.unwrap();
    assert!(!reports[0].is_active, "{reports:?}");
    for _ in 0..5 {
        played.round_trip().await.unwrap();
    }
    ask(dir.path(), &AdminRequest::Tamper(played.ending.hsm_ids[1].clone())).await.unwrap();
    assert_eq!(played.round_trip().await.unwrap_err().code, "KMSInvalidStateException");
}

#[tokio::test]
async fn stores_are_checked_when_they_are_made() {
    let played = Played::new().await;
    let ending = &played.ending;
    let create = |name: &str, cluster: &str, anchor: &str| {
        json!({
            "CustomKeyStoreName": name, "CloudHsmClusterId": cluster,
            "TrustAnchorCertificate": anchor, "KeyStorePassword": "kmsPswd2026",
        })
    };
    let own = ending.customer_ca.certificate();
    let other = strongroom_kms::story::CustomerCa::generate(played.emulator().clock().now());
    let other = other.await.unwrap();
    let refused = async |input| code(played.kms("CreateCustomKeyStore", input).await);
    let cluster = ending.cluster_id.as_str();
    assert_eq!(refused(create("x", cluster, own)).await, "CloudHsmClusterInUseException");
    assert_eq!(
        refused(create("ExampleKeyStore", cluster, own)).await,
        "CustomKeyStoreNameInUseException"
    );
    assert_eq!(
        refused(create("x", cluster, other.certificate())).await,
        "IncorrectTrustAnchorException"
    );
    assert_eq!(
        refused(create("x", "cluster-aaaaaaaaaaa", own)).await,
        "CloudHsmClusterNotFoundException"
    );
    let subnets = ["subnet-0000000a", "subnet-0000000c"];
    let made = json!({ "HsmType": "hsm1.medium", "SubnetIds": subnets });
    let made = played.hsm("CreateCluster", made).await.unwrap();
    let fresh = made["Cluster"]["ClusterId"].as_str().unwrap();
    assert_eq!(refused(create("x", fresh, own)).await, "CloudHsmClusterNotActiveException");
    assert_eq!(refused(json!({ "CustomKeyStoreName": "x" })).await, "ValidationException");
}

#[tokio::test]
async fn a_store_with_keys_is_not_deleted() {
    let (server, clock) = Server::with_clock().await;
    let played = Played::on(server).await;
    let with_keys = async || code(played.store("DeleteCustomKeyStore").await);
    assert_eq!(with_keys().await, "CustomKeyStoreHasCMKsException");
    let deletion = json!({ "KeyId": played.ending.key_arn, "PendingWindowInDays": 7 });
    played.kms("ScheduleKeyDeletion", deletion).await.unwrap();
    assert_eq!(with_keys().await, "CustomKeyStoreHasCMKsException");
    clock.advance_seconds(8 * 86_400);
    assert_eq!(with_keys().await, "CustomKeyStoreInvalidStateException");
    played.store("DisconnectCustomKeyStore").await.unwrap();
    played.store("DeleteCustomKeyStore").await.unwrap();
    let gone = played.store("DescribeCustomKeyStores").await;
    assert_eq!(code(gone), "CustomKeyStoreNotFoundException");
}

#[tokio::test]
async fn a_connected_store_can_be_renamed_and_nothing_else() {
    let played = Played::new().await;
    let id = &played.ending.custom_key_store_id;
    let rename = json!({ "CustomKeyStoreId": id, "NewCustomKeyStoreName": "Renamed" });
    played.kms("UpdateCustomKeyStore", rename).await.unwrap();
    let by_name = json!({ "CustomKeyStoreName": "Renamed" });
    let found = played.kms("DescribeCustomKeyStores", by_name).await.unwrap();
    assert_eq!(found["CustomKeyStores"][0]["CustomKeyStoreId"], id.as_str());
    assert_eq!(
        code(played.update_password("another1").await),
        "CustomKeyStoreInvalidStateException"
    );
}

#[tokio::test]
async fn a_restarted_server_is_connected_again() {
    let dir = tempfile::tempdir().unwrap();
    let played = Played::on(Server::on(dir.path()).await).await;
    let Played { server, ending } = played;
    server.emulator.shutdown().await;
    let played = Played { server: Server::on(dir.path()).await, ending };
    assert_eq!(played.connection().await, "CONNECTED");
    played.round_trip().await.unwrap();
    assert_eq!(played.reconnect().await, "CONNECTED");
}
