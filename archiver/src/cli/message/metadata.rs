//! One line of JSON for each message, in the form that the official command line writes.
//!
//! Members stand in alphabetical order, and bytes in Base64. Source: `MetadataWriter` of
//! `aws-encryption-sdk-cli` 4.3, compared member by member in `tests/behaviour`.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};
use strongroom_sdk::message::encrypted_data_key::EncryptedDataKey;
use strongroom_sdk::message::encryption_context::EncryptionContext;
use strongroom_sdk::message::header::{Content, Header, HeaderFields, Unverified};
use strongroom_sdk::message::suite::{IV_BYTES, MessageVersion};

use super::arguments::Metadata;
use super::context::Missing;
use super::mode::Mode;
use super::paths::{STANDARD, same_as_standard};
use super::suite_name::SuiteName;

/// The type of every message: customer authenticated encrypted data.
const MESSAGE_TYPE: u8 = 128;

/// Where the lines go.
pub(super) struct MetadataLog {
    out: Option<Box<dyn Write + Send>>,
}

impl MetadataLog {
    /// Opens what the options name, to append to it or to replace what it holds.
    pub(super) fn open(options: &Metadata) -> io::Result<Self> {
        let out: Option<Box<dyn Write + Send>> = match &options.metadata_output {
            None => None,
            Some(path) if same_as_standard(path) => Some(Box::new(io::stdout())),
            Some(path) => Some(Box::new(open(path, options.overwrite_metadata)?)),
        };
        Ok(Self { out })
    }

    /// Writes one line, all of it at once.
    pub(super) fn write(&mut self, record: &Value) -> io::Result<()> {
        let Some(out) = &mut self.out else { return Ok(()) };
        out.write_all(format!("{record}\n").as_bytes())?;
        out.flush()
    }
}

fn open(path: &Path, replace: bool) -> io::Result<File> {
    let mut options = File::options();
    options.create(true);
    if replace {
        options.write(true).truncate(true)
    } else {
        options.append(true)
    };
    options.open(path)
}

/// What is said about one message.
pub(super) struct Record<'a> {
    pub(super) mode: Mode,
    pub(super) input: &'a Path,
    pub(super) output: &'a Path,
    pub(super) header: HeaderOf<'a>,
    /// Pairs for want of which the message was not decrypted.
    pub(super) missing: Option<&'a Missing>,
}

/// The header of the message.
#[derive(Clone, Copy)]
pub(super) enum HeaderOf<'a> {
    /// One that was written, whose tag the official program does not know.
    Written(&'a HeaderFields),
    /// One that was read.
    Read(&'a Header<Unverified>),
}

impl Record<'_> {
    /// The line's content.
    pub(super) fn to_json(&self) -> Value {
        let mut record = Map::new();
        match self.header {
            HeaderOf::Written(fields) => {
                record.insert("header".to_owned(), header_members(fields));
            }
            HeaderOf::Read(header) => {
                let fields = header_members(header.unverified_fields());
                record.insert("header".to_owned(), fields);
                let iv = BASE64_STANDARD.encode(header.authentication_iv());
                let tag = BASE64_STANDARD.encode(header.authentication_tag());
                record.insert("header_auth".to_owned(), json!({ "iv": iv, "tag": tag }));
            }
        }
        record.insert("input".to_owned(), name(self.input, "<stdin>").into());
        if let Some(missing) = self.missing {
            record.insert("missing_encryption_context_keys".to_owned(), json!(missing.keys));
            record.insert("missing_encryption_context_pairs".to_owned(), json!(missing.pairs));
        }
        record.insert("mode".to_owned(), self.mode.name().into());
        record.insert("output".to_owned(), name(self.output, "<stdout>").into());
        if self.missing.is_some() {
            record.insert("reason".to_owned(), "Missing encryption context key or value".into());
            record.insert("skipped".to_owned(), true.into());
        }
        Value::Object(record)
    }
}

fn header_members(fields: &HeaderFields) -> Value {
    let version = fields.suite.version();
    let first = version == MessageVersion::V1;
    let (content_type, frame_length) = match fields.content {
        Content::SingleBlock => (1, 0),
        Content::Framed(length) => (2, length),
    };
    let keys = &fields.encrypted_data_keys;
    json!({
        "algorithm": SuiteName(fields.suite).as_str(),
        "commitment_key": fields.key_commitment.map(|bytes| BASE64_STANDARD.encode(bytes)),
        "content_type": content_type,
        "encrypted_data_keys": sorted(keys).into_iter().map(key_members).collect::<Vec<_>>(),
        "encryption_context": context_members(&fields.encryption_context),
        "frame_length": frame_length,
        "header_iv_length": first.then_some(IV_BYTES),
        "message_id": BASE64_STANDARD.encode(fields.message_id.as_bytes()),
        "type": first.then_some(MESSAGE_TYPE),
        "version": format!("{}.0", version.byte()),
    })
}

/// By provider id and information, not as they stand in the header.
fn sorted(keys: &[EncryptedDataKey]) -> Vec<&EncryptedDataKey> {
    let mut keys: Vec<_> = keys.iter().collect();
    keys.sort_by_key(|key| [key.provider_id.as_bytes(), &key.provider_info].concat());
    keys
}

fn key_members(key: &EncryptedDataKey) -> Value {
    json!({
        "encrypted_data_key": BASE64_STANDARD.encode(&key.ciphertext),
        "key_provider": {
            "key_info": BASE64_STANDARD.encode(&key.provider_info),
            "provider_id": BASE64_STANDARD.encode(&key.provider_id),
        },
    })
}

fn context_members(context: &EncryptionContext) -> Value {
    context
        .iter()
        .map(|(key, value)| (key.to_owned(), Value::from(value)))
        .collect::<Map<_, _>>()
        .into()
}

/// The full path, or what stands for a standard stream.
fn name(path: &Path, standard: &str) -> String {
    if path == Path::new(STANDARD) {
        return standard.to_owned();
    }
    let full = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    full.to_string_lossy().into_owned()
}
