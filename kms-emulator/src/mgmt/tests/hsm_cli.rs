//! The newer command line on the same HSMs.

use super::*;
use crate::hsm_cli::{Answer, Login, Session, UserOf, envelope};

impl Cluster {
    pub(super) async fn cli(&self, login: Option<(&str, &str)>) -> Session {
        let mut session = Session::open(&self.configuration, &SystemClock).await.unwrap();
        if let Some((role, pin)) = login {
            session.log_in(&Login::parse(role, pin).unwrap()).await.unwrap();
        }
        session
    }
}

pub(super) const ADMIN: Option<(&str, &str)> = Some(("admin", "admin:NewPassword1"));

pub(super) fn sentence(answer: &Answer) -> String {
    let (text, is_success) = envelope(answer);
    assert!(!is_success && text["error_code"] == 1, "{text}");
    text["data"].as_str().unwrap().to_owned()
}

/// A crypto user of a name.
fn crypto_user(name: &str) -> UserOf {
    UserOf::new(name, "crypto-user").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_made_on_every_hsm_and_listed_with_their_coverage() {
    let cluster = Cluster::start().await;
    let activated = cluster.cli(None).await.activate("NewPassword1").await.unwrap();
    assert_eq!(activated, "Cluster activation successful");
    let refused =
        cluster.cli(None).await.user_create(&crypto_user("alice"), "alicepw1", None).await;
    assert!(sentence(&refused).starts_with("log in first"));
    let admin = cluster.cli(ADMIN).await;
    let made = admin.user_create(&crypto_user("alice"), "alicepw1", None).await.unwrap();
    assert_eq!(made, serde_json::json!({ "username": "alice", "role": "crypto-user" }));
    let lines = ["loginHSM CO admin NewPassword1", "createUser CU bob bobPswd1", "y"];
    cluster.run_with(&cluster.stale(), &lines).await;
    let users = cluster.cli(None).await.user_list().await.unwrap();
    let of = |name: &str| {
        let users = users["users"].as_array().unwrap();
        users.iter().find(|user| user["username"] == name).unwrap().clone()
    };
    assert_eq!(of("admin")["role"], "admin");
    assert_eq!(of("app_user")["role"], "internal(APPLIANCE_USER)");
    assert_eq!(of("alice")["cluster-coverage"], "full");
    assert_eq!(of("bob")["cluster-coverage"], "partial");
    let missing = admin.user_delete(&crypto_user("bob"), None).await;
    assert!(sentence(&missing).starts_with("HSM 10.0.3.11: "), "{missing:?}");
    admin.user_change_password(&crypto_user("Alice"), "alicepw2", false, None).await.unwrap();
    cluster.cli(Some(("crypto-user", "alice:alicepw2"))).await;
    assert_eq!(admin.quorum_values().await.unwrap()["user"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_made_shared_and_deleted_on_every_hsm() {
    let cluster = Cluster::start().await;
    cluster.cli(None).await.activate("NewPassword1").await.unwrap();
    let admin = cluster.cli(ADMIN).await;
    for (name, password) in [("alice", "alicepw1"), ("bob", "bobPswd1")] {
        admin.user_create(&crypto_user(name), password, None).await.unwrap();
    }
    let alice = cluster.cli(Some(("crypto-user", "alice:alicepw1"))).await;
    let bob = cluster.cli(Some(("crypto-user", "bob:bobPswd1"))).await;
    alice.key_generate_aes("mine").await.unwrap();
    let count = async |session: &Session| {
        session.key_list().await.unwrap()["total_key_count"].as_u64().unwrap()
    };
    assert_eq!((count(&alice).await, count(&bob).await), (1, 0));
    let listed = alice.key_list().await.unwrap();
    assert_eq!(listed["matched_keys"][0]["key-info"]["cluster-coverage"], "full");
    alice.key_share("mine", "bob", true).await.unwrap();
    assert_eq!(count(&bob).await, 1);
    assert!(sentence(&bob.key_delete("mine").await).contains("Key Access is denied"));
    alice.key_share("mine", "bob", false).await.unwrap();
    assert_eq!(count(&bob).await, 0);
    alice.key_delete("mine").await.unwrap();
    assert!(sentence(&alice.key_delete("mine").await).contains("no key with the label mine"));
}
