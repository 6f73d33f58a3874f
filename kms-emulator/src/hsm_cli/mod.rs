//! The newer command line of a cluster, CloudHSM CLI: one command each, on every HSM of the configuration,
//! answered in JSON.
//!
//! | module | subject |
//! |---|---|
//! | `session` | connections to all HSMs, logged in as one user |
//! | `users`, `keys`, `cluster` | what the commands do |
//!
//! Every answer is `{ "error_code": 0, "data": … }`, or `1` with a sentence.

mod cluster;
mod keys;
mod session;
mod users;

pub use session::{Login, Session};

use serde_json::{Value, json};

use crate::mgmt::MgmtError;
use strongroom_hsm::HsmError;

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
    /// The command needs a login.
    #[error(
        "log in first: set CLOUDHSM_ROLE to admin or crypto-user and CLOUDHSM_PIN to USER:PASSWORD"
    )]
    NotLoggedIn,
    /// `CLOUDHSM_ROLE` or `CLOUDHSM_PIN` is not in form.
    #[error("{0}")]
    Login(&'static str),
    /// Nothing has that name.
    #[error("there is no {what} {name}")]
    NotFound {
        /// For example `user`.
        what: &'static str,
        /// The name given.
        name: String,
    },
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
