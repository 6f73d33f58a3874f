//! Accounts, users and roles of a server, as its operator makes them: a file in the data directory, which
//! a running server reads again when it is told to.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::admin::{self, AdminError, AdminRequest};
use crate::auth::{
    CredentialEntry, Credentials, CredentialsFileError, PrincipalsFile, RoleEntry, new_access_key,
};
use crate::ids::AccountId;

/// The file in the data directory.
const FILE_NAME: &str = "principals.json";
/// Held while the file is changed.
const LOCK: &str = "principals.lock";

/// What an operator does to a user, a role or an account.
#[derive(Clone, Debug)]
pub enum Change {
    /// Makes an access key of a user, and with the first one the user; its identity policies replace those
    /// that it had.
    AddUser {
        /// The user's account.
        account: AccountId,
        /// The user's name, with a path or without.
        name: String,
        /// Identity policies.
        policies: Vec<Value>,
    },
    /// Removes a user with all its access keys.
    RemoveUser {
        /// The user's account.
        account: AccountId,
        /// The user's name.
        name: String,
    },
    /// Makes an access key of an account's root.
    AddAccount {
        /// The account.
        account: AccountId,
    },
    /// Makes a role, or replaces the one of its name.
    PutRole {
        /// The role's account.
        account: AccountId,
        /// The role's name, with a path or without.
        name: String,
        /// Who may take it on.
        trust_policy: Value,
        /// Identity policies.
        policies: Vec<Value>,
        /// Longest session, in seconds; an hour if nothing is said.
        max_session_seconds: Option<u32>,
    },
    /// Removes a role; its sessions are over.
    RemoveRole {
        /// The role's account.
        account: AccountId,
        /// The role's name.
        name: String,
    },
}

/// A new access key; its secret is shown once.
pub struct NewAccessKey {
    /// The access key id.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: Zeroizing<String>,
}

