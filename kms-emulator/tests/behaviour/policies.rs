//! Who may do what: key policies, identity policies and accounts, over HTTP.

use serde_json::{Value, json};

use crate::harness::{ACCOUNT, OTHER_ACCOUNT, Reply, Server};
use crate::signer::{RawRequest, Signer};

const SECRET: &str = "wJalrXUtnFEMI0K7MDENG0bPxRfiCYEXAMPLEKEY";

/// The users of the tests: `alice` has no identity policy, `bob` may do everything with keys, `carol`
/// may everything but decrypt, `mallory` is root of another account, `oscar` a user of it.
fn credentials() -> String {
    let allow_all = json!({"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"kms:*","Resource":"*"}});
    let deny_decrypt = json!({"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"kms:Decrypt","Resource":"*"}});
    json!({"credentials": [
        {"accountId": ACCOUNT, "userName": "alice", "accessKeyId": "AKIAALICE00000000000",
         "secretAccessKey": SECRET},
        {"accountId": ACCOUNT, "userName": "bob", "accessKeyId": "AKIABOB0000000000000",
         "secretAccessKey": SECRET, "policies": [allow_all]},
        {"accountId": ACCOUNT, "userName": "carol", "accessKeyId": "AKIACAROL00000000000",
         "secretAccessKey": SECRET, "policies": [allow_all, deny_decrypt]},
        {"accountId": OTHER_ACCOUNT, "accessKeyId": "AKIAMALLORY000000000",
         "secretAccessKey": SECRET},
        {"accountId": OTHER_ACCOUNT, "userName": "oscar", "accessKeyId": "AKIAOSCAR00000000000",
         "secretAccessKey": SECRET},
    ]})
    .to_string()
}

struct World {
    server: Server,
    key: String,
    arn: String,
}

impl World {
    async fn new() -> Self {
        let server = Server::with_credentials(&credentials()).await;
        let key = server.create_key().await;
        let arn = format!("arn:aws:kms:us-east-1:{ACCOUNT}:key/{key}");
        Self { server, key, arn }
    }

    async fn call(&self, user: &str, operation: &str, input: Value) -> Reply {
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

    /// Sets the key policy as root: the default statement and `more`.
    async fn set_policy(&self, more: &[Value]) {
        let mut statements = vec![json!({
            "Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:root")},
            "Action": "kms:*", "Resource": "*"
        })];
        statements.extend_from_slice(more);
        let policy = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        let input = json!({"KeyId": self.key, "Policy": policy});
        let reply = self.server.kms("PutKeyPolicy", &input.to_string()).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    async fn encrypt(&self, user: &str) -> Reply {
        self.call(user, "Encrypt", json!({"KeyId": self.arn, "Plaintext": "AAAA"})).await
    }
}

fn user(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:user/{name}")
}

#[tokio::test]
async fn the_default_policy_hands_over_to_identity_policies() {
    let world = World::new().await;
    let refused = world.encrypt("alice").await;
    assert_eq!(refused.code(), "AccessDeniedException");
    assert_eq!(
        refused.message(),
        format!(
            "User: {} is not authorized to perform: kms:Encrypt on resource: {} because no \
             identity-based policy allows the kms:Encrypt action",
            user("alice"),
            world.arn
        )
    );
    assert_eq!(world.encrypt("bob").await.status, 200);
}

#[tokio::test]
async fn a_key_policy_that_names_a_user_is_enough() {
    let world = World::new().await;
    world
        .set_policy(&[json!({
            "Effect": "Allow", "Principal": {"AWS": [user("alice")]},
            "Action": ["kms:Encrypt"], "Resource": "*"
        })])
        .await;
    assert_eq!(world.encrypt("alice").await.status, 200);
    let input = json!({"KeyId": world.arn, "KeySpec": "AES_256"});
    let refused = world.call("alice", "GenerateDataKey", input).await;
    assert_eq!(refused.code(), "AccessDeniedException");
}

#[tokio::test]
async fn an_explicit_deny_wins_on_either_side() {
    let world = World::new().await;
    let blob = world.encrypt("carol").await.json()["CiphertextBlob"].clone();
    let refused = world.call("carol", "Decrypt", json!({"CiphertextBlob": blob})).await;
    assert!(refused.message().ends_with("with an explicit deny in an identity-based policy"));
    world
        .set_policy(&[json!({
            "Effect": "Deny", "Principal": "*", "Action": "kms:Enc*", "Resource": "*"
        })])
        .await;
    let refused = world.encrypt("bob").await;
    assert!(refused.message().ends_with("with an explicit deny in a resource-based policy"));
    // Root is refused as well: a deny spares nobody.
    let input = json!({"KeyId": world.key, "Plaintext": "AAAA"}).to_string();
    assert_eq!(world.server.kms("Encrypt", &input).await.code(), "AccessDeniedException");
}

#[tokio::test]
async fn everyone_but_one() {
    let world = World::new().await;
    world
        .set_policy(&[json!({
            "Effect": "Deny", "NotPrincipal": {"AWS": [user("bob"), ACCOUNT]},
            "NotAction": "kms:DescribeKey", "Resource": "*"
        })])
        .await;
    assert_eq!(world.encrypt("bob").await.status, 200);
    assert_eq!(world.encrypt("carol").await.code(), "AccessDeniedException");
    let described = world.call("carol", "DescribeKey", json!({"KeyId": world.key})).await;
    assert_eq!(described.status, 200);
}

#[tokio::test]
async fn conditions_on_the_encryption_context() {
    let world = World::new().await;
    // The role of a collector: metadata, never file data.
    world
        .set_policy(&[json!({
            "Effect": "Allow", "Principal": {"AWS": user("alice")},
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": "*",
            "Condition": {
                "StringEquals": {"kms:EncryptionContext:strongroom-kind": ["index", "snapshot"]},
                "ForAllValues:StringEquals":
                    {"kms:EncryptionContextKeys": ["strongroom-kind", "strongroom-location"]}
            }
        })])
        .await;
    for (context, allowed) in [
        (json!({"strongroom-kind": "index"}), true),
        (json!({"strongroom-kind": "snapshot", "strongroom-location": "x"}), true),
        (json!({"strongroom-kind": "pack"}), false),
        (json!({"strongroom-kind": "index", "other": "x"}), false),
        (json!({}), false),
    ] {
        let input = json!({"KeyId": world.arn, "KeySpec": "AES_256", "EncryptionContext": context});
        let reply = world.call("alice", "GenerateDataKey", input).await;
        assert_eq!(reply.status == 200, allowed, "{context} {reply:?}");
    }
    let by_root = json!({"KeyId": world.key, "Plaintext": "AAAA",
        "EncryptionContext": {"strongroom-kind": "pack"}});
    let blob = world.server.kms("Encrypt", &by_root.to_string()).await.json();
    let input = json!({"CiphertextBlob": blob["CiphertextBlob"],
        "EncryptionContext": {"strongroom-kind": "pack"}});
    assert_eq!(world.call("alice", "Decrypt", input).await.code(), "AccessDeniedException");
    // Saying that it is something else gets past the policy and not past the authenticated data.
    let input = json!({"CiphertextBlob": blob["CiphertextBlob"],
        "EncryptionContext": {"strongroom-kind": "index"}});
    assert_eq!(world.call("alice", "Decrypt", input).await.code(), "InvalidCiphertextException");
}

#[tokio::test]
async fn another_account_needs_both_sides() {
    let world = World::new().await;
    let refused = world.encrypt("mallory").await;
    assert_eq!(refused.code(), "AccessDeniedException");
    let absent =
        format!("arn:aws:kms:us-east-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab");
    let input = json!({"KeyId": absent, "Plaintext": "AAAA"});
    let nothing_there = world.call("mallory", "Encrypt", input).await;
    // Whether a key exists is not told to strangers.
    assert_eq!(
        refused.message().replace(&world.arn, "ARN"),
        nothing_there.message().replace(&absent, "ARN")
    );

    world
        .set_policy(&[json!({
            "Effect": "Allow", "Principal": {"AWS": OTHER_ACCOUNT},
            "Action": "kms:Encrypt", "Resource": "*"
        })])
        .await;
    assert_eq!(world.encrypt("mallory").await.status, 200);
    assert_eq!(world.encrypt("oscar").await.code(), "AccessDeniedException");
}

#[tokio::test]
async fn a_policy_that_locks_its_author_out_is_refused() {
    let world = World::new().await;
    let policy = json!({"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Principal": {"AWS": user("alice")}, "Action": "kms:*", "Resource": "*"
    }})
    .to_string();
    let put = async |extra: Value| {
        let mut input = json!({"KeyId": world.key, "Policy": policy});
        input.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        world.server.kms("PutKeyPolicy", &input.to_string()).await
    };
    let refused = put(json!({})).await;
    assert_eq!(refused.code(), "MalformedPolicyDocumentException");
    assert_eq!(
        refused.message(),
        "The new key policy will not allow you to update the key policy in the future."
    );
    let created = world.server.kms("CreateKey", &json!({"Policy": policy}).to_string()).await;
    assert_eq!(created.code(), "MalformedPolicyDocumentException");

    assert_eq!(put(json!({"BypassPolicyLockoutSafetyCheck": true})).await.status, 200);
    assert_eq!(world.encrypt("alice").await.status, 200);
    let input = json!({"KeyId": world.key}).to_string();
    assert_eq!(world.server.kms("GetKeyPolicy", &input).await.code(), "AccessDeniedException");
}

#[tokio::test]
async fn policies_come_back_as_they_were_put() {
    let world = World::new().await;
    let input = json!({"KeyId": world.key}).to_string();
    let default = world.server.kms("GetKeyPolicy", &input).await.json();
    assert_eq!(default["PolicyName"], "default");
    let text = default["Policy"].as_str().unwrap();
    let parsed: Value = serde_json::from_str(text).unwrap();
    assert_eq!(parsed["Id"], "key-default-1");

    let spaced = text.replace(": ", " :  ");
    let put = json!({"KeyId": world.key, "Policy": spaced}).to_string();
    assert_eq!(world.server.kms("PutKeyPolicy", &put).await.status, 200);
    assert_eq!(world.server.kms("GetKeyPolicy", &input).await.json()["Policy"], spaced);

    for policy in ["{", r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow"}]}"#] {
        let put = json!({"KeyId": world.key, "Policy": policy}).to_string();
        let reply = world.server.kms("PutKeyPolicy", &put).await;
        assert_eq!(reply.code(), "MalformedPolicyDocumentException", "{policy}");
    }
}

#[tokio::test]
async fn a_policy_has_at_most_32_kib() {
    let world = World::new().await;
    let padded = |bytes: usize| {
        let text = json!({"Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"
        }})
        .to_string();
        format!("{text}{}", " ".repeat(bytes - text.len()))
    };
    for (bytes, code) in [(32 * 1024, ""), (32 * 1024 + 1, "LimitExceededException")] {
        let put = json!({"KeyId": world.key, "Policy": padded(bytes)}).to_string();
        assert_eq!(world.server.kms("PutKeyPolicy", &put).await.code(), code);
    }
}
