//! Keyrings: which key is asked, and what is said when none helps.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use strongroom_sdk::cmm::DefaultCmm;
use strongroom_sdk::error::KeyringFault;
use strongroom_sdk::keyring::{AwsKmsKeyring, Keyring, MultiKeyring, RawAesKeyring};
use strongroom_sdk::materials::{DecryptionMaterials, EncryptionMaterials};
use strongroom_sdk::message::encrypted_data_key::EncryptedDataKey;
use strongroom_sdk::message::header::Header;
use strongroom_sdk::options::{DecryptOptions, EncryptOptions};
use strongroom_sdk::secret::SecretBytes;
use strongroom_sdk::{Error, Result, oneshot};

use crate::fixtures::{self, wait};
use crate::memory_kms::{ALIAS_A, KEY_A, KEY_B, MemoryKms};

pub(crate) fn encrypt(keyring: impl Keyring + 'static) -> Result<Vec<u8>> {
    let manager = DefaultCmm::new(Arc::new(keyring));
    let request = fixtures::request(fixtures::UNSIGNED);
    wait(oneshot::encrypt(b"plaintext", &manager, &request, &EncryptOptions::default()))
}

pub(crate) fn decrypt(message: &[u8], keyring: impl Keyring + 'static) -> Result<Vec<u8>> {
    let manager = DefaultCmm::new(Arc::new(keyring));
    let opened = wait(oneshot::decrypt(message, &manager, &DecryptOptions::default()))?;
    Ok(opened.plaintext)
}

fn kms(keys: &[&str], client: &Arc<MemoryKms>) -> AwsKmsKeyring {
    AwsKmsKeyring::with_keys(client.clone(), keys.iter().copied()).unwrap()
}

//= client-apis/decrypt.md#cryptographic-materials-manager
//= type=test
//# This CMM MUST obtain the decryption materials required for decryption.
//= client-apis/decrypt.md#keyring
//= type=test
//# This default CMM MUST obtain the decryption materials required for decryption.
//= client-apis/encrypt.md#get-the-encryption-materials
//= type=test
//# This operation MUST obtain this set of encryption materials by calling Get Encryption Materials
//# on a CMM.
//= client-apis/decrypt.md#get-the-decryption-materials
//= type=test
//# This operation MUST obtain this set of decryption materials, by calling Decrypt Materials on a
//# CMM.
#[test]
fn the_first_key_generates_the_others_wrap_and_each_unwraps() {
    let client = Arc::new(MemoryKms::default());
    let message = encrypt(kms(&[ALIAS_A, KEY_B], &client)).unwrap();
    assert_eq!(client.asked(), ["GenerateDataKey alias/a", &format!("Encrypt {KEY_B}")]);
    // The alias is resolved: the message records the key.
    let header = Header::parse(&message, &Default::default()).unwrap().header;
    let names: Vec<_> =
        header.encrypted_data_keys().iter().map(EncryptedDataKey::key_name).collect();
    assert_eq!(names, [KEY_A, KEY_B]);
    for key in [KEY_A, KEY_B] {
        assert_eq!(decrypt(&message, kms(&[key], &client)).unwrap(), b"plaintext");
    }
}

#[test]
fn a_strict_keyring_asks_for_no_key_that_it_was_not_given() {
    let client = Arc::new(MemoryKms::default());
    let message = encrypt(kms(&[KEY_A], &client)).unwrap();
    client.forget_asked();
    for other in [KEY_B, ALIAS_A] {
        let error = decrypt(&message, kms(&[other], &client)).unwrap_err();
        let Error::NoDataKey { attempts } = &error else { panic!("{error}") };
        assert_eq!((attempts.len(), attempts[0].key.as_str()), (1, KEY_A));
        assert!(attempts[0].failure.is_none());
        assert!(error.to_string().contains("not a key of this keyring"), "{error}");
    }
    assert!(client.asked().is_empty(), "a KMS was asked");
}

