//! What a KMS does with asymmetric keys: the private key stays inside, the public key is for everybody.
//!
//! An asymmetric key knows no encryption context.

use crate::crypto::rsa::RsaPadding;
use crate::secret::SecretBytes;

/// What goes with every request for an asymmetric key.
#[derive(Debug, Clone, Copy)]
pub struct AsymmetricRequest<'a> {
    /// Key ARN, key id, alias name or alias ARN.
    pub key_id: &'a str,
    /// Grant tokens, usually none.
    pub grant_tokens: &'a [String],
}

/// The algorithms with which AWS KMS decrypts under an RSA key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RsaAlgorithm {
    /// `RSAES_OAEP_SHA_1`.
    OaepSha1,
    /// `RSAES_OAEP_SHA_256`.
    OaepSha256,
}

impl RsaAlgorithm {
    /// The padding with which a public key encrypts what the KMS is to decrypt.
    #[must_use]
    pub fn padding(self) -> RsaPadding {
        match self {
            Self::OaepSha1 => RsaPadding::OaepSha1,
            Self::OaepSha256 => RsaPadding::OaepSha256,
        }
    }
}

/// The public half of a KMS key.
#[derive(Debug, Clone)]
pub struct PublicKey {
    /// The DER of the SubjectPublicKeyInfo.
    pub spki: Vec<u8>,
    /// What the key is for, in the service's words, e.g. `KEY_AGREEMENT`.
    pub key_usage: String,
    /// ARN of the KMS key.
    pub key_id: String,
}

/// A secret that a KMS key and another key agree on.
pub struct SharedSecret {
    /// The x coordinate of the shared point.
    pub secret: SecretBytes,
    /// ARN of the KMS key.
    pub key_id: String,
}
