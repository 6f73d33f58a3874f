//! The seam to cryptography: what the format needs, and nothing that it does not.
//!
//! Two providers implement [`CryptoProvider`]: `aws_lc` (default, fast, needs a C compiler) and
//! `pure_rust` (needs none, and is a second implementation to test the first against). Only these two
//! modules name a cryptography crate.

use std::fmt;

use crate::error::{Error, Result};
use crate::message::suite::{
    AeadAlgorithm, HashAlgorithm, IV_BYTES, SignatureAlgorithm, TAG_BYTES,
};
use crate::secret::SecretBytes;
use ecdh::{EcCurve, EcdhKey};
use rsa::{RsaDecryptionKey, RsaEncryptionKey};

#[cfg(feature = "aws-lc")]
pub mod aws_lc;
pub mod ecdh;
#[cfg(any(feature = "aws-lc", feature = "pure-rust"))]
mod kbkdf;
#[cfg(feature = "pure-rust")]
pub mod pure_rust;
pub mod rsa;

/// An initialisation vector.
pub type Iv = [u8; IV_BYTES];
/// An authentication tag.
pub type Tag = [u8; TAG_BYTES];

/// An authentication tag does not belong to the data and the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagMismatch;

/// A signature does not belong to the digest and the public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignatureMismatch;

/// Makes everything random and everything secret that a message needs.
pub trait CryptoProvider: Send + Sync + fmt::Debug {
    /// A short name, for errors.
    fn name(&self) -> &'static str;

    /// Fills `out` with bytes that nobody can predict.
    ///
    /// # Errors
    /// [`Error::Provider`] when the system's source fails.
    fn fill_random(&self, out: &mut [u8]) -> Result<()>;

    /// A cipher key of `key`, whose length is [`AeadAlgorithm::key_bytes`].
    ///
    /// # Errors
    /// [`Error::Provider`] for another length.
    fn aead_key(&self, algorithm: AeadAlgorithm, key: &SecretBytes) -> Result<Box<dyn AeadKey>>;

    /// The first half of HKDF (RFC 5869): the pseudorandom key of `secret` and `salt`, as long as a digest.
    ///
    /// # Errors
    /// [`Error::Provider`].
    fn hkdf_extract(
        &self,
        hash: HashAlgorithm,
        salt: &[u8],
        secret: &SecretBytes,
    ) -> Result<SecretBytes>;

    /// The second half of HKDF: a key for the parts of `info`, one after another.
    ///
    /// # Errors
    /// [`Error::Provider`] when `length` is above 255 digests, or the pseudorandom key is not as long as one.
    fn hkdf_expand(
        &self,
        hash: HashAlgorithm,
        pseudorandom_key: &SecretBytes,
        info: &[&[u8]],
        length: usize,
    ) -> Result<SecretBytes>;

    /// HKDF, both halves: extracts with `salt`, expands with the parts of `info` one after another.
    ///
    /// # Errors
    /// [`Error::Provider`] when `length` is above 255 digests.
    fn hkdf(
        &self,
        hash: HashAlgorithm,
        salt: &[u8],
        secret: &SecretBytes,
        info: &[&[u8]],
        length: usize,
    ) -> Result<SecretBytes> {
        self.hkdf_expand(hash, &self.hkdf_extract(hash, salt, secret)?, info, length)
    }

    /// The KDF of SP 800-108 in counter mode with HMAC: a counter of four bytes, then `label`, a zero
    /// byte, `context`, and the length of the output in bits in four bytes.
    ///
    /// # Errors
    /// [`Error::Provider`] when `length` is zero or above `2^29 - 1` bytes.
    fn kbkdf(
        &self,
        hash: HashAlgorithm,
        secret: &SecretBytes,
        label: &[u8],
        context: &[u8],
        length: usize,
    ) -> Result<SecretBytes>;

    /// A running digest.
    fn digest(&self, hash: HashAlgorithm) -> Box<dyn RunningDigest>;

    /// A new key to sign one message with, or those that share cached materials.
    ///
    /// # Errors
    /// [`Error::Provider`],
    /// [`Error::UnsupportedAlgorithm`].
    fn signing_key(&self, algorithm: SignatureAlgorithm) -> Result<Box<dyn SigningKey>>;

