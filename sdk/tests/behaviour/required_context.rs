//! The required-encryption-context CMM: what readers must give again.

use std::sync::Arc;

use strongroom_sdk::Error;
use strongroom_sdk::cmm::{MaterialsManager, RequiredContextCmm};
use strongroom_sdk::materials::EncryptionRequest;
use strongroom_sdk::message::encryption_context::EncryptionContext;
use strongroom_sdk::oneshot;
use strongroom_sdk::options::{DecryptOptions, EncryptOptions};

use crate::fixtures::{self, wait};

fn requiring(keys: &[&str]) -> RequiredContextCmm {
    RequiredContextCmm::new(Arc::new(fixtures::manager()), keys.iter().copied()).unwrap()
}

fn reproducing(pairs: &[(&str, &str)]) -> DecryptOptions {
    let reproduced_context = EncryptionContext::from_pairs(pairs.iter().copied()).unwrap();
    DecryptOptions { reproduced_context, ..DecryptOptions::default() }
}

fn encrypt(manager: &dyn MaterialsManager) -> Vec<u8> {
    let request = fixtures::request(fixtures::SIGNED);
    wait(oneshot::encrypt(b"text", manager, &request, &EncryptOptions::default())).unwrap()
}

fn decrypt(
    message: &[u8],
    manager: &dyn MaterialsManager,
    options: &DecryptOptions,
) -> Result<Vec<u8>, Error> {
    wait(oneshot::decrypt(message, manager, options)).map(|opened| opened.plaintext)
}

#[test]
fn required_pairs_are_not_in_the_message_and_must_be_given_again() {
    let message = encrypt(&requiring(&["purpose"]));
    let header = fixtures::parse(&message).header;
    assert_eq!(header.unverified_encryption_context().get("purpose"), None);
    assert_eq!(header.unverified_encryption_context().get("n"), Some("1"));

    let right = reproducing(&[("purpose", "tests")]);
    let manager = requiring(&["purpose"]);
    assert_eq!(decrypt(&message, &manager, &right).unwrap(), b"text");
    let missing = decrypt(&message, &manager, &DecryptOptions::default()).unwrap_err();
    assert!(matches!(missing, Error::ContextKeyMissing { key } if key == "purpose"));
    assert!(decrypt(&message, &manager, &reproducing(&[("purpose", "other")])).is_err());
    // The pair is authenticated whoever reads.
    assert!(decrypt(&message, &fixtures::manager(), &DecryptOptions::default()).is_err());
    assert!(decrypt(&message, &fixtures::manager(), &right).is_ok());
}

#[test]
fn a_reader_must_give_what_the_header_says_too() {
    let message = encrypt(&fixtures::manager());
    let manager = requiring(&["purpose"]);
    assert!(decrypt(&message, &manager, &DecryptOptions::default()).is_err());
    assert!(decrypt(&message, &manager, &reproducing(&[("purpose", "tests")])).is_ok());
}

#[test]
fn a_writer_must_give_every_required_key() {
    let manager = requiring(&["purpose", "tenant"]);
    let request = fixtures::request(fixtures::UNSIGNED);
    let refused = wait(manager.encryption_materials(&request)).err().unwrap();
    assert!(matches!(refused, Error::ContextKeyMissing { key } if key == "tenant"));
    let required_context_keys = ["tenant".to_owned()].into();
    let request = EncryptionRequest { required_context_keys, ..request };
    assert!(wait(fixtures::manager().encryption_materials(&request)).is_err());
    let reserved = RequiredContextCmm::new(Arc::new(fixtures::manager()), ["aws-crypto-x"]);
    assert!(matches!(reserved.err().unwrap(), Error::ContextKeyReserved { .. }));
}

#[test]
fn no_more_than_the_bound_that_the_writer_gave_is_encrypted() {
    use std::io::Write;
    use strongroom_sdk::stream::EncryptWriter;
    for (bound, fits) in [(100, true), (99, false)] {
        let request = EncryptionRequest {
            plaintext_bytes_max: Some(bound),
            ..fixtures::request(fixtures::UNSIGNED)
        };
        let materials = wait(fixtures::manager().encryption_materials(&request)).unwrap();
        let options = EncryptOptions { frame_length: 40 };
        let mut writer = EncryptWriter::new(Vec::new(), materials, &options).unwrap();
        let written = writer.write_all(&[0; 100]).map_err(fixtures::unpack);
        let result = written.and_then(|()| writer.finish());
        assert_eq!(result.is_ok(), fits, "{bound}");
    }
}
