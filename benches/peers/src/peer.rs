//! The peers by name, and where each is installed.

use std::path::{Path, PathBuf};

use crate::PeerError;

/// A program that tests and benchmarks talk to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Peer {
    /// MinIO, an S3 server.
    Minio,
    /// SeaweedFS, an S3 server.
    SeaweedFs,
    /// restic, a backup tool.
    Restic,
    /// rustic, a backup tool.
    Rustic,
    /// Borg, a backup tool.
    Borg,
    /// Kopia, a backup tool.
    Kopia,
    /// The aws command line.
    AwsCli,
    /// A Python interpreter with boto3.
    PythonBoto3,
    /// A Python interpreter with `aws-encryption-sdk` (with the material providers library) and boto3.
    PythonEncryptionSdk,
    /// `aws-encryption-cli`.
    EncryptionCli,
    /// A folder whose `node_modules` has `@aws-crypto/client-node`; Node.js itself is the system's.
    NodeEncryptionSdk,
    /// The driver of the official Rust implementation, `aws-esdk`.
    RustEncryptionSdk,
    /// A folder with the classes of the drivers of `aws-encryption-sdk-java` and of its KMS client, and beside
    /// it `lib`, which has what they need; Java itself is the system's.
    JavaEncryptionSdk,
    /// moto's server, an emulator of AWS services.
    Moto,
    /// local-kms, an emulator of AWS KMS.
    LocalKms,
    /// The program that does the tasks of [`crate::kms_client`] with the AWS SDK for Go.
    GoKmsTasks,
    /// The module of SoftHSM 2, a PKCS #11 token in software; `usr/bin/softhsm2-util` of the same folder
    /// makes tokens.
    SoftHsm,
}

impl Peer {
    /// The name of the peer's folder below the peers' folder, and of its pin.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Minio => "minio",
            Self::SeaweedFs => "seaweedfs",
            Self::Restic => "restic",
            Self::Rustic => "rustic",
            Self::Borg => "borg",
            Self::Kopia => "kopia",
            Self::AwsCli | Self::PythonBoto3 => "venv-aws",
            Self::PythonEncryptionSdk => "venv-esdk",
            Self::EncryptionCli => "venv-esdk-cli",
            Self::NodeEncryptionSdk => "node-esdk",
            Self::RustEncryptionSdk => "rust-esdk",
            Self::JavaEncryptionSdk => "java-esdk",
            Self::Moto => "venv-moto",
            Self::LocalKms => "local-kms",
            Self::GoKmsTasks => "go-kms-tasks",
            Self::SoftHsm => "softhsm",
        }
    }

    /// What must be installed, as `.ci/peers` reads it.
    const fn pin(self) -> &'static str {
        match self {
            Self::Minio => include_str!("../pins/minio.go"),
            Self::SeaweedFs => include_str!("../pins/seaweedfs.pip"),
            Self::Restic => include_str!("../pins/restic.go"),
            Self::Rustic => include_str!("../pins/rustic.cargo"),
            Self::Borg => include_str!("../pins/borg.pip"),
            Self::Kopia => include_str!("../pins/kopia.go"),
            Self::AwsCli | Self::PythonBoto3 => include_str!("../pins/venv-aws.pip"),
            Self::PythonEncryptionSdk => include_str!("../pins/venv-esdk.pip"),
            Self::EncryptionCli => include_str!("../pins/venv-esdk-cli.pip"),
            Self::NodeEncryptionSdk => include_str!("../pins/node-esdk.npm"),
            Self::Moto => include_str!("../pins/venv-moto.pip"),
            Self::LocalKms => include_str!("../pins/local-kms.go"),
            Self::SoftHsm => include_str!("../pins/softhsm.deb"),
            // Drivers that are built: the pin, and the files that it lists.
            Self::RustEncryptionSdk => concat!(
                include_str!("../pins/rust-esdk.crate"),
                include_str!("../drivers/rust/Cargo.toml"),
                include_str!("../drivers/rust/Cargo.lock"),
                include_str!("../drivers/rust/src/main.rs"),
                include_str!("../drivers/rust/src/keyrings.rs"),
            ),
            Self::JavaEncryptionSdk => concat!(
                include_str!("../pins/java-esdk.maven"),
                include_str!("../drivers/java/pom.xml"),
                include_str!("../drivers/java/Driver.java"),
                include_str!("../drivers/java/KmsTasks.java"),
            ),
            Self::GoKmsTasks => concat!(
                include_str!("../pins/go-kms-tasks.gomod"),
                include_str!("../drivers/go/go.mod"),
                include_str!("../drivers/go/go.sum"),
                include_str!("../drivers/go/main.go"),
            ),
        }
    }

    /// The file that is run (or, for a Node.js package, required), below the peer's folder.
    const fn entry(self) -> &'static str {
        match self {
            Self::Minio => "bin/minio",
            Self::SeaweedFs => "bin/weed",
            Self::Restic => "bin/restic",
            Self::Rustic => "bin/rustic",
            Self::Borg => "bin/borg",
            Self::Kopia => "bin/kopia",
            Self::AwsCli => "bin/aws",
            Self::PythonBoto3 | Self::PythonEncryptionSdk => "bin/python",
            Self::EncryptionCli => "bin/aws-encryption-cli",
            Self::NodeEncryptionSdk => "node_modules/@aws-crypto/client-node",
            Self::RustEncryptionSdk => "bin/esdk-driver",
            Self::JavaEncryptionSdk => "classes",
            Self::Moto => "bin/moto_server",
            Self::LocalKms => "bin/local-kms",
            Self::GoKmsTasks => "bin/kms-tasks",
            Self::SoftHsm => "usr/lib/softhsm/libsofthsm2.so",
        }
    }

    /// Whether `.ci/peers` installs it only when named: compiling it takes minutes that a test run has not,
    /// or no test asks for it.
    pub(crate) const fn is_named_only(self) -> bool {
        matches!(
            self,
            Self::RustEncryptionSdk
                | Self::Moto
                | Self::LocalKms
                | Self::Rustic
                | Self::Borg
                | Self::Kopia
        )
    }

    /// Finds the peer in the folder that the environment names.
    ///
    /// Returns the absolute path of its program; for [`Peer::NodeEncryptionSdk`], of the package.
    ///
    /// # Errors
    ///
    /// [`PeerError::NotInstalled`], [`PeerError::OtherVersion`] or [`PeerError::NoFolder`].
    pub fn find(self) -> Result<PathBuf, PeerError> {
        Peers::from_environment()?.find(self)
    }
}

