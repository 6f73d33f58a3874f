//! Why a server does not start.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::auth::CredentialsFileError;
use crate::storage::StorageError;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The state cannot be read or written.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The first state cannot be written.
    #[error(transparent)]
    StorageWrite(Arc<StorageError>),
    /// The credentials file cannot be used.
    #[error(transparent)]
    Credentials(#[from] CredentialsFileError),
    /// The HSM of the default key store does not start.
    #[error("the HSM of the default key store does not start: {0}")]
    Hsm(#[from] strongroom_hsm::HsmError),
    /// A part of the server ended badly while it started.
    #[error("the server did not start: {0}")]
    Start(#[from] tokio::task::JoinError),
    /// There is no network for the HSMs of CloudHSM clusters.
    #[error("CloudHSM does not start: {0}")]
    Network(#[from] crate::cloudhsm::NetworkError),
    /// The audit trail cannot be kept.
    #[error(transparent)]
    Audit(#[from] crate::audit::AuditError),
    /// TLS cannot be offered.
    #[error(transparent)]
    Tls(#[from] crate::server::TlsError),
    /// The metrics cannot be set up.
    #[error("cannot set up the metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The seed file cannot be used.
    #[error(transparent)]
    Seed(#[from] crate::seed::SeedError),
    /// Endpoints for tests are asked for on an address that others can reach.
    #[error("the endpoints for tests are answered on a loopback address only, not on {address}")]
    TestEndpoints {
        /// The address.
        address: SocketAddr,
    },
    /// The operating system gives no randomness.
    #[error("the operating system gives no randomness")]
    Randomness,
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The operator's socket cannot be made in the data directory.
    #[error("cannot make the operator's socket in {}: {source}", dir.display())]
    AdminSocket {
        /// The data directory.
        dir: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A directory for state that ends with the server cannot be made.
    #[error("cannot make a temporary directory: {0}")]
    TemporaryDirectory(std::io::Error),
    /// The server stopped while it was starting.
    #[error("the server stopped while it was starting")]
    Stopped,
}
