//! Why the coverage could not be counted.

use std::path::PathBuf;

/// Why the coverage could not be counted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// A file or folder could not be read or written.
    #[error("cannot use {}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line of a table does not have the fields that it must have.
    #[error("{}:{line}: {expected}", path.display())]
    Table {
        /// The table.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What stands there in a table that is right.
        expected: &'static str,
    },
}

impl SpecError {
    /// Makes [`SpecError::File`] of what the system said about `path`.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        |source| Self::File { path, source }
    }
}
