//! One message that a manifest asks for, and the test of it for readers.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use strongroom_sdk::materials::EncryptionRequest;
use strongroom_sdk::message::limits::FRAME_LENGTH_DEFAULT;
use strongroom_sdk::{AlgorithmSuite, CommitmentPolicy, EncryptionContext};

use super::plaintexts::PlaintextName;
use crate::vectors::description::KeyDescription;
use crate::vectors::error::Result;
use crate::vectors::json::{Object, same};

/// What must become of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// It is written, and opens.
    Opens,
    /// It cannot be written.
    NotWritten,
    /// It is written, and does not open with the keys and the context of its readers.
    DoesNotOpen,
}

/// How a message is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    Frames(u32),
    SingleBlock,
}

/// A message to write.
pub(crate) struct EncryptVector {
    pub(crate) name: String,
    pub(crate) plaintext: PlaintextName,
    pub(crate) layout: Layout,
    pub(crate) request: EncryptionRequest,
    pub(crate) keys: KeyDescription,
    pub(crate) expected: Expected,
    /// Why such a message cannot be written here.
    pub(crate) unwritable: Option<&'static str>,
    /// What readers are told of the message, without the files.
    test: Map<String, Value>,
    /// Whether the test goes into an object of its own, as in version 5.
    is_scenario: bool,
}

impl EncryptVector {
    /// The vector `name`, which the manifest describes in `test`.
    pub(crate) fn parse(name: &str, test: &Object<'_>, version: u64) -> Result<Self> {
        // Version 5, and those who generate messages to decrypt, have it one level deeper.
        let scenario = test.object("encryption-scenario")?;
        let fields = scenario.as_ref().unwrap_or(test);
        const KEYS: [&str; 3] = ["encryptKeyDescription", "keyDescription", "master-keys"];
        let (keys_name, keys_value) =
            fields.first(&KEYS).ok_or_else(|| fields.error("master-keys", "is missing"))?;
        let is_scenario = keys_name != "master-keys" || version >= 5;
        let expected = expected(fields)?;
        Ok(Self {
            name: name.to_owned(),
            plaintext: PlaintextName::parse(fields)?,
            layout: layout(fields)?,
            request: request(fields)?,
            keys: KeyDescription::parse(keys_value, fields.place(), keys_name)?,
            expected,
            unwritable: unwritable(test),
            test: if is_scenario {
                scenario_of_readers(test, fields, keys_value, expected)?
            } else {
                test_of_readers(test, fields, keys_value)?
            },
            is_scenario,
        })
    }

    /// The test of the message in the manifest for readers, which find it in the file `ciphertext`.
    pub(crate) fn test_of(&self, ciphertext: &str, plaintext: &str) -> Value {
        let mut test = self.test.clone();
        test.insert("ciphertext".to_owned(), ciphertext.into());
        let result = match self.expected {
            Expected::Opens if self.is_scenario => json!(plaintext),
            Expected::Opens => json!({ "output": { "plaintext": plaintext } }),
            _ => json!({ "error": { "error-description": "the manifest of its writer says so" } }),
        };
        // A manifest to generate messages from may say what becomes of them.
        test.entry("result").or_insert(result);
        if self.is_scenario { json!({ "decryption-scenario": test }) } else { Value::Object(test) }
    }
}