#[test]
fn the_error_says_of_each_key_why_it_failed() {
    let writer = Arc::new(MemoryKms::default());
    let message = encrypt(kms(&[KEY_A, KEY_B], &writer)).unwrap();
    let failures =
        HashMap::from([(KEY_A, "AccessDeniedException"), (KEY_B, "KMSInvalidStateException")]);
    let reader = Arc::new(MemoryKms { failures, ..MemoryKms::default() });
    let error = decrypt(&message, kms(&[KEY_A, KEY_B], &reader)).unwrap_err();
    let found: Vec<_> = error.kms_errors().into_iter().map(|(key, e)| (key, e.code())).collect();
    let expected =
        [(KEY_A, Some("AccessDeniedException")), (KEY_B, Some("KMSInvalidStateException"))];
    assert_eq!(found, expected);
    for word in [KEY_A, "AccessDeniedException", KEY_B, "KMSInvalidStateException"] {
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn a_second_key_helps_when_the_first_cannot() {
    let writer = Arc::new(MemoryKms::default());
    let message = encrypt(kms(&[KEY_A, KEY_B], &writer)).unwrap();
    let failures = HashMap::from([(KEY_A, "DisabledException")]);
    let reader = Arc::new(MemoryKms { failures, ..MemoryKms::default() });
    assert_eq!(decrypt(&message, kms(&[KEY_A, KEY_B], &reader)).unwrap(), b"plaintext");
}

#[test]
fn an_answer_of_another_key_is_refused() {
    let client = Arc::new(MemoryKms { claims: Some(KEY_B), ..MemoryKms::default() });
    let error = encrypt(kms(&[KEY_A], &client)).unwrap_err();
    assert!(matches!(error, Error::Keyring(KeyringFault::OtherKey { .. })), "{error}");

    let message = encrypt(kms(&[KEY_A], &Arc::new(MemoryKms::default()))).unwrap();
    let error = decrypt(&message, kms(&[KEY_A], &client)).unwrap_err();
    assert!(error.to_string().contains(KEY_B), "{error}");
}

//= client-apis/encrypt.md#behavior
//= type=test
//# If any of these steps fails, this operation MUST halt and indicate a failure to the caller.
#[test]
fn a_key_that_cannot_wrap_stops_the_message() {
    let failures = HashMap::from([(KEY_B, "NotFoundException")]);
    let client = Arc::new(MemoryKms { failures, ..MemoryKms::default() });
    let error = encrypt(kms(&[KEY_A, KEY_B], &client)).unwrap_err();
    assert_eq!(error.kms_errors()[0].1.code(), Some("NotFoundException"));
}

fn raw(name: &str, byte: u8, length: usize) -> RawAesKeyring {
    let key = SecretBytes::copy_of(&vec![byte; length]);
    RawAesKeyring::new("ns", name, key).unwrap()
}

#[test]
fn a_multi_keyring_wraps_for_all_and_unwraps_with_any() {
    let client = Arc::new(MemoryKms::default());
    let children: Vec<Arc<dyn Keyring>> =
        vec![Arc::new(raw("one", 1, 32)), Arc::new(raw("two", 2, 24))];
    let generator: Arc<dyn Keyring> = Arc::new(kms(&[KEY_A], &client));
    let message = encrypt(MultiKeyring::new(Some(generator), children).unwrap()).unwrap();
    assert_eq!(decrypt(&message, kms(&[KEY_A], &client)).unwrap(), b"plaintext");
    assert_eq!(decrypt(&message, raw("one", 1, 32)).unwrap(), b"plaintext");
    let readers: Vec<Arc<dyn Keyring>> =
        vec![Arc::new(raw("none", 1, 32)), Arc::new(raw("two", 2, 24))];
    let readers = MultiKeyring::new(None, readers).unwrap();
    assert_eq!(decrypt(&message, readers).unwrap(), b"plaintext");
}

/// A keyring that is out of order, whatever it is asked.
struct Broken;

#[async_trait]
impl Keyring for Broken {
    async fn on_encrypt(&self, _materials: &mut EncryptionMaterials) -> Result<()> {
        Err(KeyringFault::CannotWrap("broken").into())
    }

    async fn on_decrypt(
        &self,
        _materials: &mut DecryptionMaterials,
        _keys: &[EncryptedDataKey],
    ) -> Result<()> {
        Err(KeyringFault::CannotUnwrap("broken").into())
    }

    fn name(&self) -> String {
        "the broken one".to_owned()
    }
}

//= framework/multi-keyring.md#ondecrypt
//= type=test
//# If the child keyring's OnDecrypt call fails, the multi-keyring MUST collect the error and continue
//# to the next keyring, if any.
//= framework/multi-keyring.md#ondecrypt
//= type=test
//# If, after calling OnDecrypt on every child keyring (and possibly the generator keyring), the
//# decryption materials still do not contain a plaintext data key, OnDecrypt MUST return a failure
//# message containing the collected failure messages from the child keyrings.
//= framework/multi-keyring.md#ondecrypt
//= type=test
//# If the generator keyring is unable to decrypt the materials, the multi-keyring MUST attempt to
//# decrypt using its child keyrings, until one either succeeds in decryption or all have failed.
#[test]
fn a_keyring_that_is_out_of_order_does_not_hide_the_others() {
    let message = encrypt(raw("one", 1, 32)).unwrap();
    let after = |keyring: RawAesKeyring| {
        let children: Vec<Arc<dyn Keyring>> = vec![Arc::new(Broken), Arc::new(keyring)];
        decrypt(&message, MultiKeyring::new(Some(Arc::new(Broken)), children).unwrap())
    };
    assert_eq!(after(raw("one", 1, 32)).unwrap(), b"plaintext");
    let error = after(raw("two", 1, 32)).unwrap_err();
    let Error::NoDataKey { attempts } = &error else { panic!("{error}") };
    assert_eq!(
        attempts.len(),
        3,
        "the generator, the first child, the key that is none of the second's"
    );
    for part in ["keyring the broken one: ", "cannot unwrap data keys: broken", "ns one: not a key"]
    {
        assert!(error.to_string().contains(part), "no {part:?} in {error}");
    }
}

#[test]
fn keyrings_have_names_that_say_which_key_they_are_for() {
    let client = Arc::new(MemoryKms::default());
    assert_eq!(raw("one", 1, 32).name(), "raw-aes ns/one");
    let name = kms(&[KEY_A, KEY_B], &client).name();
    assert_eq!(name, format!("aws-kms {KEY_A}, {KEY_B}"));
    assert!(fixtures::KnownDataKey(Vec::new()).name().ends_with("KnownDataKey"));
}

#[test]
fn a_raw_key_with_the_right_name_and_other_bytes_is_refused() {
    let message = encrypt(raw("one", 1, 32)).unwrap();
    let error = decrypt(&message, raw("one", 9, 32)).unwrap_err();
    let Error::NoDataKey { attempts } = &error else { panic!("{error}") };
    assert_eq!(attempts[0].key, "one");
    assert!(matches!(attempts[0].failure.as_deref(), Some(Error::TagMismatch { .. })));
}

#[test]
fn keyrings_that_cannot_work_are_refused() {
    let client = Arc::new(MemoryKms::default());
    assert!(AwsKmsKeyring::new(client.clone(), "arn:aws:s3:::bucket").is_err());
    assert!(AwsKmsKeyring::with_keys(client, Vec::<String>::new()).is_err());
    assert!(MultiKeyring::new(None, Vec::new()).is_err());
    assert!(RawAesKeyring::new("aws-kms", "k", SecretBytes::copy_of(&[0; 32])).is_err());
    for length in [0, 15, 17, 31, 33] {
        let key = SecretBytes::copy_of(&vec![0; length]);
        assert!(RawAesKeyring::new("ns", "k", key).is_err(), "{length}");
    }
    let only_children: Vec<Arc<dyn Keyring>> = vec![Arc::new(raw("one", 1, 32))];
    let error = encrypt(MultiKeyring::new(None, only_children).unwrap()).unwrap_err();
    assert!(matches!(error, Error::NoGenerator), "{error}");
}

#[test]
fn expected_context_is_demanded_before_any_key_is_asked_for() {
    use strongroom_sdk::message::encryption_context::EncryptionContext;
    let client = Arc::new(MemoryKms::default());
    let message = encrypt(kms(&[KEY_A], &client)).unwrap();
    client.forget_asked();
    for (key, value) in [("purpose", "other"), ("absent", "x")] {
        let expected_context = EncryptionContext::from_pairs([(key, value)]).unwrap();
        let options = DecryptOptions { expected_context, ..DecryptOptions::default() };
        let manager = DefaultCmm::new(Arc::new(kms(&[KEY_A], &client)));
        let error = wait(oneshot::decrypt(&message, &manager, &options)).unwrap_err();
        assert!(matches!(error, Error::ContextMismatch { key: k } if k == key));
    }
    assert!(client.asked().is_empty());
    let expected_context = EncryptionContext::from_pairs([("purpose", "tests")]).unwrap();
    let options = DecryptOptions { expected_context, ..DecryptOptions::default() };
    let manager = DefaultCmm::new(Arc::new(kms(&[KEY_A], &client)));
    assert!(wait(oneshot::decrypt(&message, &manager, &options)).is_ok());
}
