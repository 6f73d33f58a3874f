//! Accounts, users and roles that the operator makes, and sessions of roles.

use std::path::Path;

use aws_sdk_kms::Client;
use aws_sdk_kms::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kms::error::ProvideErrorMetadata;
use serde_json::{Value, json};
use strongroom_kms::principals::{Change, NewAccessKey, change, list};

use crate::harness::{OTHER_ACCOUNT, Reply, Server};
use crate::signer::{RawRequest, Signer};

const HOME: &str = "111122223333";
const ROLE: &str = "arn:aws:iam::111122223333:role/writer";

/// What a session of a role has to sign with.
struct Session {
    id: String,
    secret: String,
    token: String,
}

fn allow(action: &str) -> Value {
    json!({"Version": "2012-10-17",
           "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]})
}

fn trust(principal: &str, condition: &Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
           "Principal": {"AWS": principal}, "Action": "sts:AssumeRole", "Condition": condition}]})
}

async fn user(dir: &Path, account: &str, name: &str, policies: Vec<Value>) -> NewAccessKey {
    let account = account.parse().unwrap();
    let add = Change::AddUser { account, name: name.into(), policies };
    change(dir, add).await.unwrap().unwrap()
}

async fn role(dir: &Path, trust_policy: Value, policies: Vec<Value>) {
    let put = Change::PutRole {
        account: HOME.parse().unwrap(),
        name: "writer".into(),
        trust_policy,
        policies,
        max_session_seconds: None,
    };
    assert!(change(dir, put).await.unwrap().is_none());
}

async fn sts(server: &Server, signer: &Signer, token: Option<&str>, form: &str) -> Reply {
    let mut request = RawRequest::json(&server.host(), "", form);
    request.headers.retain(|(name, _)| name != "x-amz-target");
    request.set("content-type", "application/x-www-form-urlencoded");
    if let Some(token) = token {
        request.set("x-amz-security-token", token);
    }
    server.send(&signer.sign(&request)).await
}

fn signer(id: &str, secret: &str) -> Signer {
    Signer {
        access_key_id: id.into(),
        secret: secret.into(),
        region: "us-east-1".into(),
        service: "sts".into(),
    }
}

async fn assume(server: &Server, key: &NewAccessKey, more: &str) -> Result<Session, String> {
    let form = format!(
        "Action=AssumeRole&Version=2011-06-15&RoleSessionName=nightly&RoleArn={}{more}",
        ROLE.replace(':', "%3A").replace('/', "%2F")
    );
    let signer = signer(&key.access_key_id, &key.secret_access_key);
    let reply = sts(server, &signer, None, &form).await;
    let text = String::from_utf8(reply.body).unwrap();
    if reply.status != 200 {
        return Err(element(&text, "Code"));
    }
    Ok(Session {
        id: element(&text, "AccessKeyId"),
        secret: element(&text, "SecretAccessKey"),
        token: element(&text, "SessionToken"),
    })
}

fn element(xml: &str, name: &str) -> String {
    let rest = xml.split(&format!("<{name}>")).nth(1).unwrap_or_default();
    rest.split('<').next().unwrap().to_owned()
}

