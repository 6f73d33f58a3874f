//! The algorithms of a key, and which of them a request may ask for.

use strongroom_hsm::{Curve, HashFunction, SignatureScheme};

use super::shapes::{
    EncapsulationAlgorithm, EncryptionAlgorithmName, KeyAgreementAlgorithm, MacAlgorithmName,
    SigningAlgorithmName,
};
use crate::protocol::{EnumValues, Fault, FaultCode, Members};
use crate::records::{Key, KeySpec, KeyUsage};

/// Every hash function with which RSA signs.
const RSA_HASHES: [HashFunction; 3] =
    [HashFunction::Sha256, HashFunction::Sha384, HashFunction::Sha512];

/// An encryption algorithm that is provided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EncryptionAlgorithm {
    SymmetricDefault,
    RsaesOaep(HashFunction),
}

impl EncryptionAlgorithm {
    /// The name on the wire.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::SymmetricDefault => "SYMMETRIC_DEFAULT",
            Self::RsaesOaep(HashFunction::Sha1) => "RSAES_OAEP_SHA_1",
            Self::RsaesOaep(_) => "RSAES_OAEP_SHA_256",
        }
    }

    /// Refuses an algorithm that the key does not have.
    pub(super) fn check(self, key: &Key) -> Result<(), Fault> {
        if encryption_algorithms(key).contains(&self) {
            return Ok(());
        }
        Err(incompatible(self.as_str(), key.spec))
    }

    /// Most bytes that it encrypts under a key of that spec (RFC 8017, 7.1.1, step 1b).
    pub(super) fn plaintext_bytes_max(self, spec: KeySpec) -> usize {
        match (self, spec) {
            (Self::RsaesOaep(hash), KeySpec::Rsa(size)) => {
                size.modulus_bytes().saturating_sub(2 * hash.digest_bytes() + 2)
            }
            _ => crate::keystore::PLAINTEXT_BYTES_MAX,
        }
    }
}

/// Reads an `…EncryptionAlgorithm` member.
///
/// The algorithm that only the Regions in China have is refused with `UnsupportedOperationException`.
pub(super) fn read_encryption_algorithm(
    members: &mut Members,
    name: &str,
) -> Result<EncryptionAlgorithm, Fault> {
    match members.optional_enum(name)? {
        None | Some(EncryptionAlgorithmName::SymmetricDefault) => {
            Ok(EncryptionAlgorithm::SymmetricDefault)
        }
        Some(EncryptionAlgorithmName::RsaesOaepSha1) => {
            Ok(EncryptionAlgorithm::RsaesOaep(HashFunction::Sha1))
        }
        Some(EncryptionAlgorithmName::RsaesOaepSha256) => {
            Ok(EncryptionAlgorithm::RsaesOaep(HashFunction::Sha256))
        }
        Some(EncryptionAlgorithmName::Sm2pke) => {
            members.refuse(Fault::unsupported("SM2PKE is supported only in China Regions."));
            Ok(EncryptionAlgorithm::SymmetricDefault)
        }
    }
}

/// The algorithms with which a key encrypts.
pub(super) fn encryption_algorithms(key: &Key) -> Vec<EncryptionAlgorithm> {
    match (key.spec, key.usage) {
        (KeySpec::SymmetricDefault, KeyUsage::EncryptDecrypt) => {
            vec![EncryptionAlgorithm::SymmetricDefault]
        }
        (KeySpec::Rsa(_), KeyUsage::EncryptDecrypt) => vec![
            EncryptionAlgorithm::RsaesOaep(HashFunction::Sha1),
            EncryptionAlgorithm::RsaesOaep(HashFunction::Sha256),
        ],
        _ => Vec::new(),
    }
}

/// The name of a signing algorithm.
pub(super) fn signing_name(scheme: SignatureScheme) -> &'static str {
    use HashFunction::{Sha384, Sha512};
    match scheme {
        SignatureScheme::RsaPss(Sha384) => "RSASSA_PSS_SHA_384",
        SignatureScheme::RsaPss(Sha512) => "RSASSA_PSS_SHA_512",
        SignatureScheme::RsaPss(_) => "RSASSA_PSS_SHA_256",
        SignatureScheme::RsaPkcs1(Sha384) => "RSASSA_PKCS1_V1_5_SHA_384",
        SignatureScheme::RsaPkcs1(Sha512) => "RSASSA_PKCS1_V1_5_SHA_512",
        SignatureScheme::RsaPkcs1(_) => "RSASSA_PKCS1_V1_5_SHA_256",
        SignatureScheme::Ecdsa(Sha384) => "ECDSA_SHA_384",
        SignatureScheme::Ecdsa(Sha512) => "ECDSA_SHA_512",
        SignatureScheme::Ecdsa(_) => "ECDSA_SHA_256",
        SignatureScheme::Ed25519 => "ED25519_SHA_512",
        SignatureScheme::Ed25519ph => "ED25519_PH_SHA_512",
        SignatureScheme::MlDsa => "ML_DSA_SHAKE_256",
    }
}

