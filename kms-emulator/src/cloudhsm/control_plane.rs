//! What the control plane does to HSMs: makes, clones, initialises, switches on, removes.
//!
//! The registry says what should exist, and is written first; `ensure` then brings the hardware there
//! and can be repeated. A crash at any point is repaired by the next start, which ensures every HSM
//! that the registry knows and removes the directories of those that it does not.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use strongroom_hsm::clock::Clock as HsmClock;
use strongroom_hsm::provision::{Backup as BackupBytes, Status};
use strongroom_hsm::{Config, Factory, HsmError, Provider};
use tokio::sync::{Mutex, MutexGuard};

use super::backup_files::BackupFiles;
use super::faults::NetworkChange;
use super::hosting::{self, Host, HostingError, HsmHosting};
use super::network::{Network, NetworkError};
use crate::clock::{Clock, Timestamp};
use crate::ids::{ClusterId, HsmId};
use crate::records::{Cluster, ClusterCertificates, ClusterStage, Hsm};
use crate::registry::{Registry, State};

/// What the CloudHSM service is given.
pub(crate) struct Surroundings {
    pub(crate) registry: Registry,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) factory: Factory,
    pub(crate) device: Config,
    pub(crate) hosting: HsmHosting,
    pub(crate) latency_seconds: u32,
}

/// The CloudHSM service behind its operations.
pub(crate) struct ControlPlane {
    pub(super) registry: Registry,
    pub(super) clock: Arc<dyn Clock>,
    factory: Factory,
    device_clock: Arc<dyn HsmClock>,
    host: Arc<dyn Host>,
    network: Network,
    devices: PathBuf,
    pub(super) backup_files: BackupFiles,
    latency_seconds: u32,
    /// Held while HSMs are made or removed: one such change at a time.
    changing: Mutex<()>,
}

