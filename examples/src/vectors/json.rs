//! Objects of a manifest, read liberally.
//!
//! The programs that write manifests differ in small things: hyphens, underscores or capitals between the
//! words of a field's name, numbers as text, `null` for what is absent. None of these matters here.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};
use strongroom_sdk::{AlgorithmSuite, CommitmentPolicy};

use super::error::{Error, Result};

/// A JSON object, and where it stands.
#[derive(Clone)]
pub(super) struct Object<'a> {
    fields: &'a Map<String, Value>,
    place: String,
}

impl<'a> Object<'a> {
    /// `value` as an object; `field` is its name in the object at `place`.
    pub(super) fn of(value: &'a Value, place: &str, field: &str) -> Result<Self> {
        match value {
            Value::Object(fields) => Ok(Self { fields, place: format!("{place}: {field}") }),
            _ => Err(field_error(place, field, "must be an object")),
        }
    }

    /// The whole of a file.
    pub(super) fn of_file(value: &'a Value, path: &std::path::Path) -> Result<Self> {
        let place = path.display().to_string();
        match value {
            Value::Object(fields) => Ok(Self { fields, place }),
            _ => Err(field_error(&place, "the manifest", "must be an object")),
        }
    }

    /// The fields as they are, in their order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        self.fields.iter()
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// The value of the field `name`; `null` is as good as none.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        let exact = self.fields.get(name);
        let found = exact.or_else(|| self.iter().find(|(key, _)| same(key, name)).map(|(_, v)| v));
        found.filter(|value| !value.is_null())
    }

    /// The first of several names that is there.
    pub(super) fn first<'n>(&self, names: &[&'n str]) -> Option<(&'n str, &'a Value)> {
        names.iter().find_map(|name| Some((*name, self.get(name)?)))
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.error(name, "must be text")),
        }
    }

    pub(super) fn required_text(&self, name: &str) -> Result<&'a str> {
        self.text(name)?.ok_or_else(|| self.error(name, "is missing"))
    }

    pub(super) fn object(&self, name: &str) -> Result<Option<Object<'a>>> {
        self.get(name).map(|value| Object::of(value, &self.place, name)).transpose()
    }

    pub(super) fn required_object(&self, name: &str) -> Result<Object<'a>> {
        self.object(name)?.ok_or_else(|| self.error(name, "is missing"))
    }

    /// The elements of a list; none when it is not there.
    pub(super) fn list(&self, name: &str) -> Result<&'a [Value]> {
        match self.get(name) {
            None => Ok(&[]),
            Some(Value::Array(elements)) => Ok(elements),
            Some(_) => Err(self.error(name, "must be a list")),
        }
    }

    /// A list of texts; none when it is not there.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let texts: Option<Vec<String>> = self.list(name)?.iter().map(text).collect();
        texts.ok_or_else(|| self.error(name, "must be a list of texts"))
    }

    /// A number that is not negative, or its digits as text.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>> {
        let number = |value: &Value| match value {
            Value::Number(number) => number.as_u64(),
            Value::String(digits) => digits.trim().parse().ok(),
            _ => None,
        };
        let Some(value) = self.get(name) else { return Ok(None) };
        number(value).map(Some).ok_or_else(|| self.error(name, "must be a number from 0 on"))
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(self.error(name, "must be true or false")),
        }
    }

    /// The pairs of an encryption context.
    pub(super) fn pairs(&self, name: &str) -> Result<Option<Vec<(String, String)>>> {
        let Some(object) = self.object(name)? else { return Ok(None) };
        let pair =
            |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
        let pairs: Option<Vec<(String, String)>> = object.iter().map(pair).collect();
        pairs.map(Some).ok_or_else(|| self.error(name, "must have texts as values"))
    }

    pub(super) fn base64(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let bytes = BASE64_STANDARD.decode(text).map_err(|_| self.error(name, "must be Base64"))?;
        Ok(Some(bytes))
    }

    /// An algorithm suite: four hexadecimal digits as text, or its number.
    pub(super) fn suite(&self, names: &[&str]) -> Result<Option<AlgorithmSuite>> {
        let Some((name, value)) = self.first(names) else { return Ok(None) };
        let suite = match value {
            Value::Number(number) => number.as_u64().and_then(suite_of_number),
            Value::String(text) => suite_of_text(text),
            _ => None,
        };
        suite.map(Some).ok_or_else(|| self.error(name, "must be the id of an algorithm suite"))
    }

    /// A commitment policy by its name, however its words are joined.
    pub(super) fn commitment_policy(&self) -> Result<Option<CommitmentPolicy>> {
        const NAME: &str = "commitment-policy";
        let Some(text) = self.text(NAME)? else { return Ok(None) };
        let policies = [
            CommitmentPolicy::ForbidEncryptAllowDecrypt,
            CommitmentPolicy::RequireEncryptAllowDecrypt,
            CommitmentPolicy::RequireEncryptRequireDecrypt,
        ];
        let policy = policies.into_iter().find(|policy| same(&policy.to_string(), text));
        policy.map(Some).ok_or_else(|| self.error(NAME, "must be the name of a commitment policy"))
    }

    /// That the field `name` of this object is not as it has to be.
    pub(super) fn error(&self, name: &str, problem: &'static str) -> Error {
        field_error(&self.place, name, problem)
    }
}

