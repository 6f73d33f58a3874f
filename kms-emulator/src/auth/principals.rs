//! The form of the file that names accounts, users and roles, and how its entries are read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::ids::AccountId;
use crate::policy::{Identity, IdentityPolicy, Principal, TrustPolicy};

/// Largest file, in bytes.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Lengths of an access key id, in bytes (IAM API: `accessKeyIdType`).
const ACCESS_KEY_ID_BYTES: std::ops::RangeInclusive<usize> = 16..=128;
/// Longest name of a user or role with its path, in bytes.
const NAME_BYTES_MAX: usize = 128;
/// Seconds that a session of a role may last: bounds, and what a role allows that does not say.
pub(crate) const SESSION_SECONDS: std::ops::RangeInclusive<u32> = 900..=43_200;
pub(crate) const SESSION_SECONDS_DEFAULT: u32 = 3_600;

/// The file: `{"credentials": [ … ], "roles": [ … ]}`.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PrincipalsFile {
    #[serde(default)]
    pub(crate) credentials: Vec<CredentialEntry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) roles: Vec<RoleEntry>,
}

/// One access key of the file. Without `userName` it is another root credential of the account.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct CredentialEntry {
    pub(crate) account_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) user_name: Option<String>,
    pub(crate) access_key_id: String,
    #[serde(with = "secret_text")]
    pub(crate) secret_access_key: Zeroizing<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) policies: Vec<serde_json::Value>,
}

/// Text in a file that nobody else reads, zeroised in memory.
pub(super) mod secret_text {
    use serde::{Deserialize, Deserializer, Serializer};
    use zeroize::Zeroizing;

    pub(crate) fn serialize<S: Serializer>(
        secret: &Zeroizing<String>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(secret)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Zeroizing<String>, D::Error> {
        String::deserialize(deserializer).map(Zeroizing::new)
    }
}

/// One role of the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct RoleEntry {
    pub(crate) account_id: String,
    pub(crate) role_name: String,
    pub(crate) trust_policy: serde_json::Value,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) policies: Vec<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_session_seconds: Option<u32>,
}

/// A role: who may take it on, and what it may do.
pub(crate) struct Role {
    pub(crate) account: AccountId,
    /// Without a path.
    pub(crate) name: String,
    pub(crate) arn: String,
    /// `AROA…`.
    pub(crate) unique_id: String,
    pub(crate) trust: TrustPolicy,
    pub(crate) policies: Vec<Arc<IdentityPolicy>>,
    pub(crate) max_session_seconds: u32,
}

/// A file of principals that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the credentials file {path} cannot be used: {reason}")]
pub struct CredentialsFileError {
    path: PathBuf,
    reason: FileProblem,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum FileProblem {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("it is larger than {FILE_BYTES_MAX} bytes")]
    TooLarge,
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    #[error("the entry of {name}: {reason}")]
    Entry { name: String, reason: String },
}

impl CredentialsFileError {
    pub(super) fn new(path: &Path, reason: FileProblem) -> Self {
        Self { path: path.to_owned(), reason }
    }
}

impl PrincipalsFile {
    /// Reads a file; nothing of its entries is checked yet.
    pub(crate) fn read(path: &Path) -> Result<Self, CredentialsFileError> {
        let problem = |reason| CredentialsFileError::new(path, reason);
        let length = std::fs::metadata(path).map_err(|error| problem(error.into()))?.len();
        if length > FILE_BYTES_MAX {
            return Err(problem(FileProblem::TooLarge));
        }
        let text = std::fs::read(path).map(Zeroizing::new);
        let text = text.map_err(|error| problem(error.into()))?;
        serde_json::from_slice(&text).map_err(|error| problem(error.into()))
    }
}

impl CredentialEntry {
    /// Whose access key it is.
    pub(super) fn principal(&self) -> Result<Principal, String> {
        let account = account(&self.account_id)?;
        let id = &self.access_key_id;
        let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !ACCESS_KEY_ID_BYTES.contains(&id.len()) || !plain {
            return Err("accessKeyId must be 16 to 128 letters and digits".to_owned());
        }
        if self.secret_access_key.is_empty() {
            return Err("secretAccessKey is empty".to_owned());
        }
        let Some(name) = &self.user_name else {
            return match self.policies.is_empty() {
                true => Ok(Principal::root(account)),
                false => Err("policies need a userName; root has none".to_owned()),
            };
        };
        check_name("userName", name)?;
        Ok(Principal {
            account,
            arn: format!("arn:aws:iam::{account}:user/{name}"),
            // AWS's is random; ours is stable from one start to the next.
            unique_id: format!("AIDA{}", id.trim_start_matches("AKIA")),
            identity: Identity::User {
                name: without_path(name),
                policies: policies(&self.policies)?,
            },
        })
    }
}

impl RoleEntry {
    /// The role.
    pub(super) fn role(&self) -> Result<Role, String> {
        let account = account(&self.account_id)?;
        check_name("roleName", &self.role_name)?;
        let arn = format!("arn:aws:iam::{account}:role/{}", self.role_name);
        let max_session_seconds = self.max_session_seconds.unwrap_or(SESSION_SECONDS_DEFAULT);
        if !SESSION_SECONDS.contains(&max_session_seconds) {
            return Err(format!(
                "maxSessionSeconds must be between {} and {}",
                SESSION_SECONDS.start(),
                SESSION_SECONDS.end()
            ));
        }
        Ok(Role {
            account,
            name: without_path(&self.role_name),
            unique_id: role_id(&arn),
            trust: TrustPolicy::parse(&self.trust_policy.to_string())
                .map_err(|error| format!("trustPolicy: {error}"))?,
            policies: policies(&self.policies)?,
            max_session_seconds,
            arn,
        })
    }
}

fn account(id: &str) -> Result<AccountId, String> {
    id.parse().map_err(|error| format!("accountId: {error}"))
}

fn check_name(member: &str, name: &str) -> Result<(), String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@-_/".contains(&b);
    let has_name = !without_path(name).is_empty() && !name.starts_with('/');
    if !has_name || name.len() > NAME_BYTES_MAX || !name.bytes().all(allowed) {
        return Err(format!("{member} has characters that IAM does not allow"));
    }
    Ok(())
}

fn without_path(name: &str) -> String {
    name.rsplit('/').next().unwrap_or_default().to_owned()
}

fn policies(documents: &[serde_json::Value]) -> Result<Vec<Arc<IdentityPolicy>>, String> {
    documents
        .iter()
        .map(|policy| IdentityPolicy::parse(&policy.to_string()).map(Arc::new))
        .collect::<Result<_, _>>()
        .map_err(|error| format!("policies: {error}"))
}

/// AWS's is random; ours follows from the ARN, so that it is stable from one start to the next.
fn role_id(arn: &str) -> String {
    use aws_lc_rs::digest::{SHA256, digest};
    let letters = super::credentials::letters(digest(&SHA256, arn.as_bytes()).as_ref());
    format!("AROA{}", letters.chars().take(16).collect::<String>())
}
