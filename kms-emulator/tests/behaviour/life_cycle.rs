//! Keys from creation to deletion, their aliases and tags, and what survives a restart.

use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{KeyState, Tag};

use crate::harness::{ACCOUNT, Server};

async fn state(client: &Client, key: &str) -> KeyState {
    let described = client.describe_key().key_id(key).send().await.unwrap();
    described.key_metadata.unwrap().key_state.unwrap()
}

async fn key(client: &Client) -> String {
    let created = client.create_key().description("test").send().await.unwrap();
    created.key_metadata.unwrap().key_id
}

#[tokio::test]
async fn a_new_key_is_described_as_aws_describes_it() {
    let server = Server::start().await;
    let client = server.client();
    let id = key(&client).await;
    let arn = format!("arn:aws:kms:us-east-1:{ACCOUNT}:key/{id}");
    for name in [&id, &arn] {
        let described = client.describe_key().key_id(name).send().await.unwrap();
        let metadata = described.key_metadata.unwrap();
        assert_eq!(metadata.key_id, id);
        assert_eq!(metadata.arn.as_deref(), Some(arn.as_str()));
        assert_eq!(metadata.aws_account_id.as_deref(), Some(ACCOUNT));
        assert!(metadata.enabled);
        assert_eq!(metadata.description.as_deref(), Some("test"));
        assert_eq!(metadata.key_spec.unwrap().as_str(), "SYMMETRIC_DEFAULT");
        assert_eq!(metadata.key_usage.unwrap().as_str(), "ENCRYPT_DECRYPT");
        assert_eq!(metadata.origin.unwrap().as_str(), "AWS_KMS");
        assert_eq!(metadata.key_manager.unwrap().as_str(), "CUSTOMER");
        assert_eq!(metadata.encryption_algorithms.unwrap().len(), 1);
        assert_eq!(metadata.current_key_material_id.unwrap().len(), 64);
        assert_eq!(metadata.multi_region, Some(false));
    }
}

#[tokio::test]
async fn disabling_scheduling_and_cancelling() {
    let server = Server::start().await;
    let client = server.client();
    let id = key(&client).await;
    let encrypt = || client.encrypt().key_id(&id).plaintext(Blob::new("x")).send();

    client.disable_key().key_id(&id).send().await.unwrap();
    assert_eq!(state(&client, &id).await, KeyState::Disabled);
    let error = encrypt().await.unwrap_err().into_service_error();
    assert!(error.is_disabled_exception(), "{error:?}");
    assert!(error.meta().message().unwrap().ends_with(" is disabled."));

    client.enable_key().key_id(&id).send().await.unwrap();
    encrypt().await.unwrap();

    let scheduled =
        client.schedule_key_deletion().key_id(&id).pending_window_in_days(7).send().await.unwrap();
    assert_eq!(scheduled.key_state, Some(KeyState::PendingDeletion));
    assert_eq!(scheduled.pending_window_in_days, Some(7));
    let error = encrypt().await.unwrap_err().into_service_error();
    assert!(error.is_kms_invalid_state_exception(), "{error:?}");
    let error = client.enable_key().key_id(&id).send().await.unwrap_err().into_service_error();
    assert!(error.is_kms_invalid_state_exception(), "{error:?}");

    client.cancel_key_deletion().key_id(&id).send().await.unwrap();
    assert_eq!(state(&client, &id).await, KeyState::Disabled);
    let error =
        client.cancel_key_deletion().key_id(&id).send().await.unwrap_err().into_service_error();
    assert!(error.is_kms_invalid_state_exception(), "{error:?}");
}

