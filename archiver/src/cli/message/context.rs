//! `--encryption-context`: what is authenticated with a message, and what is demanded of one.

use strongroom_sdk::EncryptionContext;

use super::failure::MessageFailure;
use super::pairs::{self, NotAPair};

/// What a message's encryption context must have to be decrypted.
#[derive(Clone, Debug, Default)]
pub(super) struct Requirements {
    pairs: Vec<(String, String)>,
    keys: Vec<String>,
}

/// What a message's encryption context lacks of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    /// Keys that are not there.
    pub(super) keys: Vec<String>,
    /// Pairs whose key is not there or has another value.
    pub(super) pairs: Vec<(String, String)>,
}

impl Requirements {
    /// From `NAME=VALUE` and `NAME`.
    pub(super) fn parse(arguments: &[String]) -> Result<Self, MessageFailure> {
        let mut requirements = Self::default();
        for argument in arguments {
            if argument.contains('=') {
                let (key, value) = pairs::parse(argument).map_err(MessageFailure::Context)?;
                requirements.pairs.push((key.to_owned(), value.to_owned()));
            } else if argument.is_empty() {
                return Err(MessageFailure::Context(NotAPair(String::new())));
            } else {
                requirements.keys.push(argument.clone());
            }
        }
        Ok(requirements)
    }

    /// What `context` lacks; `None` when it has everything.
    pub(super) fn missing_in(&self, context: &EncryptionContext) -> Option<Missing> {
        let keys = self.keys.iter().filter(|key| context.get(key).is_none()).cloned().collect();
        let lacks = |(key, value): &&(String, String)| context.get(key) != Some(value);
        let pairs = self.pairs.iter().filter(lacks).cloned().collect();
        let missing = Missing { keys, pairs };
        (!missing.keys.is_empty() || !missing.pairs.is_empty()).then_some(missing)
    }
}

/// `NAME`, or `NAME=VALUE`, one after the other.
impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pairs = self.pairs.iter().map(|(key, value)| format!("{key}={value}"));
        let parts: Vec<String> = self.keys.iter().cloned().chain(pairs).collect();
        f.write_str(&parts.join(", "))
    }
}

/// The encryption context of `NAME=VALUE` arguments.
pub(super) fn parse(arguments: &[String]) -> Result<EncryptionContext, MessageFailure> {
    let mut context = EncryptionContext::new();
    for argument in arguments {
        let (key, value) = pairs::parse(argument).map_err(MessageFailure::Context)?;
        context.insert(key, value).map_err(MessageFailure::ContextUnusable)?;
    }
    Ok(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requirements(arguments: &[&str]) -> Result<Requirements, MessageFailure> {
        let arguments: Vec<String> = arguments.iter().map(|&part| part.to_owned()).collect();
        Requirements::parse(&arguments)
    }

    #[test]
    fn pairs_must_be_equal_and_bare_keys_there() {
        let context = EncryptionContext::from_pairs([("a", "1"), ("b", "2")]).unwrap();
        let missing = |arguments: &[&str]| {
            requirements(arguments).unwrap().missing_in(&context).map(|missing| missing.to_string())
        };
        assert_eq!(missing(&[]), None);
        assert_eq!(missing(&["a", "b=2"]), None);
        assert_eq!(missing(&["a=2", "c", "b", "d=1"]).as_deref(), Some("c, a=2, d=1"));
        assert!(requirements(&[""]).is_err() && requirements(&["a="]).is_err());
    }

    #[test]
    fn a_context_to_write_has_pairs_each_once_and_none_of_the_format_s() {
        let parse = |arguments: &[&str]| {
            let arguments: Vec<String> = arguments.iter().map(|&part| part.to_owned()).collect();
            parse(&arguments)
        };
        assert_eq!(parse(&["a=1", "b=2=3"]).unwrap().get("b"), Some("2=3"));
        for bad in [&["a"][..], &["a=1", "a=2"], &["aws-crypto-public-key=x"]] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
