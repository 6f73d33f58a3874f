//! The operator's channel: a Unix socket in the data directory, which only its owner can open.
//!
//! It does to HSMs and to the built-in network what no AWS operation does: switches HSMs off as a power
//! failure would, switches them on again, breaks their seal, closes ports, cuts cables. One connection carries one request and one reply, each a line of
//! JSON.

use std::fs::File;
use std::io::{Error, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::backup;
use crate::cloudhsm::{Health, NetworkChange, NetworkFaults};
use crate::ids::HsmId;
use crate::kms::Kms;
use crate::records::{Cluster, Hsm};

/// The socket's name in the data directory.
const SOCKET: &str = "admin.sock";
/// Longest line of either side, in bytes.
const LINE_BYTES_MAX: u64 = 1024 * 1024;
/// Longest that a request may take to arrive, and a reply to be made, in seconds.
const ANSWER_SECONDS_MAX: u64 = 60;

/// What the operator does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "action", content = "subject")]
pub enum AdminRequest {
    /// Lists all HSMs.
    List,
    /// Switches an HSM on.
    Start(String),
    /// Switches an HSM off.
    Stop(String),
    /// Breaks the seal of an HSM: it zeroises itself.
    Tamper(String),
    /// Shows what is wrong with the built-in network.
    ShowNetwork,
    /// Makes something wrong with it, or mends it.
    ChangeNetwork(NetworkChange),
    /// Reads the file of accounts, users and roles again.
    ReloadPrincipals,
    /// Backs the data directory up into another one.
    BackUp(PathBuf),
}

/// An HSM, as the operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HsmReport {
    /// Its id.
    pub hsm_id: String,
    /// Its cluster.
    pub cluster_id: String,
    /// Its availability zone.
    pub zone: String,
    /// The address of its network interface.
    pub address: String,
    /// Whether it answers; one that has zeroised itself does not.
    pub is_active: bool,
    /// The number of its process, if it runs as one.
    pub process: Option<u32>,
    /// The directory of its device.
    pub directory: PathBuf,
}

/// Why the operator was not served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// No server runs on the data directory, or it is another user's.
    #[error("no strongroom-kms answers in {}: {source}; is it running on this --data-dir?", dir.display())]
    NoServer {
        /// The data directory.
        dir: PathBuf,
        /// What the operating system said.
        source: Error,
    },
    /// The server refused.
    #[error("{0}")]
    Refused(String),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Reply {
    Hsms(Vec<HsmReport>),
    Network(NetworkFaults),
    Refused(String),
}

/// Asks the server that runs on a data directory; returns the HSMs that the request was about, as they
/// are after it.
///
/// # Errors
/// See [`AdminError`].
pub async fn ask(dir: &Path, request: &AdminRequest) -> Result<Vec<HsmReport>, AdminError> {
    match exchange(dir, request).await? {
        Reply::Hsms(hsms) => Ok(hsms),
        Reply::Network(_) => Ok(Vec::new()),
        Reply::Refused(reason) => Err(AdminError::Refused(reason)),
    }
}

/// Asks the server that runs on a data directory what is wrong with its network, after a change if one is
/// given.
///
/// # Errors
/// See [`AdminError`].
pub async fn ask_network(
    dir: &Path,
    change: Option<NetworkChange>,
) -> Result<NetworkFaults, AdminError> {
    let request = change.map_or(AdminRequest::ShowNetwork, AdminRequest::ChangeNetwork);
    match exchange(dir, &request).await? {
        Reply::Network(faults) => Ok(faults),
        Reply::Hsms(_) => Ok(NetworkFaults::default()),
        Reply::Refused(reason) => Err(AdminError::Refused(reason)),
    }
}

async fn exchange(dir: &Path, request: &AdminRequest) -> Result<Reply, AdminError> {
    let no_server = |source| AdminError::NoServer { dir: dir.to_owned(), source };
    let exchange = async {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        let open = File::open(dir)?;
        let mut stream = UnixStream::connect(socket_in(&open)).await?;
        stream.write_all(&line).await?;
        let reply = read_line(&mut stream).await?;
        Ok(serde_json::from_str(&reply)?)
    };
    exchange.await.map_err(no_server)
}

/// Reads the file of accounts, users and roles again; an error is for the operator.
pub(crate) type Reload = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Opens the channel in `dir`; the future serves it until `stop` changes.
pub(crate) fn listen(
    dir: &Path,
    kms: Arc<Kms>,
    reload: Reload,
    mut stop: watch::Receiver<bool>,
) -> std::io::Result<impl Future<Output = ()> + use<>> {
    let path = dir.join(SOCKET);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let dir = dir.to_owned();
    let open = File::open(&dir)?;
    let listener = UnixListener::bind(socket_in(&open))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(async move {
        loop {
            let accepted = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                accepted = listener.accept() => accepted,
            };
            // One after the other: the operator has two hands.
            match accepted {
                Ok((stream, _)) => serve(&kms, &dir, &reload, stream).await,
                Err(error) => tracing::warn!(%error, "the operator was not let in"),
            }
        }
    })
}

/// A path to the socket that fits into a socket address, however long the directory's name is.
fn socket_in(dir: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", dir.as_raw_fd()))
}