fn field_error(place: &str, field: &str, problem: &'static str) -> Error {
    Error::Field { place: place.to_owned(), field: field.to_owned(), problem }
}

/// Whether two names have the same words.
pub(super) fn same(a: &str, b: &str) -> bool {
    let letters = |text: &str| {
        let kept = text.chars().filter(|c| !matches!(c, '-' | '_' | ' '));
        kept.flat_map(char::to_lowercase).collect::<String>()
    };
    letters(a) == letters(b)
}

fn suite_of_text(text: &str) -> Option<AlgorithmSuite> {
    let digits = text.trim().trim_start_matches("0x").trim_start_matches("0X");
    let of_hexadecimal = u64::from_str_radix(digits, 16).ok().and_then(suite_of_number);
    // No suite's decimal digits are another suite's hexadecimal ones.
    of_hexadecimal.or_else(|| digits.parse().ok().and_then(suite_of_number))
}

fn suite_of_number(number: u64) -> Option<AlgorithmSuite> {
    AlgorithmSuite::from_id(u16::try_from(number).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_of_fields_differ_in_how_words_are_joined() {
        let value = json!({ "encryptionContext": { "a": "b" }, "frame_size": "512", "cmm": null });
        let object = Object::of(&value, "file", "test").unwrap();
        assert_eq!(object.pairs("encryption-context").unwrap().unwrap()[0].1, "b");
        assert_eq!(object.number("frame-size").unwrap(), Some(512));
        assert!(object.get("cmm").is_none());
        assert!(!same("frame-size", "frames-size"));
    }

    #[test]
    fn suites_are_hexadecimal_text_or_numbers() {
        let signed = AlgorithmSuite::Aes256GcmHkdfSha512CommitKeyEcdsaP384;
        for value in [json!("0578"), json!("0x0578"), json!("578"), json!(0x0578), json!("1400")] {
            let object = json!({ "algorithm": value });
            let object = Object::of(&object, "file", "test").unwrap();
            let suite = object.suite(&["algorithmSuiteId", "algorithm"]).unwrap();
            assert_eq!(suite, Some(signed), "{value}");
        }
        let unknown = json!({ "algorithm": "0579" });
        let error = Object::of(&unknown, "m.json", "t").unwrap().suite(&["algorithm"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "m.json: t: `algorithm` must be the id of an algorithm suite"
        );
    }

    /// The comment in [`suite_of_text`] says so.
    #[test]
    fn no_suite_id_is_ambiguous() {
        for suite in AlgorithmSuite::ALL {
            let decimal = suite.id().to_string();
            let as_hexadecimal = u64::from_str_radix(&decimal, 16).ok().and_then(suite_of_number);
            assert_eq!(as_hexadecimal, None, "{suite}");
        }
    }
}
