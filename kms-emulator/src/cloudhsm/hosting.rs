//! Where HSMs run: each as a process of its own, or inside the server.
//!
//! As processes, killing one is a real power failure, and the server's memory never holds a key of a
//! custom key store. Inside the server nothing else is different: the same device serves the same TLS
//! ports on its own address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use strongroom_hsm::provision::Status;
use strongroom_hsm::server::{self, Listen};
use strongroom_hsm::{Config, Device, HsmError, Provider};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::ids::HsmId;

/// Longest that an HSM may take from power-on until its control socket answers, in seconds.
const BOOT_SECONDS_MAX: u64 = 20;
/// Pause between two looks whether it answers, in milliseconds.
const BOOT_LOOK_MILLIS: u64 = 5;
/// Pause before a device whose earlier process is still going down is tried again, in milliseconds.
const RETRY_MILLIS: u64 = 50;
/// How often a device process that ended at once is started again.
const SPAWN_TRIES_MAX: u32 = 40;

/// Where a server runs the HSMs of its clusters.
#[derive(Clone, Debug)]
pub enum HsmHosting {
    /// Inside the server, in temporary or small setups: the server's memory holds their keys.
    InProcess,
    /// Each as a process `<program> hsm run …`, which ends when the server ends.
    Processes {
        /// The `strongroom-kms` executable.
        program: PathBuf,
    },
}

/// Why an HSM did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum HostingError {
    #[error("{id} does not start: {source}")]
    Spawn { id: HsmId, source: std::io::Error },
    #[error("{id} ended while it was starting ({status})")]
    Ended { id: HsmId, status: String },
    #[error("{id} did not answer within {BOOT_SECONDS_MAX} seconds")]
    Silent { id: HsmId },
    #[error("{id} does not start: {source}")]
    Device { id: HsmId, source: HsmError },
}

/// Runs HSMs.
#[async_trait]
pub(crate) trait Host: Send + Sync {
    /// Switches on the device of directory `dir` and returns when its control socket answers. One that
    /// is on stays on.
    async fn power_on(&self, id: &HsmId, dir: &Path, address: Ipv4Addr)
    -> Result<(), HostingError>;

    /// Switches a device off; one that is off stays off.
    async fn power_off(&self, id: &HsmId);

    /// The operating system's number of the device's process, if it has one.
    async fn process(&self, id: &HsmId) -> Option<u32>;
}

/// The host that a configuration asks for.
pub(crate) fn host(hosting: &HsmHosting, config: &Config) -> Arc<dyn Host> {
    match hosting {
        HsmHosting::InProcess => Arc::new(InProcess::new(config.clone())),
        HsmHosting::Processes { program } => Arc::new(Processes::new(program.clone())),
    }
}

/// HSMs as child processes.
///
/// Each holds the reading end of a pipe whose writing end only the server has: when the server ends, in
/// whatever way, the pipe closes and the device switches itself off.
struct Processes {
    program: PathBuf,
    running: Mutex<HashMap<HsmId, Child>>,
}

impl Processes {
    fn new(program: PathBuf) -> Self {
        Self { program, running: Mutex::default() }
    }

    fn spawn(&self, id: &HsmId, dir: &Path, address: Ipv4Addr) -> Result<Child, HostingError> {
        Command::new(&self.program)
            .args(["hsm", "run", "--until-stdin-closes", "--dir"])
            .arg(dir)
            .args(["--address", &address.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| HostingError::Spawn { id: id.clone(), source })
    }
}

#[async_trait]
impl Host for Processes {
    async fn power_on(
        &self,
        id: &HsmId,
        dir: &Path,
        address: Ipv4Addr,
    ) -> Result<(), HostingError> {
        let mut running = self.running.lock().await;
        let is_on = |child: &mut Child| matches!(child.try_wait(), Ok(None));
        if running.get_mut(id).is_some_and(is_on) {
            return Ok(());
        }
        let boot = async {
            switch_off_stranger(dir).await;
            let mut tries = SPAWN_TRIES_MAX;
            loop {
                let mut child = self.spawn(id, dir, address)?;
                match answers(id, dir, || ended(&mut child)).await {
                    // The process of a server that was killed may hold the device a moment longer.
                    Err(HostingError::Ended { .. }) if tries > 0 => {
                        tries = tries.saturating_sub(1);
                        tokio::time::sleep(Duration::from_millis(RETRY_MILLIS)).await;
                    }
                    Err(error) => return Err(error),
                    Ok(()) => return Ok(child),
                }
            }
        };
        let wait = Duration::from_secs(BOOT_SECONDS_MAX);
        let silent = || Err(HostingError::Silent { id: id.clone() });
        let child = tokio::time::timeout(wait, boot).await.unwrap_or_else(|_| silent())?;
        running.insert(id.clone(), child);
        Ok(())
    }

