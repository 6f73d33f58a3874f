//! Why a command did not do all that was asked; [`exit`](super::exit) says what that means.

use std::io;
use std::path::PathBuf;

use strongroom::Error;
use strongroom::fs::RootError;
use strongroom::fs::exclude::PatternError;
use strongroom::fs::stream::NoName;
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
    /// A file of patterns cannot be read.
    #[error("cannot read the patterns in {}: {source}", .path.display())]
    PatternFile {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No program was given whose output is to be archived.
    #[error("no program was given")]
    NoProgram,
    /// A program whose output is to be archived cannot be started.
    #[error("cannot start {}: {source}", .program.display())]
    Program {
        /// Which one.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A pipe was given a name that no file can have.
    #[error(transparent)]
    NoName(#[from] NoName),
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
    /// A file with a key cannot be read.
    #[error("cannot read the key in {}: {source}", .path.display())]
    KeyFile {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The half of a recovery key that is to stay offline was given to be put into a location.
    #[error("{} holds a private key, which must not come near the location", .path.display())]
    PrivateKeyGiven {
        /// Which file.
        path: PathBuf,
    },
    /// Writing with this key would let it open what it shall not.
    #[error("the location is not under the key {key}")]
    NoRecipient {
        /// The key that was given.
        key: String,
        /// Those that it is under.
        keys: Vec<String>,
    },
    /// The location has no recovery key.
    #[error("the location was made without a recovery key")]
    NoRecoveryKey,
    /// The directory to restore into cannot be used.
    #[error("cannot restore into {}: {source}", .path.display())]
    Target {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file or folder that the command's result belongs into cannot be written.
    #[error("cannot write {}: {source}", .path.display())]
    Write {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The local cache cannot be listed or removed.
    #[error("cannot use the cache {}: {source}", .path.display())]
    Cache {
        /// Which folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No command has this name.
    #[error("there is no command \"{name}\"")]
    NoCommand {
        /// What was asked for.
        name: String,
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
    /// Neither snapshots nor rules were given.
    #[error("neither a snapshot to forget nor a rule that says what to keep was given")]
    NothingToForget,
    /// Snapshots would be forgotten until a group has none.
    #[error("this would leave no snapshot of {group}; nothing was forgotten")]
    NoneLeft {
        /// Which group.
        group: String,
    },
    /// A path in the snapshot that has no content.
    #[error("\"{path}\" is a {kind}, not a file")]
    NotAFile {
        /// Which one.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// The result is bytes and nothing else.
    #[error("`{command}` writes the bytes of a file, which are no JSON")]
    NoJson {
        /// Which command.
        command: &'static str,
    },
    /// A regular expression is malformed.
    #[error("the regular expression is malformed: {source}")]
    Regex {
        /// Where and why.
        source: Box<regex::Error>,
    },
    /// A question could not be asked.
    #[error("cannot ask on the terminal: {source}")]
    Question {
        /// What the system said.
        source: io::Error,
    },
    /// The location's name was not typed, or another one.
    #[error(
        "the data of location \"{name}\" are only removed when its name is typed; nothing was removed"
    )]
    Unconfirmed {
        /// The location.
        name: String,
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
    /// Files were read back and are not what was archived.
    #[error("{count} of the restored files are not what was archived")]
    Unequal {
        /// How many.
        count: u64,
    },
    /// Everything on this machine that is not in the snapshot would be deleted.
    #[error(
        "restoring into / with --delete would remove whatever the snapshot does not have; nothing was done"
    )]
    DeleteAtRoot,
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
