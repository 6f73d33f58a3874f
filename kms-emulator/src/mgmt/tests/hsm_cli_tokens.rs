//! Tokens that are signed outside, for the newer command line: second factors and quorums.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use strongroom_hsm::{QuorumService, TokenStage};

use super::hsm_cli::{ADMIN, sentence};
use super::quorum::Signer;
use super::*;
use crate::hsm_cli::{Login, Session, TokenService, UserOf};

/// Signs the tokens of a file when asked for it, and names the key.
struct Owner<'a> {
    signer: &'a Signer,
    file: PathBuf,
    question: String,
}

impl<'a> Owner<'a> {
    fn new(signer: &'a Signer, file: PathBuf) -> Self {
        Self { signer, file, question: String::new() }
    }
}

impl Console for Owner<'_> {
    fn print(&mut self, text: &str) -> io::Result<()> {
        text.clone_into(&mut self.question);
        Ok(())
    }

    fn line(&mut self) -> io::Result<Option<Zeroizing<String>>> {
        let answer = if self.question.contains("public key PEM file path") {
            self.signer.path("pub").display().to_string()
        } else {
            self.signer.sign_tokens(&self.file);
            String::new()
        };
        Ok(Some(Zeroizing::new(answer)))
    }

    fn secret(&mut self) -> io::Result<Option<Zeroizing<String>>> {
        self.line()
    }
}

impl Signer {
    fn sign_base64(&self, digest: &Value) -> Value {
        let digest = STANDARD.decode(digest.as_str().unwrap()).unwrap();
        STANDARD.encode(self.sign_digest(&digest)).into()
    }

    fn sign_tokens(&self, file: &Path) {
        edit(file, |tokens| {
            for token in tokens["tokens"].as_array_mut().unwrap() {
                token["signed"] = self.sign_base64(&token["unsigned"]);
            }
        });
    }

    fn approve(&self, name: &str, file: &Path) {
        edit(file, |tokens| {
            let signature = self.sign_base64(&tokens["token"]);
            let approvals = tokens["signatures"].as_array_mut().unwrap();
            approvals.push(json!({ "username": name, "signature": signature }));
        });
    }
}

/// Changes a file of tokens.
fn edit(file: &Path, change: impl FnOnce(&mut Value)) {
    let mut tokens: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(tokens["version"], "2.0");
    change(&mut tokens);
    std::fs::write(file, tokens.to_string()).unwrap();
}

fn login(role: &str, pin: &str) -> Login {
    Login::parse(role, pin).unwrap()
}

