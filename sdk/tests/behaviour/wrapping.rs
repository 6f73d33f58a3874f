//! Keyrings that wrap with RSA and with elliptic curves, here and in a KMS: who reads what who wrote.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use strongroom_sdk::cmm::DefaultCmm;
use strongroom_sdk::crypto::ecdh::EcCurve;
use strongroom_sdk::crypto::rsa::RsaPadding;
use strongroom_sdk::crypto::{CryptoProvider, default_provider};
use strongroom_sdk::error::{KeyFault, KeyringFault};
use strongroom_sdk::keyring::{
    AwsKmsEcdhKeyring, AwsKmsRsaKeyring, Keyring, KmsEcKey, MultiKeyring, RawEcdhKeyring,
    RawRsaKeyring, RsaKeys,
};
use strongroom_sdk::keys::{EcPrivateKey, EcPublicKey, RsaPrivateKey};
use strongroom_sdk::kms::{
    AsymmetricRequest, Decrypted, Encrypted, GeneratedDataKey, KmsClient, KmsError, KmsRequest,
    PublicKey, RsaAlgorithm, SharedSecret,
};
use strongroom_sdk::materials::{DecryptionMaterials, EncryptionMaterials};
use strongroom_sdk::message::encrypted_data_key::EncryptedDataKey;
use strongroom_sdk::message::suite::AlgorithmSuite;
use strongroom_sdk::options::EncryptOptions;
use strongroom_sdk::secret::SecretBytes;
use strongroom_sdk::{Error, Result, oneshot};

use crate::asymmetric::rsa_pair;
use crate::fixtures::{self, KnownDataKey, providers, wait};

fn encrypt_with(
    keyring: impl Keyring + 'static,
    suite: AlgorithmSuite,
    provider: Arc<dyn CryptoProvider>,
) -> Result<Vec<u8>> {
    let manager = DefaultCmm::with_provider(Arc::new(keyring), provider);
    let options = EncryptOptions::default();
    wait(oneshot::encrypt(b"plaintext", &manager, &fixtures::request(suite), &options))
}

fn encrypt(keyring: impl Keyring + 'static) -> Result<Vec<u8>> {
    encrypt_with(keyring, fixtures::UNSIGNED, default_provider())
}

fn decrypt_with(
    message: &[u8],
    keyring: impl Keyring + 'static,
    provider: Arc<dyn CryptoProvider>,
) -> Result<Vec<u8>> {
    let manager = DefaultCmm::with_provider(Arc::new(keyring), provider);
    let reading = fixtures::reading(fixtures::parse(message).header.suite());
    wait(oneshot::decrypt(message, &manager, &reading)).map(|opened| opened.plaintext)
}

fn decrypt(message: &[u8], keyring: impl Keyring + 'static) -> Result<Vec<u8>> {
    decrypt_with(message, keyring, default_provider())
}

/// What became of the only wrapped key of a message that did not open; `None` if it was not tried.
fn only_attempt(result: Result<Vec<u8>>) -> Option<Error> {
    match result.unwrap_err() {
        Error::NoDataKey { mut attempts } => {
            assert_eq!(attempts.len(), 1);
            attempts.remove(0).failure.map(|failure| *failure)
        }
        other => panic!("{other}"),
    }
}

/// A reader whose encrypted data keys somebody has altered.
struct Altered<K, F> {
    inner: K,
    alter: F,
}

#[async_trait]
impl<K: Keyring, F: Fn(&mut EncryptedDataKey) + Send + Sync> Keyring for Altered<K, F> {
    async fn on_encrypt(&self, materials: &mut EncryptionMaterials) -> Result<()> {
        self.inner.on_encrypt(materials).await
    }

    async fn on_decrypt(
        &self,
        materials: &mut DecryptionMaterials,
        keys: &[EncryptedDataKey],
    ) -> Result<()> {
        let mut keys = keys.to_vec();
        keys.iter_mut().for_each(&self.alter);
        self.inner.on_decrypt(materials, &keys).await
    }
}

fn rsa(name: &str, padding: RsaPadding, keys: RsaKeys) -> RawRsaKeyring {
    RawRsaKeyring::new("ns", name, padding, keys).unwrap()
}