/// Why the hardware is not as the registry says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum HardwareError {
    #[error(transparent)]
    Hosting(#[from] HostingError),
    #[error(transparent)]
    Hsm(#[from] HsmError),
    #[error("cannot use {}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("a change was not written down: {0}")]
    Registry(String),
    #[error("{cluster} has no HSM that answers and no backup from which another could be made")]
    NothingToCloneFrom { cluster: ClusterId },
}

/// How an HSM is, as seen from outside.
#[derive(Clone, Debug)]
pub(crate) enum Health {
    /// It does not answer, or has zeroised itself.
    Degraded,
    /// It does what it should.
    Active {
        /// Whether its PRECO has become a crypto officer.
        is_activated: bool,
    },
}

impl ControlPlane {
    /// Prepares the service in `dir`; no HSM is switched on yet.
    pub(crate) async fn open(dir: &Path, around: Surroundings) -> Result<Self, NetworkError> {
        let (devices, backups) = (dir.join("devices"), dir.join("backups"));
        for path in [&devices, &backups] {
            make_private_dir(path)
                .map_err(|source| NetworkError::File { path: path.clone(), source })?;
        }
        let network = Network::open(dir).await?;
        tracing::debug!(network = network.name(), "HSMs get addresses of this network");
        Ok(Self {
            registry: around.registry,
            clock: around.clock,
            factory: around.factory,
            device_clock: Arc::clone(&around.device.clock),
            host: hosting::host(&around.hosting, &around.device),
            network,
            devices,
            backup_files: BackupFiles::of(backups),
            latency_seconds: around.latency_seconds,
            changing: Mutex::default(),
        })
    }

    /// The built-in network.
    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    /// When a change that begins `now` is shown as done.
    pub(crate) fn done_at(&self, now: Timestamp) -> Timestamp {
        now.plus_seconds(i64::from(self.latency_seconds))
    }

    /// Waits for the right to make or remove HSMs.
    pub(crate) async fn change(&self) -> Changing<'_> {
        Changing(self.changing.lock().await)
    }

    /// Brings every HSM of the registry up and removes what it does not know. An HSM that does not
    /// start is logged and shown as degraded; the server runs without it.
    pub(crate) async fn start(&self) {
        let state = self.registry.state();
        let changing = self.change().await;
        self.remove_strangers(&state);
        self.backup_files.remove_strangers(&state);
        for cluster in state.all_clusters() {
            for hsm in cluster.hsms.values() {
                if let Err(error) = self.ensure(cluster, hsm, &changing).await {
                    tracing::error!(hsm = %hsm.id, cluster = %cluster.id, %error, "an HSM is not up");
                }
            }
        }
    }

    /// Switches every HSM off, so that whoever starts next finds none of them running.
    pub(crate) async fn stop(&self) {
        let state = self.registry.state();
        for hsm in state.all_clusters().flat_map(|cluster| cluster.hsms.keys()) {
            self.host.power_off(hsm).await;
        }
    }

    /// Makes one HSM what the registry says that it is: manufactured, on, and in its cluster.
    pub(crate) async fn ensure(
        &self,
        cluster: &Cluster,
        hsm: &Hsm,
        _changing: &Changing<'_>,
    ) -> Result<(), HardwareError> {
        // One that answers has been made.
        if self.provider(&hsm.id).status().await.is_err() {
            let dir = self.device_dir(&hsm.id);
            self.factory.manufacture(&dir, hsm.id.as_str(), &*self.device_clock).or_else(
                |error| if matches!(error, HsmError::InUse { .. }) { Ok(()) } else { Err(error) },
            )?;
        }
        self.power_on(cluster, hsm).await?;
        let status = self.provider(&hsm.id).status().await?;
        // A zeroised device stays what it is: its owner has to delete it.
        if status.info.is_some_and(|info| !info.initialized) {
            self.join(cluster, hsm).await?;
        }
        self.tell_members(cluster).await;
        Ok(())
    }

    /// Makes a fresh device a member of its cluster.
    async fn join(&self, cluster: &Cluster, hsm: &Hsm) -> Result<(), HardwareError> {
        let provider = self.provider(&hsm.id);
        let Some(claim) = &cluster.claim else {
            provider.make_request().await?;
            return Ok(());
        };
        if let Some(backup) = self.backup_for(cluster, &hsm.id).await? {
            return Ok(provider.restore(backup).await?);
        }
        let made = provider.make_request().await?;
        let is_first =
            cluster.certificates.as_ref().is_some_and(|first| first.csr == made.csr.as_str());
        if !is_first {
            return Err(HardwareError::NothingToCloneFrom { cluster: cluster.id.clone() });
        }
        Ok(provider.initialize(&claim.certificate, &claim.trust_anchor).await?)
    }

    /// The certificates of a cluster whose first HSM is `hsm`.
    pub(crate) async fn certificates(
        &self,
        hsm: &HsmId,
    ) -> Result<ClusterCertificates, HardwareError> {
        let made = self.provider(hsm).make_request().await?;
        Ok(ClusterCertificates {
            csr: made.csr.as_str().to_owned(),
            hsm: made.hsm_certificate.as_str().to_owned(),
            aws_hardware: made.aws_hardware_certificate.as_str().to_owned(),
            manufacturer_hardware: made.manufacturer_hardware_certificate.as_str().to_owned(),
        })
    }

    /// How an HSM is.
    pub(crate) async fn health(&self, hsm: &HsmId) -> Health {
        match self.provider(hsm).status().await {
            Ok(Status { info: Some(info), .. }) => Health::Active { is_activated: info.activated },
            _ => Health::Degraded,
        }
    }

    /// Whether a cluster that was initialised has been activated since.
    pub(crate) async fn has_become_active(&self, cluster: &Cluster) -> bool {
        if cluster.stage != ClusterStage::Initialized {
            return false;
        }
        for hsm in cluster.hsms.keys() {
            if matches!(self.health(hsm).await, Health::Active { is_activated: true }) {
                return true;
            }
        }
        false
    }

    /// Switches an HSM off and destroys its device; what it held lives on in the backup.
    pub(crate) async fn remove(&self, hsm: &HsmId, _changing: &Changing<'_>) {
        self.host.power_off(hsm).await;
        remove_dir(&self.device_dir(hsm));
    }

    /// Tells every HSM the addresses of all: clients ask any of them.
    pub(crate) async fn tell_members(&self, cluster: &Cluster) {
        let addresses: Vec<_> = cluster.hsms.values().map(|hsm| hsm.address.to_string()).collect();
        for hsm in cluster.hsms.keys() {
            let told = self.provider(hsm).set_members(addresses.iter().map(String::as_str)).await;
            if let Err(error) = told {
                tracing::debug!(%hsm, %error, "an HSM was not told about the others");
            }
        }
    }

    /// Switches an HSM on again, for whoever pressed its power button.
    pub(crate) async fn power_on(&self, cluster: &Cluster, hsm: &Hsm) -> Result<(), HardwareError> {
        self.host.power_on(&hsm.id, &self.device_dir(&hsm.id), hsm.address).await?;
        self.meet_faults(cluster, &hsm.id).await
    }

    /// Makes a change to the built-in network and lets every HSM meet it. One that is off meets it when it
    /// is switched on.
    ///
    /// # Errors
    /// What is wrong with the change, for the operator.
    pub(crate) async fn change_network(&self, change: &NetworkChange) -> Result<(), String> {
        let _changing = self.change().await;
        let faults = self.network.faults().after(change)?;
        self.network.set_faults(faults).map_err(|error| error.to_string())?;
        let state = self.registry.state();
        for cluster in state.all_clusters() {
            for hsm in cluster.hsms.keys() {
                if let Err(error) = self.meet_faults(cluster, hsm).await {
                    tracing::debug!(%hsm, %error, "an HSM has not met the network's faults yet");
                }
            }
        }
        Ok(())
    }

    async fn meet_faults(&self, cluster: &Cluster, hsm: &HsmId) -> Result<(), HardwareError> {
        let conditions = self.network.faults().conditions(cluster, hsm.as_str());
        Ok(self.provider(hsm).set_conditions(conditions).await?)
    }

    /// Switches an HSM off, as a power failure would.
    pub(crate) async fn power_off(&self, hsm: &HsmId) {
        self.host.power_off(hsm).await;
    }

    /// The process of an HSM, if it runs as one.
    pub(crate) async fn process(&self, hsm: &HsmId) -> Option<u32> {
        self.host.process(hsm).await
    }

    /// The provider's side of an HSM.
    pub(crate) fn provider(&self, hsm: &HsmId) -> Provider {
        Provider::of_directory(&self.device_dir(hsm))
    }

    /// The directory of an HSM's device.
    pub(crate) fn device_dir(&self, hsm: &HsmId) -> PathBuf {
        self.devices.join(hsm.as_str())
    }

    /// The bytes of a backup, from the first HSM of the cluster that gives some.
    pub(super) async fn draw_backup(
        &self,
        cluster: &Cluster,
        except: Option<&HsmId>,
    ) -> Option<BackupBytes> {
        for hsm in cluster.hsms.keys().filter(|hsm| Some(*hsm) != except) {
            // One that hangs is found out by what takes no time.
            if let Health::Degraded = self.health(hsm).await {
                continue;
            }
            match self.provider(hsm).backup().await {
                Ok(backup) => return Some(backup),
                Err(error) => tracing::debug!(%hsm, %error, "an HSM gave no backup"),
            }
        }
        None
    }

    /// Removes the directories of HSMs that no cluster has: those of a crash while one was deleted.
    fn remove_strangers(&self, state: &State) {
        let Ok(entries) = fs::read_dir(&self.devices) else { return };
        for entry in entries.flatten() {
            let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<HsmId>().ok())
            else {
                continue;
            };
            if !state.all_clusters().any(|cluster| cluster.hsms.contains_key(&id)) {
                remove_dir(&entry.path());
            }
        }
    }
}

/// The right to make or remove HSMs; `ControlPlane::change` alone gives it.
pub(crate) struct Changing<'a>(#[expect(dead_code, reason = "held")] MutexGuard<'a, ()>);

fn make_private_dir(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn remove_dir(path: &Path) {
    if let Err(error) = fs::remove_dir_all(path) {
        tracing::warn!(path = %path.display(), %error, "a deleted HSM's directory remains");
    }
}
