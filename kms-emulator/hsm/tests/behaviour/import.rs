//! Keys made elsewhere.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPublicEncryptingKey,
    PublicEncryptingKey,
};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use strongroom_hsm::limits::IMPORT_BYTES_MAX;
use strongroom_hsm::{
    Curve, Fleet, HashFunction, ImportWrapping, KeyKind, MlDsaParameters, MlKemParameters, Refusal,
    RsaSize,
};
use tempfile::TempDir;

use crate::support::{config, factory};

const SIZE: RsaSize = RsaSize::Bits2048;
const OAEP: ImportWrapping = ImportWrapping::Oaep(HashFunction::Sha256);
const KEY_WRAP: ImportWrapping = ImportWrapping::OaepAesKeyWrap(HashFunction::Sha1);

fn fleet(dir: &TempDir) -> Fleet {
    Fleet::power_on(factory(), dir.path(), config()).unwrap()
}

fn oaep(public_key: &[u8], algorithm: &'static OaepAlgorithm, material: &[u8]) -> Vec<u8> {
    let key = PublicEncryptingKey::from_der(public_key).unwrap();
    let key = OaepPublicEncryptingKey::new(key).unwrap();
    let mut wrapped = vec![0; key.ciphertext_size()];
    key.encrypt(algorithm, material, &mut wrapped, None).unwrap();
    wrapped
}

/// `CKM_RSA_AES_KEY_WRAP`.
fn key_wrap(public_key: &[u8], material: &[u8]) -> Vec<u8> {
    let mut wrapped = oaep(public_key, &OAEP_SHA1_MGF1SHA1, &[7; 32]);
    let mut room = vec![0; material.len() + 16];
    let kek = AesKek::new(&AES_256, &[7; 32]).unwrap();
    wrapped.extend_from_slice(kek.wrap_with_padding(material, &mut room).unwrap());
    wrapped
}

#[test]
fn a_key_comes_in_and_is_recognised() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = fleet(&dir);
    let made = fleet.generate_import_key(SIZE, b"binding").unwrap();
    let key = fleet.open_import_key(SIZE, b"binding", &made.sealed_private_key).unwrap();
    let import = |material: &[u8], scope: &[u8]| {
        let wrapped = oaep(&made.public_key, &OAEP_SHA256_MGF1SHA256, material);
        fleet.import_key(&key, OAEP, &wrapped, KeyKind::Hmac(HashFunction::Sha256), scope).unwrap()
    };
    let (one, again, other) =
        (import(&[1; 32], b"a"), import(&[1; 32], b"a"), import(&[2; 32], b"a"));
    assert_eq!(one.fingerprint, again.fingerprint);
    assert_ne!(one.token, again.token);
    assert_ne!(one.fingerprint, other.fingerprint);
    assert_ne!(one.fingerprint, import(&[1; 32], b"b").fingerprint);
    let expected = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &[1; 32]);
    let expected = aws_lc_rs::hmac::sign(&expected, b"message");
    assert_eq!(fleet.mac(&again.token, b"message").unwrap(), expected.as_ref());
}

#[test]
fn a_pair_is_recognised_in_every_encoding() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = fleet(&dir);
    let made = fleet.generate_import_key(SIZE, b"").unwrap();
    let key = fleet.open_import_key(SIZE, b"", &made.sealed_private_key).unwrap();
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let (long, kind) = (pair.to_pkcs8v1().unwrap(), KeyKind::EcSigning(Curve::P256));
    let import = |material: &[u8], kind| {
        fleet.import_key(&key, KEY_WRAP, &key_wrap(&made.public_key, material), kind, b"")
    };
    let imported = import(long.as_ref(), kind).unwrap();
    let public_key = pair.public_key().as_der().unwrap();
    assert_eq!(fleet.public_key(&imported.token).unwrap(), public_key.as_ref());
    let again = import(long.as_ref(), KeyKind::EcAgreement(Curve::P256)).unwrap();
    assert_eq!(imported.fingerprint, again.fingerprint);
    for wrong in [
        KeyKind::EcSigning(Curve::P384),
        KeyKind::Aes256,
        KeyKind::Ed25519,
        KeyKind::MlDsa(MlDsaParameters::MlDsa44),
        KeyKind::MlKem(MlKemParameters::MlKem768),
    ] {
        assert_eq!(import(long.as_ref(), wrong).err(), Some(Refusal::InvalidKey), "{wrong:?}");
    }
}

#[test]
fn a_wrapping_key_belongs_to_its_binding_and_its_device() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, other) = (fleet(&one), fleet(&other));
    let sealed = one.generate_import_key(SIZE, b"binding").unwrap().sealed_private_key;
    let mut altered = sealed.clone();
    altered[100] ^= 1;
    for refused in [
        one.open_import_key(SIZE, b"another", &sealed),
        one.open_import_key(RsaSize::Bits3072, b"binding", &sealed),
        one.open_import_key(SIZE, b"binding", &altered),
        other.open_import_key(SIZE, b"binding", &sealed),
    ] {
        assert_eq!(refused.err(), Some(Refusal::NotAuthentic));
    }
}

#[test]
fn what_does_not_unwrap_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = fleet(&dir);
    let made = fleet.generate_import_key(SIZE, b"").unwrap();
    let key = fleet.open_import_key(SIZE, b"", &made.sealed_private_key).unwrap();
    let import = |wrapping, wrapped: &[u8]| {
        fleet.import_key(&key, wrapping, wrapped, KeyKind::Aes256, b"").err()
    };
    let good = oaep(&made.public_key, &OAEP_SHA256_MGF1SHA256, &[1; 32]);
    assert_eq!(import(OAEP, &good), None);
    let wrong_hash = ImportWrapping::Oaep(HashFunction::Sha1);
    assert_eq!(import(wrong_hash, &good), Some(Refusal::NotAuthentic));
    assert_eq!(import(OAEP, &good[1..]), Some(Refusal::NotAuthentic));
    let good = key_wrap(&made.public_key, &[1; 32]);
    assert_eq!(import(KEY_WRAP, &good), None);
    for length in [0, 255, 256, 264, good.len() - 8, good.len() - 1] {
        assert_eq!(import(KEY_WRAP, &good[..length]), Some(Refusal::NotAuthentic), "{length}");
    }
    let mut altered = good;
    *altered.last_mut().unwrap() ^= 1;
    assert_eq!(import(KEY_WRAP, &altered), Some(Refusal::NotAuthentic));
    assert_eq!(import(OAEP, &vec![0; IMPORT_BYTES_MAX]), Some(Refusal::NotAuthentic));
    assert_eq!(import(OAEP, &vec![0; IMPORT_BYTES_MAX + 1]), Some(Refusal::TooLong));
}