fn rsa_reader(padding: RsaPadding) -> RawRsaKeyring {
    rsa("key", padding, RsaKeys::Private(rsa_pair().1))
}

fn rsa_writer(padding: RsaPadding) -> RawRsaKeyring {
    rsa("key", padding, RsaKeys::Public(rsa_pair().0))
}

//= framework/raw-rsa-keyring.md#supported-padding-schemes
//= type=test
//# This keyring MUST NOT use a padding scheme outside those defined above.
#[test]
fn what_a_public_rsa_key_wrote_its_private_key_reads() {
    for padding in RsaPadding::ALL {
        for suite in fixtures::COMMITTING {
            for provider in providers() {
                let message = encrypt_with(rsa_writer(padding), suite, provider.clone()).unwrap();
                let opened = decrypt_with(&message, rsa_reader(padding), provider).unwrap();
                assert_eq!(opened, b"plaintext", "{padding} {suite}");
            }
        }
    }
    let (public, private) = rsa_pair();
    let pair = || RsaKeys::Pair(rsa_pair().0, rsa_pair().1);
    let message = encrypt(rsa("key", RsaPadding::OaepSha256, RsaKeys::Pair(public, private)));
    assert!(decrypt(&message.unwrap(), rsa("key", RsaPadding::OaepSha256, pair())).is_ok());
}

//= framework/raw-rsa-keyring.md#onencrypt
//= type=test
//# OnEncrypt MUST fail if this keyring does not have a specified [public key](#public-key).
//= framework/raw-rsa-keyring.md#ondecrypt
//= type=test
//# OnDecrypt MUST fail if this keyring does not have a specified [private key](#private-key).
//= framework/raw-rsa-keyring.md#onencrypt
//= type=test
//# The keyring MUST NOT derive a public key from a specified [private key](#private-key).
#[test]
fn half_an_rsa_key_does_half_the_work() {
    let padding = RsaPadding::OaepSha512;
    let error = encrypt(rsa_reader(padding)).unwrap_err();
    assert!(matches!(error, Error::Keyring(KeyringFault::CannotWrap(_))), "{error}");
    let message = encrypt(rsa_writer(padding)).unwrap();
    let error = only_attempt(decrypt(&message, rsa_writer(padding))).unwrap();
    assert!(matches!(error, Error::Keyring(KeyringFault::CannotUnwrap(_))), "{error}");
    // A writer among several keyrings does not keep the others from reading.
    let both: Vec<Arc<dyn Keyring>> =
        vec![Arc::new(rsa_writer(padding)), Arc::new(rsa_reader(padding))];
    assert!(decrypt(&message, MultiKeyring::new(None, both).unwrap()).is_ok());
}

//= framework/raw-rsa-keyring.md#ondecrypt
//= type=test
//# For each encrypted data key, the keyring MUST attempt to decrypt the encrypted data key into plaintext
//# using RSA if and only if the following is true:
#[test]
fn an_rsa_keyring_tries_only_keys_of_its_namespace_and_name() {
    let padding = RsaPadding::OaepSha256;
    let message = encrypt(rsa_writer(padding)).unwrap();
    let other_name = rsa("other", padding, RsaKeys::Private(rsa_pair().1));
    assert!(only_attempt(decrypt(&message, other_name)).is_none());
    let keys = RsaKeys::Private(rsa_pair().1);
    let other_namespace = RawRsaKeyring::new("other", "key", padding, keys).unwrap();
    assert!(only_attempt(decrypt(&message, other_namespace)).is_none());
    let refused = RawRsaKeyring::new("aws-kms", "key", padding, RsaKeys::Public(rsa_pair().0));
    assert!(refused.is_err());
}

