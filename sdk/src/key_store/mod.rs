//! Branch keys: keys between the KMS key and the data keys, kept wrapped in a store that many share.
//!
//! A branch key is made by the KMS and stored under the KMS key. Whoever may call `Decrypt` unwraps it
//! once and wraps many data keys with keys derived from it. A branch key has versions: the active one
//! wraps, all unwrap. Versions are never changed or deleted, so every message stays readable.
//!
//! | module | subject |
//! |---|---|
//! | [`record`] | what is stored, by the attribute names that all implementations use |
//! | [`wrapping`] | records made and opened by a KMS |
//! | `object` (feature `object-store`) | records as objects that are never overwritten, and their administration |
//!
//! A store in the layout of DynamoDB would be one more module: it puts the attributes of a
//! [`BranchKeyRecord`](record::BranchKeyRecord) into items and leaves the rest to [`wrapping`].
//!
//! Source: `framework/branch-key-store.md`.

use std::fmt;

use async_trait::async_trait;
use uuid::Uuid;

use crate::error::{BranchKeyFault, Error, Result};
use crate::message::encryption_context::EncryptionContext;
use crate::secret::SecretBytes;

#[cfg(feature = "object-store")]
pub mod object;
pub mod record;
pub mod wrapping;

pub use wrapping::{BranchKeyWrapping, KmsConfiguration};

/// Bytes in a branch key.
pub const BRANCH_KEY_BYTES: usize = 32;
/// Bytes in the binary form of a version.
pub const VERSION_BYTES: usize = 16;
/// Longest identifier of a branch key, in bytes.
pub const BRANCH_KEY_ID_BYTES_MAX: usize = 255;

/// Where branch keys come from.
#[async_trait]
pub trait BranchKeyStore: Send + Sync {
    /// The name that is bound to every branch key of this store; no other store may have it.
    fn logical_name(&self) -> &str;

    /// The version of a branch key that wraps data keys now.
    ///
    /// # Errors
    /// [`BranchKeyFault::NotFound`], what the store and the KMS return.
    async fn active_branch_key(&self, id: &BranchKeyId) -> Result<BranchKey>;

    /// One version of a branch key, active or not.
    ///
    /// # Errors
    /// As [`active_branch_key`](Self::active_branch_key).
    async fn branch_key_version(
        &self,
        id: &BranchKeyId,
        version: BranchKeyVersion,
    ) -> Result<BranchKey>;
}

/// The identifier of a branch key, for example the name of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BranchKeyId(String);

impl BranchKeyId {
    /// An identifier of 1 to [`BRANCH_KEY_ID_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// [`BranchKeyFault::Identifier`].
    pub fn new(id: impl Into<String>) -> Result<Self> {
        let id = id.into();
        if id.is_empty() || id.len() > BRANCH_KEY_ID_BYTES_MAX {
            let fault = BranchKeyFault::Identifier { bytes_max: BRANCH_KEY_ID_BYTES_MAX };
            return Err(Error::BranchKey { id, fault });
        }
        Ok(Self(id))
    }

    /// The identifier as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn error(&self, fault: BranchKeyFault) -> Error {
        Error::BranchKey { id: self.0.clone(), fault }
    }
}

impl fmt::Display for BranchKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A version of a branch key: a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BranchKeyVersion(Uuid);

impl BranchKeyVersion {
    /// The version of these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; VERSION_BYTES]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// Reads the form with hyphens, in lower case as every implementation writes it: the text is
    /// authenticated, so two spellings would be two versions.
    ///
    /// # Errors
    /// [`BranchKeyFault::Version`].
    pub fn parse(text: &str) -> Result<Self, BranchKeyFault> {
        let wrong = || BranchKeyFault::Version(text.to_owned());
        let version = Self(Uuid::try_parse(text).map_err(|_| wrong())?);
        if version.to_string() == text { Ok(version) } else { Err(wrong()) }
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; VERSION_BYTES] {
        self.0.as_bytes()
    }

    /// A random version.
    ///
    /// # Errors
    /// [`Error::Provider`] when there is no randomness.
    #[cfg(feature = "object-store")]
    fn random(provider: &dyn crate::crypto::CryptoProvider) -> Result<Self> {
        let mut bytes = [0; VERSION_BYTES];
        provider.fill_random(&mut bytes)?;
        Ok(Self(uuid::Builder::from_random_bytes(bytes).into_uuid()))
    }
}

impl fmt::Display for BranchKeyVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.hyphenated(), f)
    }
}

/// One version of a branch key, unwrapped.
pub struct BranchKey {
    id: BranchKeyId,
    version: BranchKeyVersion,
    encryption_context: EncryptionContext,
    secret: SecretBytes,
}

impl BranchKey {
    /// The branch key of these 32 bytes.
    ///
    /// # Errors
    /// [`BranchKeyFault::Length`].
    pub fn new(
        id: BranchKeyId,
        version: BranchKeyVersion,
        encryption_context: EncryptionContext,
        secret: SecretBytes,
    ) -> Result<Self> {
        if secret.len() != BRANCH_KEY_BYTES {
            return Err(id.error(BranchKeyFault::Length(secret.len())));
        }
        Ok(Self { id, version, encryption_context, secret })
    }

    /// Its identifier.
    #[must_use]
    pub fn id(&self) -> &BranchKeyId {
        &self.id
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> BranchKeyVersion {
        self.version
    }

    /// What its maker bound to it.
    #[must_use]
    pub fn encryption_context(&self) -> &EncryptionContext {
        &self.encryption_context
    }

    /// The secret, to derive from it.
    #[must_use]
    pub fn secret(&self) -> &SecretBytes {
        &self.secret
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_bounded() {
        assert!(BranchKeyId::new("x".repeat(BRANCH_KEY_ID_BYTES_MAX)).is_ok());
        for bad in [String::new(), "x".repeat(BRANCH_KEY_ID_BYTES_MAX + 1)] {
            assert!(BranchKeyId::new(bad).is_err());
        }
    }

    #[test]
    fn a_version_has_one_spelling() {
        let text = "e9ce18a3-edb5-4272-9f86-1cacb7997ff6";
        assert_eq!(BranchKeyVersion::parse(text).unwrap().to_string(), text);
        for bad in ["", &text.to_uppercase(), &text.replace('-', ""), &format!("{{{text}}}")] {
            assert!(BranchKeyVersion::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_branch_key_is_32_bytes_long() {
        let key = |length| {
            let id = BranchKeyId::new("id").unwrap();
            let version = BranchKeyVersion::from_bytes([1; 16]);
            let secret = SecretBytes::copy_of(&vec![0; length]);
            BranchKey::new(id, version, EncryptionContext::new(), secret)
        };
        assert!(key(32).is_ok() && key(31).is_err() && key(33).is_err());
    }
}
