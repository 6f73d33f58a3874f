//! A whole server in one value: for `strongroom-kms serve`, and for Rust programs that want a KMS inside.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use strongroom_hsm::{Config as HsmConfig, Factory};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::admin;
use crate::auth::{Authenticated, Caller, Credentials, generate_root_credential};
use crate::clock::{Clock, SystemClock};
use crate::cloudhsm::{self, ControlPlane, HsmHosting, Surroundings};
use crate::error::Error;
use crate::expiry;
use crate::ids::{AccountId, Region};
use crate::keystore::{FleetKeyStore, KeyStores};
use crate::kms::{self, Kms};
use crate::leftovers;
use crate::policy::Principal;
use crate::records::RootCredential;
use crate::registry::Registry;
use crate::server::{self, Dispatcher};
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
    region: Region,
    root: Arc<RootCredential>,
    is_first_start: bool,
    dispatcher: Arc<Dispatcher>,
    stop: StopOnDrop,
    tasks: Vec<JoinHandle<()>>,
    storage_closed: oneshot::Receiver<()>,
    /// Removed when the server is dropped.
    _temporary: Option<tempfile::TempDir>,
}

impl Emulator {
    /// Loads the state, switches the HSM on and listens. Needs a Tokio runtime.
    ///
    /// # Errors
    /// See [`Error`]; nothing is left running.
    pub async fn start(config: EmulatorConfig) -> Result<Self, Error> {
        let (storage, hsm_dir, temporary) = open_data_dir(&config.data_dir)?;
        let (registry, storage_closed) = Registry::open(storage)?;
        let hsm_config = HsmConfig::default();
        let factory = Factory::open(&hsm_dir.join("factory"), &*hsm_config.clock)?;
        let fleet = FleetKeyStore::open(&factory, &hsm_dir.join("fleet"), hsm_config.clone())?;
        let key_stores = KeyStores::new(Arc::new(fleet));
        let around = Surroundings {
            registry: registry.clone(),
            clock: Arc::clone(&config.clock),
            factory,
            device: hsm_config,
            hosting: config.hsm_hosting,
            latency_seconds: config.hsm_latency_seconds,
        };
        let cloudhsm = ControlPlane::open(&hsm_dir, around).await?;
        let kms = Arc::new(Kms { registry, key_stores, cloudhsm, clock: config.clock });
        kms.cloudhsm.start().await;
        kms::resume_all(&kms).await;

        let (root, is_first_start) = root_credential(&kms.registry, config.account).await?;
        let mut credentials = Credentials::default();
        for root in kms.registry.state().root_credentials() {
            credentials.add_root(root);
        }
        if let Some(path) = &config.credentials_file {
            credentials.add_file(path)?;
        }

        let unlistenable = |source| Error::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(unlistenable)?;
        let address = listener.local_addr().map_err(unlistenable)?;
        let dispatcher = Arc::new(Dispatcher::new(Arc::clone(&kms), credentials));
        let (stop, stopped) = watch::channel(false);
        let mut tasks = Vec::new();
        if let DataDir::Persistent(dir) = &config.data_dir {
            let unusable = |source| Error::AdminSocket { dir: dir.clone(), source };
            let admin = admin::listen(dir, Arc::clone(&kms), stopped.clone());
            tasks.push(tokio::spawn(admin.map_err(unusable)?));
        }
        tasks.push(tokio::spawn(kms::save_uses(Arc::clone(&kms), stopped.clone())));
        tasks.push(tokio::spawn(kms::rotate_due_keys(Arc::clone(&kms), stopped.clone())));
        tasks.push(tokio::spawn(cloudhsm::keep_up(Arc::clone(&kms), stopped.clone())));
        tasks.push(tokio::spawn(leftovers::clear(Arc::clone(&kms), stopped.clone())));
        tasks.push(tokio::spawn(expiry::delete_expired(kms, stopped.clone())));
        tasks.push(tokio::spawn(server::serve(listener, Arc::clone(&dispatcher), stopped)));
        Ok(Self {
            address,
            region: config.region,
            root,
            is_first_start,
            dispatcher,
            stop: StopOnDrop(stop),
            tasks,
            storage_closed,
            _temporary: temporary,
        })
    }

    /// The URL to give to clients, for example `http://127.0.0.1:4599`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
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
        let caller =
            Caller { identity: Authenticated::in_process(principal), region: self.region.clone() };
        let target = self.dispatcher.target(target).map_err(refused)?;
        let body = input.to_string();
        let reply = self
            .dispatcher
            .run(&target, caller, Uuid::new_v4(), body.as_bytes())
            .await
            .map_err(refused)?;
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