#[test]
fn an_rsa_keyring_says_the_same_whatever_is_wrong() {
    for padding in RsaPadding::ALL {
        let message = encrypt(rsa_writer(padding)).unwrap();
        let (public, _) = rsa_pair();
        let short = public.encrypt(padding, &SecretBytes::copy_of(&[1; 16])).unwrap();
        let empty = public.encrypt(padding, &SecretBytes::copy_of(&[])).unwrap();
        let good = fixtures::parse(&message).header.encrypted_data_keys()[0].ciphertext.clone();
        let flipped = |at: usize| {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            bytes
        };
        let longer = [&good[..], &[0]].concat();
        let shorter = good[..255].to_vec();
        for bad in [flipped(0), flipped(255), longer, shorter, Vec::new(), short, empty] {
            let alter = move |key: &mut EncryptedDataKey| key.ciphertext.clone_from(&bad);
            let reader = Altered { inner: rsa_reader(padding), alter };
            let error = only_attempt(decrypt(&message, reader)).unwrap();
            assert!(matches!(error, Error::Keyring(KeyringFault::NotUnwrapped)), "{error}");
        }
    }
    // So does a reader with another padding.
    let message = encrypt(rsa_writer(RsaPadding::OaepSha256)).unwrap();
    let error = only_attempt(decrypt(&message, rsa_reader(RsaPadding::OaepSha1))).unwrap();
    assert!(matches!(error, Error::Keyring(KeyringFault::NotUnwrapped)), "{error}");
}

fn ec(curve: EcCurve) -> EcPrivateKey {
    EcPrivateKey::generate(&*default_provider(), curve).unwrap()
}

/// The same private key once more: keyrings take theirs.
fn pair(curve: EcCurve) -> [EcPrivateKey; 2] {
    let mut scalar = fixtures::sample(curve.field_bytes());
    scalar[0] = 0;
    [0, 1].map(|_| {
        let der = crate::asymmetric::sec1(curve, &scalar);
        EcPrivateKey::from_der(&*default_provider(), &der).unwrap()
    })
}

//= framework/key-agreement-schemas.md#publickeydiscovery
//= type=test
//# MUST verify that the recipient public key stored on
//# the message ciphertext matches the configured recipient's
//# public key.
#[test]
fn what_anybody_wrote_for_an_elliptic_curve_key_its_owner_reads() {
    for curve in EcCurve::ALL {
        for suite in fixtures::COMMITTING {
            for (writer, reader) in providers().iter().zip(providers().iter().rev()) {
                let recipient = EcPrivateKey::generate(&**reader, curve).unwrap();
                let keyring = RawEcdhKeyring::ephemeral_to(recipient.public_key().clone());
                let message = encrypt_with(keyring, suite, writer.clone()).unwrap();
                let keyring = RawEcdhKeyring::discovery(recipient);
                let opened = decrypt_with(&message, keyring, reader.clone()).unwrap();
                assert_eq!(opened, b"plaintext", "{curve} {suite}");
            }
        }
    }
}

//= framework/key-agreement-schemas.md#rawprivatekeytostaticpublickey
//= type=test
//# MUST verify that both the configured sender's and recipient's
//# public keys match the public keys stored on the message ciphertext.
#[test]
fn two_elliptic_curve_keys_read_what_either_wrote_and_nobody_else_does() {
    for curve in EcCurve::ALL {
        let [alice, alice_again] = pair(curve);
        let (bob, carol) = (ec(curve), ec(curve));
        let to_alice = alice.public_key().clone();
        let to_bob = bob.public_key().clone();
        let message = encrypt(RawEcdhKeyring::between(alice, to_bob.clone()).unwrap()).unwrap();
        let own = RawEcdhKeyring::between(alice_again, to_bob).unwrap();
        assert_eq!(decrypt(&message, own).unwrap(), b"plaintext");
        let others = RawEcdhKeyring::between(bob, to_alice.clone()).unwrap();
        assert_eq!(decrypt(&message, others).unwrap(), b"plaintext");
        let third = RawEcdhKeyring::between(carol, to_alice).unwrap();
        assert!(only_attempt(decrypt(&message, third)).is_none());
    }
    let other = ec(EcCurve::P384).public_key().clone();
    let error = RawEcdhKeyring::between(ec(EcCurve::P256), other).err().unwrap();
    assert!(matches!(error, Error::Key(KeyFault::OtherCurve { .. })), "{error}");
}

