//! Why a message could not be written or read; [`exit`](super::super::exit) says what that means.

use std::io;
use std::path::PathBuf;

use super::argument_file::ArgumentFileError;
use super::caching::CachingError;
use super::context::Missing;
use super::mode::Mode;
use super::pairs::NotAPair;
use super::paths::PathRule;
use super::wrapping_keys::WrappingKeysError;

/// Why `encrypt`, `decrypt` or `decrypt-unsigned` did not do all that was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum MessageFailure {
    // The command line.
    /// An argument file.
    #[error(transparent)]
    ArgumentFile(#[from] ArgumentFileError),
    /// Wrapping keys that cannot be understood.
    #[error(transparent)]
    WrappingKeys(#[from] WrappingKeysError),
    /// An encryption context that cannot be understood.
    #[error("--encryption-context: {0}")]
    Context(NotAPair),
    /// An encryption context that no message can have.
    #[error("--encryption-context: {0}")]
    ContextUnusable(strongroom_sdk::Error),
    /// Caching options that cannot be understood.
    #[error(transparent)]
    Caching(#[from] CachingError),
    /// A cache that cannot be made.
    #[error("--caching: {0}")]
    CachingUnusable(strongroom_sdk::Error),
    /// Inputs and outputs that do not fit together.
    #[error(transparent)]
    Paths(#[from] PathRule),

    // Keys.
    /// The file with a raw key cannot be read.
    #[error("cannot read the wrapping key in {}: {source}", .path.display())]
    KeyFile {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No keyring can be made of the wrapping keys.
    #[error("--wrapping-keys: {0}")]
    Keyring(strongroom_sdk::Error),

    // One message.
    /// It could not be written, or it was refused.
    #[error("cannot {} {input}: {source}", .mode.name())]
    Message {
        /// What was tried.
        mode: Mode,
        /// The input's name.
        input: String,
        /// Which key, or which region of the message.
        source: Box<strongroom_sdk::Error>,
    },
    /// It does not have the encryption context that was demanded.
    #[error("cannot decrypt {input}: its encryption context lacks {missing}")]
    ContextMissing {
        /// The input's name.
        input: String,
        /// What is not there.
        missing: Missing,
    },
    /// What is held back gets too long.
    #[error("cannot hold back more than {max} bytes of {input}")]
    HeldBack {
        /// The input's name.
        input: String,
        /// The limit in bytes.
        max: u64,
    },

    // Files.
    /// The output file is there already.
    #[error("{} exists already", .path.display())]
    Exists {
        /// Which one.
        path: PathBuf,
    },
    /// A file cannot be opened.
    #[error("cannot open {}: {source}", .path.display())]
    Open {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The input cannot be read any further.
    #[error("cannot read {input}: {source}")]
    Read {
        /// The input's name.
        input: String,
        /// What the system said.
        source: io::Error,
    },
    /// The output cannot be written.
    #[error("cannot write {}: {source}", .path.display())]
    Write {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Some of several messages failed, each of which was named.
    #[error("finished, but {count} of {total} files could not be {done}")]
    Some {
        /// How many.
        count: u64,
        /// Of how many.
        total: u64,
        /// Encrypted, decrypted.
        done: &'static str,
    },
}