#[tokio::test]
async fn a_key_is_gone_when_its_waiting_period_is_over() {
    let (server, clock) = Server::with_clock().await;
    let id = server.create_key().await;
    let call = async |operation: &str, input: serde_json::Value| {
        server.emulator.call(&format!("TrentService.{operation}"), &input).await
    };
    let alias = serde_json::json!({"AliasName": "alias/gone", "TargetKeyId": id});
    call("CreateAlias", alias).await.unwrap();
    let by_id = serde_json::json!({"KeyId": id, "PendingWindowInDays": 7});
    call("ScheduleKeyDeletion", by_id).await.unwrap();
    clock.advance_seconds(7 * 86_400 - 1);
    call("DescribeKey", serde_json::json!({"KeyId": id})).await.unwrap();
    clock.advance_seconds(2);
    for name in [id.as_str(), "alias/gone"] {
        let refused = call("DescribeKey", serde_json::json!({"KeyId": name})).await.unwrap_err();
        assert_eq!(refused.code, "NotFoundException");
    }
    assert_eq!(
        call("ListKeys", serde_json::json!({})).await.unwrap()["Keys"],
        serde_json::json!([])
    );
}

#[tokio::test]
async fn aliases_name_keys() {
    let server = Server::start().await;
    let client = server.client();
    let (one, two) = (key(&client).await, key(&client).await);
    let create = |key: &str| client.create_alias().alias_name("alias/a").target_key_id(key).send();
    create(&one).await.unwrap();
    let error = create(&two).await.unwrap_err().into_service_error();
    assert!(error.is_already_exists_exception(), "{error:?}");

    let arn = format!("arn:aws:kms:us-east-1:{ACCOUNT}:alias/a");
    for name in ["alias/a", &arn] {
        let described = client.describe_key().key_id(name).send().await.unwrap();
        assert_eq!(described.key_metadata.unwrap().key_id, one);
    }
    client.update_alias().alias_name("alias/a").target_key_id(&two).send().await.unwrap();
    let listed = client.list_aliases().key_id(&two).send().await.unwrap();
    assert_eq!(listed.aliases().len(), 1);
    assert_eq!(listed.aliases()[0].alias_arn(), Some(arn.as_str()));
    assert!(client.list_aliases().key_id(&one).send().await.unwrap().aliases().is_empty());

    client.delete_alias().alias_name("alias/a").send().await.unwrap();
    let error =
        client.delete_alias().alias_name("alias/a").send().await.unwrap_err().into_service_error();
    assert!(error.is_not_found_exception(), "{error:?}");
    let reserved = client.create_alias().alias_name("alias/aws/s3").target_key_id(&one).send();
    let error = reserved.await.unwrap_err().into_service_error();
    assert!(error.is_invalid_alias_name_exception(), "{error:?}");
}

#[tokio::test]
async fn tags_are_put_listed_and_removed() {
    let server = Server::start().await;
    let client = server.client();
    let id = key(&client).await;
    let tag =
        |name: &str, value: &str| Tag::builder().tag_key(name).tag_value(value).build().unwrap();
    let names = async || {
        let listed = client.list_resource_tags().key_id(&id).send().await.unwrap();
        listed
            .tags()
            .iter()
            .map(|t| format!("{}={}", t.tag_key(), t.tag_value()))
            .collect::<Vec<_>>()
    };
    client.tag_resource().key_id(&id).tags(tag("a", "1")).tags(tag("b", "2")).send().await.unwrap();
    client.tag_resource().key_id(&id).tags(tag("b", "3")).send().await.unwrap();
    assert_eq!(names().await, ["a=1", "b=3"]);
    client.untag_resource().key_id(&id).tag_keys("a").send().await.unwrap();
    assert_eq!(names().await, ["b=3"]);
    let error = client
        .tag_resource()
        .key_id(&id)
        .tags(tag("aws:x", "1"))
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert!(error.is_tag_exception(), "{error:?}");
    let mut many = client.tag_resource().key_id(&id);
    for number in 0..50 {
        many = many.tags(tag(&format!("n{number}"), ""));
    }
    let error = many.send().await.unwrap_err().into_service_error();
    assert!(error.is_limit_exceeded_exception(), "{error:?}");
}

#[tokio::test]
async fn listings_come_in_pages() {
    let server = Server::start().await;
    let client = server.client();
    let mut made = Vec::new();
    for _ in 0..7 {
        made.push(key(&client).await);
    }
    let mut seen = Vec::new();
    let mut pages = client.list_keys().limit(3).into_paginator().send();
    let mut count = 0;
    while let Some(page) = pages.next().await {
        seen.extend(page.unwrap().keys().iter().map(|k| k.key_id().unwrap().to_owned()));
        count += 1;
    }
    made.sort();
    seen.sort();
    assert_eq!((seen, count), (made, 3));
    let error = client.list_keys().marker("x").send().await.unwrap_err().into_service_error();
    assert!(error.is_invalid_marker_exception(), "{error:?}");
}

