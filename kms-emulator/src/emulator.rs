//! A whole server in one value: for `strongroom-kms serve`, and for Rust programs that want a KMS inside.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde_json::Value;
use strongroom_hsm::{Config as HsmConfig, Factory};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::admin;
use crate::audit::{Audit, OnFailure};
use crate::auth::{Authenticated, Caller, Credentials, Peer, generate_root_credential};
use crate::clock::{AdjustableClock, Clock, SystemClock};
use crate::cloudhsm::{self, ControlPlane, HsmHosting, Surroundings};
use crate::error::Error;
use crate::expiry;
use crate::ids::{AccountId, Region, random_uuid};
use crate::keystore::{FleetKeyStore, KeyStores};
use crate::kms::{self, Kms};
use crate::leftovers;
use crate::policy::Principal;
use crate::principals;
use crate::records::RootCredential;
use crate::registry::Registry;
use crate::seed::Seed;
use crate::server::{
    self, Dispatcher, ForTests, Latency, Metrics, Quotas, RequestOrigin, Testing, Tls, TlsIdentity,
    monitoring,
};
use crate::storage::SqliteStorage;

/// Longest that closing the storage may take once nothing uses it.
const STORAGE_CLOSE_SECONDS_MAX: u64 = 5;

/// Where a server keeps its state.
#[derive(Clone, Debug)]
pub enum DataDir {
    /// In this directory, made if it is not there.
    Persistent(PathBuf),
    /// In memory and a temporary directory; gone when the server ends.
    Ephemeral,
}

/// How a server is set up.
pub struct EmulatorConfig {
    /// Where state is kept.
    pub data_dir: DataDir,
    /// The address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// More accounts and users; see the crate's documentation for the file's form.
    pub credentials_file: Option<PathBuf>,
    /// The account that the first start creates.
    pub account: AccountId,
    /// The Region of `Emulator::call`, and the one to suggest to clients.
    pub region: Region,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where the HSMs of CloudHSM clusters run.
    pub hsm_hosting: HsmHosting,
    /// How long clusters and HSMs show that they are being made, in seconds.
    pub hsm_latency_seconds: u32,
    /// Whether calls are recorded in the data directory, and what becomes of them while they cannot be;
    /// a server without a data directory has no audit trail.
    pub audit: Option<OnFailure>,
    /// The server's certificate; without one it speaks plain HTTP.
    pub tls: Option<TlsIdentity>,
    /// Another address to listen on, for `/healthz`, `/readyz` and `/metrics`, in plain HTTP.
    pub metrics: Option<SocketAddr>,
    /// What the server does for tests of its clients.
    pub tests: TestOptions,
}

/// What a server does for tests of its clients; nothing by default.
#[derive(Clone, Debug, Default)]
pub struct TestOptions {
    /// Whether `/_strongroom/…` is answered: to begin anew, to move the time, to break HSMs. Only on a
    /// loopback address.
    pub endpoints: bool,
    /// A file with keys to make; see `--seed` of `strongroom-kms serve`.
    pub seed_file: Option<PathBuf>,
    /// Whether callers are throttled at the request quotas of KMS.
    pub quotas: bool,
    /// How late answers are.
    pub latency: Latency,
}

impl EmulatorConfig {
    /// A server with its HSMs inside, on a free port of the loopback interface, account `000000000000`, Region `us-east-1`.
    ///
    /// # Errors
    /// None in practice; the names of account and Region are parsed.
    pub fn loopback(data_dir: DataDir) -> Result<Self, crate::ids::MalformedId> {
        Ok(Self {
            data_dir,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            credentials_file: None,
            account: "000000000000".parse()?,
            region: "us-east-1".parse()?,
            clock: Arc::new(SystemClock),
            hsm_hosting: HsmHosting::InProcess,
            hsm_latency_seconds: 0,
            audit: None,
            tls: None,
            metrics: None,
            tests: TestOptions::default(),
        })
    }
}

/// A refused call of `Emulator::call`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct CallError {
    /// The `__type`, for example `NotFoundException`.
    pub code: String,
    /// The message.
    pub message: String,
}

/// The access key of an account's root.
///
/// Both parts are plain text, as every client wants them; keep them out of logs.
pub struct RootAccessKey<'a> {
    /// The access key id.
    pub access_key_id: &'a str,
    /// The secret access key.
    pub secret_access_key: &'a str,
}

