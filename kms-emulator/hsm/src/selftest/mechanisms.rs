//! Known answers of the mechanisms for keys of every kind, through the code that serves.

use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};

use super::{Test, is};
use crate::crypto;
use crate::error::Refusal;
use crate::mechanism::{
    Curve, HashFunction, KeyKind, MlDsaParameters, MlKemParameters, RsaSize, SignatureScheme,
    SignedInput, WorkingKey,
};

/// The tests of this module.
pub(super) const TESTS: [Test; 7] = [
    ("HMAC-SHA-512", || passes(hmac_sha512)),
    ("RSA", || passes(rsa)),
    ("ECDSA", || passes(ecdsa)),
    ("Ed25519", || passes(ed25519)),
    ("ML-DSA", || passes(ml_dsa)),
    ("ML-KEM", || passes(ml_kem)),
    ("AES-KWP", || passes(aes_kwp)),
];

/// A 2,048-bit pair in PKCS #8, made for this test by another library.
const RSA_PKCS8: &[u8] = include_bytes!("rsa_2048.p8");

fn passes(test: fn() -> Result<bool, Refusal>) -> bool {
    test().unwrap_or(false)
}

fn decoded(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap_or_default()
}

/// RFC 4231, test case 2, whose key is shorter than those that are made here.
fn hmac_sha512() -> Result<bool, Refusal> {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA512, b"Jefe");
    let tag = WorkingKey::Hmac(Box::new(key)).mac(b"what do ya want for nothing?")?;
    Ok(is(
        &tag,
        "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554\
         9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
    ))
}

/// The signature that another library made of "abc", by its digest; encryption, there and back.
fn rsa() -> Result<bool, Refusal> {
    let scheme = SignatureScheme::RsaPkcs1(HashFunction::Sha256);
    let message = SignedInput::Message(b"abc");
    let signing = WorkingKey::load(KeyKind::RsaSigning(RsaSize::Bits2048), RSA_PKCS8)?;
    let signature = signing.sign(scheme, message)?;
    signing.verify(scheme, message, &signature)?;
    let decryption = WorkingKey::load(KeyKind::RsaDecryption(RsaSize::Bits2048), RSA_PKCS8)?;
    let sealed = decryption.encrypt_oaep(HashFunction::Sha256, b"abc")?;
    let opened = decryption.decrypt_oaep(HashFunction::Sha256, &sealed)?;
    let digest = "edea287d293fbe40ff82a6ddc16c686eb58adf88beaccfac37d7a5e749b1b3e8";
    Ok(is(&crypto::sha256(&signature), digest) && opened.expose() == b"abc")
}

/// RFC 6979, A.2.5: the signature of "sample" by SHA-256; a signature of our own, there and back.
fn ecdsa() -> Result<bool, Refusal> {
    let pkcs8 = decoded(
        "308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b02\
         01010420c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b\
         120f6721a1440342000460fed4ba255a9d31c961eb74c6356d68c049b8923b61\
         fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e\
         9f5177a3c294d4462299",
    );
    let known = decoded(
        "3046022100efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0e\
         a84eaf3716022100f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff406\
         4dc4ab2f843acda8",
    );
    let scheme = SignatureScheme::Ecdsa(HashFunction::Sha256);
    let message = SignedInput::Message(b"sample");
    let key = WorkingKey::load(KeyKind::EcSigning(Curve::P256), &pkcs8)?;
    key.verify(scheme, message, &known)?;
    let signature = key.sign(scheme, message)?;
    key.verify(scheme, message, &signature)?;
    Ok(true)
}

/// RFC 8032, 7.1, test 2.
fn ed25519() -> Result<bool, Refusal> {
    let seed = decoded("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
    let message = SignedInput::Message(&[0x72]);
    let key = WorkingKey::load(KeyKind::Ed25519, &seed)?;
    let signature = key.sign(SignatureScheme::Ed25519, message)?;
    key.verify(SignatureScheme::Ed25519, message, &signature)?;
    Ok(is(
        &signature,
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
         085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ))
}

/// The public key that another library made of the seed 00 01 … 1f, by its digest; a signature, there
/// and back. Signatures are hedged, so that none is known.
fn ml_dsa() -> Result<bool, Refusal> {
    let mut seed = Vec::with_capacity(32);
    seed.extend(0_u8..32);
    let message = SignedInput::Message(b"abc");
    let key = WorkingKey::load(KeyKind::MlDsa(MlDsaParameters::MlDsa65), &seed)?;
    let signature = key.sign(SignatureScheme::MlDsa, message)?;
    key.verify(SignatureScheme::MlDsa, message, &signature)?;
    let digest = "b8b62131bfbe84433efb2273d7f5b87f7a22854a2cfd366fc2aead86d837c52d";
    Ok(is(&crypto::sha256(&key.public_key()?), digest))
}

/// The public key that another library made of the seed 00 01 … 3f, by its digest; a secret, there and
/// back; and the secret of a ciphertext of zeros, which is SHAKE256 over the seed's second half and that
/// ciphertext (FIPS 203, algorithm 18: implicit rejection).
fn ml_kem() -> Result<bool, Refusal> {
    let mut seed = Vec::with_capacity(64);
    seed.extend(0_u8..64);
    let key = WorkingKey::load(KeyKind::MlKem(MlKemParameters::MlKem768), &seed)?;
    let (secret, ciphertext) = key.encapsulate()?;
    let recovered = key.decapsulate(&ciphertext)?;
    let rejected = key.decapsulate(&[0; 1_088])?;
    let digest = "c23e23dd3d485a9256cda09358a4a286e00b373db10761eadf99f710649ca31c";
    let rejection = "c8fbeddafdacef2ffeb8b354ea644f11b5c150f3e2c4a74ce38abba8f854ae16";
    Ok(is(&crypto::sha256(&key.public_key()?), digest)
        && secret.expose() == recovered.expose()
        && is(rejected.expose(), rejection))
}

/// RFC 5649: "abc" as another library wrapped it under the key 00 01 … 1f.
fn aes_kwp() -> Result<bool, Refusal> {
    let mut kek = Vec::with_capacity(32);
    kek.extend(0_u8..32);
    let mut room = [0; 16];
    let wrapped = decoded("085c8a5aeb8872b60539c4314c7cdafc");
    let opened = AesKek::new(&AES_256, &kek)?.unwrap_with_padding(&wrapped, &mut room)?;
    Ok(opened == b"abc")
}
