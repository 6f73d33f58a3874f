//! What a cache knows an entry by.
//!
//! The specification hashes fields with a zero byte between them. Here each field has its length before
//! it, so that no two lists of fields are hashed alike whatever is in them; and the identity also has
//! what else decides whether materials fit, the commitment policy first. Identifiers never leave the
//! process.
//!
//! Source: `framework/caching-cmm.md#appendix-a-cache-entry-identifier-formulas`,
//! `framework/aws-kms/aws-kms-hierarchical-keyring.md#appendix-a-cache-entry-identifier-formulas`.

use crate::crypto::{CryptoProvider, RunningDigest};
use crate::error::{Error, Result};
use crate::message::suite::HashAlgorithm;

/// Bytes in the identifier: a SHA-384 digest.
const ENTRY_ID_BYTES: usize = 48;

/// The identifier of one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct EntryId([u8; ENTRY_ID_BYTES]);

/// What kind of user an entry belongs to.
#[derive(Clone, Copy)]
pub(crate) enum Resource {
    /// A caching CMM.
    CachingCmm = 1,
    /// A hierarchical keyring.
    HierarchicalKeyring = 2,
}

/// What an entry is for.
#[derive(Clone, Copy)]
pub(crate) enum Scope {
    /// Writing messages.
    Encrypt = 1,
    /// Reading them.
    Decrypt = 2,
}

/// An identifier that is being made of its fields.
pub(crate) struct Identity(Box<dyn RunningDigest>);

impl Identity {
    /// Begins with what all identifiers have.
    pub(crate) fn new(
        provider: &dyn CryptoProvider,
        resource: Resource,
        scope: Scope,
        partition: &[u8],
    ) -> Self {
        let mut identity = Self(provider.digest(HashAlgorithm::Sha384));
        identity.0.update(&[resource as u8, scope as u8]);
        identity.field(partition)
    }

    /// Adds a field.
    pub(crate) fn field(mut self, bytes: &[u8]) -> Self {
        self.0.update(&(bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
        self
    }

    /// Adds any number of fields, and how many they are.
    pub(crate) fn fields<'a>(mut self, fields: impl ExactSizeIterator<Item = &'a [u8]>) -> Self {
        self.0.update(&(fields.len() as u64).to_be_bytes());
        fields.fold(self, Self::field)
    }

    /// The identifier of all fields.
    pub(crate) fn finish(self) -> Result<EntryId> {
        let wrong = |_| Error::Provider { operation: "SHA-384" };
        self.0.finish().try_into().map(EntryId).map_err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::default_provider;

    fn id(partition: &str, fields: &[&str], more: &[&str]) -> EntryId {
        let provider = default_provider();
        let part = partition.as_bytes();
        let begun = Identity::new(&*provider, Resource::CachingCmm, Scope::Encrypt, part);
        let begun = begun.fields(fields.iter().map(|field| field.as_bytes()));
        begun.fields(more.iter().map(|field| field.as_bytes())).finish().unwrap()
    }

    #[test]
    fn fields_do_not_run_into_each_other() {
        let all = [
            id("ab", &["c"], &[]),
            id("a", &["bc"], &[]),
            id("ab\0", &["c"], &[]),
            id("ab", &["c", ""], &[]),
            id("ab", &[], &["c"]),
            id("ab", &["", "c"], &[]),
            id("ab", &["c"], &[""]),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(all.iter().skip(at + 1).all(|other| other != one), "{at}");
        }
        assert_eq!(id("ab", &["c"], &[]), all[0]);
    }
}