/// The folder that holds the installed peers.
#[derive(Clone, Debug)]
pub struct Peers {
    folder: PathBuf,
}

impl Peers {
    /// The folder `$STRONGROOM_PEERS`, or else `$HOME/.cache/strongroom/peers`.
    ///
    /// # Errors
    ///
    /// [`PeerError::NoFolder`] if neither variable is set.
    pub fn from_environment() -> Result<Self, PeerError> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        set("STRONGROOM_PEERS")
            .map(PathBuf::from)
            .or_else(|| set("HOME").map(|home| Path::new(&home).join(".cache/strongroom/peers")))
            .map(Self::at)
            .ok_or(PeerError::NoFolder)
    }

    /// The given folder.
    #[must_use]
    pub const fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Finds a peer at its pinned version. See [`Peer::find`].
    ///
    /// # Errors
    ///
    /// [`PeerError::NotInstalled`] or [`PeerError::OtherVersion`].
    pub fn find(&self, peer: Peer) -> Result<PathBuf, PeerError> {
        let folder = self.folder.join(peer.name());
        let entry = folder.join(peer.entry());
        let missing = || PeerError::NotInstalled { peer, folder: folder.clone() };
        let installed = std::fs::read_to_string(folder.join("pin")).map_err(|_| missing())?;
        if installed != peer.pin() {
            let pin = peer.pin().lines().next().unwrap_or_default().to_owned();
            return Err(PeerError::OtherVersion { peer, pin });
        }
        if entry.exists() { Ok(entry) } else { Err(missing()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(folder: &Path, pin: &str) {
        let peer = folder.join("restic");
        std::fs::create_dir_all(peer.join("bin")).unwrap();
        std::fs::write(peer.join("bin/restic"), "").unwrap();
        std::fs::write(peer.join("pin"), pin).unwrap();
    }

    #[test]
    fn a_complete_installation_is_found() {
        let folder = tempfile::tempdir().unwrap();
        install(folder.path(), Peer::Restic.pin());
        let found = Peers::at(folder.path().into()).find(Peer::Restic).unwrap();
        assert_eq!(found, folder.path().join("restic/bin/restic"));
    }

    #[test]
    fn another_version_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        install(folder.path(), "github.com/restic/restic/cmd/restic@v0.0.1\n");
        let refused = Peers::at(folder.path().into()).find(Peer::Restic).unwrap_err();
        assert!(matches!(refused, PeerError::OtherVersion { peer: Peer::Restic, .. }), "{refused}");
        assert!(refused.is_absence());
    }

    #[test]
    fn an_installation_that_was_interrupted_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        install(folder.path(), Peer::Restic.pin());
        std::fs::remove_file(folder.path().join("restic/pin")).unwrap();
        let refused = Peers::at(folder.path().into()).find(Peer::Restic).unwrap_err();
        assert!(matches!(refused, PeerError::NotInstalled { peer: Peer::Restic, .. }), "{refused}");
    }
}
