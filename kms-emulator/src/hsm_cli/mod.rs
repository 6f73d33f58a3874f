//! The newer command line of a cluster, CloudHSM CLI: one command each, on every HSM of the configuration,
//! answered in JSON.
//!
//! | module | subject |
//! |---|---|
//! | `session` | connections to all HSMs, logged in as one user |
//! | `users`, `keys`, `cluster`, `quorum`, `second_factor` | what the commands do |
//! | `token_file` | the files of tokens that are signed outside |
//!
//! Every answer is `{ "error_code": 0, "data": … }`, or `1` with a sentence.

mod cluster;
mod keys;
mod quorum;
mod second_factor;
mod session;
mod token_file;
mod users;

pub use quorum::TokenService;
pub use session::{Login, Session};
pub use users::UserOf;

use std::io;
use std::path::PathBuf;

use serde_json::{Value, json};
use strongroom_hsm::{HsmError, Refusal};

use crate::mgmt::MgmtError;

/// Why a command did not succeed on every HSM.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CliError {
    /// The configuration, or a file that it names, cannot be used.
    #[error(transparent)]
    Configuration(#[from] MgmtError),
    /// An HSM refused or does not answer. Those before it in the configuration have done it.
    #[error("HSM {hsm}: {source}")]
    Hsm {
        /// As the configuration calls it.
        hsm: String,
        /// What it said.
        source: HsmError,
    },
    /// The operation needs the approvals of other officers.
    #[error("Quorum approval is required for this operation")]
    QuorumRequired,
    /// The command needs a login.
    #[error(
        "log in first: with login in interactive mode, or set CLOUDHSM_ROLE to admin or crypto-user and \
         CLOUDHSM_PIN to USER:PASSWORD"
    )]
    NotLoggedIn,
    /// Somebody is logged in.
    #[error("{0} is logged in: log out first")]
    LoggedIn(String),
    /// `CLOUDHSM_ROLE` or `CLOUDHSM_PIN` is not in form.
    #[error("{0}")]
    Login(&'static str),
    /// A file of tokens or of a key is not what it should be.
    #[error("{} cannot be used: {what}", path.display())]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A file of tokens or of a key cannot be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The configuration names more HSMs than a cluster has.
    #[error("the configuration names more HSMs than a cluster has")]
    TooManyHsms,
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    NoRandomness,
    /// A new password would take the user's second factor away, and nobody said that it shall.
    #[error(
        "{0} has a second factor, which a new password takes away: say so with --deregister-mfa, or keep one \
         with user change-mfa"
    )]
    TakesFactorAway(String),
    /// Nothing has that name.
    #[error("there is no {what} {name}")]
    NotFound {
        /// For example `user`.
        what: &'static str,
        /// The name given.
        name: String,
    },
}

impl CliError {
    /// What an HSM said, in the words of this tool.
    fn of_hsm(hsm: &str, source: HsmError) -> Self {
        match source {
            HsmError::Refused(Refusal::QuorumRequired) => Self::QuorumRequired,
            source => Self::Hsm { hsm: hsm.to_owned(), source },
        }
    }
}

/// What a command answers.
pub type Answer = Result<Value, CliError>;

/// An answer as it is printed, and whether it tells of success.
#[must_use]
pub fn envelope(answer: &Answer) -> (Value, bool) {
    match answer {
        Ok(data) => (json!({ "error_code": 0, "data": data }), true),
        Err(error) => (json!({ "error_code": 1, "data": error.to_string() }), false),
    }
}