/// One line of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// `arn:aws:iam::…:root`, `…:user/…` or `…:role/…`.
    pub arn: String,
    /// None of a role.
    pub access_key_id: Option<String>,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrincipalsError {
    /// The file cannot be read, or holds what is none of its form.
    #[error(transparent)]
    File(#[from] CredentialsFileError),
    /// The file cannot be locked or written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// There is no such user or role.
    #[error("there is no {0}")]
    NotFound(String),
    /// The operating system gives no randomness.
    #[error("the operating system gives no randomness")]
    Randomness,
    /// The file is changed, and the server that runs did not read it.
    #[error("the change is written, but the server did not take it over: {0}")]
    Server(AdminError),
}

/// Changes the principals of a data directory, and tells the server that runs on it, if one does.
///
/// # Errors
/// See [`PrincipalsError`].
pub async fn change(dir: &Path, change: Change) -> Result<Option<NewAccessKey>, PrincipalsError> {
    let made = write_change(dir, change)?;
    match admin::ask(dir, &AdminRequest::ReloadPrincipals).await {
        Ok(_) | Err(AdminError::NoServer { .. }) => Ok(made),
        Err(error) => Err(PrincipalsError::Server(error)),
    }
}

/// Every access key and role of a data directory's file.
///
/// # Errors
/// See [`PrincipalsError`].
pub fn list(dir: &Path) -> Result<Vec<Listed>, PrincipalsError> {
    let file = read(&path_in(dir))?;
    let credentials = file.credentials.into_iter().map(|entry| Listed {
        arn: match &entry.user_name {
            None => format!("arn:aws:iam::{}:root", entry.account_id),
            Some(name) => format!("arn:aws:iam::{}:user/{name}", entry.account_id),
        },
        access_key_id: Some(entry.access_key_id),
    });
    let roles = file.roles.into_iter().map(|entry| Listed {
        arn: format!("arn:aws:iam::{}:role/{}", entry.account_id, entry.role_name),
        access_key_id: None,
    });
    Ok(credentials.chain(roles).collect())
}

/// The file of a data directory, if there is one.
pub(crate) fn file_in(dir: &Path) -> Option<PathBuf> {
    Some(path_in(dir)).filter(|path| path.exists())
}

fn path_in(dir: &Path) -> PathBuf {
    dir.join(FILE_NAME)
}

fn read(path: &Path) -> Result<PrincipalsFile, PrincipalsError> {
    if path.exists() { Ok(PrincipalsFile::read(path)?) } else { Ok(PrincipalsFile::default()) }
}

fn write_change(dir: &Path, change: Change) -> Result<Option<NewAccessKey>, PrincipalsError> {
    let path = path_in(dir);
    let unwritable = |source| PrincipalsError::Write { path: path.clone(), source };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(unwritable)?;
    let lock = dir.join(LOCK);
    let lock = private().create(true).truncate(false).open(&lock).map_err(unwritable)?;
    flock(&lock, FlockOperation::LockExclusive).map_err(|errno| unwritable(errno.into()))?;
    let mut file = read(&path)?;
    let made = apply(&mut file, change)?;
    let text = serde_json::to_vec_pretty(&file).map(Zeroizing::new);
    let text =
        text.map_err(|error| unwritable(std::io::Error::new(ErrorKind::InvalidData, error)))?;
    let new = dir.join(format!("{FILE_NAME}.new"));
    let write = || {
        let mut file = private().create(true).truncate(true).open(&new)?;
        file.write_all(&text)?;
        file.sync_all()
    };
    write().map_err(unwritable)?;
    // What a server would refuse to start with never takes the file's place.
    if let Err(error) = Credentials::default().add_file(&new) {
        drop(fs::remove_file(&new));
        return Err(error.into());
    }
    let replace = || {
        fs::rename(&new, &path)?;
        File::open(dir)?.sync_all()
    };
    replace().map_err(unwritable)?;
    Ok(made)
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

fn apply(
    file: &mut PrincipalsFile,
    change: Change,
) -> Result<Option<NewAccessKey>, PrincipalsError> {
    match change {
        Change::AddAccount { account } => add_key(file, account, None, Vec::new()).map(Some),
        Change::AddUser { account, name, policies } => {
            let account_id = account.to_string();
            let is_user = |entry: &&mut CredentialEntry| {
                entry.account_id == account_id && entry.user_name.as_deref() == Some(&name)
            };
            for entry in file.credentials.iter_mut().filter(is_user) {
                entry.policies.clone_from(&policies);
            }
            add_key(file, account, Some(name), policies).map(Some)
        }
        Change::RemoveUser { account, name } => {
            let account_id = account.to_string();
            let before = file.credentials.len();
            file.credentials.retain(|entry| {
                entry.account_id != account_id || entry.user_name.as_deref() != Some(&name)
            });
            if file.credentials.len() == before {
                return Err(PrincipalsError::NotFound(format!("user {name} in account {account}")));
            }
            Ok(None)
        }
        Change::PutRole { account, name, trust_policy, policies, max_session_seconds } => {
            let account_id = account.to_string();
            remove_role(file, &account_id, &name);
            file.roles.push(RoleEntry {
                account_id,
                role_name: name,
                trust_policy,
                policies,
                max_session_seconds,
            });
            Ok(None)
        }
        Change::RemoveRole { account, name } => {
            if !remove_role(file, &account.to_string(), &name) {
                return Err(PrincipalsError::NotFound(format!("role {name} in account {account}")));
            }
            Ok(None)
        }
    }
}

fn add_key(
    file: &mut PrincipalsFile,
    account: AccountId,
    user_name: Option<String>,
    policies: Vec<Value>,
) -> Result<NewAccessKey, PrincipalsError> {
    let (access_key_id, secret) =
        new_access_key("AKIA").map_err(|_| PrincipalsError::Randomness)?;
    let secret_access_key = Zeroizing::new(secret.expose().to_owned());
    file.credentials.push(CredentialEntry {
        account_id: account.to_string(),
        user_name,
        access_key_id: access_key_id.clone(),
        secret_access_key: secret_access_key.clone(),
        policies,
    });
    Ok(NewAccessKey { access_key_id, secret_access_key })
}

/// Whether there was one.
fn remove_role(file: &mut PrincipalsFile, account_id: &str, name: &str) -> bool {
    let before = file.roles.len();
    file.roles.retain(|role| role.account_id != account_id || role.role_name != name);
    file.roles.len() != before
}