/// A running server. Dropping it tells it to stop; `shutdown` also waits until it has.
pub struct Emulator {
    address: SocketAddr,
    metrics_address: Option<SocketAddr>,
    region: Region,
    root: Arc<RootCredential>,
    is_first_start: bool,
    dispatcher: Arc<Dispatcher>,
    tls: Option<Arc<Tls>>,
    stop: StopOnDrop,
    tasks: Vec<JoinHandle<()>>,
    storage_closed: oneshot::Receiver<()>,
    audit_closed: Option<oneshot::Receiver<()>>,
    /// Removed when the server is dropped.
    _temporary: Option<tempfile::TempDir>,
}

impl Emulator {
    /// Loads the state, switches the HSM on and listens. Needs a Tokio runtime.
    ///
    /// # Errors
    /// See [`Error`]; nothing is left running.
    pub async fn start(config: EmulatorConfig) -> Result<Self, Error> {
        if config.tests.endpoints && !config.listen.ip().is_loopback() {
            return Err(Error::TestEndpoints { address: config.listen });
        }
        let clock = Arc::new(AdjustableClock::new(Arc::clone(&config.clock)));
        let (storage, hsm_dir, temporary) = open_data_dir(&config.data_dir)?;
        // At the same time: self-tests take a while, and so does reading many keys. The directory is ours by now.
        let hsms = tokio::task::spawn_blocking({
            let dir = hsm_dir.clone();
            move || switch_on(&dir)
        });
        let (registry, storage_closed) = Registry::open(storage)?;
        let hsms = hsms.await??;
        let (audit, audit_closed) = open_audit(&config, Arc::clone(&clock))?;
        let kms = start(&config, &hsm_dir, hsms, registry, audit, Arc::clone(&clock)).await?;
        let (root, is_first_start) = root_credential(&kms.registry, config.account).await?;
        let sources = Sources {
            registry: kms.registry.clone(),
            root: Arc::clone(&root),
            data_dir: config.data_dir.clone(),
            file: config.credentials_file.clone(),
        };
        let tests = for_tests(&config, &kms, clock).await?;

        let (listener, address) = listen(config.listen).await?;
        let monitoring = match config.metrics {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let metrics_address = monitoring.as_ref().map(|(_, address)| *address);
        let tls = open_tls(&config, &hsm_dir, address)?.map(Arc::new);
        let dispatcher = Arc::new(Dispatcher::new(
            Arc::clone(&kms),
            sources.read()?,
            config.region.clone(),
            Metrics::new(config.clock.now())?,
            Arc::clone(&config.clock),
            tests,
        ));
        let (stop, stopped) = watch::channel(false);
        let mut tasks = Vec::new();
        if let DataDir::Persistent(dir) = &config.data_dir {
            let unusable = |source| Error::AdminSocket { dir: dir.clone(), source };
            let reload = reload(sources, Arc::downgrade(&dispatcher));
            let admin = admin::listen(dir, Arc::clone(&kms), reload, stopped.clone());
            tasks.push(tokio::spawn(admin.map_err(unusable)?));
        }
        tasks.push(tokio::spawn(kms::save_uses(Arc::clone(&kms), stopped.clone())));
        if let Some((listener, _)) = monitoring {
            let served = monitoring::serve(listener, Arc::clone(&dispatcher), stopped.clone());
            tasks.push(tokio::spawn(served));
        }
        tasks.push(tokio::spawn(kms::rotate_due_keys(Arc::clone(&kms), stopped.clone())));
        tasks.push(tokio::spawn(cloudhsm::keep_up(Arc::clone(&kms), stopped.clone())));
        tasks.push(tokio::spawn(leftovers::clear(Arc::clone(&kms), stopped.clone())));
        tasks.push(tokio::spawn(expiry::delete_expired(kms, stopped.clone())));
        let served = server::serve(listener, tls.clone(), Arc::clone(&dispatcher), stopped);
        tasks.push(tokio::spawn(served));
        Ok(Self {
            address,
            metrics_address,
            region: config.region,
            root,
            is_first_start,
            dispatcher,
            tls,
            stop: StopOnDrop(stop),
            tasks,
            storage_closed,
            audit_closed,
            _temporary: temporary,
        })
    }

    /// The URL to give to clients, for example `http://127.0.0.1:4599`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Where `/healthz`, `/readyz` and `/metrics` are answered, if they are.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// The certificate of the authority that clients are to trust, in PEM, if the server made it.
    #[must_use]
    pub fn ca_file(&self) -> Option<&Path> {
        self.tls.as_ref().and_then(|tls| tls.ca_file())
    }

    /// The root access key of the server's account.
    #[must_use]
    pub fn credentials(&self) -> RootAccessKey<'_> {
        RootAccessKey {
            access_key_id: &self.root.access_key_id,
            secret_access_key: self.root.secret.expose(),
        }
    }

