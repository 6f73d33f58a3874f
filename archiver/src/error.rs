//! Everything that can go wrong with a location, with the object and the culprit named.

use std::io;
use std::path::PathBuf;

use strongroom_sdk::error::BranchKeyFault;
use strongroom_sdk::kms::KmsError;

use crate::id::ObjectId;
use crate::store::ObjectName;

/// What the library returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation on an archival location failed.
///
/// Trouble with single entries of a source or target is no `Error`: it is reported as
/// [`Trouble`](crate::source::Trouble) and the operation goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL names no store that we know.
    #[error("`{url}` names no store: {reason}")]
    StoreUrl {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The folder of a `file://` store cannot be used.
    #[error("cannot open the folder {folder}: {source}")]
    Folder {
        /// Which one.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The store refused, failed, or was out of reach.
    #[error("cannot {operation} `{object}` in {store}: {source}")]
    Store {
        /// What was tried.
        operation: StoreOperation,
        /// On which object or prefix.
        object: String,
        /// In which store.
        store: String,
        /// What the client said, after its own retries.
        source: Box<object_store::Error>,
    },
    /// The store does not do what every location needs.
    #[error("the store failed the preflight at `{object}`: expected {expected}")]
    Preflight {
        /// The object that was tried with.
        object: ObjectName,
        /// What should have happened.
        expected: &'static str,
    },
    /// There is no location at this place.
    #[error("{store} is not an archival location: it has no `format` object")]
    NotALocation {
        /// The store's URL.
        store: String,
    },
    /// There is a location at this place already.
    #[error("{store} already is an archival location")]
    LocationExists {
        /// The store's URL.
        store: String,
    },
    /// The location was made by a later version of this program.
    #[error("{store} has format version {version}; this program reads version {supported}")]
    FormatVersion {
        /// The store's URL.
        store: String,
        /// What the location says.
        version: u32,
        /// What we know.
        supported: u32,
    },
    /// The location has a feature that this program does not know.
    #[error(
        "{store} cannot be {action}: it has the feature `{feature}`, which this program does not know"
    )]
    UnknownFeature {
        /// The store's URL.
        store: String,
        /// What was to be done.
        action: &'static str,
        /// The feature.
        feature: String,
    },
    /// An object that must be there is not.
    #[error("`{object}` is missing")]
    ObjectMissing {
        /// Which one.
        object: ObjectName,
    },
    /// An object is longer than anything that this program writes.
    #[error("`{object}` has {bytes} bytes; at most {bytes_max} are possible")]
    ObjectTooLong {
        /// Which one.
        object: ObjectName,
        /// Its length.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// A key could not be had to write an object.
    #[error("cannot encrypt `{object}`: {source}")]
    Encrypt {
        /// The object that was to be written.
        object: ObjectName,
        /// Which key, and what its service said.
        source: Box<strongroom_sdk::Error>,
    },
    /// An object could not be opened: its key was refused, or it is damaged.
    #[error("cannot decrypt `{object}`: {source}")]
    Decrypt {
        /// The object.
        object: ObjectName,
        /// Which key was refused, or which region of the message is damaged.
        source: Box<strongroom_sdk::Error>,
    },
    /// An object is not what was written under its name.
    #[error("`{object}` is damaged: {what}")]
    Damaged {
        /// The object.
        object: ObjectName,
        /// What does not fit.
        what: &'static str,
    },
    /// A name that somebody else took; ids are random, so this is no accident.
    #[error("`{object}` exists already, with other content")]
    NameTaken {
        /// The object.
        object: ObjectName,
    },
    /// No snapshot has this id.
    #[error("there is no snapshot {id}")]
    SnapshotMissing {
        /// The id or the beginning of one that was asked for.
        id: String,
    },
    /// Several snapshots have ids that begin like this.
    #[error("{count} snapshots have ids that begin with {prefix}")]
    SnapshotAmbiguous {
        /// What was asked for.
        prefix: String,
        /// How many it fits.
        count: usize,
    },
    /// What was compressed does not decompress to what was read; nothing of it was stored.
    #[error("a chunk did not survive compression, or memory is failing: nothing was committed")]
    VerifyBeforeStore,
    /// Compression failed.
    #[error("compression failed: {source}")]
    Compress {
        /// What the library said.
        source: io::Error,
    },
    /// The local cache cannot be used; deleting it is always safe.
    #[error("cannot use the cache {path}: {source}")]
    Cache {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What was to be archived did not come to its end as it should.
    #[error("what was to be archived is not whole, and nothing was committed: {source}")]
    Source {
        /// How it failed.
        source: io::Error,
    },
    /// The caller asked to stop.
    #[error("stopped before it was complete; nothing was committed")]
    Stopped,
    /// A part of the pipeline ended without saying why.
    #[error("the {stage} stage ended early")]
    StageLost {
        /// Which one.
        stage: &'static str,
    },
    /// A snapshot could not be committed because its session was declared dead.
    #[error(
        "snapshot {id} was fenced by a collector, which had seen no sign of life of this writer \
         for too long: nothing was committed"
    )]
    Fenced {
        /// Which one.
        id: ObjectId,
    },
    /// The store ignores create-if-absent, without which a writer cannot be kept from committing.
    #[error(
        "{store} ignores create-if-absent, so that a writer that wakes up late could commit what is \
         being removed: nothing was removed"
    )]
    Unfenceable {
        /// The store's URL.
        store: String,
    },
    /// Writers are at work that a collector has to wait for, longer than the caller wants.
    #[error(
        "{count} writers are still at work; what is condemned already is removed by the next prune"
    )]
    WritersAtWork {
        /// How many.
        count: usize,
    },
    /// The location's keys were exchanged since it was opened.
    #[error("the keys of {store} have been exchanged meanwhile: nothing was committed")]
    KeysExchanged {
        /// The store's URL.
        store: String,
    },
    /// An object is for none but keys that the location had once: whoever wrote it had slept through the exchange of
    /// keys, and nothing relies on it.
    #[error("`{object}` is under keys that the location has given up")]
    KeysGivenUp {
        /// Which one.
        object: ObjectName,
    },
    /// Another collector was at work on the same packs, again and again.
    #[error("other collectors are at work in this location")]
    CollectorsAtWork,
}

