//! The eleven algorithm suites, as a table.
//!
//! Source: `framework/algorithm-suites.md` of the specification.

use std::fmt;

use crate::error::{Error, Fault, Region, Result};

//= data-format/message-body.md#iv-1
//# The IV length MUST be equal to the IV length of the algorithm suite specified by the Algorithm
//# Suite ID field.
//= data-format/message-body.md#iv-2
//# The IV length MUST be equal to the IV length of the algorithm suite that generated the message.
/// Bytes in an initialisation vector, in every suite.
pub const IV_BYTES: usize = 12;
//= data-format/message-body.md#authentication-tag-1
//# The authentication tag length MUST be equal to the authentication tag length of the algorithm
//# suite specified by the Algorithm Suite ID field.
//= data-format/message-body.md#authentication-tag-2
//# The authentication tag length MUST be equal to the authentication tag length of the algorithm
//# suite specified by the Algorithm Suite ID field.
/// Bytes in an authentication tag, in every suite.
pub const TAG_BYTES: usize = 16;
/// Bytes in a key commitment.
pub const COMMITMENT_BYTES: usize = 32;

//= client-apis/encrypt.md#algorithm-suite
//# This algorithm suite MUST be supported for the ESDK.
//= client-apis/encrypt.md#algorithm-suite-1
//# This algorithm suite MUST be supported for the ESDK.
//= client-apis/encrypt.md#get-the-encryption-materials
//# If this algorithm suite is not supported for the ESDK encrypt MUST yield an error.
//= client-apis/decrypt.md#get-the-decryption-materials
//# If this algorithm suite is not supported for the ESDK encrypt MUST yield an error.
/// An algorithm suite: which cipher, key derivation, commitment and signature a message uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u16)]
pub enum AlgorithmSuite {
    /// 0014: AES-128-GCM, the data key used as it is.
    Aes128Gcm = 0x0014,
    /// 0046: AES-192-GCM, the data key used as it is.
    Aes192Gcm = 0x0046,
    /// 0078: AES-256-GCM, the data key used as it is.
    Aes256Gcm = 0x0078,
    /// 0114: AES-128-GCM, HKDF-SHA256.
    Aes128GcmHkdfSha256 = 0x0114,
    /// 0146: AES-192-GCM, HKDF-SHA256.
    Aes192GcmHkdfSha256 = 0x0146,
    /// 0178: AES-256-GCM, HKDF-SHA256.
    Aes256GcmHkdfSha256 = 0x0178,
    /// 0214: AES-128-GCM, HKDF-SHA256, signed with ECDSA P-256.
    Aes128GcmHkdfSha256EcdsaP256 = 0x0214,
    /// 0346: AES-192-GCM, HKDF-SHA384, signed with ECDSA P-384.
    Aes192GcmHkdfSha384EcdsaP384 = 0x0346,
    /// 0378: AES-256-GCM, HKDF-SHA384, signed with ECDSA P-384.
    Aes256GcmHkdfSha384EcdsaP384 = 0x0378,
    /// 0478: AES-256-GCM, HKDF-SHA512, key commitment.
    Aes256GcmHkdfSha512CommitKey = 0x0478,
    /// 0578: AES-256-GCM, HKDF-SHA512, key commitment, signed with ECDSA P-384.
    Aes256GcmHkdfSha512CommitKeyEcdsaP384 = 0x0578,
}

/// A cipher of a suite, or of a raw keyring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AeadAlgorithm {
    /// AES-GCM with a 128-bit key.
    Aes128Gcm,
    /// AES-GCM with a 192-bit key.
    Aes192Gcm,
    /// AES-GCM with a 256-bit key.
    Aes256Gcm,
}

impl AeadAlgorithm {
    /// Bytes in a key.
    #[must_use]
    pub fn key_bytes(self) -> usize {
        match self {
            Self::Aes128Gcm => 16,
            Self::Aes192Gcm => 24,
            Self::Aes256Gcm => 32,
        }
    }
}

/// A hash function of a suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HashAlgorithm {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl HashAlgorithm {
    /// Bytes in a digest.
    #[must_use]
    pub fn digest_bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// A signature algorithm of a suite; signatures are DER, public keys compressed points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignatureAlgorithm {
    /// ECDSA over P-256 with SHA-256.
    EcdsaP256Sha256,
    /// ECDSA over P-384 with SHA-384.
    EcdsaP384Sha384,
}

impl SignatureAlgorithm {
    /// The hash that is signed.
    #[must_use]
    pub fn hash(self) -> HashAlgorithm {
        match self {
            Self::EcdsaP256Sha256 => HashAlgorithm::Sha256,
            Self::EcdsaP384Sha384 => HashAlgorithm::Sha384,
        }
    }
}

/// The two versions of the message format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageVersion {
    /// Version 1: 16-byte message id, header IV, no commitment.
    V1,
    /// Version 2: 32-byte message id, key commitment.
    V2,
}

impl MessageVersion {
    /// The byte that begins a message.
    #[must_use]
    pub fn byte(self) -> u8 {
        match self {
            //= data-format/message-header.md#header-body-version-10
            //# The value of the Version field MUST be 01 in the Version 1.0 header body.
            Self::V1 => 1,
            //= data-format/message-header.md#header-body-version-20
            //# The value of the Version field MUST be 02 in the Version 2.0 header body.
            Self::V2 => 2,
        }
    }

