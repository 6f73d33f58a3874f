//! What the control plane does to HSMs: makes, clones, initialises, switches on, backs up, removes.
//!
//! The registry says what should exist, and is written first; `ensure` then brings the hardware there
//! and can be repeated. A crash at any point is repaired by the next start, which ensures every HSM
//! that the registry knows and removes the directories of those that it does not.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use strongroom_hsm::clock::Clock as HsmClock;
use strongroom_hsm::provision::{Backup, Status};
use strongroom_hsm::{Config, Factory, HsmError, Provider};
use tokio::sync::{Mutex, MutexGuard};

use super::hosting::{self, Host, HostingError, HsmHosting};
use super::network::{Network, NetworkError};
use crate::clock::Timestamp;
use crate::ids::{ClusterId, HsmId};
use crate::records::{Cluster, ClusterCertificates, ClusterStage, Hsm};
use crate::registry::State;

/// Everything that the CloudHSM service needs beside the registry.
pub(crate) struct ControlPlane {
    factory: Factory,
    clock: Arc<dyn HsmClock>,
    host: Arc<dyn Host>,
    network: Network,
    devices: PathBuf,
    backups: PathBuf,
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
    pub(crate) async fn open(
        dir: &Path,
        factory: Factory,
        config: &Config,
        hosting: &HsmHosting,
        latency_seconds: u32,
    ) -> Result<Self, NetworkError> {
        let (devices, backups) = (dir.join("devices"), dir.join("backups"));
        for path in [&devices, &backups] {
            make_private_dir(path)
                .map_err(|source| NetworkError::File { path: path.clone(), source })?;
        }
        let network = Network::open(dir).await?;
        tracing::debug!(network = network.name(), "HSMs get addresses of this network");
        Ok(Self {
            factory,
            clock: Arc::clone(&config.clock),
            host: hosting::host(hosting, config),
            network,
            devices,
            backups,
            latency_seconds,
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
    pub(crate) async fn start(&self, state: &State) {
        let changing = self.change().await;
        self.remove_strangers(state);
        for cluster in state.all_clusters() {
            for hsm in cluster.hsms.values() {
                if let Err(error) = self.ensure(cluster, hsm, &changing).await {
                    tracing::error!(hsm = %hsm.id, cluster = %cluster.id, %error, "an HSM is not up");
                }
            }
        }
    }

    /// Switches every HSM off, so that whoever starts next finds none of them running.
    pub(crate) async fn stop(&self, state: &State) {
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
        let dir = self.device_dir(&hsm.id);
        self.factory.manufacture(&dir, hsm.id.as_str(), &*self.clock).or_else(|error| {
            // It is on, so that it has been made.
            if matches!(error, HsmError::InUse { .. }) { Ok(()) } else { Err(error) }
        })?;
        self.host.power_on(&hsm.id, &dir, hsm.address).await?;
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

    /// Writes a backup of the cluster, from the first HSM that gives one.
    pub(crate) async fn back_up(&self, cluster: &Cluster) -> Result<(), HardwareError> {
        if cluster.claim.is_none() {
            return Ok(());
        }
        match self.fresh_backup(cluster, None).await {
            Some(backup) => self.store_backup(&cluster.id, &backup),
            None => Ok(()),
        }
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
    pub(crate) async fn power_on(&self, hsm: &Hsm) -> Result<(), HardwareError> {
        Ok(self.host.power_on(&hsm.id, &self.device_dir(&hsm.id), hsm.address).await?)
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

    /// What a new HSM of the cluster is made from: a backup of one that lives, else the last one.
    async fn backup_for(
        &self,
        cluster: &Cluster,
        new: &HsmId,
    ) -> Result<Option<Backup>, HardwareError> {
        if let Some(backup) = self.fresh_backup(cluster, Some(new)).await {
            self.store_backup(&cluster.id, &backup)?;
            return Ok(Some(backup));
        }
        let path = self.backup_path(&cluster.id);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(Backup::new(bytes).map_err(HsmError::from)?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(HardwareError::File { path, source }),
        }
    }

    async fn fresh_backup(&self, cluster: &Cluster, except: Option<&HsmId>) -> Option<Backup> {
        for hsm in cluster.hsms.keys().filter(|hsm| Some(*hsm) != except) {
            match self.provider(hsm).backup().await {
                Ok(backup) => return Some(backup),
                Err(error) => tracing::debug!(%hsm, %error, "an HSM gave no backup"),
            }
        }
        None
    }

    fn store_backup(&self, cluster: &ClusterId, backup: &Backup) -> Result<(), HardwareError> {
        let path = self.backup_path(cluster);
        let store = || {
            let new = path.with_extension("new");
            let mut file = File::create(&new)?;
            file.write_all(backup.as_slice())?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            File::open(&self.backups)?.sync_all()
        };
        store().map_err(|source| HardwareError::File { path: path.clone(), source })
    }

    fn backup_path(&self, cluster: &ClusterId) -> PathBuf {
        self.backups.join(cluster.as_str())
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