//= framework/key-agreement-schemas.md#publickeydiscovery
//= type=test
//# On encrypt, the keyring MUST fail.
//= framework/key-agreement-schemas.md#ephemeralprivatekeytostaticpublickey
//= type=test
//# On decrypt, the keyring MUST fail.
#[test]
fn a_schema_that_cannot_write_or_cannot_read_says_so() {
    let [recipient, again] = pair(EcCurve::P256);
    let public = recipient.public_key().clone();
    let error = encrypt(RawEcdhKeyring::discovery(recipient)).unwrap_err();
    assert!(matches!(error, Error::Keyring(KeyringFault::CannotWrap(_))), "{error}");
    let message = encrypt(RawEcdhKeyring::ephemeral_to(public.clone())).unwrap();
    let writer = RawEcdhKeyring::ephemeral_to(public);
    let error = only_attempt(decrypt(&message, writer)).unwrap();
    assert!(matches!(error, Error::Keyring(KeyringFault::CannotUnwrap(_))), "{error}");
    assert!(decrypt(&message, RawEcdhKeyring::discovery(again)).is_ok());
}

#[test]
fn altered_provider_information_of_ecdh_is_refused() {
    for at in [0, 1, 4, 5, 6, 37, 38, 41, 42, 43, 74] {
        let recipient = ec(EcCurve::P256);
        let public = recipient.public_key().clone();
        let message = encrypt(RawEcdhKeyring::ephemeral_to(public)).unwrap();
        let alter = move |key: &mut EncryptedDataKey| key.provider_info[at] ^= 1;
        let inner = RawEcdhKeyring::discovery(recipient);
        let result = decrypt(&message, Altered { inner, alter });
        assert!(matches!(result, Err(Error::NoDataKey { .. })), "{at}");
    }
}

const RSA_KEY: &str = "arn:aws:kms:eu-central-1:111122223333:key/mrk-1234";
const RSA_COPY: &str = "arn:aws:kms:us-east-1:111122223333:key/mrk-1234";
const EC_KEY: &str = "arn:aws:kms:eu-central-1:111122223333:key/eeee";

/// A KMS in memory with asymmetric keys, which does their arithmetic.
struct AsymmetricKms {
    rsa: RsaPrivateKey,
    ec: EcPrivateKey,
    key_usage: &'static str,
    /// The key that every answer claims to be of, whatever was asked for.
    claims: Option<&'static str>,
    asked: Mutex<Vec<String>>,
}

impl AsymmetricKms {
    fn new(ec: EcPrivateKey) -> Self {
        let (key_usage, claims, asked) = ("KEY_AGREEMENT", None, Mutex::default());
        Self { rsa: rsa_pair().1, ec, key_usage, claims, asked }
    }

    fn answer_for(&self, operation: &str, key_id: &str) -> String {
        self.asked.lock().unwrap().push(format!("{operation} {key_id}"));
        self.claims.unwrap_or(key_id).to_owned()
    }
}

#[async_trait]
impl KmsClient for AsymmetricKms {
    async fn generate_data_key(
        &self,
        _request: KmsRequest<'_>,
        _bytes: usize,
    ) -> Result<GeneratedDataKey, KmsError> {
        Err(KmsError::NotOffered { operation: "GenerateDataKey" })
    }

    async fn encrypt(
        &self,
        _request: KmsRequest<'_>,
        _plaintext: &SecretBytes,
    ) -> Result<Encrypted, KmsError> {
        Err(KmsError::NotOffered { operation: "Encrypt" })
    }

    async fn decrypt(
        &self,
        _request: KmsRequest<'_>,
        _ciphertext: &[u8],
    ) -> Result<Decrypted, KmsError> {
        Err(KmsError::NotOffered { operation: "Decrypt" })
    }

    async fn decrypt_rsa(
        &self,
        request: AsymmetricRequest<'_>,
        algorithm: RsaAlgorithm,
        ciphertext: &[u8],
    ) -> Result<Decrypted, KmsError> {
        let key_id = self.answer_for("Decrypt", request.key_id);
        let plaintext = self.rsa.decrypt(algorithm.padding(), ciphertext);
        let plaintext = plaintext.map_err(|_| KmsError::Service {
            operation: "Decrypt",
            code: "InvalidCiphertextException".into(),
            message: String::new(),
        })?;
        Ok(Decrypted { plaintext, key_id })
    }