    /// Checks a DER `signature` over `digest` with the SEC 1 point `public_key`.
    ///
    /// # Errors
    /// [`SignatureMismatch`] for whatever reason it does not verify.
    fn verify_digest(
        &self,
        algorithm: SignatureAlgorithm,
        public_key: &[u8],
        digest: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureMismatch>;

    /// The RSA public key in the DER of a SubjectPublicKeyInfo (RFC 5280).
    ///
    /// # Errors
    /// [`Error::Provider`] when it is refused, [`Error::UnsupportedAlgorithm`].
    fn rsa_encryption_key(&self, spki: &[u8]) -> Result<Box<dyn RsaEncryptionKey>> {
        let _ = spki;
        Err(Error::UnsupportedAlgorithm { provider: self.name(), algorithm: "RSA encryption" })
    }

    /// The RSA private key in the DER of a PrivateKeyInfo (PKCS #8).
    ///
    /// # Errors
    /// [`Error::Provider`] when it is refused, [`Error::UnsupportedAlgorithm`].
    fn rsa_decryption_key(&self, pkcs8: &[u8]) -> Result<Box<dyn RsaDecryptionKey>> {
        let _ = pkcs8;
        Err(Error::UnsupportedAlgorithm { provider: self.name(), algorithm: "RSA decryption" })
    }

    /// A new private key on `curve`.
    ///
    /// # Errors
    /// [`Error::Provider`], [`Error::UnsupportedAlgorithm`].
    fn generate_ecdh_key(&self, curve: EcCurve) -> Result<Box<dyn EcdhKey>>;

    /// The private key of the big-endian `scalar`, [`EcCurve::field_bytes`] long.
    ///
    /// # Errors
    /// [`Error::Provider`] when it is zero or not below the order of the curve,
    /// [`Error::UnsupportedAlgorithm`].
    fn ecdh_key(&self, curve: EcCurve, scalar: &SecretBytes) -> Result<Box<dyn EcdhKey>>;

    /// The uncompressed form of a SEC 1 `point` in compressed or uncompressed form.
    ///
    /// # Errors
    /// [`Error::Provider`] when it is not on the curve, or at infinity;
    /// [`Error::UnsupportedAlgorithm`].
    fn uncompressed_point(&self, curve: EcCurve, point: &[u8]) -> Result<Vec<u8>>;
}

/// A key of AES-GCM.
///
/// Opening writes nothing but zeros into the output when the tag does not verify.
pub trait AeadKey: Send + Sync {
    /// Encrypts `in_out` in place.
    ///
    /// # Errors
    /// [`Error::Provider`] above the cipher's bound of 64 GiB.
    fn seal_in_place(&self, iv: &Iv, aad: &[u8], in_out: &mut [u8]) -> Result<Tag>;

    /// Encrypts `plaintext` into `ciphertext`, which has the same length.
    ///
    /// # Errors
    /// [`Error::Provider`] for another length, or above the cipher's bound.
    fn seal_into(
        &self,
        iv: &Iv,
        aad: &[u8],
        plaintext: &[u8],
        ciphertext: &mut [u8],
    ) -> Result<Tag>;

    /// Decrypts `in_out` in place.
    ///
    /// # Errors
    /// [`TagMismatch`]; `in_out` is zeroed then.
    fn open_in_place(
        &self,
        iv: &Iv,
        aad: &[u8],
        in_out: &mut [u8],
        tag: &Tag,
    ) -> Result<(), TagMismatch>;

    /// Decrypts `ciphertext` into `plaintext`, which has the same length.
    ///
    /// # Errors
    /// [`TagMismatch`]; `plaintext` is zeroed then.
    fn open_into(
        &self,
        iv: &Iv,
        aad: &[u8],
        ciphertext: &[u8],
        tag: &Tag,
        plaintext: &mut [u8],
    ) -> Result<(), TagMismatch>;
}

/// A digest that takes its input in pieces.
pub trait RunningDigest: Send + Sync {
    /// Takes the next bytes.
    fn update(&mut self, bytes: &[u8]);
    /// The digest of all bytes taken, [`HashAlgorithm::digest_bytes`] long.
    fn finish(self: Box<Self>) -> Vec<u8>;
}

/// A private key that signs messages.
pub trait SigningKey: Send + Sync {
    /// The public key as a compressed SEC 1 point.
    ///
    /// # Errors
    /// [`Error::Provider`].
    fn public_key(&self) -> Result<Vec<u8>>;

    /// A DER signature over `digest`.
    ///
    /// # Errors
    /// [`Error::Provider`], for example for a digest of another hash.
    fn sign_digest(&self, digest: &[u8]) -> Result<Vec<u8>>;
}

/// The provider for callers who do not choose: `aws_lc` when it is built in, else `pure_rust`.
///
/// There is none when neither is built in; callers bring their own then.
#[cfg(any(feature = "aws-lc", feature = "pure-rust"))]
#[must_use]
pub fn default_provider() -> std::sync::Arc<dyn CryptoProvider> {
    #[cfg(feature = "aws-lc")]
    return aws_lc::provider();
    #[cfg(not(feature = "aws-lc"))]
    return pure_rust::provider();
}