    /// Whether this start made the root credential: the one time to show it.
    #[must_use]
    pub fn is_first_start(&self) -> bool {
        self.is_first_start
    }

    /// The server's account.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.root.account
    }

    /// The Region of `call`.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// The server's time.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        self.dispatcher.clock()
    }

    /// What the server works with.
    #[cfg(test)]
    pub(crate) fn kms(&self) -> &Arc<Kms> {
        self.dispatcher.kms()
    }

    /// The `X-Amz-Target` of every operation that is provided.
    pub fn targets(&self) -> impl Iterator<Item = String> {
        self.dispatcher.targets()
    }

    /// Does one operation as the account's root, the way an HTTP request is done but for the network
    /// and the signature: `target` is for example `TrentService.CreateKey`, `input` the request's JSON.
    ///
    /// # Errors
    /// What a client would be told.
    pub async fn call(&self, target: &str, input: &Value) -> Result<Value, CallError> {
        let refused = |fault: crate::protocol::Fault| CallError {
            code: fault.code().as_str().to_owned(),
            message: fault.message().to_owned(),
        };
        let principal = Arc::new(Principal::root(self.root.account));
        let caller = Caller {
            identity: Authenticated::in_process(principal),
            access_key_id: None,
            region: self.region.clone(),
        };
        let origin = RequestOrigin { peer: Peer::default(), id: random_uuid() };
        let target = self.dispatcher.target(target).map_err(refused)?;
        let body = input.to_string();
        let reply =
            self.dispatcher.run(&target, caller, origin, body.as_bytes()).await.map_err(refused)?;
        let bytes = reply.into_bytes();
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|error| CallError {
            code: "KMSInternalException".to_owned(),
            message: error.to_string(),
        })
    }

    /// Stops taking requests, waits, for a bounded time, for those that are open, and closes the storage:
    /// afterwards another server can open the data directory.
    pub async fn shutdown(self) {
        drop(self.stop);
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the server ended badly");
            }
        }
        self.dispatcher.stop_hsms().await;
        drop(self.dispatcher);
        // A connection that did not end in time may keep the state open; it is not waited for.
        let patience = Duration::from_secs(STORAGE_CLOSE_SECONDS_MAX);
        if tokio::time::timeout(patience, self.storage_closed).await.is_err() {
            tracing::warn!("the storage is still in use");
        }
        if let Some(closed) = self.audit_closed
            && tokio::time::timeout(patience, closed).await.is_err()
        {
            tracing::warn!("the audit trail is still in use");
        }
    }
}

