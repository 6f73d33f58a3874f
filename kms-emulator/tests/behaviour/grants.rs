//! Grants: made, used, bounded by their constraints, delegated, listed, ended, kept.

use serde_json::{Value, json};

use crate::harness::{ACCOUNT, OTHER_ACCOUNT, Reply, Server};
use crate::signer::{RawRequest, Signer};

const SECRET: &str = "wJalrXUtnFEMI0K7MDENG0bPxRfiCYEXAMPLEKEY";

/// Users without any identity policy; `denied` may not decrypt; `oscar` is of another account.
fn credentials() -> String {
    let deny = json!({"Version":"2012-10-17","Statement":
        {"Effect":"Deny","Action":"kms:Decrypt","Resource":"*"}});
    let user = |account: &str, name: &str, policies: Vec<Value>| {
        json!({"accountId": account, "userName": name, "secretAccessKey": SECRET,
            "accessKeyId": format!("AKIA{:0<16}", name.to_uppercase()), "policies": policies})
    };
    json!({"credentials": [
        user(ACCOUNT, "alice", vec![]),
        user(ACCOUNT, "bob", vec![]),
        user(ACCOUNT, "denied", vec![deny]),
        user(OTHER_ACCOUNT, "oscar", vec![]),
    ]})
    .to_string()
}

fn arn_of(user: &str) -> String {
    let account = if user == "oscar" { OTHER_ACCOUNT } else { ACCOUNT };
    format!("arn:aws:iam::{account}:user/{user}")
}

struct World {
    server: Server,
    arn: String,
}

impl World {
    async fn new() -> Self {
        let server = Server::with_credentials(&credentials()).await;
        let key = server.create_key().await;
        Self { server, arn: format!("arn:aws:kms:us-east-1:{ACCOUNT}:key/{key}") }
    }

    async fn as_user(&self, user: &str, operation: &str, input: Value) -> Reply {
        let target = format!("TrentService.{operation}");
        let plain = RawRequest::json(&self.server.host(), &target, &input.to_string());
        let signer = Signer {
            access_key_id: format!("AKIA{:0<16}", user.to_uppercase()),
            secret: SECRET.into(),
            region: "us-east-1".into(),
            service: "kms".into(),
        };
        self.server.send(&signer.sign(&plain)).await
    }

    async fn as_root(&self, operation: &str, input: Value) -> Reply {
        self.server.kms(operation, &input.to_string()).await
    }

    /// Makes a grant as root, with more members, and returns its id and token.
    async fn grant(&self, to: &str, operations: &[&str], more: Value) -> (String, String) {
        let mut input = json!({
            "KeyId": self.arn, "GranteePrincipal": arn_of(to), "Operations": operations
        });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let reply = self.as_root("CreateGrant", input).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let text = |name: &str| reply.json()[name].as_str().unwrap().to_owned();
        (text("GrantId"), text("GrantToken"))
    }

    async fn encrypt(&self, user: &str, context: Value) -> Reply {
        let input = json!({"KeyId": self.arn, "Plaintext": "AAAA", "EncryptionContext": context});
        self.as_user(user, "Encrypt", input).await
    }

    async fn count(&self) -> usize {
        let reply = self.as_root("ListGrants", json!({"KeyId": self.arn})).await;
        reply.json()["Grants"].as_array().unwrap().len()
    }
}

#[tokio::test]
async fn a_grant_allows_its_operations_to_its_grantee_until_it_is_revoked() {
    let world = World::new().await;
    assert_eq!(world.encrypt("alice", json!({})).await.code(), "AccessDeniedException");
    let (id, token) = world.grant("alice", &["Encrypt", "DescribeKey"], json!({})).await;
    let reply = world.encrypt("alice", json!({})).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let blob = reply.json()["CiphertextBlob"].clone();
    let input = json!({"KeyId": world.arn, "GrantTokens": [token]});
    assert_eq!(world.as_user("alice", "DescribeKey", input).await.status, 200);
    let denied = world.as_user("alice", "Decrypt", json!({"CiphertextBlob": blob})).await;
    assert_eq!(denied.code(), "AccessDeniedException");
    assert_eq!(world.encrypt("bob", json!({})).await.code(), "AccessDeniedException");

    let revoke = json!({"KeyId": world.arn, "GrantId": id});
    assert_eq!(
        world.as_user("alice", "RevokeGrant", revoke.clone()).await.code(),
        "AccessDeniedException"
    );
    let mut dry = revoke.clone();
    dry["DryRun"] = json!(true);
    assert_eq!(world.as_root("RevokeGrant", dry).await.code(), "DryRunOperationException");
    assert_eq!(world.as_root("RevokeGrant", revoke.clone()).await.status, 200);
    assert_eq!(world.as_root("RevokeGrant", revoke).await.code(), "NotFoundException");
    assert_eq!(world.encrypt("alice", json!({})).await.code(), "AccessDeniedException");
}

