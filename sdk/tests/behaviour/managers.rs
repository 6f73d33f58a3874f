//! What surfaces ask a materials manager for, and what they do without it.

use std::io::Read;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use strongroom_sdk::cmm::{DefaultCmm, MaterialsManager};
use strongroom_sdk::keyring::{Keyring, MultiKeyring};
use strongroom_sdk::materials::{
    DecryptionMaterials, DecryptionRequest, EncryptionMaterials, EncryptionRequest,
};
use strongroom_sdk::message::encrypted_data_key::EncryptedDataKey;
use strongroom_sdk::message::encryption_context::EncryptionContext;
use strongroom_sdk::message::limits::Limits;
use strongroom_sdk::message::suite::AlgorithmSuite;
use strongroom_sdk::options::{DecryptOptions, EncryptOptions, SignedMessages};
use strongroom_sdk::stream::PendingReader;
use strongroom_sdk::{CommitmentPolicy, Error, Result, oneshot};

use crate::fixtures::{self, read_everywhere, wait};

/// Remembers what it was asked for, and may write with another suite than asked for.
struct Remembering {
    inner: DefaultCmm,
    suite: Option<AlgorithmSuite>,
    encryptions: Mutex<Vec<EncryptionRequest>>,
    decryptions: Mutex<Vec<DecryptionRequest>>,
}

impl Remembering {
    fn new() -> Self {
        let (encryptions, decryptions) = (Mutex::default(), Mutex::default());
        Self { inner: fixtures::manager(), suite: None, encryptions, decryptions }
    }
}

#[async_trait]
impl MaterialsManager for Remembering {
    async fn encryption_materials(
        &self,
        request: &EncryptionRequest,
    ) -> Result<EncryptionMaterials> {
        self.encryptions.lock().unwrap().push(request.clone());
        let suite = self.suite.or(request.suite);
        self.inner.encryption_materials(&EncryptionRequest { suite, ..request.clone() }).await
    }

    async fn decryption_materials(
        &self,
        request: &DecryptionRequest,
    ) -> Result<DecryptionMaterials> {
        self.decryptions.lock().unwrap().push(request.clone());
        self.inner.decryption_materials(request).await
    }
}

fn encrypt(manager: &dyn MaterialsManager, request: &EncryptionRequest) -> Result<Vec<u8>> {
    wait(oneshot::encrypt(b"text", manager, request, &EncryptOptions::default()))
}

//= client-apis/encrypt.md#get-the-encryption-materials
//= type=test
//# The CMM used MUST be the input CMM, if supplied.
//= client-apis/decrypt.md#get-the-decryption-materials
//= type=test
//# The CMM used MUST be the input CMM, if supplied.
//= client-apis/encrypt.md#get-the-encryption-materials
//= type=test
//# The call to Get Encryption Materials on that CMM MUST be constructed as follows:
//= client-apis/decrypt.md#get-the-decryption-materials
//= type=test
//# The call to the CMM's Decrypt Materials operation MUST be constructed as follows:
//= client-apis/decrypt.md#input
//= type=test
//# The client MUST require the following as inputs to this operation:
//= client-apis/encrypt.md#algorithm-suite
//= type=test
//# The algorithm suite that SHOULD be used for encryption.
//= client-apis/encrypt.md#get-the-encryption-materials
//= type=test
//# Max Plaintext Length: If the input plaintext has known length, this length MUST be used.
//= client-apis/encrypt.md#input
//= type=test
//# If a caller is able to specify both an input plaintext with known length and a Plaintext Length
//# Bound, the Plaintext Length Bound MUST NOT be used during the Encrypt operation and MUST be
//# ignored.
#[test]
fn the_manager_is_asked_once_for_what_the_caller_and_the_header_say() {
    let manager = Remembering::new();
    let request = EncryptionRequest {
        plaintext_length_max: Some(2),
        ..fixtures::request(fixtures::UNSIGNED)
    };
    let message = encrypt(&manager, &request).unwrap();
    let asked = manager.encryptions.lock().unwrap();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].encryption_context, request.encryption_context);
    assert_eq!(asked[0].commitment_policy, request.commitment_policy);
    assert_eq!(asked[0].suite, request.suite);
    assert_eq!(asked[0].plaintext_length_max, Some(4), "whatever bound the caller named");

    let header = fixtures::parse(&message).header;
    wait(oneshot::decrypt(&message, &manager, &DecryptOptions::default())).unwrap();
    let asked = manager.decryptions.lock().unwrap();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].suite(), fixtures::UNSIGNED);
    assert_eq!(asked[0].encryption_context(), header.unverified_encryption_context());
    assert_eq!(asked[0].encrypted_data_keys(), header.encrypted_data_keys());
    assert_eq!(asked[0].commitment_policy(), CommitmentPolicy::RequireEncryptRequireDecrypt);
}

