//! Why a measurement could not be made.

use std::path::PathBuf;

use strongroom_peers::PeerError;

/// Why a measurement could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// A peer is missing or does not work.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// A command could not be started or waited for.
    #[error("cannot run {command}")]
    Run {
        /// The command line.
        command: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A command ended with failure.
    #[error("{command} failed with {status}: {output}")]
    Failed {
        /// The command line.
        command: String,
        /// How it ended.
        status: String,
        /// The end of what it wrote to standard error and output.
        output: String,
    },
    /// A command wrote something else than what it documents.
    #[error("{command} wrote no {expected}: {output}")]
    Output {
        /// The command line.
        command: String,
        /// What was looked for.
        expected: &'static str,
        /// What it wrote.
        output: String,
    },
    /// A file or folder could not be read or made.
    #[error("cannot use {}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Two trees that must be equal differ.
    #[error("{} and {} differ: {first_differences}", left.display(), right.display())]
    TreesDiffer {
        /// The one tree.
        left: PathBuf,
        /// The other tree.
        right: PathBuf,
        /// The first lines of the difference.
        first_differences: String,
    },
    /// A request could not be signed.
    #[error("a request could not be signed")]
    Sign(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A server did not answer.
    #[error("{server} did not answer")]
    Exchange {
        /// The server's name.
        server: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A server answered with a refusal.
    #[error("{server} refused with status {status}: {body}")]
    Refused {
        /// The server's name.
        server: String,
        /// The HTTP status.
        status: u16,
        /// What it said.
        body: String,
    },
    /// Something that must be shown was not.
    #[error("{item}: {found}")]
    NotShown {
        /// What must be shown.
        item: String,
        /// What was found instead.
        found: String,
    },
}

impl BenchError {
    /// Makes [`BenchError::File`] of what the system said about `path`.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        |source| Self::File { path, source }
    }

    /// Makes [`BenchError::Exchange`] of what the system said about a server's reply.
    pub(crate) fn exchange(server: &str) -> impl FnOnce(std::io::Error) -> Self {
        let server = server.to_owned();
        |source| Self::Exchange { server, source }
    }

    /// Makes [`BenchError::Refused`] of a server's reply.
    pub(crate) fn refused(server: &str, status: u16, body: &[u8]) -> Self {
        let body = String::from_utf8_lossy(body).into_owned();
        Self::Refused { server: server.to_owned(), status, body }
    }
}