async fn of_user(session: &Session, name: &str, what: &str) -> Value {
    let users = session.user_list().await.unwrap();
    let users = users["users"].as_array().unwrap();
    users.iter().find(|user| user["username"] == name).unwrap()[what].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_factor_is_registered_asked_for_and_deregistered() {
    let cluster = Cluster::start().await;
    let dir = tempfile::tempdir().unwrap();
    let (signer, stranger) = (Signer::new(dir.path(), "cora"), Signer::new(dir.path(), "mallory"));
    let file = dir.path().join("tokens.json");
    cluster.cli(None).await.activate("NewPassword1").await.unwrap();
    let admin = cluster.cli(ADMIN).await;
    let cora = UserOf::new("Cora", "crypto-user").unwrap();
    admin.user_create(&cora, "corasPw1", None).await.unwrap();

    let mut owner = Owner::new(&signer, file.clone());
    let changed = admin.change_mfa(&cora, "corasPw2", Some(&file), None, &mut owner).await.unwrap();
    assert_eq!(changed, json!({ "username": "cora", "role": "crypto-user" }));
    let key = json!([{ "strategy": "token-sign", "status": "enabled" }]);
    assert_eq!(of_user(&admin, "cora", "mfa").await, key);

    let pin = login("crypto-user", "cora:corasPw2");
    let mut session = cluster.cli(None).await;
    let refused = session.login(&pin, None, &mut owner).await;
    assert!(sentence(&refused).contains("requires a second factor"), "{refused:?}");
    let mut other = Owner::new(&stranger, file.clone());
    assert!(session.login(&pin, Some(&file), &mut other).await.is_err());
    let logged_in = session.login(&pin, Some(&file), &mut owner).await.unwrap();
    assert_eq!(logged_in, json!({ "username": "cora", "role": "crypto-user" }));
    session.key_list().await.unwrap();
    let again = session.login(&pin, Some(&file), &mut owner).await;
    assert!(sentence(&again).starts_with("cora is logged in"), "{again:?}");
    assert_eq!(session.logout().await.unwrap(), "Logout successful");
    assert!(sentence(&session.logout().await).starts_with("log in first"));

    let kept = admin.user_change_password(&cora, "corasPw3", false, None).await;
    assert!(sentence(&kept).contains("--deregister-mfa"), "{kept:?}");
    admin.change_mfa(&cora, "corasPw3", None, None, &mut owner).await.unwrap();
    assert_eq!(of_user(&admin, "cora", "mfa").await, json!([]));
    session.login(&login("crypto-user", "cora:corasPw3"), None, &mut owner).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_a_quorum_is_done_with_the_approvals_of_a_file() {
    let cluster = Cluster::start().await;
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    cluster.cli(None).await.activate("NewPassword1").await.unwrap();
    let admin = cluster.cli(ADMIN).await;
    let mut signers = Vec::new();
    for name in ["officer1", "officer2"] {
        let signer = Signer::new(dir.path(), name);
        let officer = UserOf::new(name, "admin").unwrap();
        admin.user_create(&officer, "passW0rd", None).await.unwrap();
        let session = cluster.cli(Some(("admin", &format!("{name}:passW0rd")))).await;
        let token = file("registration.json");
        let written = session.generate_tokens(TokenService::Registration, &token).await.unwrap();
        assert_eq!(written, json!({ "path": token }));
        signer.sign_tokens(&token);
        let registered = session.register_quorum_key(&signer.path("pub"), &token).await.unwrap();
        assert_eq!(registered, json!({ "username": name, "role": "admin" }));
        assert_eq!(of_user(&admin, name, "quorum").await[0]["status"], "enabled");
        signers.push((name, signer));
    }
    let users = QuorumService::UserManagement;
    let set = admin.set_quorum_value(users, 2, None).await.unwrap();
    assert_eq!(set, "Set Quorum Value successful");
    assert_eq!(admin.quorum_values().await.unwrap(), json!({ "user": 2, "quorum": 1 }));

    let alice = UserOf::new("alice", "crypto-user").unwrap();
    let refused = admin.user_create(&alice, "alicepw1", None).await;
    assert_eq!(sentence(&refused), "Quorum approval is required for this operation");
    let approval = file("quorum.json");
    admin.generate_tokens(TokenService::Quorum(users), &approval).await.unwrap();
    for (name, signer) in &signers {
        let refused = admin.user_create(&alice, "alicepw1", Some(&approval)).await;
        assert_eq!(sentence(&refused), "Quorum approval is required for this operation");
        signer.approve(name, &approval);
    }
    let tokens = admin.list_tokens().await.unwrap();
    let [token] = tokens["tokens"].as_array().unwrap().as_slice() else { panic!("{tokens}") };
    assert_eq!(token["username"], "admin");
    assert_eq!((&token["service"], &token["cluster-coverage"]), (&json!("user"), &json!("full")));
    assert_eq!(token["approvals-required"]["value"], 2);
    assert_eq!(token["number-of-approvals"]["value"], 1);
    admin.user_create(&alice, "alicepw1", Some(&approval)).await.unwrap();
    assert_eq!(of_user(&admin, "alice", "cluster-coverage").await, "full");

    admin.generate_tokens(TokenService::Quorum(users), &approval).await.unwrap();
    let deleted = admin.delete_tokens(false).await.unwrap();
    assert_eq!(deleted, "Deletion of quorum token(s) successful");
    assert_eq!(admin.list_tokens().await.unwrap()["tokens"], json!([]));
    for (name, signer) in &signers {
        signer.approve(name, &approval);
    }
    assert!(admin.user_delete(&alice, Some(&approval)).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn unusable_files_of_tokens_are_refused_with_what_is_wrong() {
    let cluster = Cluster::start().await;
    let dir = tempfile::tempdir().unwrap();
    cluster.cli(None).await.activate("NewPassword1").await.unwrap();
    let admin = cluster.cli(ADMIN).await;
    let bob = UserOf::new("bob", "crypto-user").unwrap();
    let file = dir.path().join("approval.json");
    let missing = admin.user_create(&bob, "bobPswd1", Some(&file)).await;
    assert!(sentence(&missing).starts_with("cannot read "), "{missing:?}");
    for (text, fault) in [
        ("{", "EOF while parsing"),
        (r#"{"version":"2.0","approval_data":"?","token":"","signatures":[]}"#, "not Base64"),
        (r#"{"version":"1.0","approval_data":"","token":"","signatures":[]}"#, "version is 1.0"),
    ] {
        std::fs::write(&file, text).unwrap();
        let refused = admin.user_create(&bob, "bobPswd1", Some(&file)).await;
        assert!(sentence(&refused).contains(fault), "{refused:?}");
    }
    assert_eq!(admin.user_list().await.unwrap()["users"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_good_for_as_long_as_an_officer_says() {
    let cluster = Cluster::start().await;
    cluster.cli(None).await.activate("NewPassword1").await.unwrap();
    let stranger = cluster.cli(None).await;
    let listed = stranger.token_timeouts().await.unwrap();
    assert_eq!(listed, json!({ "generated": 600, "approved": 600 }));
    assert!(stranger.set_token_timeout(TokenStage::Generated, 900).await.is_err());

    let admin = cluster.cli(ADMIN).await;
    let set = admin.set_token_timeout(TokenStage::Generated, 900).await.unwrap();
    assert_eq!(set, "Set token timeout successful");
    admin.set_token_timeout(TokenStage::Approved, 60).await.unwrap();
    for seconds in [0, 86_401] {
        let refused = admin.set_token_timeout(TokenStage::Approved, seconds).await;
        assert!(sentence(&refused).contains("1 to 86400 seconds"), "{refused:?}");
    }
    let listed = stranger.token_timeouts().await.unwrap();
    assert_eq!(listed, json!({ "generated": 900, "approved": 60 }));
}