    async fn power_off(&self, id: &HsmId) {
        if let Some(mut child) = self.running.lock().await.remove(id)
            && let Err(error) = child.kill().await
        {
            tracing::warn!(hsm = %id, %error, "the process of an HSM was not ended");
        }
    }

    async fn process(&self, id: &HsmId) -> Option<u32> {
        self.running.lock().await.get(id).and_then(Child::id)
    }
}

fn ended(child: &mut Child) -> Option<String> {
    match child.try_wait() {
        Ok(None) => None,
        Ok(Some(status)) => Some(status.to_string()),
        Err(error) => Some(error.to_string()),
    }
}

/// Switches off a device whose server is gone and which has not noticed yet.
async fn switch_off_stranger(dir: &Path) {
    let provider = Provider::of_directory(dir);
    while provider.power_off().await.is_ok() {
        tokio::time::sleep(Duration::from_millis(BOOT_LOOK_MILLIS)).await;
    }
}

/// Waits until the control socket answers, or until `ended` says that nobody will answer any more.
async fn answers(
    id: &HsmId,
    dir: &Path,
    mut ended: impl FnMut() -> Option<String> + Send,
) -> Result<(), HostingError> {
    let provider = Provider::of_directory(dir);
    loop {
        if let Some(status) = ended() {
            return Err(HostingError::Ended { id: id.clone(), status });
        }
        if provider.status().await.is_ok_and(|status| is_up(&status)) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(BOOT_LOOK_MILLIS)).await;
    }
}

/// Whether the ports that a device has to open are open.
fn is_up(status: &Status) -> bool {
    let is_initialized = status.info.as_ref().is_some_and(|info| info.initialized);
    !is_initialized || (status.client_port != 0 && status.management_port != 0)
}

/// HSMs as tasks of the server.
struct InProcess {
    config: Config,
    running: Mutex<HashMap<HsmId, Serving>>,
}

struct Serving(JoinHandle<()>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl InProcess {
    fn new(config: Config) -> Self {
        Self { config, running: Mutex::default() }
    }
}

#[async_trait]
impl Host for InProcess {
    async fn power_on(
        &self,
        id: &HsmId,
        dir: &Path,
        address: Ipv4Addr,
    ) -> Result<(), HostingError> {
        let mut running = self.running.lock().await;
        if running.get(id).is_some_and(|serving| !serving.0.is_finished()) {
            return Ok(());
        }
        let failed = |source| HostingError::Device { id: id.clone(), source };
        let device = Arc::new(boot(dir, self.config.clone()).await.map_err(failed)?);
        let name = id.clone();
        let serving = Serving(tokio::spawn(async move {
            if let Err(error) = server::serve(device, Listen::on(IpAddr::V4(address))).await {
                tracing::error!(hsm = %name, %error, "an HSM has stopped");
            }
        }));
        let wait = Duration::from_secs(BOOT_SECONDS_MAX);
        let stopped = || serving.0.is_finished().then(|| "stopped".to_owned());
        let silent = || Err(HostingError::Silent { id: id.clone() });
        let booted = tokio::time::timeout(wait, answers(id, dir, stopped)).await;
        booted.unwrap_or_else(|_| silent())?;
        running.insert(id.clone(), serving);
        Ok(())
    }

    async fn power_off(&self, id: &HsmId) {
        let Some(serving) = self.running.lock().await.remove(id) else { return };
        serving.0.abort();
        while !serving.0.is_finished() {
            tokio::time::sleep(Duration::from_millis(BOOT_LOOK_MILLIS)).await;
        }
    }

    async fn process(&self, _id: &HsmId) -> Option<u32> {
        None
    }
}

/// Boots off the event loop; a device whose earlier task is still going down is tried again.
async fn boot(dir: &Path, config: Config) -> Result<Device, HsmError> {
    let tries = BOOT_SECONDS_MAX.saturating_mul(1_000) / RETRY_MILLIS;
    for _ in 0..tries {
        let (dir, config) = (dir.to_owned(), config.clone());
        let work = tokio::task::spawn_blocking(move || Device::power_on(&dir, config));
        match work.await {
            Ok(Err(HsmError::InUse { .. })) => {
                tokio::time::sleep(Duration::from_millis(RETRY_MILLIS)).await;
            }
            Ok(result) => return result,
            Err(_) => break,
        }
    }
    Err(HsmError::InUse { path: dir.to_owned() })
}