    async fn get_public_key(&self, request: AsymmetricRequest<'_>) -> Result<PublicKey, KmsError> {
        let key_id = self.answer_for("GetPublicKey", request.key_id);
        let spki = self.ec.public_key().to_der().unwrap();
        Ok(PublicKey { spki, key_usage: self.key_usage.to_owned(), key_id })
    }

    async fn derive_shared_secret(
        &self,
        request: AsymmetricRequest<'_>,
        public_key: &[u8],
    ) -> Result<SharedSecret, KmsError> {
        let key_id = self.answer_for("DeriveSharedSecret", request.key_id);
        let peer = EcPublicKey::from_der(&*default_provider(), public_key).unwrap();
        Ok(SharedSecret { secret: self.ec.agree(&peer).unwrap(), key_id })
    }
}

fn kms_rsa(arn: &str, algorithm: RsaAlgorithm) -> AwsKmsRsaKeyring {
    AwsKmsRsaKeyring::new(arn, algorithm).unwrap()
}

fn kms_rsa_writer(arn: &str, algorithm: RsaAlgorithm) -> AwsKmsRsaKeyring {
    kms_rsa(arn, algorithm).public_key(rsa_pair().0)
}

#[test]
fn a_kms_rsa_key_reads_what_its_public_key_wrote_without_asking() {
    for algorithm in [RsaAlgorithm::OaepSha1, RsaAlgorithm::OaepSha256] {
        let kms = Arc::new(AsymmetricKms::new(ec(EcCurve::P256)));
        let message = encrypt(kms_rsa_writer(RSA_KEY, algorithm)).unwrap();
        assert!(kms.asked.lock().unwrap().is_empty());
        for arn in [RSA_KEY, RSA_COPY] {
            let reader = kms_rsa(arn, algorithm).client(kms.clone());
            assert_eq!(decrypt(&message, reader).unwrap(), b"plaintext");
        }
        let asked = [format!("Decrypt {RSA_KEY}"), format!("Decrypt {RSA_COPY}")];
        assert_eq!(*kms.asked.lock().unwrap(), asked);
        let other = kms_rsa(EC_KEY, algorithm).client(kms.clone());
        assert!(only_attempt(decrypt(&message, other)).is_none());
        assert_eq!(kms.asked.lock().unwrap().len(), 2, "no other key was asked");
    }
}

//= framework/aws-kms/aws-kms-rsa-keyring.md#initialization
//= type=test
//# The AWS KMS key identifier MUST NOT be null or empty.
//= framework/aws-kms/aws-kms-rsa-keyring.md#initialization
//= type=test
//# The AWS KMS key identifier MUST NOT be an AWS KMS alias.
//= framework/aws-kms/aws-kms-rsa-keyring.md#onencrypt
//= type=test
//# OnEncrypt MUST fail if this keyring does not have a specified Public Key.
//= framework/aws-kms/aws-kms-rsa-keyring.md#ondecrypt
//= type=test
//# OnDecrypt MUST fail if this keyring does not have a specified AWS KMS SDK client.
//= framework/aws-kms/aws-kms-rsa-keyring.md#ondecrypt
//= type=test
//# The `KeyId` field in the response MUST equal the configured AWS KMS key identifier.
#[test]
fn a_kms_rsa_keyring_needs_a_key_arn_and_what_its_work_takes() {
    let algorithm = RsaAlgorithm::OaepSha256;
    for bad in ["", "1234", "alias/a", "arn:aws:kms:eu-central-1:111122223333:alias/a"] {
        assert!(AwsKmsRsaKeyring::new(bad, algorithm).is_err(), "{bad}");
    }
    let error = encrypt(kms_rsa(RSA_KEY, algorithm)).unwrap_err();
    assert!(matches!(error, Error::Keyring(KeyringFault::CannotWrap(_))), "{error}");
    let message = encrypt(kms_rsa_writer(RSA_KEY, algorithm)).unwrap();
    let error = only_attempt(decrypt(&message, kms_rsa(RSA_KEY, algorithm))).unwrap();
    assert!(matches!(error, Error::Keyring(KeyringFault::CannotUnwrap(_))), "{error}");
    let kms = AsymmetricKms { claims: Some(EC_KEY), ..AsymmetricKms::new(ec(EcCurve::P256)) };
    let reader = kms_rsa(RSA_KEY, algorithm).client(Arc::new(kms));
    let error = only_attempt(decrypt(&message, reader)).unwrap();
    assert!(matches!(error, Error::Keyring(KeyringFault::OtherKey { .. })), "{error}");
}

