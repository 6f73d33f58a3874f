//! What kind of key a KMS key is, and what it is for.

use strongroom_hsm::{Curve, HashFunction, KeyKind, MlDsaParameters, MlKemParameters, RsaSize};

/// `KeySpec` of the API model, as far as keys of it are made here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeySpec {
    SymmetricDefault,
    Rsa(RsaSize),
    /// The curves of NIST and SECG.
    Ecc(Curve),
    Edwards25519,
    Hmac(HashFunction),
    MlDsa(MlDsaParameters),
    MlKem(MlKemParameters),
}

/// `KeyUsage` of the API model, as far as keys of it are made here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyUsage {
    EncryptDecrypt,
    SignVerify,
    GenerateVerifyMac,
    KeyAgreement,
    EncapsulateDecapsulate,
}

impl KeySpec {
    const NAMES: [(&'static str, Self); 19] = [
        ("SYMMETRIC_DEFAULT", Self::SymmetricDefault),
        ("RSA_2048", Self::Rsa(RsaSize::Bits2048)),
        ("RSA_3072", Self::Rsa(RsaSize::Bits3072)),
        ("RSA_4096", Self::Rsa(RsaSize::Bits4096)),
        ("ECC_NIST_P256", Self::Ecc(Curve::P256)),
        ("ECC_NIST_P384", Self::Ecc(Curve::P384)),
        ("ECC_NIST_P521", Self::Ecc(Curve::P521)),
        ("ECC_SECG_P256K1", Self::Ecc(Curve::Secp256k1)),
        ("ECC_NIST_EDWARDS25519", Self::Edwards25519),
        ("HMAC_224", Self::Hmac(HashFunction::Sha224)),
        ("HMAC_256", Self::Hmac(HashFunction::Sha256)),
        ("HMAC_384", Self::Hmac(HashFunction::Sha384)),
        ("HMAC_512", Self::Hmac(HashFunction::Sha512)),
        ("ML_DSA_44", Self::MlDsa(MlDsaParameters::MlDsa44)),
        ("ML_DSA_65", Self::MlDsa(MlDsaParameters::MlDsa65)),
        ("ML_DSA_87", Self::MlDsa(MlDsaParameters::MlDsa87)),
        ("ML_KEM_512", Self::MlKem(MlKemParameters::MlKem512)),
        ("ML_KEM_768", Self::MlKem(MlKemParameters::MlKem768)),
        ("ML_KEM_1024", Self::MlKem(MlKemParameters::MlKem1024)),
    ];

    /// The name on the wire and in the database.
    pub(crate) fn as_str(self) -> &'static str {
        Self::NAMES.iter().find(|(_, spec)| *spec == self).map_or("", |(name, _)| name)
    }

    /// The inverse of `as_str`.
    pub(crate) fn from_wire(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, spec)| *spec)
    }

    /// The kind of key that the HSM makes for a usage; none for a usage that the spec does not have.
    pub(crate) fn kind(self, usage: KeyUsage) -> Option<KeyKind> {
        use KeyUsage::{
            EncapsulateDecapsulate, EncryptDecrypt, GenerateVerifyMac, KeyAgreement, SignVerify,
        };
        match (self, usage) {
            (Self::SymmetricDefault, EncryptDecrypt) => Some(KeyKind::Aes256),
            (Self::Rsa(size), EncryptDecrypt) => Some(KeyKind::RsaDecryption(size)),
            (Self::Rsa(size), SignVerify) => Some(KeyKind::RsaSigning(size)),
            (Self::Ecc(curve), SignVerify) => Some(KeyKind::EcSigning(curve)),
            (Self::Ecc(Curve::Secp256k1), KeyAgreement) => None,
            (Self::Ecc(curve), KeyAgreement) => Some(KeyKind::EcAgreement(curve)),
            (Self::Edwards25519, SignVerify) => Some(KeyKind::Ed25519),
            (Self::Hmac(hash), GenerateVerifyMac) => Some(KeyKind::Hmac(hash)),
            (Self::MlDsa(parameters), SignVerify) => Some(KeyKind::MlDsa(parameters)),
            (Self::MlKem(parameters), EncapsulateDecapsulate) => Some(KeyKind::MlKem(parameters)),
            _ => None,
        }
    }

    /// Whether a key has a public half.
    pub(crate) fn is_asymmetric(self) -> bool {
        !matches!(self, Self::SymmetricDefault | Self::Hmac(_))
    }
}

impl KeyUsage {
    /// Every usage, by its name on the wire, in the order of the API model.
    pub(crate) const NAMES: [(&'static str, Self); 5] = [
        ("SIGN_VERIFY", Self::SignVerify),
        ("ENCRYPT_DECRYPT", Self::EncryptDecrypt),
        ("GENERATE_VERIFY_MAC", Self::GenerateVerifyMac),
        ("KEY_AGREEMENT", Self::KeyAgreement),
        ("ENCAPSULATE_DECAPSULATE", Self::EncapsulateDecapsulate),
    ];

    /// The name on the wire and in the database.
    pub(crate) fn as_str(self) -> &'static str {
        Self::NAMES.iter().find(|(_, usage)| *usage == self).map_or("", |(name, _)| name)
    }

    /// The inverse of `as_str`.
    pub(crate) fn from_wire(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, usage)| *usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for (name, spec) in KeySpec::NAMES {
            assert_eq!((KeySpec::from_wire(name), spec.as_str()), (Some(spec), name));
        }
        for (name, usage) in KeyUsage::NAMES {
            assert_eq!((KeyUsage::from_wire(name), usage.as_str()), (Some(usage), name));
        }
    }
}
