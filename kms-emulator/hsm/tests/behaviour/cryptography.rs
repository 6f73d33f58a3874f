//! Keys and ciphers through a session.

use proptest::prelude::*;
use strongroom_hsm::limits::{AAD_BYTES_MAX, PLAINTEXT_BYTES_MAX, RANDOM_BYTES_MAX};
use strongroom_hsm::{Attribute, HsmError, KeyHandle, Plaintext, Refusal, Role};

use crate::support::{Node, password, refusal};

fn plaintext(bytes: &[u8]) -> Plaintext {
    Plaintext::new(bytes).unwrap()
}

#[tokio::test]
async fn keys_are_found_by_label_and_deleted() {
    let node = Node::activated().await;
    let user = node.user().await;
    let arn = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let key = user.generate_key(arn).await.unwrap();
    let other = user.generate_key("other").await.unwrap();
    assert_eq!(user.find_keys(arn).await.unwrap(), [key]);
    assert_eq!(user.find_all_keys().await.unwrap(), [key, other]);
    let info = user.key_info(key).await.unwrap();
    assert_eq!(info.label.as_str(), arn);
    user.delete_key(key).await.unwrap();
    assert!(user.find_keys(arn).await.unwrap().is_empty());
    let gone = user.seal(key, b"", plaintext(b"x")).await;
    assert_eq!(refusal(gone), Refusal::KeyNotFound { handle: key });
}

#[tokio::test]
async fn keys_of_another_user_are_denied() {
    let node = Node::activated().await;
    let user = node.user().await;
    let key = user.generate_key("label").await.unwrap();
    let sealed = user.seal(key, b"", plaintext(b"secret")).await.unwrap();
    let officer = node.officer().await;
    officer.create_user(Role::CryptoUser, "mallory", password("mallory1"), None).await.unwrap();
    let mallory = node.client(strongroom_hsm::Port::Client);
    mallory.login(Role::CryptoUser, "mallory", password("mallory1")).await.unwrap();
    assert!(mallory.find_keys("label").await.unwrap().is_empty());
    let denied = Refusal::KeyAccessDenied { handle: key };
    assert_eq!(refusal(mallory.open(key, b"", &sealed).await), denied);
    assert_eq!(refusal(mallory.delete_key(key).await), denied);
    assert_eq!(refusal(mallory.key_info(key).await), denied);
    assert_eq!(refusal(mallory.extract_masked(key).await), denied);
}

#[tokio::test]
async fn sealed_messages_open_with_the_same_key_and_data_only() {
    let node = Node::activated().await;
    let user = node.user().await;
    let key = user.generate_key("one").await.unwrap();
    let other = user.generate_key("two").await.unwrap();
    let sealed = user.seal(key, b"context", plaintext(b"data key")).await.unwrap();
    assert_eq!(sealed.len(), 8 + 44);
    assert_eq!(user.open(key, b"context", &sealed).await.unwrap().expose(), b"data key");
    assert_eq!(refusal(user.open(key, b"", &sealed).await), Refusal::NotAuthentic);
    assert_eq!(refusal(user.open(other, b"context", &sealed).await), Refusal::NotAuthentic);
    for position in 0..sealed.len() {
        let mut altered = sealed.clone();
        altered[position] ^= 1;
        assert_eq!(refusal(user.open(key, b"context", &altered).await), Refusal::NotAuthentic);
    }
}

#[tokio::test]
async fn plain_gcm_makes_its_iv_inside() {
    let node = Node::activated().await;
    let user = node.user().await;
    let key = user.generate_key("label").await.unwrap();
    let first = user.encrypt(key, b"aad", plaintext(b"text")).await.unwrap();
    let second = user.encrypt(key, b"aad", plaintext(b"text")).await.unwrap();
    assert_eq!(first.len(), 12 + 4 + 16);
    assert_ne!(first[..12], second[..12]);
    assert_eq!(user.decrypt(key, b"aad", &first).await.unwrap().expose(), b"text");
    assert_eq!(refusal(user.decrypt(key, b"", &first).await), Refusal::NotAuthentic);
}

