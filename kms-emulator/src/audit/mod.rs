//! The audit trail: a CloudTrail record of every call, allowed or refused, and of what the server does by
//! itself, in log files that digest files chain together.
//!
//! Source of the form: CloudTrail user guide, "CloudTrail record contents" and "CloudTrail digest file
//! structure"; developer guide of KMS, "Examples of AWS KMS log entries".
//!
//! | file | subject |
//! |---|---|
//! | `record` | one record, from what is known of a call |
//! | `members` | which members of requests and replies are shown, and how |
//! | `queue` | the way from a request to the writer |
//! | `writer` | the thread that writes log files and closes them |
//! | `files` | where they lie, and what an unclean end leaves |
//! | `digest` | digest files and the key that signs them |
//! | `verify` | whether the chain is whole |
//!
//! # What is promised
//!
//! * A record holds no plaintext, ciphertext, signature, MAC, token or password: what is not named in
//!   `members` is not shown.
//! * A call is refused before it does anything while its record could not be written (`OnFailure::Refuse`),
//!   or the number of records lost is itself recorded (`OnFailure::Continue`).
//! * A killed process loses the records of at most the last `DRAIN_MILLIS`, a power failure those of the
//!   last `SYNC_MILLIS`; `verify` tells which log files ended so.
//! * Whoever alters, removes or reorders closed files without the signing key is found out. Files removed
//!   from the end of the chain leave nothing that misses them: keep the newest digest elsewhere.

mod digest;
mod files;
mod members;
mod queue;
mod record;
#[cfg(test)]
mod tests;
mod verify;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::clock::{Clock, Timestamp};
use crate::protocol::Fault;

pub(crate) use queue::Admitted;
pub(crate) use record::{Actor, Event, Touched};
pub use verify::{BrokenLink, Verification, newest_records, verify};

/// Longest that a record waits in memory, in milliseconds: what a killed process loses.
const DRAIN_MILLIS: u64 = 20;
/// Longest between two syncs of a log file, in milliseconds: what a power failure loses.
const SYNC_MILLIS: u64 = 1_000;
/// Age at which a log file is closed, in seconds; CloudTrail delivers as often.
const LOG_FILE_SECONDS_MAX: i64 = 300;
/// Size at which a log file is closed, in bytes.
const LOG_FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Pause before another try after a write failed, in milliseconds.
const RETRY_MILLIS: u64 = 500;
/// The private key that signs digests, in the data directory.
const SIGNING_KEY_FILE: &str = "audit-signing-key.pem";
/// The audit trail's directory in the data directory.
const DIRECTORY: &str = "audit";

/// What becomes of calls while the audit trail cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// They are refused before they do anything.
    Refuse,
    /// They are answered, and how many have no record is recorded later.
    Continue,
}

/// Why the audit trail cannot be kept or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// A file or directory of the audit trail cannot be used.
    #[error("cannot use {} of the audit trail: {source}", path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The key that signs digests cannot be made, read or used.
    #[error("cannot use the signing key {} of the audit trail: {reason}", path.display())]
    SigningKey {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file of the audit trail is not what it must be.
    #[error("{} of the audit trail is damaged: {reason}; see strongroom-kms audit verify", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl AuditError {
    fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}

/// The audit trail of a server, or none. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Audit(Option<Arc<queue::Queue>>);

impl Audit {
    /// Opens the audit trail of a data directory, closes what an unclean end has left open, and starts the
    /// writer, which ends when the last `Audit` is dropped. What is returned beside it resolves once the
    /// last log file is closed.
    ///
    /// # Errors
    /// See `AuditError`.
    pub(crate) fn open(
        data_dir: &Path,
        on_failure: OnFailure,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, oneshot::Receiver<()>), AuditError> {
        let key = digest::SigningKey::open(&data_dir.join(SIGNING_KEY_FILE))?;
        let trail = files::Trail::open(&directory_in(data_dir), key, clock.now())?;
        let (queue, waiting) = queue::channel(on_failure);
        let closed = writer::spawn(trail, waiting, clock);
        Ok((Self(Some(queue)), closed))
    }

    /// Whether anything is recorded: if not, nothing needs to be gathered.
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Admits a call with a request body of `bytes`, once there is room for its record. `begin` makes the
    /// record as it begins, if one is made.
    ///
    /// # Errors
    /// `KMSInternalException` while records cannot be written, if calls are refused then.
    pub(crate) async fn admit(
        &self,
        operation: &'static str,
        bytes: usize,
        begin: impl FnOnce() -> Event,
    ) -> Result<Admitted, Fault> {
        match &self.0 {
            None => Ok(Admitted::unrecorded(operation)),
            Some(queue) => Admitted::through(queue, operation, begin(), bytes).await,
        }
    }

    /// The same for a call of somebody who is not authenticated, of whom not all calls are recorded.
    pub(crate) async fn admit_stranger(
        &self,
        operation: &'static str,
        now: Timestamp,
        begin: impl FnOnce() -> Event,
    ) -> Result<Admitted, Fault> {
        match &self.0 {
            Some(queue) if queue.records_stranger(now) => {
                Admitted::through(queue, operation, begin(), 0).await
            }
            _ => Ok(Admitted::unrecorded(operation)),
        }
    }

    /// Records what the server did by itself.
    pub(crate) async fn record(&self, begin: impl FnOnce() -> Event) {
        let Some(queue) = &self.0 else { return };
        match Admitted::through(queue, "", begin(), 0).await {
            Ok(admitted) => admitted.finish(),
            Err(fault) => tracing::error!(%fault, "an event of the service has no record"),
        }
    }

    /// Records that were written, wait and were lost.
    pub(crate) fn figures(&self) -> Figures {
        self.0.as_ref().map(|queue| queue.figures()).unwrap_or_default()
    }
}

/// How the audit trail is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Records written since the start.
    pub(crate) written: u64,
    /// Records that wait for the writer.
    pub(crate) waiting: u64,
    /// Records that were lost since the start.
    pub(crate) lost: u64,
    /// Whether the last write failed.
    pub(crate) is_failing: bool,
}

/// Where the audit trail of a data directory lies.
#[must_use]
pub fn directory_in(data_dir: &Path) -> PathBuf {
    data_dir.join(DIRECTORY)
}
