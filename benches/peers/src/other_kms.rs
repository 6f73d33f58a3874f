//! Other emulators of AWS KMS as servers on loopback, to measure ours beside.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::identity::REGION;
use crate::process::{Server, free_address};
use crate::{Peer, PeerError};

/// An emulator on a free port, with its data in a temporary folder. Neither checks who calls.
///
/// Killed and its data removed when the value is dropped.
#[derive(Debug)]
pub struct OtherKms {
    server: Server,
    software: &'static str,
    address: SocketAddr,
    // Dropped after the server, whose files it holds.
    _folder: TempDir,
}

impl OtherKms {
    /// Starts moto's server and waits until it answers.
    ///
    /// # Errors
    ///
    /// [`PeerError::NotInstalled`] or [`PeerError::OtherVersion`] if it is not there to be started;
    /// [`PeerError::Ended`] or [`PeerError::NotReady`] if it does not come up.
    pub fn start_moto() -> Result<Self, PeerError> {
        let program = Peer::Moto.find()?;
        Self::start("moto", |address, _| {
            let mut command = Command::new(program);
            command
                .args(["--host", &address.ip().to_string()])
                .args(["--port", &address.port().to_string()]);
            command
        })
    }

    /// Starts local-kms and waits until it answers. It listens on every interface, since it cannot be
    /// told otherwise: start it for a measurement only, with nothing in it that matters.
    ///
    /// # Errors
    ///
    /// As [`OtherKms::start_moto`].
    pub fn start_local_kms() -> Result<Self, PeerError> {
        let program = Peer::LocalKms.find()?;
        Self::start("local-kms", |address, folder| {
            let mut command = Command::new(program);
            command
                .env("PORT", address.port().to_string())
                .env("KMS_REGION", REGION)
                .env("KMS_DATA_PATH", folder);
            command
        })
    }

    fn start(
        software: &'static str,
        command: impl FnOnce(SocketAddr, &Path) -> Command,
    ) -> Result<Self, PeerError> {
        let folder = tempfile::Builder::new()
            .prefix("strongroom-other-kms-")
            .tempdir()
            .map_err(|source| PeerError::Prepare { path: std::env::temp_dir(), source })?;
        let address = free_address()?;
        let command = command(address, folder.path());
        let mut server = Server::start(&command, &folder.path().join("log"))?;
        server.wait_until(|| TcpStream::connect(address).is_ok())?;
        Ok(Self { server, software, address, _folder: folder })
    }

    /// The name of the software, for messages.
    #[must_use]
    pub fn software(&self) -> &'static str {
        self.software
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The server's process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.server.id()
    }
}
