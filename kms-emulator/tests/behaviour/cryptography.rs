//! Encrypt, Decrypt, ReEncrypt and data keys, with the AWS SDK for Rust.

use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;

use crate::harness::Server;

async fn key(client: &Client) -> String {
    let created = client.create_key().send().await.unwrap();
    created.key_metadata.unwrap().arn.unwrap()
}

#[tokio::test]
async fn what_is_encrypted_decrypts() {
    let server = Server::start().await;
    let client = server.client();
    let arn = key(&client).await;
    for length in [1, 32, 4096] {
        let plaintext = vec![7_u8; length];
        let encrypted = client
            .encrypt()
            .key_id(&arn)
            .plaintext(Blob::new(plaintext.clone()))
            .encryption_context("purpose", "test")
            .send()
            .await
            .unwrap();
        assert_eq!(encrypted.key_id(), Some(arn.as_str()));
        let blob = encrypted.ciphertext_blob.unwrap();
        assert!(blob.as_ref().len() <= 6144);
        let decrypted = client
            .decrypt()
            .ciphertext_blob(blob)
            .encryption_context("purpose", "test")
            .send()
            .await
            .unwrap();
        assert_eq!(decrypted.plaintext().unwrap().as_ref(), plaintext);
        assert_eq!(decrypted.key_id(), Some(arn.as_str()));
    }
}

#[tokio::test]
async fn two_encryptions_of_one_plaintext_differ() {
    let server = Server::start().await;
    let client = server.client();
    let arn = key(&client).await;
    let encrypt = || client.encrypt().key_id(&arn).plaintext(Blob::new("same")).send();
    let (one, two) = (encrypt().await.unwrap(), encrypt().await.unwrap());
    assert_ne!(one.ciphertext_blob(), two.ciphertext_blob());
}

#[tokio::test]
async fn any_altered_bit_and_any_other_context_is_refused_without_a_reason() {
    let server = Server::start().await;
    let client = server.client();
    let arn = key(&client).await;
    let context = [("ab", "c"), ("d", "e")];
    let mut encrypt = client.encrypt().key_id(&arn).plaintext(Blob::new("secret"));
    for (name, value) in context {
        encrypt = encrypt.encryption_context(name, value);
    }
    let blob = encrypt.send().await.unwrap().ciphertext_blob.unwrap().into_inner();

    let refused = async |blob: Vec<u8>, context: &[(&str, &str)]| {
        let mut decrypt = client.decrypt().ciphertext_blob(Blob::new(blob));
        for (name, value) in context {
            decrypt = decrypt.encryption_context(*name, *value);
        }
        let error = decrypt.send().await.unwrap_err().into_service_error();
        assert!(error.is_invalid_ciphertext_exception(), "{error:?}");
        assert_eq!(error.meta().message().unwrap_or_default(), "");
    };
    let mut tried = 0;
    for byte in 0..blob.len() {
        let mut altered = blob.clone();
        altered[byte] ^= 1 << (byte % 8);
        refused(altered, &context).await;
        tried += 1;
    }
    for length in [1, 58, 59, 66, 67, 80, blob.len() - 1] {
        refused(blob[..length].to_vec(), &context).await;
    }
    let others: &[&[(&str, &str)]] = &[
        &[],
        &[("ab", "c")],
        &[("a", "bc"), ("d", "e")],
        &[("ab", "cd"), ("", "e")],
        &[("ab", "c"), ("d", "e"), ("", "")],
        &[("ab", "C"), ("d", "e")],
    ];
    for other in others {
        refused(blob.clone(), other).await;
    }
    assert_eq!(tried, blob.len());
}

#[tokio::test]
async fn the_named_key_must_be_the_one() {
    let server = Server::start().await;
    let client = server.client();
    let (one, two) = (key(&client).await, key(&client).await);
    let encrypted = client.encrypt().key_id(&one).plaintext(Blob::new("x")).send().await.unwrap();
    let blob = encrypted.ciphertext_blob.unwrap();
    let decrypt = |key: &str| client.decrypt().key_id(key).ciphertext_blob(blob.clone()).send();
    assert!(decrypt(&one).await.is_ok());
    let error = decrypt(&two).await.unwrap_err().into_service_error();
    assert!(error.is_incorrect_key_exception(), "{error:?}");
    let absent = "arn:aws:kms:us-east-1:000000000000:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let error = decrypt(absent).await.unwrap_err().into_service_error();
    assert!(error.is_not_found_exception(), "{error:?}");
}

#[tokio::test]
async fn data_keys_of_every_length() {
    let server = Server::start().await;
    let client = server.client();
    let arn = key(&client).await;
    let ask = || client.generate_data_key().key_id(&arn);
    for (request, length) in [
        (ask().key_spec(DataKeySpec::Aes256), 32),
        (ask().key_spec(DataKeySpec::Aes128), 16),
        (ask().number_of_bytes(1), 1),
        (ask().number_of_bytes(1024), 1024),
    ] {
        let made = request.send().await.unwrap();
        let plaintext = made.plaintext().unwrap().as_ref().to_vec();
        assert_eq!(plaintext.len(), length);
        let opened =
            client.decrypt().ciphertext_blob(made.ciphertext_blob.unwrap()).send().await.unwrap();
        assert_eq!(opened.plaintext().unwrap().as_ref(), plaintext);
        assert_eq!(opened.key_material_id(), made.key_material_id.as_deref());
    }
    let wrapped = client
        .generate_data_key_without_plaintext()
        .key_id(&arn)
        .key_spec(DataKeySpec::Aes256)
        .send()
        .await
        .unwrap();
    let opened =
        client.decrypt().ciphertext_blob(wrapped.ciphertext_blob.unwrap()).send().await.unwrap();
    assert_eq!(opened.plaintext().unwrap().as_ref().len(), 32);
}

#[tokio::test]
async fn re_encryption_moves_to_another_key_and_context() {
    let server = Server::start().await;
    let client = server.client();
    let (one, two) = (key(&client).await, key(&client).await);
    let encrypted = client
        .encrypt()
        .key_id(&one)
        .plaintext(Blob::new("moved"))
        .encryption_context("from", "1")
        .send()
        .await
        .unwrap();
    let moved = client
        .re_encrypt()
        .ciphertext_blob(encrypted.ciphertext_blob.unwrap())
        .source_encryption_context("from", "1")
        .destination_key_id(&two)
        .destination_encryption_context("to", "2")
        .send()
        .await
        .unwrap();
    assert_eq!((moved.source_key_id(), moved.key_id()), (Some(one.as_str()), Some(two.as_str())));
    let opened = client
        .decrypt()
        .key_id(&two)
        .ciphertext_blob(moved.ciphertext_blob.unwrap())
        .encryption_context("to", "2")
        .send()
        .await
        .unwrap();
    assert_eq!(opened.plaintext().unwrap().as_ref(), b"moved");
}

#[tokio::test]
async fn random_bytes_and_dry_runs() {
    let server = Server::start().await;
    let client = server.client();
    let drawn = client.generate_random().number_of_bytes(1024).send().await.unwrap();
    let drawn = drawn.plaintext().unwrap().as_ref().to_vec();
    assert_eq!(drawn.len(), 1024);
    assert!(drawn.iter().any(|byte| *byte != drawn[0]));

    let arn = key(&client).await;
    let error = client
        .encrypt()
        .key_id(&arn)
        .plaintext(Blob::new("x"))
        .dry_run(true)
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert!(error.is_dry_run_operation_exception(), "{error:?}");
}