fn client(server: &Server, session: &Session) -> Client {
    let credentials =
        Credentials::new(&session.id, &session.secret, Some(session.token.clone()), None, "test");
    Client::from_conf(
        aws_sdk_kms::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(server.emulator.endpoint())
            .credentials_provider(credentials)
            .retry_config(aws_sdk_kms::config::retry::RetryConfig::disabled())
            .build(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_is_taken_on_and_does_what_its_policies_say() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::on(dir.path()).await;
    // All of it while the server runs.
    let alice = user(dir.path(), HOME, "alice", Vec::new()).await;
    role(
        dir.path(),
        trust("arn:aws:iam::111122223333:user/alice", &json!({})),
        vec![allow("kms:*")],
    )
    .await;
    let session = assume(&server, &alice, "").await.unwrap();
    assert!(session.id.starts_with("ASIA"));

    let identity = sts(
        &server,
        &signer(&session.id, &session.secret),
        Some(&session.token),
        "Action=GetCallerIdentity&Version=2011-06-15",
    )
    .await;
    let text = String::from_utf8(identity.body).unwrap();
    assert_eq!(element(&text, "Arn"), "arn:aws:sts::111122223333:assumed-role/writer/nightly");
    assert!(element(&text, "UserId").starts_with("AROA"), "{text}");
    assert!(element(&text, "UserId").ends_with(":nightly"), "{text}");

    let writer = client(&server, &session);
    let key = writer.create_key().send().await.unwrap();
    let key = key.key_metadata().unwrap().key_id().to_owned();
    // A key policy names the role, not its sessions.
    let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
        "Principal": {"AWS": ROLE}, "Action": "kms:*", "Resource": "*"}]});
    let put = writer.put_key_policy().key_id(&key).policy(policy.to_string());
    put.send().await.unwrap();
    role(dir.path(), trust("arn:aws:iam::111122223333:user/alice", &json!({})), Vec::new()).await;
    assert!(writer.describe_key().key_id(&key).send().await.is_ok());
    assert!(writer.create_key().send().await.is_err(), "the role has lost its identity policy");

    // Without the token, with another's, or with an altered one, it is nobody.
    let other = assume(&server, &alice, "").await.unwrap();
    for token in ["", &other.token, &session.token.replacen('A', "B", 1)] {
        let stolen = Session {
            token: token.to_owned(),
            id: session.id.clone(),
            secret: session.secret.clone(),
        };
        let refused = client(&server, &stolen).list_keys().send().await.unwrap_err();
        assert!(
            ["UnrecognizedClientException", "InvalidSignatureException"]
                .contains(&refused.code().unwrap_or_default()),
            "{refused:?}"
        );
    }
    // The role goes, and its sessions with it; a restart alone ends none.
    let remove = Change::RemoveRole { account: HOME.parse().unwrap(), name: "writer".into() };
    server.emulator.shutdown().await;
    let server = Server::on(dir.path()).await;
    assert!(client(&server, &session).describe_key().key_id(&key).send().await.is_ok());
    change(dir.path(), remove).await.unwrap();
    assert!(client(&server, &session).describe_key().key_id(&key).send().await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_take_a_role_on() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::on(dir.path()).await;
    let may = vec![allow("sts:AssumeRole")];
    let named = user(dir.path(), HOME, "named", Vec::new()).await;
    let able = user(dir.path(), HOME, "able", may.clone()).await;
    let plain = user(dir.path(), HOME, "plain", Vec::new()).await;
    let abroad = user(dir.path(), OTHER_ACCOUNT, "abroad", Vec::new()).await;
    let able_abroad = user(dir.path(), OTHER_ACCOUNT, "able", may).await;
    let named_arn = "arn:aws:iam::111122223333:user/named";
    let external = json!({"StringEquals": {"sts:ExternalId": "x1"}});
    let nowhere = json!({"IpAddress": {"aws:SourceIp": "198.51.100.0/24"}});
    let here = json!({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}});
    let past = json!({"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}});
    let anyone = json!({});
    for (principal, condition, caller, more, allowed) in [
        (named_arn, &anyone, &named, "", true),
        (named_arn, &anyone, &able, "", false),
        // The account is named: an identity policy has to allow it too.
        (HOME, &anyone, &able, "", true),
        (HOME, &anyone, &plain, "", false),
        (OTHER_ACCOUNT, &anyone, &able_abroad, "", true),
        (OTHER_ACCOUNT, &anyone, &abroad, "", false),
        (HOME, &anyone, &able_abroad, "", false),
        (named_arn, &external, &named, "", false),
        (named_arn, &external, &named, "&ExternalId=x1", true),
        (named_arn, &external, &named, "&ExternalId=x2", false),
        (named_arn, &here, &named, "", true),
        (named_arn, &nowhere, &named, "", false),
        (named_arn, &past, &named, "", false),
    ] {
        role(dir.path(), trust(principal, condition), Vec::new()).await;
        let outcome = assume(&server, caller, more).await.map(drop);
        let wanted = if allowed { Ok(()) } else { Err("AccessDenied".to_owned()) };
        assert_eq!(outcome, wanted, "{principal} {condition} {more}");
    }
    role(dir.path(), trust(named_arn, &anyone), Vec::new()).await;
    for more in [
        "&DurationSeconds=899",
        "&DurationSeconds=3601",
        "&DurationSeconds=x",
        "&Policy=%7B%7D",
        "&PolicyArns.member.1.arn=a",
        "&Tags.member.1.Key=a",
    ] {
        let refused = assume(&server, &named, more).await.map(drop);
        assert_eq!(refused, Err("ValidationError".to_owned()), "{more}");
    }
    assert!(assume(&server, &named, "&DurationSeconds=3600").await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_end() {
    let dir = tempfile::tempdir().unwrap();
    let clock = std::sync::Arc::new(strongroom_kms::clock::ManualClock::new(
        strongroom_kms::clock::Clock::now(&strongroom_kms::clock::SystemClock),
    ));
    let (given, data) = (std::sync::Arc::clone(&clock), dir.path().to_owned());
    let server = Server::with(move |config| {
        config.data_dir = strongroom_kms::DataDir::Persistent(data);
        config.clock = given;
    })
    .await;
    let alice = user(dir.path(), HOME, "alice", Vec::new()).await;
    role(
        dir.path(),
        trust("arn:aws:iam::111122223333:user/alice", &json!({})),
        vec![allow("kms:*")],
    )
    .await;
    let session = assume(&server, &alice, "&DurationSeconds=900").await.unwrap();
    assert!(client(&server, &session).list_keys().send().await.is_ok());
    clock.advance_seconds(901);
    let refused = client(&server, &session).list_keys().send().await.unwrap_err();
    assert_eq!(refused.code(), Some("ExpiredTokenException"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_come_and_go_and_nothing_malformed_is_written() {
    let dir = tempfile::tempdir().unwrap();
    // Before the first start too.
    let first = user(dir.path(), HOME, "alice", vec![allow("kms:ListKeys")]).await;
    let server = Server::on(dir.path()).await;
    let list_keys = |key: &NewAccessKey| {
        let client = server.client_as(&key.access_key_id, &key.secret_access_key, "us-east-1");
        async move { client.list_keys().send().await.is_ok() }
    };
    assert!(list_keys(&first).await);
    let second = user(dir.path(), HOME, "alice", Vec::new()).await;
    assert!(!list_keys(&first).await && !list_keys(&second).await, "the policies were replaced");
    assert_eq!(list(dir.path()).unwrap().len(), 2);
    let root = change(dir.path(), Change::AddAccount { account: OTHER_ACCOUNT.parse().unwrap() });
    assert!(list_keys(&root.await.unwrap().unwrap()).await);
    let account = HOME.parse().unwrap();
    for wrong in [
        Change::AddUser { account, name: "a b".into(), policies: Vec::new() },
        Change::AddUser { account, name: "bob".into(), policies: vec![json!({})] },
        Change::RemoveUser { account, name: "nobody".into() },
        Change::RemoveRole { account, name: "nobody".into() },
        Change::PutRole {
            account,
            name: "r".into(),
            trust_policy: allow("sts:AssumeRole"),
            policies: Vec::new(),
            max_session_seconds: None,
        },
    ] {
        assert!(change(dir.path(), wrong).await.is_err());
    }
    assert_eq!(list(dir.path()).unwrap().len(), 3);
    change(dir.path(), Change::RemoveUser { account, name: "alice".into() }).await.unwrap();
    assert!(!list_keys(&first).await);
}