#[tokio::test]
async fn state_is_one_accounts_in_one_region() {
    let server = Server::start().await;
    let client = server.client();
    let id = key(&client).await;
    let root = server.emulator.credentials();
    let elsewhere = server.client_as(root.access_key_id, root.secret_access_key, "eu-central-1");
    assert!(elsewhere.list_keys().send().await.unwrap().keys().is_empty());
    let error = elsewhere.describe_key().key_id(&id).send().await.unwrap_err().into_service_error();
    assert!(error.is_not_found_exception(), "{error:?}");
    let arn = format!("arn:aws:kms:us-east-1:{ACCOUNT}:key/{id}");
    let error =
        elsewhere.describe_key().key_id(&arn).send().await.unwrap_err().into_service_error();
    assert!(error.is_invalid_arn_exception(), "{error:?}");
}

#[tokio::test]
async fn a_restart_keeps_everything() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::on(&data).await;
    assert!(server.emulator.is_first_start());
    let client = server.client();
    let id = key(&client).await;
    client.create_alias().alias_name("alias/kept").target_key_id(&id).send().await.unwrap();
    let tag = Tag::builder().tag_key("a").tag_value("1").build().unwrap();
    client.tag_resource().key_id(&id).tags(tag).send().await.unwrap();
    let encrypted = client.encrypt().key_id(&id).plaintext(Blob::new("kept")).send().await.unwrap();
    let secret = server.emulator.credentials().secret_access_key.to_owned();
    server.emulator.shutdown().await;

    let server = Server::on(&data).await;
    assert!(!server.emulator.is_first_start());
    assert_eq!(server.emulator.credentials().secret_access_key, secret);
    let client = server.client();
    let opened = client
        .decrypt()
        .key_id("alias/kept")
        .ciphertext_blob(encrypted.ciphertext_blob.unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(opened.plaintext().unwrap().as_ref(), b"kept");
    assert_eq!(client.list_resource_tags().key_id(&id).send().await.unwrap().tags().len(), 1);
}

#[tokio::test]
async fn one_directory_serves_one_server() {
    let dir = tempfile::tempdir().unwrap();
    let _first = Server::on(dir.path()).await;
    let mut config = strongroom_kms::EmulatorConfig::loopback(strongroom_kms::DataDir::Persistent(
        dir.path().to_owned(),
    ))
    .unwrap();
    config.listen = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let error = strongroom_kms::Emulator::start(config).await.err().unwrap();
    assert!(error.to_string().contains("another strongroom-kms"), "{error}");
}

#[tokio::test]
async fn other_kinds_of_keys_are_refused() {
    let server = Server::start().await;
    for (body, code) in [
        (r#"{"KeySpec":"SM2","KeyUsage":"SIGN_VERIFY"}"#, "UnsupportedOperationException"),
        (r#"{"KeySpec":"RSA_2048"}"#, "ValidationException"),
        (
            r#"{"Origin":"EXTERNAL","CustomKeyStoreId":"cks-1234567890abcdef0"}"#,
            "UnsupportedOperationException",
        ),
        (r#"{"Origin":"EXTERNAL_KEY_STORE"}"#, "UnsupportedOperationException"),
        (r#"{"KeyUsage":"SIGN_VERIFY"}"#, "ValidationException"),
        (r#"{"Origin":"AWS_CLOUDHSM"}"#, "ValidationException"),
        (
            r#"{"Origin":"AWS_CLOUDHSM","CustomKeyStoreId":"cks-1234567890abcdef0"}"#,
            "CustomKeyStoreNotFoundException",
        ),
    ] {
        let reply = server.kms("CreateKey", body).await;
        assert_eq!(reply.code(), code, "{body}");
    }
    assert_eq!(server.kms("ListKeys", "{}").await.json()["Keys"], serde_json::json!([]));
}