//= client-apis/encrypt.md#get-the-encryption-materials
//= type=test
//# The algorithm suite used in all aspects of this operation MUST be the algorithm suite in the
//# encryption materials returned from the Get Encryption Materials call.
//= client-apis/encrypt.md#get-the-encryption-materials
//= type=test
//# Note that the algorithm suite in the retrieved encryption materials MAY be different from the
//# input algorithm suite.
#[test]
fn a_message_is_written_with_the_suite_of_its_materials() {
    let manager = Remembering { suite: Some(fixtures::UNSIGNED), ..Remembering::new() };
    let message = encrypt(&manager, &fixtures::request(fixtures::SIGNED)).unwrap();
    assert_eq!(fixtures::parse(&message).header.suite(), fixtures::UNSIGNED);
    let opened = wait(oneshot::decrypt(&message, &manager, &DecryptOptions::default()));
    assert_eq!(opened.unwrap().plaintext, b"text");
}

//= client-apis/encrypt.md#frame-length
//= type=test
//# This value MUST default to 4096 bytes.
//= client-apis/encrypt.md#input
//= type=test
//# The following inputs to this behavior MUST be OPTIONAL:
#[test]
fn everything_but_plaintext_and_manager_has_a_default() {
    assert_eq!(EncryptOptions::default().frame_length, 4096);
    let request = EncryptionRequest::default();
    assert_eq!(request.encryption_context, EncryptionContext::new());
    let message = encrypt(&fixtures::manager(), &request).unwrap();
    assert_eq!(fixtures::parse(&message).header.suite(), fixtures::SIGNED);
}

//= client-apis/decrypt.md#behavior
//= type=test
//# The ESDK MUST provide a configuration option that causes the decryption operation to fail
//# immediately after parsing the header if a signed algorithm suite is used.
#[test]
fn signed_messages_are_refused_on_demand_before_the_manager_is_asked() {
    let message = fixtures::encrypt(b"text", fixtures::SIGNED, 16);
    let manager = Remembering::new();
    let options =
        DecryptOptions { signed_messages: SignedMessages::Refuse, ..DecryptOptions::default() };
    for outcome in read_everywhere(&message, &manager, &options) {
        let error = outcome.error.unwrap_or_else(|| panic!("{} accepts", outcome.surface));
        assert!(matches!(error, Error::SignedSuiteRefused { .. }), "{}: {error}", outcome.surface);
    }
    assert!(manager.decryptions.lock().unwrap().is_empty());
}

//= client-apis/decrypt.md#behavior
//= type=test
//# Otherwise this operation MUST NOT perform this step.
#[test]
fn unsigned_messages_need_no_signature_and_take_none() {
    let mut message = fixtures::encrypt(b"text", fixtures::UNSIGNED, 16);
    let manager = fixtures::manager();
    let open =
        |message: &[u8]| wait(oneshot::decrypt(message, &manager, &DecryptOptions::default()));
    assert_eq!(open(&message).unwrap().plaintext, b"text");
    message.extend([0, 3, 0x30, 1, 0]);
    assert!(matches!(open(&message), Err(Error::TrailingBytes)));
}

/// Adds wrapped keys that nobody can unwrap.
struct Crowd(usize);

