//! Why a manifest cannot be used at all. What is wrong with one vector is a failure of that vector.

use std::io;
use std::path::PathBuf;

/// What reading and writing manifests returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why there was nothing to test, or no place to write to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A manifest cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A manifest is not JSON.
    #[error("{path} is not JSON: {source}")]
    Json {
        /// Which file.
        path: PathBuf,
        /// Where and how.
        source: serde_json::Error,
    },
    /// A manifest of another type than the command takes.
    #[error("{path} is a manifest of type `{found}`, not {expected}")]
    Type {
        /// Which file.
        path: PathBuf,
        /// What it says.
        found: String,
        /// What the command takes.
        expected: &'static str,
    },
    /// A manifest of a version that nobody here has read the description of.
    #[error("{path} is of version {found}; known are 1 to {newest}")]
    Version {
        /// Which file.
        path: PathBuf,
        /// What it says.
        found: u64,
        /// The newest version that is known.
        newest: u64,
    },
    /// A field is missing, or is not what it has to be.
    #[error("{place}: `{field}` {problem}")]
    Field {
        /// The file and the object in it.
        place: String,
        /// The field's name.
        field: String,
        /// What it has to be.
        problem: &'static str,
    },
    /// The folder for what is encrypted cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What is to be printed cannot be.
    #[error("cannot print the outcome: {0}")]
    Print(#[source] io::Error),
}
