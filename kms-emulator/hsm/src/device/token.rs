//! The form in which a key leaves a fleet device: encrypted under the device's domain key.
//!
//! ```text
//! 1  nonce, IV, ciphertext, tag          an AES-256 key
//! 2  kind  nonce, IV, ciphertext, tag    a key of any other kind
//! ```
//! The kind is authenticated, so that a key is never used as one of another kind.

use crate::crypto;
use crate::error::Refusal;
use crate::limits::TOKEN_BYTES_MAX;
use crate::mechanism::{KeyKind, WorkingKey};
use crate::secret::{KEY_BYTES, KeyBytes};

/// First byte of the token of an AES-256 key.
const VERSION_AES: u8 = 1;
/// First byte of the token of any other key; the kind follows.
const VERSION_KIND: u8 = 2;
/// Bytes of the token of an AES-256 key.
const AES_TOKEN_BYTES: usize = 1 + KEY_BYTES + crypto::SEAL_OVERHEAD_BYTES;
/// Authenticated with every token of that version.
const FORMAT_AES: &[u8] = b"strongroom exported key token v1";
/// Authenticated, with the kind behind it, with every token of that version.
const FORMAT_KIND: &[u8] = b"strongroom exported key token v2";

/// A key of a fleet, encrypted under its domain key: safe to store, useless elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyToken(Box<[u8]>);

impl KeyToken {
    /// Reads a token that [`KeyToken::as_bytes`] gave; it is authenticated when it is used.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotAuthentic`] when it cannot be one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Refusal> {
        let well_formed = match bytes {
            [VERSION_AES, ..] => bytes.len() == AES_TOKEN_BYTES,
            [VERSION_KIND, kind, ..] => {
                bytes.len() <= TOKEN_BYTES_MAX && KeyKind::from_code(*kind).is_some()
            }
            _ => false,
        };
        if well_formed { Ok(Self(bytes.into())) } else { Err(Refusal::NotAuthentic) }
    }

    /// The token as it may be stored: 77 bytes for an AES-256 key, at most [`TOKEN_BYTES_MAX`].
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The kind of the key, as the token claims it.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        match *self.0 {
            [VERSION_KIND, kind, ..] => KeyKind::from_code(kind).unwrap_or(KeyKind::Aes256),
            _ => KeyKind::Aes256,
        }
    }

    /// Encrypts a secret encoding.
    pub(super) fn wrap(
        domain_key: &KeyBytes,
        kind: KeyKind,
        secret: &[u8],
    ) -> Result<Self, Refusal> {
        let (mut token, aad) = match kind.code() {
            Some(code) => (vec![VERSION_KIND, code], [FORMAT_KIND, &[code]].concat()),
            None => (vec![VERSION_AES], FORMAT_AES.to_vec()),
        };
        token.extend(crypto::seal(domain_key, &aad, secret)?);
        Self::from_bytes(&token).map_err(|_| Refusal::ModuleFailed)
    }

    /// Decrypts the key.
    pub(super) fn unwrap(&self, domain_key: &KeyBytes) -> Result<WorkingKey, Refusal> {
        let (aad, sealed) = match &*self.0 {
            [VERSION_KIND, kind, sealed @ ..] => ([FORMAT_KIND, &[*kind]].concat(), sealed),
            [VERSION_AES, sealed @ ..] => (FORMAT_AES.to_vec(), sealed),
            _ => return Err(Refusal::NotAuthentic),
        };
        let opened = crypto::open(domain_key, &aad, sealed)?;
        WorkingKey::load(self.kind(), opened.expose()).map_err(|_| Refusal::NotAuthentic)
    }
}
