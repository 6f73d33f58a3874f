//! Keys of every kind: how they are made, and what they do, by the primitives of `aws-lc-rs`.
//!
//! A key is kept as its *secret encoding*: the bytes of a symmetric key, the seed of an Ed25519, ML-DSA
//! or ML-KEM key, PKCS #8 (RFC 5208) for RSA and the curves. A [`WorkingKey`] is the parsed form.

mod aws_lc;
mod ec;
mod edwards;
mod import;
mod kind;
mod ml_dsa;
mod ml_kem;
mod rsa;

use aws_lc_rs::digest::{Digest, digest};
use aws_lc_rs::hmac;

use crate::crypto;
use crate::error::Refusal;
use crate::secret::{KEY_BYTES, KeyBytes, Plaintext, SecretBuffer};

pub use import::ImportWrapping;
pub use kind::{
    Curve, HashFunction, KeyKind, MlDsaParameters, MlKemParameters, RsaSize, SignatureScheme,
    SignedInput,
};

pub(crate) use import::{secret_encoding, unwrap};
pub(crate) use rsa::RsaDecryption;

use ec::{Agreement, EcPair};
use edwards::EdwardsPair;
use ml_dsa::MlDsaPair;
use ml_kem::MlKemPair;
use rsa::RsaSigning;

/// Makes a key and returns its secret encoding.
pub(crate) fn generate(kind: KeyKind) -> Result<SecretBuffer, Refusal> {
    match kind {
        KeyKind::Aes256 | KeyKind::Ed25519 | KeyKind::MlDsa(_) => random(KEY_BYTES),
        KeyKind::MlKem(_) => random(ml_kem::SEED_BYTES),
        KeyKind::Hmac(hash) => random(hash.digest_bytes()),
        KeyKind::RsaSigning(size) | KeyKind::RsaDecryption(size) => rsa::generate(size),
        KeyKind::EcSigning(curve) => ec::generate(curve),
        KeyKind::EcAgreement(curve) => ec::generate(curve),
    }
}

fn random(length: usize) -> Result<SecretBuffer, Refusal> {
    let mut secret = SecretBuffer::new(vec![0; length]);
    crypto::random(&mut secret)?;
    Ok(secret)
}

/// A key in the form in which it works. The libraries cleanse their memory when it is dropped.
pub(crate) enum WorkingKey {
    Aes(KeyBytes),
    Hmac(Box<hmac::Key>),
    RsaSigning(RsaSigning),
    RsaDecryption(RsaDecryption),
    EcSigning(EcPair),
    EcAgreement(Agreement),
    Ed25519(EdwardsPair),
    MlDsa(MlDsaPair),
    MlKem(MlKemPair),
}

impl WorkingKey {
    /// Reads a secret encoding.
    ///
    /// # Errors
    ///
    /// [`Refusal::InvalidKey`] when it is no key of that kind.
    pub(crate) fn load(kind: KeyKind, secret: &[u8]) -> Result<Self, Refusal> {
        Ok(match kind {
            KeyKind::Aes256 => Self::Aes(aes_key(secret)?),
            KeyKind::Hmac(hash) => Self::Hmac(Box::new(hmac_key(hash, secret)?)),
            KeyKind::RsaSigning(size) => Self::RsaSigning(RsaSigning::load(size, secret)?),
            KeyKind::RsaDecryption(size) => Self::RsaDecryption(RsaDecryption::load(size, secret)?),
            KeyKind::EcSigning(curve) => Self::EcSigning(EcPair::load(curve, secret)?),
            KeyKind::EcAgreement(curve) => Self::EcAgreement(Agreement::load(curve, secret)?),
            KeyKind::Ed25519 => Self::Ed25519(EdwardsPair::load(secret)?),
            KeyKind::MlDsa(parameters) => Self::MlDsa(MlDsaPair::load(parameters, secret)?),
            KeyKind::MlKem(parameters) => Self::MlKem(MlKemPair::load(parameters, secret)?),
        })
    }

    /// The AES key, for sealing and opening.
    pub(crate) fn aes(&self) -> Result<&KeyBytes, Refusal> {
        match self {
            Self::Aes(key) => Ok(key),
            _ => Err(Refusal::KeyKindMismatch),
        }
    }

    /// The public half as a DER `SubjectPublicKeyInfo` (RFC 5280, 4.1.2.7).
    pub(crate) fn public_key(&self) -> Result<Vec<u8>, Refusal> {
        match self {
            Self::Aes(_) | Self::Hmac(_) => Err(Refusal::KeyKindMismatch),
            Self::RsaSigning(pair) => pair.public_key(),
            Self::RsaDecryption(pair) => pair.public_key(),
            Self::EcSigning(pair) => pair.public_key(),
            Self::EcAgreement(pair) => pair.public_key(),
            Self::Ed25519(pair) => pair.public_key(),
            Self::MlDsa(pair) => pair.public_key(),
            Self::MlKem(pair) => pair.public_key(),
        }
    }

    /// Signs.
    pub(crate) fn sign(
        &self,
        scheme: SignatureScheme,
        input: SignedInput<'_>,
    ) -> Result<Vec<u8>, Refusal> {
        match (self, scheme) {
            (Self::RsaSigning(pair), _) => pair.sign(scheme, input),
            (Self::EcSigning(pair), SignatureScheme::Ecdsa(hash)) => pair.sign(hash, input),
            (Self::Ed25519(pair), _) => pair.sign(scheme, input),
            (Self::MlDsa(pair), SignatureScheme::MlDsa) => pair.sign(input),
            _ => Err(Refusal::KeyKindMismatch),
        }
    }

