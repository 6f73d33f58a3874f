//! The encryption context: authenticated, not secret, pairs of text.
//!
//! Source: `framework/structures.md#encryption-context`, `data-format/message-header.md#aad`.

use std::collections::BTreeMap;

use super::codec::{Reader, length_u16, put_field};
use super::limits::{CONTEXT_BYTES_MAX, within};
use crate::error::{Error, Fault, Region, Result};

/// The prefix of keys that belong to the format.
pub const RESERVED_PREFIX: &str = "aws-crypto-";
/// The reserved key under which a signed message carries its verification key.
pub const PUBLIC_KEY: &str = "aws-crypto-public-key";

/// Pairs of text that are authenticated with a message and handed to every wrapping key.
///
/// Kept sorted by the UTF-8 bytes of the keys, which is the order in which they are serialised.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EncryptionContext {
    pairs: BTreeMap<String, String>,
}

impl EncryptionContext {
    /// A context without pairs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The context of `pairs`.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn from_pairs<K: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self> {
        let mut context = Self::new();
        for (key, value) in pairs {
            context.insert(key, value)?;
        }
        Ok(context)
    }

    /// Adds a pair.
    ///
    /// # Errors
    /// [`Error::ContextKeyReserved`] for a key of the format's own, [`Error::ContextKeyDuplicate`],
    /// [`Error::LimitExceeded`] when the context gets longer than [`CONTEXT_BYTES_MAX`] serialised.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<String>) -> Result<()> {
        let key = key.into();
        //= client-apis/encrypt.md#encryption-context
        //# If the input encryption context contains any entries with a key beginning with this
        //# prefix, the encryption operation MUST fail.
        if key.starts_with(RESERVED_PREFIX) {
            return Err(Error::ContextKeyReserved { key });
        }
        self.insert_any(key, value.into())
    }

    /// Adds the verification key of a signed message, the one pair that the format adds itself.
    pub(crate) fn insert_public_key(&mut self, base64: String) -> Result<()> {
        self.insert_any(PUBLIC_KEY.to_owned(), base64)
    }

    /// Adds a pair whose key may be reserved.
    pub(crate) fn insert_any(&mut self, key: String, value: String) -> Result<()> {
        if self.pairs.contains_key(&key) {
            return Err(Error::ContextKeyDuplicate { key });
        }
        let added = pair_bytes(&key, &value);
        let length = self.serialized_bytes().max(2).saturating_add(added);
        within("encryption context bytes", length as u64, CONTEXT_BYTES_MAX as u64)?;
        self.pairs.insert(key, value);
        Ok(())
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.pairs.get(key).map(String::as_str)
    }

    /// The pairs, sorted by the bytes of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// How many pairs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there are no pairs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The pairs whose key `keep` accepts.
    pub(crate) fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        let kept = self.pairs.iter().filter(|(key, _)| keep(key));
        Self { pairs: kept.map(|(key, value)| (key.clone(), value.clone())).collect() }
    }

    /// Bytes that [`serialize`](Self::serialize) will make.
    fn serialized_bytes(&self) -> usize {
        if self.is_empty() {
            return 0;
        }
        let pairs = self.pairs.iter().map(|(key, value)| pair_bytes(key, value));
        pairs.fold(2, usize::saturating_add)
    }

    /// The canonical form: count, then pairs with lengths, all in two bytes; nothing when empty.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] when a field is longer than two bytes can say.
    pub fn serialize(&self) -> Result<Vec<u8>> {
        //= data-format/message-header.md#key-value-pairs
        //# When the encryption context is empty, this field MUST NOT be included in the AAD.
        //= framework/structures.md#serialization
        //# If the encryption context is empty, its serialization MUST be an empty byte sequence.
        let mut out = Vec::with_capacity(self.serialized_bytes());
        if self.is_empty() {
            return Ok(out);
        }
        //= framework/structures.md#serialization
        //# If the encryption context is not empty, its serialization MUST take the following form:
        out.extend_from_slice(&length_u16("encryption context pairs", self.len())?.to_be_bytes());
        //= framework/structures.md#key-value-pair-entries
        //# These entries MUST be sorted, by key, in ascending order according to the UTF-8 encoded
        //# binary value.
        for (key, value) in self.iter() {
            put_field(&mut out, "encryption context key bytes", key.as_bytes())?;
            put_field(&mut out, "encryption context value bytes", value.as_bytes())?;
        }
        Ok(out)
    }

    /// Reads the canonical form; `bytes` is exactly the field of the header.
    ///
    /// # Errors
    /// [`Error::Malformed`] in the header: a key twice, text that is not UTF-8, lengths that do not fit.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let mut context = Self::new();
        if bytes.is_empty() {
            return Ok(context);
        }
        let mut reader = Reader::new(bytes, Region::Header);
        context.parse_pairs(&mut reader).map_err(|error| match error {
            // The field is complete: what is missing inside it contradicts its own length.
            Error::Truncated { region } => Error::Malformed { region, fault: Fault::ContextLength },
            other => other,
        })?;
        Ok(context)
    }

    fn parse_pairs(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        let count = reader.u16()?;
        for _ in 0..count {
            let key = reader.text()?.to_owned();
            let value = reader.text()?.to_owned();
            //= framework/structures.md#key-value-pair-entries
            //# This sequence MUST NOT contain duplicate entries.
            if let Some(_previous) = self.pairs.insert(key.clone(), value) {
                return Err(reader.fault(Fault::DuplicateContextKey(key)));
            }
        }
        //= framework/structures.md#key-value-pair-count
        //# The value of this field MUST be greater than 0.
        if count == 0 || !reader.is_empty() {
            return Err(reader.fault(Fault::ContextLength));
        }
        Ok(())
    }
}

