//! What kinds of keys there are, and what each may be used for.

use aws_lc_rs::digest;

/// A hash function of FIPS 180-4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HashFunction {
    /// SHA-1, for OAEP alone.
    Sha1,
    /// SHA-224, for HMAC alone.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl HashFunction {
    /// Bytes of a digest.
    #[must_use]
    pub fn digest_bytes(self) -> usize {
        self.algorithm().output_len()
    }

    pub(super) fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha224 => &digest::SHA224,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

/// The length of an RSA modulus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RsaSize {
    /// 2,048 bits.
    Bits2048,
    /// 3,072 bits.
    Bits3072,
    /// 4,096 bits.
    Bits4096,
}

impl RsaSize {
    /// Bytes of the modulus, and so of a signature or a ciphertext.
    #[must_use]
    pub fn modulus_bytes(self) -> usize {
        match self {
            Self::Bits2048 => 256,
            Self::Bits3072 => 384,
            Self::Bits4096 => 512,
        }
    }
}

/// A curve in Weierstrass form: SP 800-186 and SEC 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Curve {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// NIST P-521.
    P521,
    /// secp256k1 of SEC 2; not for key agreement.
    Secp256k1,
}

/// A parameter set of FIPS 204.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MlDsaParameters {
    /// ML-DSA-44.
    MlDsa44,
    /// ML-DSA-65.
    MlDsa65,
    /// ML-DSA-87.
    MlDsa87,
}

/// A parameter set of FIPS 203.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MlKemParameters {
    /// ML-KEM-512.
    MlKem512,
    /// ML-KEM-768.
    MlKem768,
    /// ML-KEM-1024.
    MlKem1024,
}

/// A kind of key. It is authenticated with the key: one made to sign never decrypts, and a key of one
/// algorithm is never taken for another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// AES-256: seals and opens messages.
    Aes256,
    /// HMAC (FIPS 198-1) with a hash function of the SHA-2 family; as long as the digest.
    Hmac(HashFunction),
    /// RSA for signatures (RFC 8017, 8).
    RsaSigning(RsaSize),
    /// RSA for encryption (RFC 8017, 7.1).
    RsaDecryption(RsaSize),
    /// ECDSA (FIPS 186-5, 6).
    EcSigning(Curve),
    /// ECDH (SP 800-56A, 5.7.1.2).
    EcAgreement(Curve),
    /// Ed25519 (RFC 8032).
    Ed25519,
    /// ML-DSA (FIPS 204).
    MlDsa(MlDsaParameters),
    /// ML-KEM (FIPS 203).
    MlKem(MlKemParameters),
}

impl KeyKind {
    /// Every kind but AES-256, by the number that its tokens carry.
    const CODES: [(u8, Self); 24] = [
        (0x11, Self::Hmac(HashFunction::Sha224)),
        (0x12, Self::Hmac(HashFunction::Sha256)),
        (0x13, Self::Hmac(HashFunction::Sha384)),
        (0x14, Self::Hmac(HashFunction::Sha512)),
        (0x21, Self::RsaSigning(RsaSize::Bits2048)),
        (0x22, Self::RsaSigning(RsaSize::Bits3072)),
        (0x23, Self::RsaSigning(RsaSize::Bits4096)),
        (0x31, Self::RsaDecryption(RsaSize::Bits2048)),
        (0x32, Self::RsaDecryption(RsaSize::Bits3072)),
        (0x33, Self::RsaDecryption(RsaSize::Bits4096)),
        (0x41, Self::EcSigning(Curve::P256)),
        (0x42, Self::EcSigning(Curve::P384)),
        (0x43, Self::EcSigning(Curve::P521)),
        (0x44, Self::EcSigning(Curve::Secp256k1)),
        (0x51, Self::EcAgreement(Curve::P256)),
        (0x52, Self::EcAgreement(Curve::P384)),
        (0x53, Self::EcAgreement(Curve::P521)),
        (0x61, Self::Ed25519),
        (0x71, Self::MlDsa(MlDsaParameters::MlDsa44)),
        (0x72, Self::MlDsa(MlDsaParameters::MlDsa65)),
        (0x73, Self::MlDsa(MlDsaParameters::MlDsa87)),
        (0x81, Self::MlKem(MlKemParameters::MlKem512)),
        (0x82, Self::MlKem(MlKemParameters::MlKem768)),
        (0x83, Self::MlKem(MlKemParameters::MlKem1024)),
    ];

    /// The number of the kind in a token; none for AES-256, whose tokens are older and have none, and
    /// for kinds that are not made.
    pub(crate) fn code(self) -> Option<u8> {
        Self::CODES.iter().find(|(_, kind)| *kind == self).map(|(code, _)| *code)
    }

    /// The inverse of `code`.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::CODES.iter().find(|(known, _)| *known == code).map(|(_, kind)| *kind)
    }

    /// Whether the kind is a pair with a public half.
    #[must_use]
    pub fn is_pair(self) -> bool {
        !matches!(self, Self::Aes256 | Self::Hmac(_))
    }
}

/// How a signature is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureScheme {
    /// RSASSA-PKCS1-v1_5 (RFC 8017, 8.2).
    RsaPkcs1(HashFunction),
    /// RSASSA-PSS with MGF1 over the same hash function and a salt as long as the digest (RFC 8017, 8.1).
    RsaPss(HashFunction),
    /// ECDSA; signatures are DER (RFC 3279, 2.2.3).
    Ecdsa(HashFunction),
    /// Ed25519 over the message itself.
    Ed25519,
    /// Ed25519ph over the message's SHA-512 digest, with an empty context.
    Ed25519ph,
    /// ML-DSA with an empty context, hedged.
    MlDsa,
}

/// What is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedInput<'a> {
    /// The message.
    Message(&'a [u8]),
    /// The message's digest by the scheme's hash function.
    Digest(&'a [u8]),
    /// The message representative of ML-DSA (FIPS 204, algorithm 7, line 6): 64 bytes.
    ExternalMu(&'a [u8]),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_round_trip() {
        for (code, kind) in KeyKind::CODES {
            assert_eq!(KeyKind::from_code(code), Some(kind));
            assert_eq!(kind.code(), Some(code));
        }
        assert_eq!(KeyKind::from_code(0), None);
        assert_eq!(KeyKind::Aes256.code(), None);
    }
}
