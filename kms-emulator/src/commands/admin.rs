//! `strongroom-kms admin`: accounts, users and roles of a server.

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use strongroom_kms::ids::AccountId;
use strongroom_kms::principals::{self, Change, NewAccessKey};

/// Options of `admin`.
#[derive(Debug, Args)]
pub(crate) struct Admin {
    /// Directory of the server's state; a server that runs on it takes changes over at once
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,

    #[command(subcommand)]
    subject: Subject,
}

#[derive(Debug, Subcommand)]
enum Subject {
    /// Accounts, by access keys of their roots
    #[command(subcommand)]
    Account(AccountAction),
    /// Users
    #[command(subcommand)]
    User(UserAction),
    /// Roles, for AssumeRole
    #[command(subcommand)]
    Role(RoleAction),
    /// List access keys and roles
    List,
}

#[derive(Debug, Subcommand)]
enum AccountAction {
    /// Make an access key of the account's root; shown once
    Add {
        /// Twelve digits
        account: AccountId,
    },
}

#[derive(Debug, Subcommand)]
enum UserAction {
    /// Make a user, or another access key of one; shown once
    Add {
        #[command(flatten)]
        name: Name,
        /// File with an identity policy; may be repeated
        #[arg(long, value_name = "FILE")]
        policy: Vec<PathBuf>,
    },
    /// Remove a user with all its access keys
    Remove {
        #[command(flatten)]
        name: Name,
    },
}

#[derive(Debug, Subcommand)]
enum RoleAction {
    /// Make a role, or replace the one of that name
    Put {
        #[command(flatten)]
        name: Name,
        /// File with the trust policy: who may take the role on
        #[arg(long, value_name = "FILE")]
        trust: PathBuf,
        /// File with an identity policy; may be repeated
        #[arg(long, value_name = "FILE")]
        policy: Vec<PathBuf>,
        /// Longest session, in seconds: 900 to 43200
        #[arg(long, value_name = "SECONDS")]
        max_session: Option<u32>,
    },
    /// Remove a role; its sessions are over
    Remove {
        #[command(flatten)]
        name: Name,
    },
}

/// Whose name it is.
#[derive(Debug, Args)]
struct Name {
    /// Name, with a path or without
    name: String,

    /// Account, twelve digits
    #[arg(long, value_name = "ID", default_value = "000000000000")]
    account: AccountId,
}

impl Admin {
    pub(crate) fn run(self) -> Result<(), Box<dyn Error>> {
        let change = match self.subject {
            Subject::List => return list(&self.data_dir),
            Subject::Account(AccountAction::Add { account }) => Change::AddAccount { account },
            Subject::User(UserAction::Add { name: Name { name, account }, policy }) => {
                Change::AddUser { account, name, policies: read_all(&policy)? }
            }
            Subject::User(UserAction::Remove { name: Name { name, account } }) => {
                Change::RemoveUser { account, name }
            }
            Subject::Role(RoleAction::Put { name, trust, policy, max_session }) => {
                Change::PutRole {
                    account: name.account,
                    name: name.name,
                    trust_policy: read(&trust)?,
                    policies: read_all(&policy)?,
                    max_session_seconds: max_session,
                }
            }
            Subject::Role(RoleAction::Remove { name: Name { name, account } }) => {
                Change::RemoveRole { account, name }
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        if let Some(made) = runtime.block_on(principals::change(&self.data_dir, change))? {
            show(&made)?;
        }
        Ok(())
    }
}

fn list(data_dir: &Path) -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    for listed in principals::list(data_dir)? {
        writeln!(out, "{}\t{}", listed.arn, listed.access_key_id.unwrap_or_default())?;
    }
    Ok(())
}

fn show(made: &NewAccessKey) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "export AWS_ACCESS_KEY_ID={}", made.access_key_id)?;
    writeln!(out, "export AWS_SECRET_ACCESS_KEY={}", made.secret_access_key.as_str())
}

fn read_all(paths: &[PathBuf]) -> Result<Vec<serde_json::Value>, Box<dyn Error>> {
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Result<serde_json::Value, Box<dyn Error>> {
    let text = std::fs::read(path)
        .map_err(|error| format!("cannot read the policy {}: {error}", path.display()))?;
    serde_json::from_slice(&text)
        .map_err(|error| format!("the policy {} is no JSON: {error}", path.display()).into())
}
