//! Everything that can go wrong with a peer, by who is at fault.

use std::path::PathBuf;
use std::time::Duration;

use crate::Peer;

/// Why a peer could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// The peer is not installed on this machine, or its installation did not complete.
    #[error("{name} is not installed; `.ci/peers {name}` installs it", name = peer.name())]
    NotInstalled {
        /// The peer.
        peer: Peer,
        /// The folder where it was looked for.
        folder: PathBuf,
    },
    /// Another version than the pinned one is installed.
    #[error("{name} is installed at another version than the pinned {pin}; `.ci/peers {name}` renews it", name = peer.name())]
    OtherVersion {
        /// The peer.
        peer: Peer,
        /// The first line of the pin.
        pin: String,
    },
    /// The environment names no folder that could hold peers.
    #[error("neither STRONGROOM_PEERS nor HOME is set, so there is no folder to find peers in")]
    NoFolder,
    /// A program could not be started.
    #[error("cannot start {}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A program ended before it was ready.
    #[error("{program} ended before it was ready ({status}): {log_tail}")]
    Ended {
        /// The program.
        program: String,
        /// How it ended.
        status: String,
        /// The last lines that it wrote.
        log_tail: String,
    },
    /// A program did not become ready in time.
    #[error("{program} was not ready after {} s: {log_tail}", waited.as_secs())]
    NotReady {
        /// The program.
        program: String,
        /// The time waited.
        waited: Duration,
        /// The last lines that it wrote.
        log_tail: String,
    },
    /// A program ran and failed.
    #[error("{program} failed ({status}): {output}")]
    Failed {
        /// The program and what was asked of it.
        program: String,
        /// How it ended.
        status: String,
        /// What it wrote.
        output: String,
    },
    /// A file or folder that a peer needs could not be made or read.
    #[error("cannot prepare {}", path.display())]
    Prepare {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl PeerError {
    /// Whether the peer is absent, rather than present and broken.
    ///
    /// Only absence may skip a test: a peer that is there and does not work is a failure.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::NotInstalled { .. } | Self::OtherVersion { .. } | Self::NoFolder)
    }

    /// Whether a peer is absent that nobody asked for: `.ci/peers` installs it only when named.
    pub(crate) fn is_absence_by_choice(&self) -> bool {
        match self {
            Self::NotInstalled { peer, .. } | Self::OtherVersion { peer, .. } => {
                peer.is_named_only()
            }
            _ => false,
        }
    }
}
