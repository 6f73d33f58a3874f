//! The access keys that the server knows: each account's root, and the users of a file.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use serde::Deserialize;

use super::sigv4::SigningKey;
use crate::ids::AccountId;
use crate::policy::{Identity, IdentityPolicy, Principal};
use crate::records::{RootCredential, SecretAccessKey};

/// Largest credentials file, in bytes.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Lengths of an access key id, in bytes (IAM API: `accessKeyIdType`).
const ACCESS_KEY_ID_BYTES: std::ops::RangeInclusive<usize> = 16..=128;
/// Letters of a generated access key id after its prefix.
const ACCESS_KEY_ID_RANDOM_LETTERS: usize = 16;
/// Random bytes of a generated secret; 40 characters of base64, as AWS's have.
const SECRET_RANDOM_BYTES: usize = 30;

/// An access key: its secret, whose it is, and the signing key last derived from it.
pub(super) struct Credential {
    pub(super) secret: SecretAccessKey,
    pub(super) principal: Arc<Principal>,
    pub(super) signing_key: ArcSwapOption<SigningKey>,
}

/// All access keys; does not change while the server runs.
#[derive(Default)]
pub(crate) struct Credentials {
    by_access_key_id: HashMap<String, Credential>,
}

impl Credentials {
    /// The credential of an access key id.
    pub(super) fn find(&self, access_key_id: &str) -> Option<&Credential> {
        self.by_access_key_id.get(access_key_id)
    }

    /// Adds an account's root.
    pub(crate) fn add_root(&mut self, root: &RootCredential) {
        let secret = SecretAccessKey::new(root.secret.expose().to_owned());
        let principal = Arc::new(Principal::root(root.account));
        self.insert(root.access_key_id.clone(), secret, principal);
    }

    /// Adds the accounts and users of a credentials file.
    ///
    /// # Errors
    /// `CredentialsFileError`, which names the file and the entry.
    pub(crate) fn add_file(&mut self, path: &Path) -> Result<(), CredentialsFileError> {
        let problem = |reason| CredentialsFileError { path: path.to_owned(), reason };
        let length = std::fs::metadata(path).map_err(|error| problem(error.into()))?.len();
        if length > FILE_BYTES_MAX {
            return Err(problem(FileProblem::TooLarge));
        }
        let text = std::fs::read(path).map_err(|error| problem(error.into()))?;
        let file: CredentialsFile =
            serde_json::from_slice(&text).map_err(|error| problem(error.into()))?;
        for entry in file.credentials {
            let id = entry.access_key_id.clone();
            self.add_entry(entry)
                .map_err(|reason| problem(FileProblem::Entry { access_key_id: id, reason }))?;
        }
        Ok(())
    }

    fn add_entry(&mut self, entry: Entry) -> Result<(), String> {
        let account: AccountId = entry.account_id.parse().map_err(|e| format!("accountId: {e}"))?;
        let id = entry.access_key_id;
        let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !ACCESS_KEY_ID_BYTES.contains(&id.len()) || !plain {
            return Err("accessKeyId must be 16 to 128 letters and digits".to_owned());
        }
        if self.by_access_key_id.contains_key(&id) {
            return Err("accessKeyId is given twice".to_owned());
        }
        if entry.secret_access_key.is_empty() {
            return Err("secretAccessKey is empty".to_owned());
        }
        let secret = SecretAccessKey::new(entry.secret_access_key);
        let principal = match entry.user_name {
            None if entry.policies.is_empty() => Principal::root(account),
            None => return Err("policies need a userName; root has none".to_owned()),
            Some(name) => user(account, &name, &entry.policies, &id)?,
        };
        self.insert(id, secret, Arc::new(principal));
        Ok(())
    }

    fn insert(&mut self, id: String, secret: SecretAccessKey, principal: Arc<Principal>) {
        let credential = Credential { secret, principal, signing_key: ArcSwapOption::empty() };
        self.by_access_key_id.insert(id, credential);
    }
}