#[tokio::test]
async fn a_data_key_is_drawn_and_sealed_in_one_call() {
    let node = Node::activated().await;
    let user = node.user().await;
    let key = user.generate_key("label").await.unwrap();
    let (clear, sealed) = user.generate_data_key(key, b"aad", 32).await.unwrap();
    assert_eq!(clear.expose().len(), 32);
    assert_eq!(user.open(key, b"aad", &sealed).await.unwrap().expose(), clear.expose());
    let sealed = user.generate_sealed_data_key(key, b"aad", 64).await.unwrap();
    assert_eq!(user.open(key, b"aad", &sealed).await.unwrap().expose().len(), 64);
}

#[tokio::test]
async fn inputs_are_bounded() {
    let node = Node::activated().await;
    let user = node.user().await;
    let key = user.generate_key("label").await.unwrap();
    let aad = vec![7; AAD_BYTES_MAX];
    let text = vec![8; PLAINTEXT_BYTES_MAX];
    let sealed = user.seal(key, &aad, plaintext(&text)).await.unwrap();
    assert_eq!(user.open(key, &aad, &sealed).await.unwrap().expose(), text);
    let beyond = user.seal(key, &vec![7; AAD_BYTES_MAX + 1], plaintext(b"")).await;
    assert!(matches!(beyond, Err(HsmError::Argument(_))));
    let most = u16::try_from(RANDOM_BYTES_MAX).unwrap();
    assert_eq!(user.random(most).await.unwrap().expose().len(), RANDOM_BYTES_MAX);
    assert_eq!(refusal(user.random(most + 1).await), Refusal::TooLong);
    assert!(user.generate_key(&"x".repeat(127)).await.is_ok());
    assert!(matches!(user.generate_key(&"x".repeat(128)).await, Err(HsmError::Argument(_))));
}

#[tokio::test]
async fn attributes_say_that_a_key_is_sensitive_and_not_extractable() {
    let node = Node::activated().await;
    let user = node.user().await;
    let key = user.generate_key("label").await.unwrap();
    for (attribute, value) in [
        (Attribute::Class, vec![0, 0, 0, 4]),
        (Attribute::KeyType, vec![0, 0, 0, 31]),
        (Attribute::ValueLen, vec![0, 0, 0, 32]),
        (Attribute::Label, b"label".to_vec()),
        (Attribute::Sensitive, vec![1]),
        (Attribute::Extractable, vec![0]),
        (Attribute::NeverExtractable, vec![1]),
        (Attribute::Token, vec![1]),
    ] {
        assert_eq!(user.key_attribute(key, attribute).await.unwrap(), value, "{attribute:?}");
    }
    assert_eq!(
        refusal(user.key_attribute(key, Attribute::Modulus).await),
        Refusal::PolicyViolation
    );
    assert_eq!(
        refusal(user.key_attribute(KeyHandle(1), Attribute::Label).await),
        Refusal::KeyNotFound { handle: KeyHandle(1) }
    );
}

#[test]
fn what_was_sealed_opens() {
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let node = runtime.block_on(Node::activated());
    let user = runtime.block_on(node.user());
    let key = runtime.block_on(user.generate_key("label")).unwrap();
    proptest!(|(
        text in proptest::collection::vec(any::<u8>(), 0..PLAINTEXT_BYTES_MAX),
        aad in proptest::collection::vec(any::<u8>(), 0..2_000),
    )| {
        let opened = runtime.block_on(async {
            let sealed = user.seal(key, &aad, plaintext(&text)).await.unwrap();
            user.open(key, &aad, &sealed).await.unwrap()
        });
        prop_assert_eq!(opened.expose(), &text[..]);
    });
}
