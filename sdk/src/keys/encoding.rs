//! PEM and DER: whatever a key comes in becomes PKCS #8 or a SubjectPublicKeyInfo.
//!
//! Source: RFC 7468 (PEM), RFC 5208 (PKCS #8), RFC 5280 (SubjectPublicKeyInfo), RFC 8017 appendix A.1
//! (PKCS #1), RFC 5915 (SEC 1).

use pkcs1::{RsaPrivateKeyRef, RsaPublicKeyRef};
use pkcs8::der::asn1::{BitStringRef, OctetStringRef};
use pkcs8::der::{Decode, SecretDocument};
use pkcs8::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use pkcs8::{Document, ObjectIdentifier, PrivateKeyInfoRef};
use sec1::{EcParameters, EcPrivateKey};

use super::KEY_BYTES_MAX;
use crate::error::{Error, KeyFault, Result};
use crate::message::limits::within;

/// `id-ecPublicKey` of RFC 5480.
pub(super) const EC_PUBLIC_KEY: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

const PRIVATE_KEY: &str = "a private key in PKCS #8, PKCS #1 or SEC 1";
const PUBLIC_KEY: &str = "a public key in SubjectPublicKeyInfo or PKCS #1";

/// The PKCS #8 of a private key in PEM.
pub(super) fn private_key_from_pem(pem: &str) -> Result<SecretDocument> {
    within("key bytes", pem.len() as u64, KEY_BYTES_MAX as u64)?;
    let (label, document) = SecretDocument::from_pem(pem).map_err(|_| not(PRIVATE_KEY))?;
    match label {
        "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" => to_pkcs8(document.as_bytes()),
        "ENCRYPTED PRIVATE KEY" => Err(KeyFault::Encrypted.into()),
        _ => Err(not(PRIVATE_KEY)),
    }
}

/// The PKCS #8 of a private key in DER.
pub(super) fn private_key_from_der(der: &[u8]) -> Result<SecretDocument> {
    within("key bytes", der.len() as u64, KEY_BYTES_MAX as u64)?;
    to_pkcs8(der)
}

/// The SubjectPublicKeyInfo of a public key in PEM.
pub(super) fn public_key_from_pem(pem: &str) -> Result<Document> {
    within("key bytes", pem.len() as u64, KEY_BYTES_MAX as u64)?;
    let (label, document) = Document::from_pem(pem).map_err(|_| not(PUBLIC_KEY))?;
    match label {
        "PUBLIC KEY" | "RSA PUBLIC KEY" => to_spki(document.as_bytes()),
        _ => Err(not(PUBLIC_KEY)),
    }
}

/// The SubjectPublicKeyInfo of a public key in DER.
pub(super) fn public_key_from_der(der: &[u8]) -> Result<Document> {
    within("key bytes", der.len() as u64, KEY_BYTES_MAX as u64)?;
    to_spki(der)
}

/// The SubjectPublicKeyInfo of a point on a curve.
pub(super) fn point_to_spki(curve: ObjectIdentifier, point: &[u8]) -> Result<Document> {
    let algorithm =
        AlgorithmIdentifierRef { oid: EC_PUBLIC_KEY, parameters: Some((&curve).into()) };
    spki(algorithm, point)
}

/// The three structures differ in the types of their first fields, so that DER of one is not of another.
fn to_pkcs8(der: &[u8]) -> Result<SecretDocument> {
    if PrivateKeyInfoRef::from_der(der).is_ok() {
        return SecretDocument::try_from(der).map_err(|_| not(PRIVATE_KEY));
    }
    if RsaPrivateKeyRef::from_der(der).is_ok() {
        return pkcs8(pkcs1::ALGORITHM_ID, der);
    }
    let key = EcPrivateKey::from_der(der).map_err(|_| not(PRIVATE_KEY))?;
    let curve = key.parameters.and_then(EcParameters::named_curve);
    let curve = curve.ok_or_else(|| Error::from(KeyFault::Curve("unnamed".to_owned())))?;
    let parameters = Some((&curve).into());
    pkcs8(AlgorithmIdentifierRef { oid: EC_PUBLIC_KEY, parameters }, der)
}

fn to_spki(der: &[u8]) -> Result<Document> {
    if SubjectPublicKeyInfoRef::from_der(der).is_ok() {
        return Document::try_from(der).map_err(|_| not(PUBLIC_KEY));
    }
    RsaPublicKeyRef::from_der(der).map_err(|_| not(PUBLIC_KEY))?;
    spki(pkcs1::ALGORITHM_ID, der)
}

fn pkcs8(algorithm: AlgorithmIdentifierRef<'_>, key: &[u8]) -> Result<SecretDocument> {
    let key = OctetStringRef::new(key).map_err(|_| not(PRIVATE_KEY))?;
    SecretDocument::try_from(PrivateKeyInfoRef::new(algorithm, key)).map_err(|_| not(PRIVATE_KEY))
}

fn spki(algorithm: AlgorithmIdentifierRef<'_>, key: &[u8]) -> Result<Document> {
    let subject_public_key = BitStringRef::from_bytes(key).map_err(|_| not(PUBLIC_KEY))?;
    let info = SubjectPublicKeyInfoRef { algorithm, subject_public_key };
    Document::encode_msg(&info).map_err(|_| not(PUBLIC_KEY))
}

/// The key is not what is read.
fn not(expected: &'static str) -> Error {
    KeyFault::Encoding { expected }.into()
}