/// Tells the server's tasks to stop, at the latest when the server is dropped.
struct StopOnDrop(watch::Sender<bool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

type OpenedDataDir = (SqliteStorage, PathBuf, Option<tempfile::TempDir>);

fn open_data_dir(data_dir: &DataDir) -> Result<OpenedDataDir, Error> {
    match data_dir {
        DataDir::Persistent(dir) => {
            let storage = SqliteStorage::open(dir)?;
            Ok((storage, dir.join("hsm"), None))
        }
        DataDir::Ephemeral => {
            let dir = tempfile::tempdir().map_err(Error::TemporaryDirectory)?;
            Ok((SqliteStorage::ephemeral()?, dir.path().join("hsm"), Some(dir)))
        }
    }
}

/// The factory of HSMs, and the HSM of the default key store.
struct SwitchedOn {
    factory: Factory,
    fleet: FleetKeyStore,
    device: HsmConfig,
}

/// Switches on the HSM of the default key store.
fn switch_on(dir: &Path) -> Result<SwitchedOn, Error> {
    let device = HsmConfig::default();
    let factory = Factory::open(&dir.join("factory"), &*device.clock)?;
    let fleet = FleetKeyStore::open(&factory, &dir.join("fleet"), device.clone())?;
    Ok(SwitchedOn { factory, fleet, device })
}

/// Puts the KMS together, and switches on the HSMs of clusters.
async fn start(
    config: &EmulatorConfig,
    dir: &Path,
    hsms: SwitchedOn,
    registry: Registry,
    audit: Audit,
    clock: Arc<AdjustableClock>,
) -> Result<Arc<Kms>, Error> {
    let SwitchedOn { factory, fleet, device } = hsms;
    let key_stores = KeyStores::new(Arc::new(fleet));
    let around = Surroundings {
        registry: registry.clone(),
        clock: Arc::<AdjustableClock>::clone(&clock),
        factory,
        device,
        hosting: config.hsm_hosting.clone(),
        latency_seconds: config.hsm_latency_seconds,
    };
    let cloudhsm = ControlPlane::open(dir, around).await?;
    let kms = Arc::new(Kms { registry, key_stores, cloudhsm, clock, audit });
    kms.cloudhsm.start().await;
    kms::resume_all(&kms).await;
    Ok(kms)
}

/// Where access keys and roles come from.
#[derive(Clone)]
struct Sources {
    registry: Registry,
    root: Arc<RootCredential>,
    data_dir: DataDir,
    file: Option<PathBuf>,
}

impl Sources {
    /// The access keys of every account's root, and the principals of all files.
    fn read(&self) -> Result<Credentials, Error> {
        let mut credentials = Credentials::default();
        for root in self.registry.state().root_credentials() {
            credentials.add_root(root);
        }
        credentials.seal_sessions_for(&self.root).map_err(|_| Error::Randomness)?;
        let own = match &self.data_dir {
            DataDir::Persistent(dir) => principals::file_in(dir),
            DataDir::Ephemeral => None,
        };
        for path in self.file.iter().chain(&own) {
            credentials.add_file(path)?;
        }
        Ok(credentials)
    }
}

/// What reads access keys and roles again and puts them in force.
fn reload(sources: Sources, dispatcher: Weak<Dispatcher>) -> admin::Reload {
    Box::new(move || {
        let credentials = sources.read().map_err(|error| error.to_string())?;
        if let Some(dispatcher) = dispatcher.upgrade() {
            dispatcher.set_credentials(credentials);
        }
        Ok(())
    })
}

/// Sets up what was asked for, for other people's tests, and makes the seeded keys.
async fn for_tests(
    config: &EmulatorConfig,
    kms: &Kms,
    clock: Arc<AdjustableClock>,
) -> Result<ForTests, Error> {
    let TestOptions { endpoints, seed_file, quotas, latency } = &config.tests;
    let seed = match seed_file {
        None => None,
        Some(path) => {
            let seed = Arc::new(Seed::read(path, config.account, &config.region)?);
            seed.sow(kms).await?;
            Some(seed)
        }
    };
    Ok(ForTests {
        endpoints: endpoints.then_some(Testing { clock, seed }),
        quotas: quotas.then(Quotas::default),
        latency: *latency,
    })
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let unlistenable = |source| Error::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(unlistenable)?;
    let bound = listener.local_addr().map_err(unlistenable)?;
    Ok((listener, bound))
}

fn open_tls(
    config: &EmulatorConfig,
    hsm_dir: &Path,
    address: SocketAddr,
) -> Result<Option<Tls>, Error> {
    let Some(identity) = &config.tls else { return Ok(None) };
    let dir = match &config.data_dir {
        DataDir::Persistent(dir) => dir.as_path(),
        DataDir::Ephemeral => hsm_dir.parent().unwrap_or(hsm_dir),
    };
    let addresses = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into(), address.ip()];
    Ok(Some(Tls::open(identity, &dir.join("tls"), &addresses, config.clock.now())?))
}

fn open_audit(
    config: &EmulatorConfig,
    clock: Arc<AdjustableClock>,
) -> Result<(Audit, Option<oneshot::Receiver<()>>), Error> {
    match (&config.data_dir, config.audit) {
        (DataDir::Persistent(dir), Some(on_failure)) => {
            let (audit, closed) = Audit::open(dir, on_failure, clock)?;
            Ok((audit, Some(closed)))
        }
        _ => Ok((Audit::default(), None)),
    }
}

/// The root credential of the server's account, made if there is none; and whether it was made now.
async fn root_credential(
    registry: &Registry,
    account: AccountId,
) -> Result<(Arc<RootCredential>, bool), Error> {
    let state = registry.state();
    if let Some(root) = state.root_credentials().find(|root| root.account == account) {
        return Ok((Arc::clone(root), false));
    }
    let root = Arc::new(generate_root_credential(account).map_err(|_| Error::Randomness)?);
    let stored = Arc::clone(&root);
    let update = registry.update(move |draft| {
        draft.put_root_credential(Arc::clone(&stored));
        Ok::<(), std::convert::Infallible>(())
    });
    match update.await {
        Ok(()) => Ok((root, true)),
        Err(crate::registry::UpdateError::Refused(never)) => match never {},
        Err(crate::registry::UpdateError::Storage(error)) => Err(Error::StorageWrite(error)),
        Err(crate::registry::UpdateError::Closed) => Err(Error::Stopped),
    }
}