//= framework/aws-kms/aws-kms-rsa-keyring.md#onencrypt
//= type=test
//# OnEncrypt MUST fail if the input [encryption materials](../structures.md#encryption-materials)
//# contains an [algorithm suite](../algorithm-suites.md) containing an
//# [asymmetric signature](../algorithm-suites.md#asymmetric-signature-algorithm).
//= framework/aws-kms/aws-kms-rsa-keyring.md#ondecrypt
//= type=test
//# OnDecrypt MUST fail if the input [decryption materials](../structures.md#decryption-materials)
//# contains an [algorithm suite](../algorithm-suites.md) containing an
//# [asymmetric signature](../algorithm-suites.md#asymmetric-signature-algorithm).
#[test]
fn a_kms_rsa_keyring_refuses_signed_suites() {
    let algorithm = RsaAlgorithm::OaepSha256;
    let writer = kms_rsa_writer(RSA_KEY, algorithm);
    let error = encrypt_with(writer, fixtures::SIGNED, default_provider()).unwrap_err();
    assert!(matches!(error, Error::Keyring(KeyringFault::SignedSuite(_))), "{error}");
    // A signed message whose wrapped key claims to be for the RSA key.
    let known = KnownDataKey(vec![7; 32]);
    let message = encrypt_with(known, fixtures::SIGNED, default_provider()).unwrap();
    let kms = Arc::new(AsymmetricKms::new(ec(EcCurve::P256)));
    let inner = kms_rsa(RSA_KEY, algorithm).client(kms.clone());
    let alter = |key: &mut EncryptedDataKey| {
        key.provider_id = "aws-kms-rsa".into();
        key.provider_info = RSA_KEY.into();
    };
    let error = only_attempt(decrypt(&message, Altered { inner, alter })).unwrap();
    assert!(matches!(error, Error::Keyring(KeyringFault::SignedSuite(_))), "{error}");
    assert!(kms.asked.lock().unwrap().is_empty());
}

//= framework/aws-kms/aws-kms-rsa-keyring.md#ondecrypt
//= type=test
//# The keyring MUST compare the decrypted encryption context digest
//# to the encryption context digest prime;
//# if the two are not equal,
//# the keyring MUST fail and
//# MUST NOT modify the [decryption materials](structures.md#decryption-materials).
#[test]
fn a_kms_rsa_keyring_binds_the_encryption_context() {
    let algorithm = RsaAlgorithm::OaepSha256;
    let message = encrypt(kms_rsa_writer(RSA_KEY, algorithm)).unwrap();
    let at = message.windows(5).position(|window| window == b"tests").unwrap();
    let mut altered = message;
    altered[at] ^= 1;
    let kms = Arc::new(AsymmetricKms::new(ec(EcCurve::P256)));
    let reader = kms_rsa(RSA_KEY, algorithm).client(kms);
    let error = only_attempt(decrypt(&altered, reader)).unwrap();
    assert!(matches!(error, Error::Keyring(KeyringFault::ContextDigest)), "{error}");
}

fn kms_ec(kms: &Arc<AsymmetricKms>, curve: EcCurve) -> Result<KmsEcKey> {
    wait(KmsEcKey::fetch(kms.clone(), &*default_provider(), EC_KEY, curve, Vec::new()))
}