fn user(
    account: AccountId,
    name: &str,
    policies: &[serde_json::Value],
    access_key_id: &str,
) -> Result<Principal, String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@-_/".contains(&b);
    if name.is_empty() || name.len() > 128 || !name.bytes().all(allowed) {
        return Err("userName has characters that IAM does not allow".to_owned());
    }
    let policies = policies
        .iter()
        .map(|policy| IdentityPolicy::parse(&policy.to_string()).map(Arc::new))
        .collect::<Result<_, _>>()
        .map_err(|error| format!("policies: {error}"))?;
    Ok(Principal {
        account,
        arn: format!("arn:aws:iam::{account}:user/{name}"),
        // AWS's is random; ours is stable from one start to the next.
        unique_id: format!("AIDA{}", access_key_id.trim_start_matches("AKIA")),
        identity: Identity::User {
            name: name.rsplit('/').next().unwrap_or_default().to_owned(),
            policies,
        },
    })
}

/// Makes an account's root credential.
///
/// # Errors
/// When the operating system has no randomness.
pub(crate) fn generate_root_credential(
    account: AccountId,
) -> Result<RootCredential, aws_lc_rs::error::Unspecified> {
    use base64::Engine;
    /// RFC 4648 base32.
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut letters = [0_u8; ACCESS_KEY_ID_RANDOM_LETTERS];
    aws_lc_rs::rand::fill(&mut letters)?;
    let letters = letters.iter().filter_map(|byte| LETTERS.get(usize::from(byte % 32)));
    let access_key_id = format!("AKIA{}", letters.map(|l| char::from(*l)).collect::<String>());
    let mut secret = zeroize::Zeroizing::new([0_u8; SECRET_RANDOM_BYTES]);
    aws_lc_rs::rand::fill(secret.as_mut())?;
    let secret = base64::engine::general_purpose::STANDARD.encode(secret.as_ref());
    Ok(RootCredential { account, access_key_id, secret: SecretAccessKey::new(secret) })
}

/// The credentials file: `{"credentials": [ … ]}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialsFile {
    credentials: Vec<Entry>,
}

/// One access key of the file. Without `userName` it is another root credential of the account.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Entry {
    account_id: String,
    #[serde(default)]
    user_name: Option<String>,
    access_key_id: String,
    secret_access_key: String,
    #[serde(default)]
    policies: Vec<serde_json::Value>,
}

/// A credentials file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the credentials file {path} cannot be used: {reason}")]
pub struct CredentialsFileError {
    path: PathBuf,
    reason: FileProblem,
}

#[derive(Debug, thiserror::Error)]
enum FileProblem {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("it is larger than {FILE_BYTES_MAX} bytes")]
    TooLarge,
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    #[error("the entry of {access_key_id}: {reason}")]
    Entry { access_key_id: String, reason: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Credentials, CredentialsFileError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let mut credentials = Credentials::default();
        credentials.add_file(file.path()).map(|()| credentials)
    }

    #[test]
    fn users_and_roots() {
        let credentials = load(
            r#"{"credentials":[
                {"accountId":"111122223333","accessKeyId":"AKIAROOT000000000001","secretAccessKey":"s"},
                {"accountId":"111122223333","userName":"alice","accessKeyId":"AKIAALICE00000000001",
                 "secretAccessKey":"s","policies":[{"Version":"2012-10-17","Statement":
                    {"Effect":"Allow","Action":"kms:*","Resource":"*"}}]}]}"#,
        )
        .unwrap();
        assert!(credentials.find("AKIAROOT000000000001").unwrap().principal.is_root());
        let alice = &credentials.find("AKIAALICE00000000001").unwrap().principal;
        assert_eq!(alice.arn, "arn:aws:iam::111122223333:user/alice");
    }

    #[test]
    fn the_culprit_is_named() {
        for (text, culprit) in [
            ("{}", "credentials"),
            (
                r#"{"credentials":[{"accountId":"1","accessKeyId":"AKIAROOT000000000001","secretAccessKey":"s"}]}"#,
                "accountId",
            ),
            (
                r#"{"credentials":[{"accountId":"111122223333","accessKeyId":"x","secretAccessKey":"s"}]}"#,
                "accessKeyId",
            ),
            (
                r#"{"credentials":[{"accountId":"111122223333","userName":"a","accessKeyId":"AKIAROOT000000000001",
                   "secretAccessKey":"s","policies":[{}]}]}"#,
                "policies",
            ),
        ] {
            let message = load(text).err().unwrap().to_string();
            assert!(message.contains(culprit), "{message}");
        }
    }

    #[test]
    fn generated_credentials_look_like_those_of_aws() {
        let root = generate_root_credential("000000000000".parse().unwrap()).unwrap();
        assert_eq!((root.access_key_id.len(), root.secret.expose().len()), (20, 40));
    }
}
