//! RSA and elliptic-curve keys in PEM and DER.

use strongroom_sdk::crypto::default_provider;
use strongroom_sdk::crypto::rsa::RsaPadding;
use strongroom_sdk::keys::{
    EcPrivateKey, EcPublicKey, RSA_MODULUS_BITS_MAX, RSA_MODULUS_BITS_MIN, RsaPrivateKey,
    RsaPublicKey,
};
use strongroom_sdk::secret::SecretBytes;

use super::choices::Choices;

/// Keys of the tests, in a file of JSON that has them in PEM.
const KEYS: &str = include_str!("../../../testdata/keys.json");

/// How many ways there are to read a key.
const WAYS: u8 = 8;

/// One byte: what the rest is read as. A key that is accepted can be used, and is within the limits.
pub fn run(input: &[u8]) {
    let mut choices = Choices::new(input);
    let way = choices.byte() % WAYS;
    let bytes = choices.rest();
    let (text, provider) = (String::from_utf8_lossy(bytes), default_provider());
    let provider = &*provider;
    match way {
        0 => check_ec_public(EcPublicKey::from_pem(provider, &text).ok()),
        1 => check_ec_public(EcPublicKey::from_der(provider, bytes).ok()),
        2 => check_ec_private(EcPrivateKey::from_pem(provider, &text).ok()),
        3 => check_ec_private(EcPrivateKey::from_der(provider, bytes).ok()),
        4 => check_rsa_public(RsaPublicKey::from_pem(provider, &text).ok()),
        5 => check_rsa_public(RsaPublicKey::from_der(provider, bytes).ok()),
        6 => check_rsa_private(RsaPrivateKey::from_pem(provider, &text).ok()),
        _ => check_rsa_private(RsaPrivateKey::from_der(provider, bytes).ok()),
    }
}

fn check_ec_public(key: Option<EcPublicKey>) {
    let Some(key) = key else { return };
    let der = key.to_der().expect("it was read");
    let again = EcPublicKey::from_der(&*default_provider(), &der).expect("our own form");
    assert_eq!(again, key);
    assert_eq!(key.compressed().len(), 1 + key.curve().field_bytes());
}

fn check_ec_private(key: Option<EcPrivateKey>) {
    let Some(key) = key else { return };
    let secret = key.agree(key.public_key()).expect("both are on one curve");
    assert_eq!(secret.len(), key.curve().field_bytes());
}

fn check_rsa_public(key: Option<RsaPublicKey>) {
    let Some(key) = key else { return };
    let bits = key.modulus_bits();
    assert!((RSA_MODULUS_BITS_MIN..=RSA_MODULUS_BITS_MAX).contains(&bits), "{bits}");
    // A modulus that is none is only noticed here.
    if let Ok(wrapped) = key.encrypt(RsaPadding::OaepSha256, &SecretBytes::copy_of(&[7; 32])) {
        assert_eq!(wrapped.len(), bits.div_ceil(8));
    }
}

fn check_rsa_private(key: Option<RsaPrivateKey>) {
    let Some(key) = key else { return };
    let bits = key.modulus_bits();
    assert!((RSA_MODULUS_BITS_MIN..=RSA_MODULUS_BITS_MAX).contains(&bits), "{bits}");
    assert!(key.decrypt(RsaPadding::OaepSha256, &vec![1; bits.div_ceil(8)]).is_err());
}

/// The PEM of every key in the tests' file that has `label`.
pub(super) fn in_pem(label: &str) -> Vec<String> {
    let begin = format!("-----BEGIN {label}-----");
    let texts = KEYS.split('"').filter(|text| text.starts_with(&begin));
    texts.map(|text| text.replace("\\n", "\n")).collect()
}

/// Every key of the tests, read in the ways that fit.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let provider = default_provider();
    let mut seeds = Vec::new();
    let mut plant = |way: u8, bytes: &[u8]| seeds.push([&[way], bytes].concat());
    for pem in in_pem("PRIVATE KEY") {
        if let Ok(key) = EcPrivateKey::from_pem(&*provider, &pem) {
            plant(2, pem.as_bytes());
            plant(1, &key.public_key().to_der().expect("it was read"));
        } else {
            plant(6, pem.as_bytes());
        }
    }
    for pem in in_pem("PUBLIC KEY") {
        plant(4, pem.as_bytes());
    }
    // The private key 1 of P-256, in the DER of SEC 1.
    plant(3, &super::keyring::bytes_of(super::keyring::PRIVATE_KEY));
    seeds
}