#[test]
fn a_key_in_a_kms_takes_the_place_of_an_elliptic_curve_private_key() {
    for curve in EcCurve::ALL {
        let [inside, outside] = pair(curve);
        let kms = Arc::new(AsymmetricKms::new(inside));
        let bob = ec(curve);
        let to_bob = bob.public_key().clone();
        let own = kms_ec(&kms, curve).unwrap();
        assert_eq!(own.public_key(), outside.public_key());

        // The KMS writes, the raw key reads; and the reverse.
        let message = encrypt(AwsKmsEcdhKeyring::between(own, to_bob.clone()).unwrap()).unwrap();
        let header = fixtures::parse(&message).header;
        assert_eq!(header.encrypted_data_keys()[0].provider_id, "aws-kms-ecdh");
        let raw = RawEcdhKeyring::between(bob, outside.public_key().clone()).unwrap();
        let manager = DefaultCmm::new(Arc::new(raw));
        let reading = fixtures::reading(fixtures::UNSIGNED);
        let opened = wait(oneshot::decrypt(&message, &manager, &reading)).unwrap();
        assert_eq!(opened.plaintext, b"plaintext");
        let options = EncryptOptions::default();
        let request = fixtures::request(fixtures::UNSIGNED);
        let message = wait(oneshot::encrypt(b"back", &manager, &request, &options)).unwrap();
        let own = AwsKmsEcdhKeyring::between(kms_ec(&kms, curve).unwrap(), to_bob).unwrap();
        assert_eq!(decrypt(&message, own).unwrap(), b"back");

        // Anybody writes for the KMS's key.
        let public = outside.public_key().clone();
        let message = encrypt(RawEcdhKeyring::ephemeral_to(public)).unwrap();
        let reader = AwsKmsEcdhKeyring::discovery(kms_ec(&kms, curve).unwrap());
        assert_eq!(decrypt(&message, reader).unwrap(), b"plaintext");
    }
}

//= framework/aws-kms/aws-kms-ecdh-keyring.md#onencrypt
//= type=test
//# OnEncrypt MUST fail if configured with a [KmsPublicKeyDiscovery Key Agreement Configuration](../key-agreement-schemas.md#kmspublickeydiscovery)
//= framework/key-agreement-schemas.md#kmspublickeydiscovery
//= type=test
//# If the keyring succeeds retrieving the configured KMS public key,
//# the `kms:GetPublicKey` response MUST indicate that
//# the `KeyUsage` on the KMS key ID is for `KeyAgreement` and
//# that the `Curve` matches the configured curve specification.
#[test]
fn a_kms_ecdh_keyring_checks_what_the_kms_says() {
    let curve = EcCurve::P256;
    let [inside, outside] = pair(curve);
    let kms = Arc::new(AsymmetricKms::new(inside));
    let error = kms_ec(&kms, EcCurve::P384).err().unwrap();
    assert!(matches!(error, Error::Key(KeyFault::OtherCurve { .. })), "{error}");
    let error = encrypt(AwsKmsEcdhKeyring::discovery(kms_ec(&kms, curve).unwrap())).unwrap_err();
    assert!(matches!(error, Error::Keyring(KeyringFault::CannotWrap(_))), "{error}");

    let signs = AsymmetricKms { key_usage: "SIGN_VERIFY", ..AsymmetricKms::new(ec(curve)) };
    let error = kms_ec(&Arc::new(signs), curve).err().unwrap();
    assert!(matches!(error, Error::Keyring(KeyringFault::KeyUsage { .. })), "{error}");

    let liar = AsymmetricKms { claims: Some(RSA_KEY), ..AsymmetricKms::new(ec(curve)) };
    let own = KmsEcKey::new(Arc::new(liar), EC_KEY, outside.public_key().clone()).unwrap();
    let other = ec(curve).public_key().clone();
    let error = encrypt(AwsKmsEcdhKeyring::between(own, other).unwrap()).unwrap_err();
    assert!(matches!(error, Error::Keyring(KeyringFault::OtherKey { .. })), "{error}");
}

#[test]
fn a_client_without_asymmetric_keys_says_so() {
    let kms = Arc::new(crate::memory_kms::MemoryKms::default());
    let message = encrypt(kms_rsa_writer(RSA_KEY, RsaAlgorithm::OaepSha256)).unwrap();
    let reader = kms_rsa(RSA_KEY, RsaAlgorithm::OaepSha256).client(kms);
    let error = decrypt(&message, reader).unwrap_err();
    assert!(matches!(error.kms_errors()[0].1, KmsError::NotOffered { .. }), "{error}");
}