/// Serialised bytes of one pair.
fn pair_bytes(key: &str, value: &str) -> usize {
    key.len().saturating_add(value.len()).saturating_add(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    //= framework/structures.md#key-value-pair-entries
    //= type=test
    //# These entries MUST be sorted, by key, in ascending order according to the UTF-8 encoded
    //# binary value.
    #[test]
    fn pairs_are_sorted_by_bytes_and_round_trip() {
        let context =
            EncryptionContext::from_pairs([("b", "2"), ("\u{e9}", "4"), ("Z", "0"), ("a", "1")])
                .unwrap();
        let keys: Vec<_> = context.iter().map(|(key, _)| key.to_owned()).collect();
        assert_eq!(keys, ["Z", "a", "b", "\u{e9}"]);
        let bytes = context.serialize().unwrap();
        assert_eq!(EncryptionContext::parse(&bytes).unwrap(), context);
    }

    #[test]
    fn the_length_limit_holds_at_max_and_not_beyond() {
        let room = CONTEXT_BYTES_MAX - 2 - 4 - 1;
        let mut fits = EncryptionContext::new();
        fits.insert("k", "v".repeat(room)).unwrap();
        assert_eq!(fits.serialize().unwrap().len(), CONTEXT_BYTES_MAX);
        let mut one_more = EncryptionContext::new();
        let refused = one_more.insert("k", "v".repeat(room + 1)).unwrap_err();
        assert!(matches!(refused, Error::LimitExceeded { value: 65_536, .. }), "{refused}");
    }

    //= client-apis/encrypt.md#encryption-context
    //= type=test
    //# If the input encryption context contains any entries with a key beginning with this prefix,
    //# the encryption operation MUST fail.
    #[test]
    fn reserved_and_repeated_keys_are_refused() {
        let mut context = EncryptionContext::new();
        let reserved = context.insert(PUBLIC_KEY, "x").unwrap_err();
        assert!(matches!(reserved, Error::ContextKeyReserved { .. }));
        context.insert("a", "1").unwrap();
        assert!(matches!(context.insert("a", "2"), Err(Error::ContextKeyDuplicate { .. })));
    }

    //= framework/structures.md#key-value-pair-entries
    //= type=test
    //# This sequence MUST NOT contain duplicate entries.
    //= framework/structures.md#key-value-pair-count
    //= type=test
    //# The value of this field MUST be greater than 0.
    #[test]
    fn lying_lengths_and_duplicates_are_malformed() {
        for bytes in [
            &[0u8, 0][..],
            &[0, 1],
            &[0, 1, 0, 1, b'a', 0, 1],
            &[0, 1, 0, 1, b'a', 0, 0, 9],
            &[0, 2, 0, 1, b'a', 0, 0, 0, 1, b'a', 0, 0],
            &[0, 1, 0, 1, 0xff, 0, 0],
        ] {
            let error = EncryptionContext::parse(bytes).unwrap_err();
            assert!(matches!(error, Error::Malformed { .. }), "{bytes:?}: {error}");
        }
    }
}