/// What was asked of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreOperation {
    /// Open a client for it.
    Connect,
    /// Create an object.
    Create,
    /// Read an object or a part of it.
    Read,
    /// Ask for an object's length.
    Inspect,
    /// List a prefix.
    List,
    /// Remove an object.
    Delete,
}

/// Who is at fault; what exit codes and hints are made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// The caller asked for something that cannot be.
    Request,
    /// There is no location, or none that we can read.
    Location,
    /// No such snapshot.
    Snapshot,
    /// The store is out of reach or failing.
    StoreUnreachable,
    /// The store's bucket or folder does not exist.
    StoreMissing,
    /// The store refuses these credentials.
    StoreDenied,
    /// The KMS is out of reach.
    KmsUnreachable,
    /// The KMS refuses these credentials, or the key's policy does.
    KeyDenied,
    /// The key or alias does not exist.
    KeyUnknown,
    /// The key exists but cannot be used now: disabled, pending deletion, its key store apart.
    KeyUnusable,
    /// This key is not the one that the location was made with.
    KeyWrong,
    /// Stored data is damaged or missing.
    Integrity,
    /// What was to be archived: a pipe, or the program that wrote to it.
    Source,
    /// Writers and collectors in each other's way; the same again later is not.
    Concurrency,
    /// The local machine: memory, disk, cache.
    Local,
    /// The caller stopped it.
    Stopped,
}

impl std::fmt::Display for StoreOperation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connect => "connect to",
            Self::Create => "write",
            Self::Read => "read",
            Self::Inspect => "inspect",
            Self::List => "list",
            Self::Delete => "delete",
        })
    }
}

impl Error {
    /// The object of the location that the error is about, if it is about one.
    #[must_use]
    pub fn object(&self) -> Option<ObjectName> {
        match self {
            Self::Preflight { object, .. }
            | Self::ObjectMissing { object }
            | Self::ObjectTooLong { object, .. }
            | Self::Encrypt { object, .. }
            | Self::Decrypt { object, .. }
            | Self::Damaged { object, .. }
            | Self::KeysGivenUp { object }
            | Self::NameTaken { object } => Some(*object),
            Self::Store { object, .. } => ObjectName::parse(object),
            _ => None,
        }
    }

    /// Whether one object is damaged or gone, so that another copy of what it held may serve.
    #[must_use]
    pub fn is_about_one_object(&self) -> bool {
        matches!(self.cause(), Cause::Integrity | Cause::StoreMissing)
    }

