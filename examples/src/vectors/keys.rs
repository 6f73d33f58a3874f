//! The keys manifest: named keys, each read when a test asks for it.
//!
//! The keys are public and protect nothing; they are read as keys are all the same.
//!
//! Source: `framework/test-vectors/keys-manifest.md`; "Keys Manifest" of the test vector framework.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use strongroom_sdk::SecretBytes;
use strongroom_sdk::message::encrypted_data_key::EncryptedDataKey;

use super::error::Result;
use super::json::Object;
use super::manifest::read_json;
use super::wrapping::Obstacle;

/// All keys of a manifest.
pub(super) struct Keys {
    path: PathBuf,
    manifest: Value,
}

/// One key: its name in messages, and what it is made of.
pub(super) struct Key<'a> {
    pub(super) id: String,
    fields: Object<'a>,
}

impl Keys {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let keys = Self { path: path.to_owned(), manifest: read_json(path)? };
        keys.root()?.required_object("keys")?;
        Ok(keys)
    }

    /// The manifest as it is, for those who are to open what was encrypted.
    pub(super) fn as_json(&self) -> &Value {
        &self.manifest
    }

    /// The key `name`.
    pub(super) fn find(&self, name: &str) -> Result<Key<'_>, Obstacle> {
        let all = self.root()?.required_object("keys")?;
        let missing = || Obstacle::Fault(format!("key `{name}` is not in the keys manifest"));
        let fields = Object::of(all.get(name).ok_or_else(missing)?, all.place(), name)?;
        let id = fields.text("key-id")?.unwrap_or(name).to_owned();
        Ok(Key { id, fields })
    }

    fn root(&self) -> Result<Object<'_>> {
        Object::of_file(&self.manifest, &self.path)
    }
}

impl<'a> Key<'a> {
    /// `symmetric`, `private`, `public`, `aws-kms`, and so on.
    pub(super) fn kind(&self) -> Result<&'a str> {
        self.fields.required_text("type")
    }

    /// Whether the manifest lets the key open messages.
    pub(super) fn may_decrypt(&self) -> Result<bool> {
        Ok(self.fields.flag("decrypt")?.unwrap_or(true))
    }

    /// The bytes of `field`, decoded as `encoding` says; those of a PEM file are its text.
    pub(super) fn material(&self, field: &str) -> Result<SecretBytes> {
        let text = self.text(field)?;
        let mut bytes = match self.fields.text("encoding")?.unwrap_or("base64") {
            _ if is_pem(&text) => text.into_bytes(),
            "pem" | "utf8" | "utf-8" | "raw" => text.into_bytes(),
            "hex" => hex::decode(text.trim())
                .map_err(|_| self.fields.error(field, "must be hexadecimal"))?,
            _ => self.decoded(field, &text)?,
        };
        Ok(SecretBytes::take(&mut bytes))
    }

    /// A public key in Base64 of its DER form, which stands beside a private one, or in PEM form.
    pub(super) fn public_key(&self, field: &str) -> Result<Vec<u8>> {
        let text = self.text(field)?;
        if is_pem(&text) { Ok(text.into_bytes()) } else { self.decoded(field, &text) }
    }

    /// A field that only this kind of key has.
    pub(super) fn required_text(&self, field: &str) -> Result<&'a str> {
        self.fields.required_text(field)
    }

    pub(super) fn base64(&self, field: &str) -> Result<Option<Vec<u8>>> {
        self.fields.base64(field)
    }

    /// The wrapped data keys of static materials.
    pub(super) fn encrypted_data_keys(&self) -> Result<Vec<EncryptedDataKey>> {
        const NAME: &str = "encryptedDataKeys";
        let one = |value: &Value| {
            let fields = Object::of(value, self.fields.place(), NAME)?;
            Ok(EncryptedDataKey {
                provider_id: fields.required_text("keyProviderId")?.to_owned(),
                provider_info: fields.base64("keyProviderInfo")?.unwrap_or_default(),
                ciphertext: fields.base64("ciphertext")?.unwrap_or_default(),
            })
        };
        self.fields.list(NAME)?.iter().map(one).collect()
    }

    /// A text, or a list of its lines.
    fn text(&self, field: &str) -> Result<String> {
        match self.fields.get(field) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(Value::Array(_)) => {
                let separator = self.fields.text("line-separator")?.unwrap_or_default();
                Ok(self.fields.texts(field)?.join(separator))
            }
            Some(_) => Err(self.fields.error(field, "must be text or a list of texts")),
            None => Err(self.fields.error(field, "is missing")),
        }
    }

    fn decoded(&self, field: &str, text: &str) -> Result<Vec<u8>> {
        let text: String = text.split_whitespace().collect();
        BASE64_STANDARD.decode(text).map_err(|_| self.fields.error(field, "must be Base64"))
    }
}

fn is_pem(text: &str) -> bool {
    text.trim_start().starts_with("-----BEGIN ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn material(key: &Value) -> Result<Vec<u8>> {
        let manifest = json!({ "manifest": { "type": "keys" }, "keys": { "k": key } });
        let keys = Keys { path: "keys.json".into(), manifest };
        let Ok(key) = keys.find("k") else { panic!("the key is there") };
        Ok(key.material("material")?.expose().to_vec())
    }

    #[test]
    fn material_is_decoded_as_its_encoding_says() {
        for (encoding, text) in [("base64", json!("AQID")), ("hex", json!("010203"))] {
            let key = json!({ "encoding": encoding, "material": text });
            assert_eq!(material(&key).unwrap(), [1, 2, 3], "{encoding}");
        }
        let lines = ["-----BEGIN PUBLIC KEY-----", "AQID", "-----END PUBLIC KEY-----"];
        let key = json!({ "encoding": "pem", "line-separator": "\n", "material": lines });
        assert_eq!(material(&key).unwrap(), lines.join("\n").as_bytes());
        let error = material(&json!({ "material": "?" })).unwrap_err();
        assert_eq!(error.to_string(), "keys.json: keys: k: `material` must be Base64");
    }
}
