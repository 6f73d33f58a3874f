//! The seam to RSA encryption.
//!
//! Source: RFC 8017, sections 7.1 and 7.2.

use std::fmt;

use crate::error::Result;
use crate::secret::SecretBytes;

/// How a plaintext is padded before it is encrypted with RSA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RsaPadding {
    /// PKCS #1 v1.5. For messages that exist: whoever can make a reader try many altered messages and
    /// tell the failures apart can open one (Bleichenbacher's attack).
    Pkcs1,
    /// OAEP with SHA-1, and MGF1 with SHA-1.
    OaepSha1,
    /// OAEP with SHA-256, and MGF1 with SHA-256.
    OaepSha256,
    /// OAEP with SHA-384, and MGF1 with SHA-384.
    OaepSha384,
    /// OAEP with SHA-512, and MGF1 with SHA-512.
    OaepSha512,
}

impl RsaPadding {
    /// Every padding, in the order of the specification.
    pub const ALL: [Self; 5] =
        [Self::Pkcs1, Self::OaepSha1, Self::OaepSha256, Self::OaepSha384, Self::OaepSha512];
}

/// As people name it, e.g. `OAEP with SHA-256`.
impl fmt::Display for RsaPadding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pkcs1 => "PKCS #1 v1.5",
            Self::OaepSha1 => "OAEP with SHA-1",
            Self::OaepSha256 => "OAEP with SHA-256",
            Self::OaepSha384 => "OAEP with SHA-384",
            Self::OaepSha512 => "OAEP with SHA-512",
        })
    }
}

/// A ciphertext does not decrypt with the key and the padding; why is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RsaMismatch;

/// An RSA public key.
pub trait RsaEncryptionKey: Send + Sync {
    /// Encrypts `plaintext`; the ciphertext is as long as the modulus.
    ///
    /// # Errors
    /// [`Error::Provider`](crate::Error::Provider) when `plaintext` is too long for modulus and padding.
    fn encrypt(&self, padding: RsaPadding, plaintext: &SecretBytes) -> Result<Vec<u8>>;
}

/// An RSA private key.
pub trait RsaDecryptionKey: Send + Sync {
    /// Decrypts `ciphertext`, which is as long as the modulus.
    ///
    /// # Errors
    /// [`RsaMismatch`] for whatever reason it does not decrypt.
    fn decrypt(&self, padding: RsaPadding, ciphertext: &[u8]) -> Result<SecretBytes, RsaMismatch>;
}
