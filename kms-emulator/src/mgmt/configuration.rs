//! The tool's file: which HSMs there are, and whose certificate they have to show.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strongroom_hsm::clock::Clock;
use strongroom_hsm::limits::{CLUSTER_MEMBERS_MAX, PEM_BYTES_MAX};
use strongroom_hsm::server::MANAGEMENT_PORT;
use strongroom_hsm::{Client, TrustAnchor};

use super::MgmtError;

/// Longest configuration file, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1_024;
/// Time for one HSM to answer, in seconds.
const CONNECT_SECONDS_MAX: u64 = 5;

/// One HSM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// What the outputs call it.
    pub name: String,
    /// Its address.
    pub hostname: IpAddr,
    /// Its management port.
    pub port: u16,
}

/// The HSMs that the tool talks to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// In the order in which commands visit them.
    pub servers: Vec<Endpoint>,
    /// PEM file of the trust anchor, `customerCA.crt`.
    pub certificate: PathBuf,
}

impl Configuration {
    /// Reads a configuration; `None` if there is no such file.
    ///
    /// # Errors
    ///
    /// [`MgmtError::File`], [`MgmtError::NotAConfiguration`].
    pub fn load(path: &Path) -> Result<Option<Self>, MgmtError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(failed("open", path, source)),
        };
        serde_json::from_reader(file.take(FILE_BYTES_MAX))
            .map(Some)
            .map_err(|source| MgmtError::NotAConfiguration { path: path.into(), source })
    }

    /// Writes the configuration in place of the old one.
    ///
    /// # Errors
    ///
    /// [`MgmtError::File`].
    pub fn save(&self, path: &Path) -> Result<(), MgmtError> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|source| MgmtError::NotAConfiguration { path: path.into(), source })?;
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir).map_err(|source| failed("create", dir, source))?;
        }
        let new = path.with_extension("new");
        File::create(&new)
            .and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()
            })
            .and_then(|()| std::fs::rename(&new, path))
            .map_err(|source| failed("write", path, source))
    }

    /// A configuration of these addresses, in their order, each once.
    #[must_use]
    pub fn of(
        addresses: impl IntoIterator<Item = IpAddr>,
        port: Option<u16>,
        certificate: PathBuf,
    ) -> Self {
        let mut seen = BTreeSet::new();
        let servers = addresses
            .into_iter()
            .filter(|address| seen.insert(*address))
            .take(CLUSTER_MEMBERS_MAX)
            .map(|hostname| Endpoint {
                name: hostname.to_string(),
                hostname,
                port: port.unwrap_or(MANAGEMENT_PORT),
            })
            .collect();
        Self { servers, certificate }
    }

    /// Reads the trust anchor.
    ///
    /// # Errors
    ///
    /// [`MgmtError::File`], [`MgmtError::TrustAnchor`].
    pub fn trust_anchor(&self, clock: &dyn Clock) -> Result<TrustAnchor, MgmtError> {
        let path = &self.certificate;
        let mut pem = String::new();
        File::open(path)
            .and_then(|file| file.take(PEM_BYTES_MAX as u64 + 1).read_to_string(&mut pem))
            .map_err(|source| failed("read", path, source))?;
        TrustAnchor::from_pem(&pem, clock.now())
            .map_err(|source| MgmtError::TrustAnchor { path: path.clone(), source })
    }

    /// Asks the configured HSMs, one after the other until one answers, for all HSMs of the cluster.
    ///
    /// # Errors
    ///
    /// The error of the last one, [`MgmtError::NoServers`], or that of the trust anchor.
    pub async fn discover(&self, clock: &dyn Clock) -> Result<Vec<IpAddr>, MgmtError> {
        let anchor = self.trust_anchor(clock)?;
        let mut last = MgmtError::NoServers;
        for server in &self.servers {
            match members(server, &anchor).await {
                Ok(members) => return Ok(members),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

async fn members(server: &Endpoint, anchor: &TrustAnchor) -> Result<Vec<IpAddr>, MgmtError> {
    let client = connect(server, anchor).await?;
    let info = client.info().await?;
    Ok(info.members.as_slice().iter().filter_map(|member| member.as_str().parse().ok()).collect())
}

/// Opens a management connection to an HSM.
pub(crate) async fn connect(server: &Endpoint, anchor: &TrustAnchor) -> Result<Client, MgmtError> {
    let address = SocketAddr::new(server.hostname, server.port);
    let wait = Duration::from_secs(CONNECT_SECONDS_MAX);
    Ok(Client::connect(address, anchor, wait).await?)
}

fn failed(action: &'static str, path: &Path, source: std::io::Error) -> MgmtError {
    MgmtError::File { action, path: path.into(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("etc/cloudhsm_mgmt_util.cfg");
        assert!(Configuration::load(&path).unwrap().is_none());
        let address: IpAddr = "127.0.1.2".parse().unwrap();
        let written = Configuration::of([address, address], None, "customerCA.crt".into());
        assert_eq!(written.servers.len(), 1);
        assert_eq!(written.servers[0].port, 2_225);
        written.save(&path).unwrap();
        assert_eq!(Configuration::load(&path).unwrap().unwrap(), written);
    }

    #[test]
    fn another_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("other.cfg");
        std::fs::write(&path, "[]").unwrap();
        assert!(matches!(Configuration::load(&path), Err(MgmtError::NotAConfiguration { .. })));
    }
}