    /// Whether an object was not there that was a moment before.
    #[must_use]
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::ObjectMissing { .. })
            || (matches!(self, Self::Store { .. }) && self.cause() == Cause::StoreMissing)
    }

    /// Who is at fault.
    #[must_use]
    pub fn cause(&self) -> Cause {
        match self {
            Self::StoreUrl { .. } | Self::LocationExists { .. } => Cause::Request,
            Self::SnapshotAmbiguous { .. } | Self::SnapshotMissing { .. } => Cause::Snapshot,
            Self::Folder { source, .. } => folder_cause(source),
            Self::Store { source, .. } => store_cause(source),
            Self::Preflight { .. } => Cause::StoreUnreachable,
            Self::NotALocation { .. }
            | Self::FormatVersion { .. }
            | Self::UnknownFeature { .. } => Cause::Location,
            Self::Encrypt { source, .. } | Self::Decrypt { source, .. } => key_cause(source),
            Self::ObjectMissing { .. }
            | Self::ObjectTooLong { .. }
            | Self::Damaged { .. }
            | Self::KeysGivenUp { .. }
            | Self::NameTaken { .. } => Cause::Integrity,
            Self::Source { .. } => Cause::Source,
            Self::VerifyBeforeStore
            | Self::Compress { .. }
            | Self::Cache { .. }
            | Self::StageLost { .. } => Cause::Local,
            Self::Stopped => Cause::Stopped,
            Self::Unfenceable { .. } => Cause::Request,
            Self::Fenced { .. }
            | Self::WritersAtWork { .. }
            | Self::KeysExchanged { .. }
            | Self::CollectorsAtWork => Cause::Concurrency,
        }
    }
}

fn folder_cause(source: &io::Error) -> Cause {
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Cause::StoreMissing,
        io::ErrorKind::PermissionDenied => Cause::StoreDenied,
        _ => Cause::StoreUnreachable,
    }
}

fn store_cause(source: &object_store::Error) -> Cause {
    match source {
        object_store::Error::NotFound { .. } => Cause::StoreMissing,
        object_store::Error::PermissionDenied { .. }
        | object_store::Error::Unauthenticated { .. } => Cause::StoreDenied,
        _ => Cause::StoreUnreachable,
    }
}

/// A key that was refused is the key service's answer; without one, either the message is not for
/// any key that we have, or it is damaged.
fn key_cause(source: &strongroom_sdk::Error) -> Cause {
    if let Some((_, answer)) = source.kms_errors().first() {
        return kms_cause(answer);
    }
    match source {
        strongroom_sdk::Error::NoDataKey { .. } => Cause::KeyWrong,
        strongroom_sdk::Error::Keyring(_) | strongroom_sdk::Error::NoGenerator => Cause::Request,
        strongroom_sdk::Error::BranchKey { fault: BranchKeyFault::NotFound, .. } => {
            Cause::KeyUnknown
        }
        strongroom_sdk::Error::BranchKey { .. } => Cause::KeyWrong,
        // Whole messages are in memory: only a key store is read.
        strongroom_sdk::Error::Io { .. } => Cause::StoreUnreachable,
        _ => Cause::Integrity,
    }
}

impl Cause {
    /// Who is at fault when a key service answers like this.
    #[must_use]
    pub fn of_kms(answer: &KmsError) -> Self {
        kms_cause(answer)
    }

    /// Who is at fault when a message cannot be written or read.
    #[must_use]
    pub fn of_message(error: &strongroom_sdk::Error) -> Self {
        key_cause(error)
    }
}

fn kms_cause(answer: &KmsError) -> Cause {
    match answer.code() {
        None => Cause::KmsUnreachable,
        Some("NotFoundException") => Cause::KeyUnknown,
        Some("KMSInvalidStateException" | "DisabledException" | "KeyUnavailableException") => {
            Cause::KeyUnusable
        }
        Some("InvalidCiphertextException" | "IncorrectKeyException") => Cause::KeyWrong,
        Some("ValidationException" | "InvalidArnException") => Cause::Request,
        Some(code) if code.starts_with("KMSInternal") || code.starts_with("DependencyTimeout") => {
            Cause::KmsUnreachable
        }
        Some(_) => Cause::KeyDenied,
    }
}
