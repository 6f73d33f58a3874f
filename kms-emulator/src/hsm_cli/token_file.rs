//! The files of tokens that are signed outside the HSM, in the JSON of CloudHSM CLI.
//!
//! A token to be signed is a SHA-256 digest, which `openssl pkeyutl -sign -pkeyopt digest:sha256` signs.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use strongroom_hsm::SecondFactorKey;
use strongroom_hsm::certificates::public_key_from_pem;
use strongroom_hsm::wire::Signature;

use super::CliError;

/// The version of the files' form.
pub(super) const VERSION: &str = "2.0";
/// Longest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 256 * 1_024;

/// Tokens that one user signs: at login, or to register a key.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct OwnTokens {
    pub(super) version: String,
    pub(super) tokens: Vec<OwnToken>,
}

/// One of them.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct OwnToken {
    /// What the digest is of, of a registration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) approval_data: Option<String>,
    pub(super) unsigned: String,
    pub(super) signed: String,
}

/// A token of each HSM that several officers approve.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct QuorumTokens {
    pub(super) version: String,
    /// The tokens of the HSMs.
    pub(super) approval_data: String,
    /// Their digest.
    pub(super) token: String,
    pub(super) signatures: Vec<Approval>,
}

/// One officer's approval.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Approval {
    pub(super) username: String,
    pub(super) signature: String,
}

impl OwnTokens {
    /// To be signed: a digest of each HSM.
    pub(super) fn of(digests: &[[u8; 32]]) -> Self {
        let token = |digest: &[u8; 32]| OwnToken {
            approval_data: None,
            unsigned: STANDARD.encode(digest),
            signed: String::new(),
        };
        Self { version: VERSION.to_owned(), tokens: digests.iter().map(token).collect() }
    }

    /// The signatures over `digests`, in their order.
    pub(super) fn signatures(
        &self,
        digests: &[[u8; 32]],
        path: &Path,
    ) -> Result<Vec<Signature>, CliError> {
        let wrong = |what: String| CliError::TokenFile { path: path.to_owned(), what };
        let mut signatures = Vec::with_capacity(digests.len());
        for digest in digests {
            let unsigned = STANDARD.encode(digest);
            let token = self.tokens.iter().find(|token| token.unsigned == unsigned);
            let token = token.ok_or_else(|| wrong(format!("it lacks the token {unsigned}")))?;
            if token.signed.is_empty() {
                return Err(wrong(format!("the token {unsigned} is not signed")));
            }
            signatures.push(signature(&token.signed, path)?);
        }
        Ok(signatures)
    }
}

/// A signature in Base64.
pub(super) fn signature(text: &str, path: &Path) -> Result<Signature, CliError> {
    let wrong = |what: &str| CliError::TokenFile { path: path.to_owned(), what: what.to_owned() };
    let bytes = base64(text, path)?;
    Signature::new(bytes).map_err(|_| wrong("a signature in it is too long"))
}

/// Bytes in Base64.
pub(super) fn base64(text: &str, path: &Path) -> Result<Vec<u8>, CliError> {
    STANDARD.decode(text.trim()).map_err(|error| CliError::TokenFile {
        path: path.to_owned(),
        what: format!("it holds what is not Base64: {error}"),
    })
}

/// Reads a file of tokens.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, CliError> {
    let wrong = |what: String| CliError::TokenFile { path: path.to_owned(), what };
    let tokens: Value =
        serde_json::from_slice(&bytes(path)?).map_err(|error| wrong(error.to_string()))?;
    match tokens.get("version").and_then(Value::as_str) {
        Some(VERSION) => {}
        Some(other) => return Err(wrong(format!("its version is {other}, not {VERSION}"))),
        None => return Err(wrong("it has no version".to_owned())),
    }
    serde_json::from_value(tokens).map_err(|error| wrong(error.to_string()))
}

/// Writes a file of tokens.
pub(super) fn write(path: &Path, tokens: &impl Serialize) -> Result<(), CliError> {
    let fault = |source| CliError::File { action: "write", path: path.to_owned(), source };
    let text = serde_json::to_string_pretty(tokens).map_err(|error| fault(error.into()))?;
    std::fs::write(path, text + "\n").map_err(fault)
}

/// Reads a public key in PEM.
pub(super) fn public_key(path: &Path) -> Result<SecondFactorKey, CliError> {
    let wrong = |what: String| CliError::TokenFile { path: path.to_owned(), what };
    let key = public_key_from_pem(&bytes(path)?).map_err(|fault| wrong(fault.to_string()))?;
    SecondFactorKey::new(key.to_vec()).map_err(|_| wrong("the key is too long".to_owned()))
}

fn bytes(path: &Path) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes));
    read.map_err(|source| CliError::File { action: "read", path: path.to_owned(), source })?;
    Ok(bytes)
}