/// What a manifest may ask for and does not get.
fn unwritable(test: &Object<'_>) -> Option<&'static str> {
    let tampering = test.first(&["tampering", "tampering-method"]);
    tampering.map(|_| "messages that are tampered with cannot be written")
}

/// Whether readers have to reproduce the whole encryption context.
fn requires_context(fields: &Object<'_>) -> Result<bool> {
    Ok(fields.text("cmm")?.is_some_and(|name| same(name, "RequiredEncryptionContext")))
}

fn expected(fields: &Object<'_>) -> Result<Expected> {
    Ok(match fields.text("type")?.unwrap_or_default() {
        kind if kind.starts_with("negative-decrypt") => Expected::DoesNotOpen,
        kind if kind.starts_with("negative") => Expected::NotWritten,
        _ => Expected::Opens,
    })
}

fn layout(fields: &Object<'_>) -> Result<Layout> {
    const NAME: &str = "frame-size";
    let length = fields.number(NAME)?.unwrap_or(u64::from(FRAME_LENGTH_DEFAULT));
    match u32::try_from(length) {
        Ok(0) => Ok(Layout::SingleBlock),
        Ok(length) => Ok(Layout::Frames(length)),
        Err(_) => Err(fields.error(NAME, "must be below 2^32")),
    }
}

fn request(fields: &Object<'_>) -> Result<EncryptionRequest> {
    let suite = fields.suite(&["algorithmSuiteId", "algorithm", "algorithm-suite"])?;
    let pairs = fields.pairs("encryption-context")?.unwrap_or_default();
    let mut required_context_keys =
        BTreeSet::from_iter(fields.texts("requiredEncryptionContextKeys")?);
    if requires_context(fields)? {
        required_context_keys.extend(pairs.iter().map(|(key, _)| key.clone()));
    }
    let is_none = |_| fields.error("encryption-context", "must be an encryption context");
    Ok(EncryptionRequest {
        encryption_context: EncryptionContext::from_pairs(pairs).map_err(is_none)?,
        commitment_policy: fields.commitment_policy()?.unwrap_or_else(|| policy_for(suite)),
        suite,
        required_context_keys,
        ..EncryptionRequest::default()
    })
}

/// The policy that allows `suite`.
fn policy_for(suite: Option<AlgorithmSuite>) -> CommitmentPolicy {
    match suite {
        Some(suite) if !suite.commits() => CommitmentPolicy::ForbidEncryptAllowDecrypt,
        _ => CommitmentPolicy::default(),
    }
}

/// What readers of versions 2 to 4 are told.
fn test_of_readers(
    test: &Object<'_>,
    fields: &Object<'_>,
    keys_value: &Value,
) -> Result<Map<String, Value>> {
    let of_readers = test.get("decryption-master-keys").unwrap_or(keys_value);
    let mut told = Map::from_iter([("master-keys".to_owned(), of_readers.clone())]);
    copy(fields, &["description", "cmm"], &mut told);
    copy(test, &["description", "decryption-method", "result"], &mut told);
    // Readers of the older versions know no context; it is only told to those who need it.
    if requires_context(fields)? {
        copy(fields, &["encryption-context"], &mut told);
    }
    Ok(told)
}

/// What readers of version 5 are told.
fn scenario_of_readers(
    test: &Object<'_>,
    fields: &Object<'_>,
    keys_value: &Value,
    expected: Expected,
) -> Result<Map<String, Value>> {
    const OF_READERS: [&str; 2] = ["decryptKeyDescription", "decryption-master-keys"];
    let of_readers = fields.first(&OF_READERS).or_else(|| test.first(&OF_READERS));
    let kind = match expected {
        Expected::Opens => "positive-esdk",
        Expected::NotWritten | Expected::DoesNotOpen => "negative-decrypt-esdk",
    };
    let mut told = Map::new();
    told.insert("type".to_owned(), kind.into());
    copy(fields, &["description", "frame-size"], &mut told);
    if let Some(suite) = fields.suite(&["algorithmSuiteId", "algorithm", "algorithm-suite"])? {
        told.insert("algorithmSuiteId".to_owned(), format!("{:04x}", suite.id()).into());
    }
    let keys = of_readers.map_or(keys_value, |(_, value)| value);
    told.insert("decryptKeyDescription".to_owned(), keys.clone());
    let reproduced = fields.get("reproduced-encryption-context");
    let reproduced = reproduced.or_else(|| test.get("reproduced-encryption-context"));
    let reproduced = reproduced.cloned().unwrap_or_else(|| json!({}));
    told.insert("reproduced-encryption-context".to_owned(), reproduced);
    Ok(told)
}

fn copy(from: &Object<'_>, names: &[&str], to: &mut Map<String, Value>) {
    for name in names {
        if let Some(value) = from.get(name) {
            to.insert((*name).to_owned(), value.clone());
        }
    }
}
