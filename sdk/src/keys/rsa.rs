//! RSA keys.

use pkcs1::{RsaPrivateKeyRef, RsaPublicKeyRef};
use pkcs8::PrivateKeyInfoRef;
use pkcs8::der::Decode;
use pkcs8::der::asn1::UintRef;
use pkcs8::spki::SubjectPublicKeyInfoRef;

use super::{RSA_MODULUS_BITS_MAX, RSA_MODULUS_BITS_MIN, encoding};
use crate::crypto::CryptoProvider;
use crate::crypto::rsa::{RsaDecryptionKey, RsaEncryptionKey, RsaMismatch, RsaPadding};
use crate::error::{KeyFault, Result};
use crate::secret::SecretBytes;

/// What [`KeyFault::Encoding`] and [`KeyFault::Algorithm`] say was expected.
const RSA: &str = "an RSA key";

/// An RSA public key, which wraps.
pub struct RsaPublicKey {
    key: Box<dyn RsaEncryptionKey>,
    modulus_bits: usize,
    spki: Vec<u8>,
}

impl RsaPublicKey {
    /// The key in the PEM of a SubjectPublicKeyInfo or of PKCS #1.
    ///
    /// # Errors
    /// [`Error::Key`](crate::Error::Key) for what is no RSA public key, or one whose modulus is too short or
    /// too long; [`Error::LimitExceeded`](crate::Error::LimitExceeded);
    /// [`Error::UnsupportedAlgorithm`](crate::Error::UnsupportedAlgorithm).
    pub fn from_pem(provider: &dyn CryptoProvider, pem: &str) -> Result<Self> {
        Self::from_spki(provider, encoding::public_key_from_pem(pem)?.as_bytes())
    }

    /// The key in the DER of a SubjectPublicKeyInfo or of PKCS #1.
    ///
    /// # Errors
    /// As [`from_pem`](Self::from_pem).
    pub fn from_der(provider: &dyn CryptoProvider, der: &[u8]) -> Result<Self> {
        Self::from_spki(provider, encoding::public_key_from_der(der)?.as_bytes())
    }

    fn from_spki(provider: &dyn CryptoProvider, spki: &[u8]) -> Result<Self> {
        let info = SubjectPublicKeyInfoRef::from_der(spki).map_err(not_rsa)?;
        require_rsa(info.algorithm.oid)?;
        let numbers =
            info.subject_public_key.as_bytes().ok_or(KeyFault::Encoding { expected: RSA })?;
        let numbers = RsaPublicKeyRef::from_der(numbers).map_err(not_rsa)?;
        let modulus_bits = allowed_bits(numbers.modulus)?;
        Ok(Self { key: provider.rsa_encryption_key(spki)?, modulus_bits, spki: spki.to_vec() })
    }

    /// Bits in the modulus.
    #[must_use]
    pub fn modulus_bits(&self) -> usize {
        self.modulus_bits
    }

    /// The key in the DER of a SubjectPublicKeyInfo, whatever it was read from.
    #[must_use]
    pub fn to_der(&self) -> &[u8] {
        &self.spki
    }

    /// Encrypts `plaintext`; the ciphertext is as long as the modulus.
    ///
    /// # Errors
    /// [`Error::Provider`](crate::Error::Provider) when `plaintext` is too long for modulus and padding.
    pub fn encrypt(&self, padding: RsaPadding, plaintext: &SecretBytes) -> Result<Vec<u8>> {
        self.key.encrypt(padding, plaintext)
    }
}

/// An RSA private key, which unwraps.
pub struct RsaPrivateKey {
    key: Box<dyn RsaDecryptionKey>,
    modulus_bits: usize,
}

impl RsaPrivateKey {
    /// The key in the PEM of PKCS #8 or PKCS #1.
    ///
    /// # Errors
    /// [`Error::Key`](crate::Error::Key) for what is no RSA private key, an encrypted one, or one whose modulus
    /// is too short or too long; [`Error::LimitExceeded`](crate::Error::LimitExceeded);
    /// [`Error::UnsupportedAlgorithm`](crate::Error::UnsupportedAlgorithm).
    pub fn from_pem(provider: &dyn CryptoProvider, pem: &str) -> Result<Self> {
        Self::from_pkcs8(provider, encoding::private_key_from_pem(pem)?.as_bytes())
    }

    /// The key in the DER of PKCS #8 or PKCS #1.
    ///
    /// # Errors
    /// As [`from_pem`](Self::from_pem).
    pub fn from_der(provider: &dyn CryptoProvider, der: &[u8]) -> Result<Self> {
        Self::from_pkcs8(provider, encoding::private_key_from_der(der)?.as_bytes())
    }

    fn from_pkcs8(provider: &dyn CryptoProvider, pkcs8: &[u8]) -> Result<Self> {
        let info = PrivateKeyInfoRef::from_der(pkcs8).map_err(not_rsa)?;
        require_rsa(info.algorithm.oid)?;
        let numbers = RsaPrivateKeyRef::from_der(info.private_key.as_bytes()).map_err(not_rsa)?;
        let modulus_bits = allowed_bits(numbers.modulus)?;
        Ok(Self { key: provider.rsa_decryption_key(pkcs8)?, modulus_bits })
    }

    /// Bits in the modulus.
    #[must_use]
    pub fn modulus_bits(&self) -> usize {
        self.modulus_bits
    }

    /// Decrypts `ciphertext`.
    ///
    /// # Errors
    /// [`RsaMismatch`] for whatever reason it does not decrypt, its length among them.
    pub fn decrypt(
        &self,
        padding: RsaPadding,
        ciphertext: &[u8],
    ) -> Result<SecretBytes, RsaMismatch> {
        if ciphertext.len() != self.modulus_bits.div_ceil(8) {
            return Err(RsaMismatch);
        }
        self.key.decrypt(padding, ciphertext)
    }
}

fn not_rsa<E>(_: E) -> KeyFault {
    KeyFault::Encoding { expected: RSA }
}

/// Refuses keys of other algorithms, RSA keys that are for signatures only among them.
fn require_rsa(oid: pkcs8::ObjectIdentifier) -> Result<()> {
    if oid == pkcs1::ALGORITHM_OID {
        return Ok(());
    }
    Err(KeyFault::Algorithm { expected: RSA, found: oid.to_string() }.into())
}

/// The bits of `modulus`, if they are allowed.
fn allowed_bits(modulus: UintRef<'_>) -> Result<usize> {
    let bytes = modulus.as_bytes();
    let zeros = bytes.first().map_or(0, |first| first.leading_zeros() as usize);
    let bits = (bytes.len() * 8).saturating_sub(zeros);
    if (RSA_MODULUS_BITS_MIN..=RSA_MODULUS_BITS_MAX).contains(&bits) {
        return Ok(bits);
    }
    Err(KeyFault::ModulusBits { bits, min: RSA_MODULUS_BITS_MIN, max: RSA_MODULUS_BITS_MAX }.into())
}