#[async_trait]
impl Keyring for Crowd {
    async fn on_encrypt(&self, materials: &mut EncryptionMaterials) -> Result<()> {
        let key = EncryptedDataKey {
            provider_id: "crowd".into(),
            provider_info: Vec::new(),
            ciphertext: vec![0; 8],
        };
        (0..self.0).for_each(|_| materials.push_encrypted_data_key(key.clone()));
        Ok(())
    }

    async fn on_decrypt(
        &self,
        _materials: &mut DecryptionMaterials,
        _keys: &[EncryptedDataKey],
    ) -> Result<()> {
        Err(Error::NoDataKey { attempts: Vec::new() })
    }
}

//= client-apis/client.md#maximum-number-of-encrypted-data-keys
//= type=test
//# Callers MUST have a way to disable this limit.
#[test]
fn the_limit_on_wrapped_keys_can_be_lifted() {
    let most = usize::from(u16::MAX);
    let crowd: Vec<Arc<dyn Keyring>> = vec![Arc::new(Crowd(most - 1))];
    let keyring = MultiKeyring::new(Some(fixtures::raw_keyring()), crowd).unwrap();
    let manager = DefaultCmm::new(Arc::new(keyring));
    let message = encrypt(&manager, &fixtures::request(fixtures::UNSIGNED)).unwrap();
    let bounded = wait(oneshot::decrypt(&message, &manager, &DecryptOptions::default()));
    let quantity = "encrypted data keys";
    assert!(matches!(bounded, Err(Error::LimitExceeded { quantity: q, .. }) if q == quantity));

    let limits =
        Limits { encrypted_data_keys_max: most, header_bytes_max: usize::MAX, ..Limits::default() };
    let options = DecryptOptions { limits, ..DecryptOptions::default() };
    let opened = wait(oneshot::decrypt(&message, &manager, &options));
    assert_eq!(opened.unwrap().plaintext, b"text");
}

//= client-apis/decrypt.md#verify-the-header
//= type=test
//# This operation SHOULD release the parsed encryption context, algorithm suite ID, and other
//# header information as soon as tag verification succeeds.
//= client-apis/encrypt.md#get-the-encryption-materials
//= type=test
//# If the number of encrypted data keys on the encryption materials is greater than the
//# maximum number of encrypted data keys configured in the client encrypt MUST yield an error.
#[test]
fn a_message_has_no_more_wrapped_keys_than_its_writer_allows() {
    let crowd: Vec<Arc<dyn Keyring>> = vec![Arc::new(Crowd(2))];
    let keyring = MultiKeyring::new(Some(fixtures::raw_keyring()), crowd).unwrap();
    let manager = DefaultCmm::new(Arc::new(keyring));
    for (max, written) in [(None, true), (Some(3), true), (Some(2), false)] {
        let request = EncryptionRequest {
            encrypted_data_keys_max: max,
            ..fixtures::request(fixtures::UNSIGNED)
        };
        match encrypt(&manager, &request) {
            Ok(_) => assert!(written, "{max:?}"),
            Err(error) => {
                assert!(!written, "{max:?}: {error}");
                let quantity = "encrypted data keys";
                assert!(matches!(error, Error::LimitExceeded { quantity: q, .. } if q == quantity));
            }
        }
    }
}

#[test]
fn a_stream_tells_suite_and_context_before_any_frame_is_read() {
    let mut message = fixtures::encrypt(b"text", fixtures::UNSIGNED, 16);
    *message.last_mut().unwrap() ^= 1;
    let manager = fixtures::manager();
    let pending = PendingReader::read_header(&message[..], &DecryptOptions::default()).unwrap();
    let materials = wait(manager.decryption_materials(pending.request())).unwrap();
    let mut reader = pending.verify(materials).unwrap();
    assert_eq!(reader.header_fields().suite, fixtures::UNSIGNED);
    assert_eq!(reader.header_fields().encryption_context.get("purpose"), Some("tests"));
    assert!(reader.read(&mut [0; 4]).is_err(), "the frame is damaged");
}
