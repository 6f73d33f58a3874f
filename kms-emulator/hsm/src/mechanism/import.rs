//! Key material made elsewhere: how it is unwrapped, and the secret encoding that becomes of it.

use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};

use super::rsa::RsaDecryption;
use super::{HashFunction, KeyKind, edwards, ml_dsa, ml_kem};
use crate::error::Refusal;
use crate::secret::{Plaintext, SecretBuffer};

/// How key material is wrapped under an RSA key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportWrapping {
    /// RSAES-OAEP over the material itself (RFC 8017, 7.1).
    Oaep(HashFunction),
    /// RSAES-OAEP over an AES-256 key and, behind it, the material under that key by AES-KWP (RFC 5649):
    /// `CKM_RSA_AES_KEY_WRAP` of PKCS #11.
    OaepAesKeyWrap(HashFunction),
}

/// Unwraps key material.
///
/// # Errors
///
/// [`Refusal::NotAuthentic`] for what was not wrapped so under the public half of `pair`.
pub(crate) fn unwrap(
    pair: &RsaDecryption,
    wrapping: ImportWrapping,
    wrapped: &[u8],
) -> Result<Plaintext, Refusal> {
    let (hash, wrapped) = match wrapping {
        ImportWrapping::Oaep(hash) => return pair.decrypt(hash, wrapped),
        ImportWrapping::OaepAesKeyWrap(hash) => (hash, wrapped),
    };
    let (transport_key, material) =
        wrapped.split_at_checked(pair.modulus_bytes()).ok_or(Refusal::NotAuthentic)?;
    let transport_key = pair.decrypt(hash, transport_key)?;
    let transport_key =
        AesKek::new(&AES_256, transport_key.expose()).map_err(|_| Refusal::NotAuthentic)?;
    let mut room = SecretBuffer::new(vec![0; material.len()]);
    let material = transport_key
        .unwrap_with_padding(material, &mut room)
        .map_err(|_| Refusal::NotAuthentic)?;
    Plaintext::new(material)
}

/// The secret encoding of material: the bytes of a symmetric key, a PKCS #8 document of a pair.
///
/// # Errors
///
/// [`Refusal::InvalidKey`] for what is no such document, or is one of ML-DSA or ML-KEM without the seed.
/// Whether it is a key of its kind is seen when it is loaded.
pub(crate) fn secret_encoding(
    kind: KeyKind,
    material: &Plaintext,
) -> Result<SecretBuffer, Refusal> {
    match kind {
        KeyKind::Ed25519 => edwards::seed_of(material.expose()),
        KeyKind::MlDsa(parameters) => ml_dsa::seed_of(parameters, material.expose()),
        KeyKind::MlKem(parameters) => ml_kem::seed_of(parameters, material.expose()),
        _ => Ok(SecretBuffer::new(material.expose().to_vec())),
    }
}