/// The algorithms with which a key signs.
pub(super) fn signing_algorithms(key: &Key) -> Vec<SignatureScheme> {
    if key.usage != KeyUsage::SignVerify {
        return Vec::new();
    }
    match key.spec {
        KeySpec::Rsa(_) => {
            let pkcs1 = RSA_HASHES.map(SignatureScheme::RsaPkcs1);
            pkcs1.into_iter().chain(RSA_HASHES.map(SignatureScheme::RsaPss)).collect()
        }
        KeySpec::Ecc(curve) => vec![SignatureScheme::Ecdsa(curve_hash(curve))],
        KeySpec::Edwards25519 => vec![SignatureScheme::Ed25519, SignatureScheme::Ed25519ph],
        KeySpec::MlDsa(_) => vec![SignatureScheme::MlDsa],
        KeySpec::SymmetricDefault | KeySpec::Hmac(_) | KeySpec::MlKem(_) => Vec::new(),
    }
}

fn curve_hash(curve: Curve) -> HashFunction {
    match curve {
        Curve::P256 | Curve::Secp256k1 => HashFunction::Sha256,
        Curve::P384 => HashFunction::Sha384,
        Curve::P521 => HashFunction::Sha512,
    }
}

/// The scheme of a name, if the key has it.
pub(super) fn signature_scheme(
    name: SigningAlgorithmName,
    key: &Key,
) -> Result<SignatureScheme, Fault> {
    signing_algorithms(key)
        .into_iter()
        .find(|scheme| signing_name(*scheme) == name.as_str())
        .ok_or_else(|| incompatible(name.as_str(), key.spec))
}

/// The algorithm with which a key makes MACs.
pub(super) fn mac_algorithm(key: &Key) -> Option<MacAlgorithmName> {
    match key.spec {
        KeySpec::Hmac(HashFunction::Sha224) => Some(MacAlgorithmName::Sha224),
        KeySpec::Hmac(HashFunction::Sha384) => Some(MacAlgorithmName::Sha384),
        KeySpec::Hmac(HashFunction::Sha512) => Some(MacAlgorithmName::Sha512),
        KeySpec::Hmac(_) => Some(MacAlgorithmName::Sha256),
        _ => None,
    }
}

/// The names of the algorithms with which a key encrypts.
pub(super) fn encryption_names(key: &Key) -> Vec<&'static str> {
    encryption_algorithms(key).into_iter().map(EncryptionAlgorithm::as_str).collect()
}

/// The names of the algorithms with which a key signs.
pub(super) fn signing_names(key: &Key) -> Vec<&'static str> {
    signing_algorithms(key).into_iter().map(signing_name).collect()
}

/// The names of the algorithms with which a key makes MACs.
pub(super) fn mac_names(key: &Key) -> Vec<&'static str> {
    mac_algorithm(key).into_iter().map(MacAlgorithmName::as_str).collect()
}

/// The names of the algorithms with which a key agrees on secrets.
pub(super) fn agreement_names(key: &Key) -> Vec<&'static str> {
    let agrees = key.usage == KeyUsage::KeyAgreement;
    agrees.then_some(KeyAgreementAlgorithm::Ecdh.as_str()).into_iter().collect()
}

/// The names of the algorithms with which a key encapsulates secrets.
pub(super) fn encapsulation_names(key: &Key) -> Vec<&'static str> {
    let encapsulates = key.usage == KeyUsage::EncapsulateDecapsulate;
    encapsulates.then_some(EncapsulationAlgorithm::MlKem.as_str()).into_iter().collect()
}

/// Refuses a key that is for something else.
pub(super) fn check_usage(key: &Key, usage: KeyUsage, operation: &str) -> Result<(), Fault> {
    if key.usage == usage {
        return Ok(());
    }
    Err(Fault::new(
        FaultCode::InvalidKeyUsageException,
        format!(
            "{} key usage is {} which is not valid for {operation}.",
            key.arn(),
            key.usage.as_str()
        ),
    ))
}

/// The refusal of an algorithm that keys of a spec do not have.
pub(super) fn incompatible(algorithm: &str, spec: KeySpec) -> Fault {
    Fault::new(
        FaultCode::InvalidKeyUsageException,
        format!("Algorithm {algorithm} is incompatible with key spec {}.", spec.as_str()),
    )
}
