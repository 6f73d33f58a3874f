//! Why a command did not do all that was asked; [`exit`](super::exit) says what that means.

use std::io;
use std::path::PathBuf;

use strongroom::Error;
use strongroom::fs::RootError;
use strongroom::fs::exclude::PatternError;
use strongroom_sdk::kms::KmsError;

use super::config::ConfigError;
use super::message::failure::MessageFailure;

/// Why a command did not do all that was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Failure {
    /// The library failed.
    #[error(transparent)]
    Library(#[from] Error),
    /// What shall be archived cannot be opened.
    #[error(transparent)]
    Roots(#[from] RootError),
    /// A pattern is malformed.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// The configuration file.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A message could not be written or read.
    #[error(transparent)]
    Message(#[from] MessageFailure),
    /// The KMS refused a key, or gave no answer.
    #[error("the key {key} cannot be used: {source}")]
    Key {
        /// The key as it was named.
        key: String,
        /// What the KMS answered.
        source: KmsError,
    },
    /// The key is none that can be used here.
    #[error("the key {key} cannot be used: {reason}")]
    KeyUnfit {
        /// The key as it was named.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The directory to restore into cannot be used.
    #[error("cannot restore into {}: {source}", .path.display())]
    Target {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A path that is no path inside a snapshot.
    #[error("\"{path}\" is no path inside a snapshot")]
    SnapshotPath {
        /// What was given.
        path: String,
    },
    /// A path that the snapshot does not have.
    #[error("snapshot {snapshot} has no \"{path}\"")]
    NotInSnapshot {
        /// Which snapshot.
        snapshot: String,
        /// What was asked for.
        path: String,
    },
    /// Finished, but not with everything.
    #[error("finished, but {count} of the {what} could not be {done} in full")]
    Partial {
        /// How many.
        count: u64,
        /// Of what.
        what: &'static str,
        /// Read, restored.
        done: &'static str,
    },
    /// Names in the way of a restore were left alone.
    #[error("finished, but {count} names exist in the target and were left alone")]
    Kept {
        /// How many.
        count: u64,
    },
    /// Stored data is damaged.
    #[error("{count} {what} damaged")]
    Damaged {
        /// How many.
        count: u64,
        /// Objects or files, with the verb.
        what: &'static str,
    },
    /// The restored tree is not the archived one.
    #[cfg(feature = "embedded-kms")]
    #[error("the restored tree differs from the archived one in {count} ways")]
    Different {
        /// How many.
        count: u64,
    },
    /// The embedded KMS failed.
    #[cfg(feature = "embedded-kms")]
    #[error(transparent)]
    EmbeddedKms(#[from] strongroom::quickstart::embedded_kms::EmbeddedKmsError),
    /// Standard output cannot be written.
    #[error("cannot write to standard output: {0}")]
    Output(#[source] io::Error),
    /// The process could not set itself up.
    #[error("cannot start: {source}")]
    Start {
        /// What the system said.
        source: io::Error,
    },
}