async fn serve(kms: &Kms, dir: &Path, reload: &Reload, mut stream: UnixStream) {
    let wait = Duration::from_secs(ANSWER_SECONDS_MAX);
    let exchange = async {
        let reply = match serde_json::from_str(&read_line(&mut stream).await?) {
            Ok(AdminRequest::ReloadPrincipals) => match reload() {
                Ok(()) => Reply::Hsms(Vec::new()),
                Err(reason) => Reply::Refused(reason),
            },
            Ok(AdminRequest::BackUp(to)) => match backup::take(kms, dir, &to).await {
                Ok(()) => Reply::Hsms(Vec::new()),
                Err(error) => Reply::Refused(error.to_string()),
            },
            Ok(request) => execute(kms, &request).await.unwrap_or_else(Reply::Refused),
            Err(error) => Reply::Refused(format!("the request is malformed: {error}")),
        };
        let mut line = serde_json::to_vec(&reply)?;
        line.push(b'\n');
        stream.write_all(&line).await
    };
    match timeout(wait, exchange).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "the operator hung up"),
        Err(_) => tracing::warn!("the operator was not served in time"),
    }
}

async fn read_line(stream: &mut UnixStream) -> std::io::Result<String> {
    let mut line = String::new();
    BufReader::new(stream.take(LINE_BYTES_MAX)).read_line(&mut line).await?;
    if line.is_empty() { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(line) }
}

/// Does to HSMs what the operator asks; returns those that it was about, as they are after it.
pub(crate) async fn execute_on_hsms(
    kms: &Kms,
    request: &AdminRequest,
) -> Result<Vec<HsmReport>, String> {
    match execute(kms, request).await? {
        Reply::Hsms(hsms) => Ok(hsms),
        Reply::Network(_) => Ok(Vec::new()),
        Reply::Refused(reason) => Err(reason),
    }
}

async fn execute(kms: &Kms, request: &AdminRequest) -> Result<Reply, String> {
    let plane = &kms.cloudhsm;
    let hsms = match request {
        AdminRequest::List => all(kms),
        AdminRequest::BackUp(_) | AdminRequest::ReloadPrincipals => {
            return Err("that is not about HSMs".to_owned());
        }
        AdminRequest::Start(id) => {
            let (cluster, hsm) = find(kms, id)?;
            plane.power_on(&cluster, &hsm).await.map_err(|error| error.to_string())?;
            vec![(cluster, hsm)]
        }
        AdminRequest::Stop(id) => {
            let (cluster, hsm) = find(kms, id)?;
            plane.power_off(&hsm.id).await;
            vec![(cluster, hsm)]
        }
        AdminRequest::Tamper(id) => {
            let (cluster, hsm) = find(kms, id)?;
            plane.provider(&hsm.id).tamper().await.map_err(|error| error.to_string())?;
            vec![(cluster, hsm)]
        }
        AdminRequest::ShowNetwork => {
            return Ok(Reply::Network(NetworkFaults::clone(&plane.network().faults())));
        }
        AdminRequest::ChangeNetwork(change) => {
            check_subject(kms, change)?;
            plane.change_network(change).await?;
            return Ok(Reply::Network(NetworkFaults::clone(&plane.network().faults())));
        }
    };
    let mut reports = Vec::with_capacity(hsms.len());
    for (cluster, hsm) in hsms {
        reports.push(report(kms, &cluster, &hsm).await);
    }
    Ok(Reply::Hsms(reports))
}

/// Refuses a change to what does not exist, or to what something depends on.
fn check_subject(kms: &Kms, change: &NetworkChange) -> Result<(), String> {
    match change {
        NetworkChange::ClosePorts { cluster_id, .. }
        | NetworkChange::OpenPorts { cluster_id, .. } => {
            let state = kms.registry.state();
            let is_there = state.all_clusters().any(|cluster| cluster.id.as_str() == cluster_id);
            if is_there { Ok(()) } else { Err(format!("there is no cluster {cluster_id}")) }
        }
        NetworkChange::SetHsm { hsm_id, .. } => find(kms, hsm_id).map(drop),
        NetworkChange::DeleteSubnet { subnet_id } => {
            let is_in = |(cluster, hsm): &(Arc<Cluster>, Hsm)| {
                cluster.subnets.get(&hsm.zone).is_some_and(|subnet| subnet == subnet_id)
            };
            match all(kms).iter().find(|member| is_in(member)) {
                None => Ok(()),
                Some((_, hsm)) => {
                    Err(format!("{subnet_id} has the interface of {}; delete it first", hsm.id))
                }
            }
        }
        NetworkChange::CreateSubnet { .. } | NetworkChange::OccupyAddresses { .. } => Ok(()),
    }
}

fn all(kms: &Kms) -> Vec<(Arc<Cluster>, Hsm)> {
    let state = kms.registry.state();
    let of_cluster = |cluster: &Arc<Cluster>| -> Vec<_> {
        cluster.hsms.values().map(|hsm| (Arc::clone(cluster), hsm.clone())).collect()
    };
    state.all_clusters().flat_map(of_cluster).collect()
}

fn find(kms: &Kms, id: &str) -> Result<(Arc<Cluster>, Hsm), String> {
    let wanted: HsmId = id.parse().map_err(|error| format!("{id} is {error}"))?;
    let found = all(kms).into_iter().find(|(_, hsm)| hsm.id == wanted);
    found.ok_or_else(|| format!("there is no HSM {id}"))
}

async fn report(kms: &Kms, cluster: &Cluster, hsm: &Hsm) -> HsmReport {
    let plane = &kms.cloudhsm;
    HsmReport {
        hsm_id: hsm.id.to_string(),
        cluster_id: cluster.id.to_string(),
        zone: hsm.zone.clone(),
        address: hsm.address.to_string(),
        is_active: matches!(plane.health(&hsm.id).await, Health::Active { .. }),
        process: plane.process(&hsm.id).await,
        directory: plane.device_dir(&hsm.id),
    }
}
