//! Encryption contexts: reading them, and the one encoding that is authenticated with a ciphertext.

use std::collections::BTreeMap;

use crate::protocol::{Fault, Members};

/// Longest context, in bytes of all keys and values. AWS names no figure; its SDKs stay below this.
const CONTEXT_BYTES_MAX: usize = 8 * 1024;

/// A context: pairs in the order of their keys' bytes.
#[derive(Debug, Default)]
pub(super) struct EncryptionContext(BTreeMap<String, String>);

impl EncryptionContext {
    /// Takes a context member; one that is absent is empty, as an empty one is.
    pub(super) fn read(members: &mut Members, name: &str) -> Result<Self, Fault> {
        let pairs = members.optional_string_map(name)?.unwrap_or_default();
        let bytes: usize =
            pairs.iter().map(|(key, value)| key.len().saturating_add(value.len())).sum();
        if bytes > CONTEXT_BYTES_MAX {
            members.refuse(Fault::validation(format!(
                "The encryption context is longer than {CONTEXT_BYTES_MAX} bytes"
            )));
        }
        Ok(Self(pairs))
    }

    /// The pairs, for conditions.
    pub(super) fn pairs(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// Appends the encoding: the number of pairs, then each key and value behind its length, all as
    /// 32-bit big-endian numbers. It is injective: two contexts that differ anywhere, be it only in where
    /// a key ends and its value begins, have different encodings.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        push_length(out, self.0.len());
        for text in self.0.iter().flat_map(|(key, value)| [key, value]) {
            push_length(out, text.len());
            out.extend_from_slice(text.as_bytes());
        }
    }
}

/// `read` has bounded every length far below 2^32.
fn push_length(out: &mut Vec<u8>, length: usize) {
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::TestRunner;

    fn encoded(pairs: &[(&str, &str)]) -> Vec<u8> {
        let pairs = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let mut out = Vec::new();
        EncryptionContext(pairs).encode(&mut out);
        out
    }

    #[test]
    fn shifted_boundaries_differ() {
        let contexts: &[&[(&str, &str)]] = &[
            &[],
            &[("", "")],
            &[("ab", "c")],
            &[("a", "bc")],
            &[("abc", "")],
            &[("", "abc")],
            &[("a", "b"), ("c", "")],
            &[("a", ""), ("b", "c")],
            &[("a", "b"), ("c", "d")],
            &[("a", "bcd")],
        ];
        for (i, first) in contexts.iter().enumerate() {
            for second in &contexts[i + 1..] {
                assert_ne!(encoded(first), encoded(second), "{first:?} {second:?}");
            }
        }
    }

    #[test]
    fn order_does_not_matter() {
        assert_eq!(encoded(&[("a", "1"), ("b", "2")]), encoded(&[("b", "2"), ("a", "1")]));
    }

    /// K5, over an alphabet so small that boundaries shift all the time, with the encoding's own bytes.
    #[test]
    fn unequal_contexts_have_unequal_encodings() {
        const PAIRS: u32 = 4_000;
        let text = || "[a\u{0}\u{1}]{0,3}";
        let context = || proptest::collection::btree_map(text(), text(), 0..4);
        let unequal = std::cell::Cell::new(0);
        TestRunner::new(ProptestConfig::with_cases(PAIRS))
            .run(&(context(), context()), |(first, second)| {
                let equal = first == second;
                unequal.set(unequal.get() + u32::from(!equal));
                let (mut one, mut two) = (Vec::new(), Vec::new());
                EncryptionContext(first).encode(&mut one);
                EncryptionContext(second).encode(&mut two);
                prop_assert_eq!(one == two, equal);
                Ok(())
            })
            .unwrap();
        println!("K5: {} pairs of unequal contexts, 0 collisions", unequal.get());
    }
}
