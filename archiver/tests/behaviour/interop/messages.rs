//! Messages go from our SDK to the Python one and back, with our KMS wrapping their data keys.

use std::sync::Arc;

use aws_sdk_kms::config::{BehaviorVersion, Credentials, Region};
use strongroom_peers::{KmsServer, identity, require};
use strongroom_sdk::cmm::DefaultCmm;
use strongroom_sdk::keyring::AwsKmsKeyring;
use strongroom_sdk::kms::aws::AwsKmsClient;
use strongroom_sdk::materials::EncryptionRequest;
use strongroom_sdk::message::encryption_context::EncryptionContext;
use strongroom_sdk::message::suite::AlgorithmSuite;
use strongroom_sdk::oneshot;
use strongroom_sdk::options::{DecryptOptions, EncryptOptions};

use super::esdk::{Direction, PythonSdk};

/// Lengths around frames of 1,024, 4,096 and 65,536 bytes, in bytes.
const LENGTHS: [usize; 9] = [0, 1, 1023, 1024, 1025, 4096, 65_536, 65_537, 300_000];

#[tokio::test]
async fn the_python_sdk_opens_what_ours_wrote() {
    let kms = require!(KmsServer::start());
    let key_arn = require!(kms.play_custom_key_store_story()).key_arn;
    let python = require!(PythonSdk::new(&kms, &key_arn));
    let manager = manager(&kms, &key_arn);
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for (number, length) in LENGTHS.into_iter().enumerate() {
        for suite in [
            AlgorithmSuite::Aes256GcmHkdfSha512CommitKey,
            AlgorithmSuite::Aes256GcmHkdfSha512CommitKeyEcdsaP384,
        ] {
            let request = EncryptionRequest {
                encryption_context: context(&format!("{number}")),
                suite: Some(suite),
                ..EncryptionRequest::default()
            };
            let options = EncryptOptions { frame_length: [1024, 4096, 65_536][number % 3] };
            let message =
                oneshot::encrypt(&plaintext(length), &manager, &request, &options).await.unwrap();
            let name = format!("{number}-{:04x}", suite.id());
            let sealed = folder.path().join(&name).with_extension("sealed");
            std::fs::write(&sealed, message).unwrap();
            files.push((sealed, folder.path().join(&name).with_extension("opened")));
        }
    }
    let results = python.run(Direction::Decrypt, &files);
    for (index, ((_, opened), result)) in files.iter().zip(&results).enumerate() {
        assert_eq!(std::fs::read(opened).unwrap(), plaintext(LENGTHS[index / 2]), "{opened:?}");
        assert_eq!(result["context"]["number"], (index / 2).to_string());
        assert_eq!(result["context"]["purpose"], "interop");
    }
}

#[tokio::test]
async fn our_sdk_opens_what_the_python_one_wrote() {
    let kms = require!(KmsServer::start());
    let key_arn = require!(kms.play_custom_key_store_story()).key_arn;
    let python = require!(PythonSdk::new(&kms, &key_arn));
    let manager = manager(&kms, &key_arn);
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for length in LENGTHS {
        let plain = folder.path().join(format!("{length}.plain"));
        std::fs::write(&plain, plaintext(length)).unwrap();
        files.push((plain.clone(), plain.with_extension("sealed")));
    }
    python.run(Direction::Encrypt, &files);
    for (number, (plain, sealed)) in files.iter().enumerate() {
        let message = std::fs::read(sealed).unwrap();
        let options = DecryptOptions {
            expected_context: context(&number.to_string()),
            ..DecryptOptions::default()
        };
        let opened = oneshot::decrypt(&message, &manager, &options).await.unwrap();
        assert_eq!(opened.plaintext, std::fs::read(plain).unwrap(), "{plain:?}");
    }
}

fn manager(kms: &KmsServer, key_arn: &str) -> DefaultCmm {
    let credentials =
        Credentials::new(identity::ACCESS_KEY, identity::SECRET_KEY, None, None, "tests");
    let config = aws_sdk_kms::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(credentials)
        .region(Region::new(identity::REGION))
        .endpoint_url(kms.endpoint())
        .build();
    let client = AwsKmsClient::new(aws_sdk_kms::Client::from_conf(config));
    DefaultCmm::new(Arc::new(AwsKmsKeyring::new(Arc::new(client), key_arn).unwrap()))
}

fn context(number: &str) -> EncryptionContext {
    EncryptionContext::from_pairs([("purpose", "interop"), ("number", number)]).unwrap()
}

/// Bytes that differ from frame to frame.
fn plaintext(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at / 251 + at) as u8).collect()
}