#[tokio::test]
async fn a_grant_reaches_another_account_and_no_grant_overrides_a_deny() {
    let world = World::new().await;
    world.grant("oscar", &["Encrypt", "Decrypt"], json!({})).await;
    world.grant("denied", &["Encrypt", "Decrypt"], json!({})).await;
    for user in ["oscar", "denied"] {
        let reply = world.encrypt(user, json!({})).await;
        assert_eq!(reply.status, 200, "{user}: {reply:?}");
        let input = json!({"CiphertextBlob": reply.json()["CiphertextBlob"]});
        let decrypted = world.as_user(user, "Decrypt", input).await;
        let wanted = if user == "denied" { "AccessDeniedException" } else { "" };
        assert_eq!(decrypted.code(), wanted, "{user}");
    }
}

#[tokio::test]
async fn constraints_bound_the_context() {
    let world = World::new().await;
    let pairs = json!({"Department": "Finance"});
    let subset = json!({"Constraints": {"EncryptionContextSubset": pairs}});
    world.grant("alice", &["Encrypt", "DescribeKey"], subset).await;
    let equals = json!({"Constraints": {"EncryptionContextEquals": pairs}});
    world.grant("bob", &["Encrypt"], equals).await;
    for (context, alice, bob) in [
        (json!({"Department": "Finance"}), 200, 200),
        (json!({"Department": "Finance", "Customer": "1"}), 200, 400),
        (json!({"department": "Finance"}), 400, 400),
        (json!({}), 400, 400),
    ] {
        assert_eq!(world.encrypt("alice", context.clone()).await.status, alice, "{context}");
        assert_eq!(world.encrypt("bob", context.clone()).await.status, bob, "{context}");
    }
    // What has no encryption context is not constrained.
    let input = json!({"KeyId": world.arn});
    assert_eq!(world.as_user("alice", "DescribeKey", input).await.status, 200);
}

#[tokio::test]
async fn a_name_makes_the_same_request_the_same_grant() {
    let world = World::new().await;
    let named = || json!({"Name": "once"});
    let (first, token) = world.grant("alice", &["Encrypt"], named()).await;
    let (second, other_token) = world.grant("alice", &["Encrypt"], named()).await;
    assert_eq!(first, second);
    assert_ne!(token, other_token);
    assert_eq!(world.count().await, 1);
    assert_ne!(world.grant("alice", &["Decrypt"], named()).await.0, first);
    assert_ne!(world.grant("alice", &["Encrypt"], json!({})).await.0, first);
    assert_eq!(world.count().await, 3);
}

#[tokio::test]
async fn a_grantee_delegates_no_more_than_it_has() {
    let world = World::new().await;
    let bounds = json!({"Constraints": {"EncryptionContextSubset": {"a": "1"}}});
    world.grant("alice", &["Encrypt", "CreateGrant"], bounds).await;
    let child = |operations: &[&str], constraints: Value| {
        json!({"KeyId": world.arn, "GranteePrincipal": arn_of("bob"), "Operations": operations,
            "Constraints": constraints})
    };
    let narrower = json!({"EncryptionContextSubset": {"a": "1", "b": "2"}});
    for (input, code) in [
        (child(&["Encrypt"], narrower.clone()), ""),
        (child(&["Encrypt", "Decrypt"], narrower), "AccessDeniedException"),
        (child(&["Encrypt"], json!({})), "AccessDeniedException"),
        (
            child(&["Encrypt"], json!({"EncryptionContextSubset": {"b": "2"}})),
            "AccessDeniedException",
        ),
    ] {
        let reply = world.as_user("alice", "CreateGrant", input.clone()).await;
        assert_eq!(reply.code(), code, "{input}");
    }
    assert_eq!(world.encrypt("bob", json!({"a": "1", "b": "2"})).await.status, 200);
    assert_eq!(world.encrypt("bob", json!({"a": "1"})).await.code(), "AccessDeniedException");
}