    /// Bytes in a message id.
    #[must_use]
    pub fn message_id_bytes(self) -> usize {
        match self {
            Self::V1 => 16,
            Self::V2 => 32,
        }
    }
}

impl AlgorithmSuite {
    /// Every suite, in the order of their identifiers.
    pub const ALL: [Self; 11] = [
        Self::Aes128Gcm,
        Self::Aes192Gcm,
        Self::Aes256Gcm,
        Self::Aes128GcmHkdfSha256,
        Self::Aes192GcmHkdfSha256,
        Self::Aes256GcmHkdfSha256,
        Self::Aes128GcmHkdfSha256EcdsaP256,
        Self::Aes192GcmHkdfSha384EcdsaP384,
        Self::Aes256GcmHkdfSha384EcdsaP384,
        Self::Aes256GcmHkdfSha512CommitKey,
        Self::Aes256GcmHkdfSha512CommitKeyEcdsaP384,
    ];

    //= data-format/message-header.md#algorithm-suite-id
    //# This algorithm suite MUST be supported for the ESDK.
    //= client-apis/decrypt.md#algorithm-suite
    //# This algorithm suite MUST be supported for the ESDK.
    /// The suite of an identifier.
    ///
    /// # Errors
    /// [`Fault::UnknownSuite`] in the header.
    pub fn from_id(id: u16) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|suite| suite.id() == id)
            .ok_or(Error::Malformed { region: Region::Header, fault: Fault::UnknownSuite(id) })
    }

    /// The identifier in a message's header.
    #[must_use]
    pub fn id(self) -> u16 {
        self as u16
    }

    /// The cipher of header tag and body.
    #[must_use]
    pub fn aead(self) -> AeadAlgorithm {
        match self {
            Self::Aes128Gcm | Self::Aes128GcmHkdfSha256 | Self::Aes128GcmHkdfSha256EcdsaP256 => {
                AeadAlgorithm::Aes128Gcm
            }
            Self::Aes192Gcm | Self::Aes192GcmHkdfSha256 | Self::Aes192GcmHkdfSha384EcdsaP384 => {
                AeadAlgorithm::Aes192Gcm
            }
            _ => AeadAlgorithm::Aes256Gcm,
        }
    }

    /// Bytes in the data key that keyrings wrap: the key length of the cipher.
    #[must_use]
    pub fn data_key_bytes(self) -> usize {
        self.aead().key_bytes()
    }

    /// The hash of HKDF; `None` when the data key is used as it is.
    #[must_use]
    pub fn kdf(self) -> Option<HashAlgorithm> {
        match self {
            Self::Aes128Gcm | Self::Aes192Gcm | Self::Aes256Gcm => None,
            Self::Aes128GcmHkdfSha256
            | Self::Aes192GcmHkdfSha256
            | Self::Aes256GcmHkdfSha256
            | Self::Aes128GcmHkdfSha256EcdsaP256 => Some(HashAlgorithm::Sha256),
            Self::Aes192GcmHkdfSha384EcdsaP384 | Self::Aes256GcmHkdfSha384EcdsaP384 => {
                Some(HashAlgorithm::Sha384)
            }
            Self::Aes256GcmHkdfSha512CommitKey | Self::Aes256GcmHkdfSha512CommitKeyEcdsaP384 => {
                Some(HashAlgorithm::Sha512)
            }
        }
    }

    /// Whether a message commits to its data key.
    #[must_use]
    pub fn commits(self) -> bool {
        self.version() == MessageVersion::V2
    }

    /// How messages are signed; `None` when they are not.
    #[must_use]
    pub fn signature(self) -> Option<SignatureAlgorithm> {
        match self {
            Self::Aes128GcmHkdfSha256EcdsaP256 => Some(SignatureAlgorithm::EcdsaP256Sha256),
            Self::Aes192GcmHkdfSha384EcdsaP384
            | Self::Aes256GcmHkdfSha384EcdsaP384
            | Self::Aes256GcmHkdfSha512CommitKeyEcdsaP384 => {
                Some(SignatureAlgorithm::EcdsaP384Sha384)
            }
            _ => None,
        }
    }

    //= client-apis/encrypt.md#construct-the-header
    //# The message format version MUST be associated with the algorithm suite.
    /// The version of the format that the suite is written in.
    #[must_use]
    pub fn version(self) -> MessageVersion {
        match self {
            Self::Aes256GcmHkdfSha512CommitKey | Self::Aes256GcmHkdfSha512CommitKeyEcdsaP384 => {
                MessageVersion::V2
            }
            _ => MessageVersion::V1,
        }
    }
}

/// The identifier as four hexadecimal digits, as the specification prints it.
impl fmt::Display for AlgorithmSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04X}", self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_round_trip_and_others_are_refused() {
        let known = AlgorithmSuite::ALL.map(AlgorithmSuite::id);
        for id in 0..=u16::MAX {
            assert_eq!(AlgorithmSuite::from_id(id).is_ok(), known.contains(&id), "{id:04x}");
        }
    }

    #[test]
    fn the_last_two_digits_are_the_key_length_in_bits() {
        for suite in AlgorithmSuite::ALL {
            let bits = suite.data_key_bytes() * 8;
            let bits_in_id = match suite.id() & 0xff {
                0x14 => 128,
                0x46 => 192,
                _ => 256,
            };
            assert_eq!(bits, bits_in_id, "{suite}");
        }
    }
}
