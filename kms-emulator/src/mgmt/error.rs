//! What ends the tool, in contrast to what a command reports.

use std::io;
use std::path::PathBuf;

use strongroom_hsm::{CertificateFault, HsmError};

/// An error of the management tool.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MgmtError {
    /// A file of the tool cannot be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The configuration is not what `configure` writes.
    #[error("{} is not a configuration of this tool: {source}; run `strongroom-kms configure -a <address>`", path.display())]
    NotAConfiguration {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The configuration lists no HSM.
    #[error("no HSM is configured; run `strongroom-kms configure -a <address>`")]
    NoServers,
    /// The trust anchor cannot serve as one.
    #[error("{} cannot be the trust anchor: {source}", path.display())]
    TrustAnchor {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: CertificateFault,
    },
    /// Reading a command or printing an answer failed.
    #[error("the console failed: {0}")]
    Console(#[from] io::Error),
    /// An HSM could not be asked.
    #[error(transparent)]
    Hsm(#[from] HsmError),
}