#[tokio::test]
async fn those_retire_a_grant_whom_it_names() {
    let world = World::new().await;
    let retiring = || json!({"RetiringPrincipal": arn_of("bob")});
    let (id, token) = world.grant("alice", &["Encrypt"], retiring()).await;
    let by_token = json!({"GrantToken": token});
    assert_eq!(
        world.as_user("alice", "RetireGrant", by_token.clone()).await.code(),
        "AccessDeniedException"
    );
    let listed = world.as_root("ListRetirableGrants", retiring()).await;
    assert_eq!(listed.json()["Grants"][0]["GrantId"], json!(id));
    assert_eq!(world.as_user("bob", "RetireGrant", by_token.clone()).await.status, 200);
    assert_eq!(world.as_user("bob", "RetireGrant", by_token).await.code(), "NotFoundException");

    let (id, _) = world.grant("alice", &["Encrypt", "RetireGrant"], json!({})).await;
    let by_id = json!({"KeyId": world.arn, "GrantId": id});
    assert_eq!(
        world.as_user("bob", "RetireGrant", by_id.clone()).await.code(),
        "AccessDeniedException"
    );
    assert_eq!(world.as_user("alice", "RetireGrant", by_id).await.status, 200);
    let (id, _) = world.grant("alice", &["Encrypt"], json!({})).await;
    let by_id = json!({"KeyId": world.arn, "GrantId": id});
    assert_eq!(world.as_root("RetireGrant", by_id).await.status, 200);
    assert_eq!(world.as_root("RetireGrant", json!({})).await.code(), "ValidationException");
    assert_eq!(
        world.as_root("RetireGrant", json!({"GrantToken": "x"})).await.code(),
        "InvalidGrantTokenException"
    );
    assert_eq!(world.count().await, 0);
}

#[tokio::test]
async fn grants_are_listed_in_pages_by_key_and_grantee() {
    let world = World::new().await;
    for user in ["alice", "alice", "bob"] {
        world.grant(user, &["Encrypt"], json!({"RetiringPrincipal": arn_of("bob")})).await;
    }
    for (operation, filter) in [
        ("ListGrants", json!({"KeyId": world.arn})),
        ("ListRetirableGrants", json!({"RetiringPrincipal": arn_of("bob")})),
    ] {
        let (mut seen, mut input) = (Vec::new(), filter);
        input["Limit"] = json!(2);
        loop {
            let reply = world.as_root(operation, input.clone()).await.json();
            seen.extend(reply["Grants"].as_array().unwrap().iter().map(|g| g["GrantId"].clone()));
            match reply["Truncated"].as_bool().unwrap() {
                true => input["Marker"] = reply["NextMarker"].clone(),
                false => break,
            }
        }
        assert_eq!(seen.len(), 3, "{operation}");
        seen.dedup();
        assert_eq!(seen.len(), 3, "{operation}");
    }
    let input = json!({"KeyId": world.arn, "GranteePrincipal": arn_of("bob")});
    let reply = world.as_root("ListGrants", input).await.json();
    assert_eq!(reply["Grants"].as_array().unwrap().len(), 1);
    assert_eq!(reply["Grants"][0]["GranteePrincipal"], json!(arn_of("bob")));
    assert_eq!(reply["Grants"][0]["Operations"], json!(["Encrypt"]));
}

#[tokio::test]
async fn what_a_key_cannot_do_is_not_granted() {
    let world = World::new().await;
    let input = |operations: &[&str], grantee: &str| json!({"KeyId": world.arn, "GranteePrincipal": grantee, "Operations": operations});
    let alice = arn_of("alice");
    for (input, code) in [
        (input(&["Sign"], &alice), "ValidationException"),
        (input(&["PutKeyPolicy"], &alice), "ValidationException"),
        (input(&[], &alice), "ValidationException"),
        (input(&["Encrypt"], "alice"), "InvalidArnException"),
        (input(&["Encrypt"], "arn:aws:iam::1:user/alice"), "InvalidArnException"),
    ] {
        let reply = world.as_root("CreateGrant", input.clone()).await;
        assert_eq!(reply.code(), code, "{input}");
    }
    assert_eq!(world.count().await, 0);
}

#[tokio::test]
async fn grants_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::on(dir.path()).await;
    let key = server.create_key().await;
    let input = json!({"KeyId": key, "GranteePrincipal": arn_of("alice"), "Name": "kept",
        "Operations": ["Encrypt", "Decrypt"], "RetiringPrincipal": arn_of("bob"),
        "Constraints": {"EncryptionContextEquals": {"a": "1"}}});
    server.kms("CreateGrant", &input.to_string()).await;
    let list = json!({"KeyId": key}).to_string();
    let before = server.kms("ListGrants", &list).await.json();
    assert_eq!(before["Grants"].as_array().unwrap().len(), 1);
    server.emulator.shutdown().await;
    let server = Server::on(dir.path()).await;
    assert_eq!(server.kms("ListGrants", &list).await.json(), before);
}
