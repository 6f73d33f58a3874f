//! Keys that were made elsewhere: the wrapping key under which one travels, and how it comes in.

use aws_lc_rs::hmac;

use super::fleet::{Fleet, check_length};
use super::token::KeyToken;
use crate::crypto;
use crate::error::Refusal;
use crate::limits::{AAD_BYTES_MAX, IMPORT_BYTES_MAX, TOKEN_BYTES_MAX};
use crate::mechanism::{self, ImportWrapping, KeyKind, RsaDecryption, RsaSize, WorkingKey};
use crate::secret::KeyBytes;

/// Authenticated, with the modulus and the caller's binding behind it, with every wrapping key.
const FORMAT: &[u8] = b"strongroom import wrapping key v1";
/// Separates the key that recognises imported material from all other derivations.
const LABEL_FINGERPRINT: &str = "strongroom imported key fingerprint v1";

/// A wrapping key made for an import.
#[derive(Debug)]
pub struct ImportParameters {
    /// The public half, a DER `SubjectPublicKeyInfo`, for the owner of the material.
    pub public_key: Vec<u8>,
    /// The private half, sealed under the fleet's domain key: at most [`TOKEN_BYTES_MAX`] bytes.
    pub sealed_private_key: Vec<u8>,
}

/// The private half of a wrapping key, inside the device. It unwraps imports and does nothing else.
pub struct ImportKey(RsaDecryption);

/// A key that was imported.
#[derive(Debug)]
pub struct ImportedKey {
    /// The key.
    pub token: KeyToken,
    /// The same for the same material in the same scope, and for no other: tells nothing of the key.
    pub fingerprint: [u8; 32],
}

impl Fleet {
    /// Makes a wrapping key that only the same `binding`, of at most [`AAD_BYTES_MAX`] bytes, opens.
    ///
    /// # Errors
    ///
    /// [`Refusal::TooLong`], [`Refusal::Tampered`], [`Refusal::ModuleFailed`].
    pub fn generate_import_key(
        &self,
        size: RsaSize,
        binding: &[u8],
    ) -> Result<ImportParameters, Refusal> {
        check_length(binding, AAD_BYTES_MAX)?;
        let domain_key = self.domain_key()?;
        let secret = mechanism::generate(KeyKind::RsaDecryption(size))?;
        let aad = authenticated_data(size, binding);
        Ok(ImportParameters {
            public_key: RsaDecryption::load(size, &secret)?.public_key()?,
            sealed_private_key: crypto::seal(&domain_key, &aad, &secret)?,
        })
    }

    /// Opens what [`Fleet::generate_import_key`] sealed.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotAuthentic`] when size, binding or sealed key are not those of one call;
    /// [`Refusal::TooLong`], [`Refusal::Tampered`].
    pub fn open_import_key(
        &self,
        size: RsaSize,
        binding: &[u8],
        sealed_private_key: &[u8],
    ) -> Result<ImportKey, Refusal> {
        check_length(binding, AAD_BYTES_MAX)?;
        check_length(sealed_private_key, TOKEN_BYTES_MAX)?;
        let domain_key = self.domain_key()?;
        let aad = authenticated_data(size, binding);
        let secret = crypto::open(&domain_key, &aad, sealed_private_key)?;
        Ok(ImportKey(RsaDecryption::load(size, secret.expose())?))
    }

    /// Takes a key in: the bytes of a symmetric key, or the PKCS #8 document of a pair, wrapped under the
    /// public half of `key` in at most [`IMPORT_BYTES_MAX`] bytes.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotAuthentic`] for what does not unwrap; [`Refusal::InvalidKey`] for what is no key of
    /// that kind; [`Refusal::TooLong`], [`Refusal::Tampered`].
    pub fn import_key(
        &self,
        key: &ImportKey,
        wrapping: ImportWrapping,
        wrapped: &[u8],
        kind: KeyKind,
        scope: &[u8],
    ) -> Result<ImportedKey, Refusal> {
        check_length(wrapped, IMPORT_BYTES_MAX)?;
        check_length(scope, AAD_BYTES_MAX)?;
        let domain_key = self.domain_key()?;
        let material = mechanism::unwrap(&key.0, wrapping, wrapped)?;
        let secret = mechanism::secret_encoding(kind, &material)?;
        let working = WorkingKey::load(kind, &secret)?;
        // A pair has many encodings and one public half.
        let public_key = kind.is_pair().then(|| working.public_key()).transpose()?;
        let identity = public_key.as_deref().unwrap_or(&secret);
        Ok(ImportedKey {
            fingerprint: fingerprint(&domain_key, scope, identity)?,
            token: KeyToken::wrap(&domain_key, kind, &secret)?,
        })
    }
}

fn authenticated_data(size: RsaSize, binding: &[u8]) -> Vec<u8> {
    let modulus_bytes = (size.modulus_bytes() as u64).to_be_bytes();
    [FORMAT, &modulus_bytes, binding].concat()
}

/// HMAC-SHA-256 over the scope, with its length, and what tells the key from others.
fn fingerprint(domain_key: &KeyBytes, scope: &[u8], identity: &[u8]) -> Result<[u8; 32], Refusal> {
    let key = crypto::derive(domain_key, LABEL_FINGERPRINT, &[])?;
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key.expose()));
    context.update(&(scope.len() as u64).to_be_bytes());
    context.update(scope);
    context.update(identity);
    context.sign().as_ref().try_into().map_err(|_| Refusal::ModuleFailed)
}
