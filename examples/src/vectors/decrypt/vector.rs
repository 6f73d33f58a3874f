//! One message of a manifest, and what must become of it.

use std::path::PathBuf;

use strongroom_sdk::options::{DecryptOptions, NetV4_0_0, SignedMessages};
use strongroom_sdk::{AlgorithmSuite, CommitmentPolicy, EncryptionContext};

use crate::vectors::description::KeyDescription;
use crate::vectors::error::Result;
use crate::vectors::json::{Object, same};
use crate::vectors::manifest::Manifest;

/// Prefix of the pairs that writers add themselves.
const RESERVED_PREFIX: &str = "aws-crypto-";

/// Which program wrote the messages, where that matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writer {
    /// .NET 4.0.0, some of whose messages only its own reader accepts.
    NetV4_0_0,
    Other,
}

/// What must become of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// It opens to what is in this file.
    Plaintext(PathBuf),
    /// No surface opens it.
    Error,
}

/// A message, the keys to open it with, and what must become of it.
pub(crate) struct DecryptVector {
    pub(crate) name: String,
    pub(crate) ciphertext: PathBuf,
    pub(crate) keys: KeyDescription,
    pub(crate) options: DecryptOptions,
    pub(crate) expected: Expected,
    /// The suite of the message, where the manifest says it.
    pub(crate) suite: Option<AlgorithmSuite>,
    /// Pairs that the message authenticates.
    pub(crate) context: Vec<(String, String)>,
    pub(crate) writer: Writer,
}

impl Writer {
    /// Who wrote the messages of the manifest `root`.
    pub(crate) fn of(root: &Object<'_>) -> Result<Self> {
        let Some(client) = root.object("client")? else { return Ok(Self::Other) };
        let name = client.text("name")?.unwrap_or_default().to_lowercase();
        let version = client.get("version").and_then(|version| version.as_str());
        Ok(if name.contains("net") && version == Some("4.0.0") {
            Self::NetV4_0_0
        } else {
            Self::Other
        })
    }
}

impl DecryptVector {
    /// The vector `name`, which the manifest describes in `test`.
    pub(crate) fn parse(
        name: &str,
        test: &Object<'_>,
        manifest: &Manifest,
        version: u64,
        writer: Writer,
    ) -> Result<Self> {
        // Version 5 has everything one level deeper.
        let scenario = test.object("decryption-scenario")?;
        let fields = scenario.as_ref().unwrap_or(test);
        let context = fields.pairs("encryption-context")?.unwrap_or_default();
        Ok(Self {
            name: name.to_owned(),
            ciphertext: manifest.file(fields.required_text("ciphertext")?),
            keys: keys(fields)?,
            options: options(fields, &context)?,
            expected: expected(fields, manifest, version)?,
            suite: fields.suite(&["algorithmSuiteId", "algorithm", "algorithm-suite"])?,
            context,
            writer,
        })
    }

    /// The first expected pair that `context` does not have.
    pub(crate) fn missing_pair(&self, context: &EncryptionContext) -> Option<&str> {
        let mut pairs = self.context.iter().filter(|(key, _)| !key.starts_with(RESERVED_PREFIX));
        pairs.find(|(key, value)| context.get(key) != Some(value)).map(|(key, _)| key.as_str())
    }
}

/// The description of the keys, under one of its names.
pub(crate) fn keys(fields: &Object<'_>) -> Result<KeyDescription> {
    const NAMES: [&str; 4] =
        ["decryptKeyDescription", "keyDescription", "decryption-master-keys", "master-keys"];
    match fields.first(&NAMES) {
        Some((name, value)) => KeyDescription::parse(value, fields.place(), name),
        None => Err(fields.error("master-keys", "is missing")),
    }
}

fn options(fields: &Object<'_>, context: &[(String, String)]) -> Result<DecryptOptions> {
    // The messages are of suites with and without key commitment.
    let policy = fields.commitment_policy()?;
    let mut options = DecryptOptions {
        commitment_policy: policy.unwrap_or(CommitmentPolicy::RequireEncryptAllowDecrypt),
        ..DecryptOptions::default()
    };
    if let Some(maximum) = fields.number("max-encrypted-data-keys")? {
        options.limits.encrypted_data_keys_max = usize::try_from(maximum).unwrap_or(usize::MAX);
    }
    let requires_context =
        fields.text("cmm")?.is_some_and(|name| same(name, "RequiredEncryptionContext"));
    let reproduced = fields.pairs("reproduced-encryption-context")?;
    let reproduced = reproduced.unwrap_or_default();
    let pairs = if requires_context { context } else { &reproduced };
    for (key, value) in pairs.iter().filter(|(key, _)| !key.starts_with(RESERVED_PREFIX)) {
        let inserted = options.reproduced_context.insert(key.clone(), value.clone());
        inserted.map_err(|_| fields.error("encryption-context", "is none"))?;
    }
    options.signed_messages = signed_messages(fields)?;
    options.net_v4_0_0 = retry_policy(fields)?;
    Ok(options)
}

/// Whether messages of .NET 4.0.0 are read, where the manifest says it.
fn retry_policy(fields: &Object<'_>) -> Result<NetV4_0_0> {
    const NAMES: [&str; 2] = ["NetV4_0_0_RetryPolicy", "retry-policy"];
    let Some((name, value)) = fields.first(&NAMES) else { return Ok(NetV4_0_0::Refuse) };
    match value.as_str() {
        Some(text) if same(text, "forbid-retry") => Ok(NetV4_0_0::Refuse),
        Some(text) if same(text, "allow-retry") => Ok(NetV4_0_0::Retry),
        _ => Err(fields.error(name, "must be `forbid-retry` or `allow-retry`, if it is there")),
    }
}

fn signed_messages(fields: &Object<'_>) -> Result<SignedMessages> {
    const NAME: &str = "decryption-method";
    match fields.text(NAME)? {
        None => Ok(SignedMessages::Accept),
        Some(name) if same(name, "streaming-unsigned-only") => Ok(SignedMessages::Refuse),
        Some(name)
            if ["one-shot", "oneshot", "streaming"].iter().any(|known| same(name, known)) =>
        {
            Ok(SignedMessages::Accept)
        }
        Some(_) => Err(fields.error(NAME, "must be `streaming-unsigned-only`, if it is there")),
    }
}

/// What the manifest wants: a plaintext by reference (versions 1 and 5), or `result` with either
/// `output` or `error` in it.
fn expected(fields: &Object<'_>, manifest: &Manifest, version: u64) -> Result<Expected> {
    let kind = fields.text("type")?.unwrap_or_default();
    if kind.starts_with("negative") {
        return Ok(Expected::Error);
    }
    let plaintext = |reference: &str| Expected::Plaintext(manifest.file(reference));
    if let Some(reference) = fields.get("result").and_then(|value| value.as_str()) {
        return Ok(plaintext(reference));
    }
    let Some(result) = fields.object("result")? else {
        let missing = if version == 1 { "plaintext" } else { "result" };
        let reference = fields.text("plaintext")?;
        return reference.map(plaintext).ok_or_else(|| fields.error(missing, "is missing"));
    };
    if result.get("error").is_some() {
        return Ok(Expected::Error);
    }
    match result.get("output").map(|output| (output, output.as_str())) {
        Some((_, Some(reference))) => Ok(plaintext(reference)),
        Some((output, None)) => {
            let output = Object::of(output, result.place(), "output")?;
            Ok(plaintext(output.required_text("plaintext")?))
        }
        None => Err(result.error("output", "is missing")),
    }
}