    /// Verifies a signature.
    ///
    /// # Errors
    ///
    /// [`Refusal::SignatureInvalid`] when it is not the key's over that input.
    pub(crate) fn verify(
        &self,
        scheme: SignatureScheme,
        input: SignedInput<'_>,
        signature: &[u8],
    ) -> Result<(), Refusal> {
        match (self, scheme) {
            (Self::RsaSigning(pair), _) => pair.verify(scheme, input, signature),
            (Self::EcSigning(pair), SignatureScheme::Ecdsa(hash)) => {
                pair.verify(hash, input, signature)
            }
            (Self::Ed25519(pair), _) => pair.verify(scheme, input, signature),
            (Self::MlDsa(pair), SignatureScheme::MlDsa) => pair.verify(input, signature),
            _ => Err(Refusal::KeyKindMismatch),
        }
    }

    /// Makes the whole tag of a message.
    pub(crate) fn mac(&self, message: &[u8]) -> Result<Vec<u8>, Refusal> {
        match self {
            Self::Hmac(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
            _ => Err(Refusal::KeyKindMismatch),
        }
    }

    /// Compares a tag in constant time.
    pub(crate) fn verify_mac(&self, message: &[u8], tag: &[u8]) -> Result<(), Refusal> {
        match self {
            Self::Hmac(key) => {
                hmac::verify(key, message, tag).map_err(|_| Refusal::SignatureInvalid)
            }
            _ => Err(Refusal::KeyKindMismatch),
        }
    }

    /// RSAES-OAEP encryption under the public half.
    pub(crate) fn encrypt_oaep(
        &self,
        hash: HashFunction,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, Refusal> {
        match self {
            Self::RsaDecryption(pair) => pair.encrypt(hash, plaintext),
            _ => Err(Refusal::KeyKindMismatch),
        }
    }

    /// RSAES-OAEP decryption.
    pub(crate) fn decrypt_oaep(
        &self,
        hash: HashFunction,
        message: &[u8],
    ) -> Result<Plaintext, Refusal> {
        match self {
            Self::RsaDecryption(pair) => pair.decrypt(hash, message),
            _ => Err(Refusal::KeyKindMismatch),
        }
    }

    /// The raw shared secret (the x-coordinate) with a peer's DER `SubjectPublicKeyInfo`.
    pub(crate) fn agree(&self, peer: &[u8]) -> Result<Plaintext, Refusal> {
        match self {
            Self::EcAgreement(pair) => pair.agree(peer),
            _ => Err(Refusal::KeyKindMismatch),
        }
    }

    /// A new shared secret, and its encapsulation under the public half.
    pub(crate) fn encapsulate(&self) -> Result<(Plaintext, Vec<u8>), Refusal> {
        match self {
            Self::MlKem(pair) => pair.encapsulate(),
            _ => Err(Refusal::KeyKindMismatch),
        }
    }

    /// The shared secret of an encapsulation.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotAuthentic`] for one of another length; every other gives a secret.
    pub(crate) fn decapsulate(&self, ciphertext: &[u8]) -> Result<Plaintext, Refusal> {
        match self {
            Self::MlKem(pair) => pair.decapsulate(ciphertext),
            _ => Err(Refusal::KeyKindMismatch),
        }
    }
}

/// The PKCS #8 document of a pair's secret encoding, for a data key pair: its owner is outside.
pub(crate) fn private_key_info(kind: KeyKind, secret: &[u8]) -> Result<Plaintext, Refusal> {
    match kind {
        KeyKind::Ed25519 => edwards::private_key_info(secret),
        KeyKind::MlKem(parameters) => ml_kem::private_key_info(parameters, secret),
        KeyKind::RsaSigning(_)
        | KeyKind::RsaDecryption(_)
        | KeyKind::EcSigning(_)
        | KeyKind::EcAgreement(_) => Plaintext::new(secret),
        KeyKind::Aes256 | KeyKind::Hmac(_) | KeyKind::MlDsa(_) => Err(Refusal::KeyKindMismatch),
    }
}

fn aes_key(secret: &[u8]) -> Result<KeyBytes, Refusal> {
    KeyBytes::filled(|bytes| {
        let source: &[u8; KEY_BYTES] = secret.try_into().map_err(|_| Refusal::InvalidKey)?;
        bytes.copy_from_slice(source);
        Ok(())
    })
}

fn hmac_key(hash: HashFunction, secret: &[u8]) -> Result<hmac::Key, Refusal> {
    if secret.len() != hash.digest_bytes() {
        return Err(Refusal::InvalidKey);
    }
    let algorithm = match hash {
        HashFunction::Sha224 => hmac::HMAC_SHA224,
        HashFunction::Sha256 => hmac::HMAC_SHA256,
        HashFunction::Sha384 => hmac::HMAC_SHA384,
        HashFunction::Sha512 => hmac::HMAC_SHA512,
        HashFunction::Sha1 => return Err(Refusal::KeyKindMismatch),
    };
    Ok(hmac::Key::new(algorithm, secret))
}

/// The digest that is signed: computed here, or the caller's if it is as long as it has to be.
fn digest_of(hash: HashFunction, input: SignedInput<'_>) -> Result<Digest, Refusal> {
    match input {
        SignedInput::Message(message) => Ok(digest(hash.algorithm(), message)),
        SignedInput::Digest(bytes) => Digest::import_less_safe(bytes, hash.algorithm())
            .map_err(|_| Refusal::DataLengthOutOfRange),
        SignedInput::ExternalMu(_) => Err(Refusal::KeyKindMismatch),
    }
}
