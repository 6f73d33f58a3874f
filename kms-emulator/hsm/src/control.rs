//! The provider's channel: a Unix socket in the device's directory, which only its owner can open.
//!
//! It is there before the device has a cluster certificate, and after a tamper.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::codec::{decode, encode};
use crate::conditions::Conditions;
use crate::device::Device;
use crate::error::{HsmError, Refusal};
use crate::frame::{self, Frame};
use crate::limits::{ANSWER_SECONDS_MAX, CONTROL_FRAME_BYTES_MAX, STATUS_SECONDS_MAX};
use crate::provision::{Backup, ClusterCertificates, ProviderCommand, ProviderResponse, Status};
use crate::server::OpenPorts;
use crate::state::Pem;
use crate::store::storage;
use crate::wire::{Members, ShortText};

/// The socket's name in the device's directory.
const SOCKET: &str = "control.sock";
/// Longest path that a socket address holds on Linux, in bytes.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Opens the socket and returns the future that serves it; `power` goes to `false` on `PowerOff`.
pub(crate) fn listen(
    device: &Arc<Device>,
    ports: &Arc<OpenPorts>,
    power: watch::Sender<bool>,
) -> Result<impl Future<Output = Result<(), HsmError>> + use<>, HsmError> {
    let path = device.dir().join(SOCKET);
    let listener = bind(device.dir(), &path).map_err(storage("open", &path))?;
    let context = Arc::new(Context { device: Arc::clone(device), ports: Arc::clone(ports), power });
    Ok(async move {
        loop {
            let (stream, _) = listener.accept().await.map_err(storage("accept on", &path))?;
            let context = Arc::clone(&context);
            tokio::spawn(async move {
                if let Err(error) = context.serve(stream).await {
                    tracing::debug!(%error, "control connection ended");
                }
            });
        }
    })
}

fn bind(dir: &Path, path: &Path) -> std::io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let reachable = Reachable::new(dir)?;
    let listener = UnixListener::bind(&reachable.path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// A path to the socket that fits into a socket address: of a directory with a long name, the one
/// through its open descriptor.
struct Reachable {
    path: PathBuf,
    _dir: Option<std::fs::File>,
}

impl Reachable {
    fn new(dir: &Path) -> std::io::Result<Self> {
        use std::os::fd::AsRawFd;
        let path = dir.join(SOCKET);
        if path.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
            return Ok(Self { path, _dir: None });
        }
        let dir = std::fs::File::open(dir)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", dir.as_raw_fd()));
        Ok(Self { path, _dir: Some(dir) })
    }
}

struct Context {
    device: Arc<Device>,
    ports: Arc<OpenPorts>,
    power: watch::Sender<bool>,
}

impl Context {
    async fn serve(&self, mut stream: UnixStream) -> std::io::Result<()> {
        while let Some(frame) = frame::read(&mut stream, CONTROL_FRAME_BYTES_MAX).await? {
            let (response, off) = match decode::<ProviderCommand>(&frame.body) {
                Ok(command) => {
                    let off = matches!(command, ProviderCommand::PowerOff);
                    (self.execute(command).await, off)
                }
                Err(_) => (refused(Refusal::MalformedCommand), false),
            };
            let answer = Frame { request: frame.request, body: encode(&response) };
            frame::write(&mut stream, &answer).await?;
            stream.flush().await?;
            if off {
                self.power.send_replace(false);
            }
        }
        Ok(())
    }

    async fn execute(&self, command: ProviderCommand) -> ProviderResponse {
        let device = Arc::clone(&self.device);
        let work = tokio::task::spawn_blocking(move || device.provide(command));
        match work.await {
            Ok(ProviderResponse::Status { status }) => {
                ProviderResponse::Status { status: self.with_ports(status) }
            }
            Ok(response) => response,
            Err(_) => refused(Refusal::ModuleFailed),
        }
    }

    fn with_ports(&self, status: Status) -> Status {
        Status {
            client_port: self.ports.client.load(Ordering::Acquire),
            management_port: self.ports.management.load(Ordering::Acquire),
            ..status
        }
    }
}

fn refused(refusal: Refusal) -> ProviderResponse {
    ProviderResponse::Refused { refusal }
}

/// The provider's side of one device: over its control socket, or in the same process.
#[derive(Clone)]
pub struct Provider {
    way: Way,
}

#[derive(Clone)]
enum Way {
    Socket(PathBuf),
    InProcess(Arc<Device>),
}

impl Provider {
    /// The provider of the device process whose directory is `dir`.
    #[must_use]
    pub fn of_directory(dir: &Path) -> Self {
        Self { way: Way::Socket(dir.into()) }
    }

    /// The provider of a device in this process.
    #[must_use]
    pub fn of_device(device: Arc<Device>) -> Self {
        Self { way: Way::InProcess(device) }
    }

    /// Asks for identity and state; answered also by a device that was zeroised.
    ///
    /// # Errors
    ///
    /// [`HsmError::Unreachable`] when the device is off.
    pub async fn status(&self) -> Result<Status, HsmError> {
        match self.call(ProviderCommand::Status).await? {
            ProviderResponse::Status { status } => Ok(status),
            other => Err(self.unexpected(other)),
        }
    }

    /// Makes the cluster's key and signing request, or returns those made before.
    ///
    /// # Errors
    ///
    /// [`HsmError::Unreachable`], [`HsmError::Refused`].
    pub async fn make_request(&self) -> Result<ClusterCertificates, HsmError> {
        match self.call(ProviderCommand::MakeRequest).await? {
            ProviderResponse::Request { certificates } => Ok(certificates),
            other => Err(self.unexpected(other)),
        }
    }

    /// Puts the signed cluster certificate (PEM) in place, with the trust anchor (PEM) that signed
    /// it: the device makes its first users and opens its ports.
    ///
    /// # Errors
    ///
    /// [`HsmError::Refused`] with [`Refusal::CertificateRefused`] for one that is not acceptable,
    /// [`Refusal::AlreadyInitialized`], [`Refusal::NoRequest`]; [`HsmError::Unreachable`].
    pub async fn initialize(&self, certificate: &str, trust_anchor: &str) -> Result<(), HsmError> {
        let certificate = Pem::new(certificate)?;
        let trust_anchor = Pem::new(trust_anchor)?;
        self.done(ProviderCommand::Initialize { certificate, trust_anchor }).await
    }

    /// Makes a backup.
    ///
    /// # Errors
    ///
    /// [`HsmError::Refused`] with [`Refusal::NotInitialized`]; [`HsmError::Unreachable`].
    pub async fn backup(&self) -> Result<Backup, HsmError> {
        match self.call(ProviderCommand::Backup).await? {
            ProviderResponse::Backup { backup } => Ok(backup),
            other => Err(self.unexpected(other)),
        }
    }

    /// Replaces users, keys and cluster identity by those of a backup.
    ///
    /// # Errors
    ///
    /// [`HsmError::Refused`] with [`Refusal::NotAuthentic`] for a backup of another factory or an
    /// altered one; [`HsmError::Unreachable`].
    pub async fn restore(&self, backup: Backup) -> Result<(), HsmError> {
        self.done(ProviderCommand::Restore { backup }).await
    }

    /// Tells the addresses of all HSMs of the cluster.
    ///
    /// # Errors
    ///
    /// [`HsmError::Argument`] for more than
    /// [`CLUSTER_MEMBERS_MAX`](crate::limits::CLUSTER_MEMBERS_MAX); [`HsmError::Unreachable`].
    pub async fn set_members<'a>(
        &self,
        addresses: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), HsmError> {
        let members = addresses.into_iter().map(ShortText::new).collect::<Result<_, _>>()?;
        let members = Members::new(members)?;
        self.done(ProviderCommand::SetMembers { members }).await
    }

    /// Reads whole events of the audit log from byte `offset` on, at most
    /// [`AUDIT_BYTES_MAX`](crate::limits::AUDIT_BYTES_MAX) bytes.
    ///
    /// # Errors
    ///
    /// [`HsmError::Refused`], [`HsmError::Unreachable`].
    pub async fn audit_log(&self, offset: u64) -> Result<String, HsmError> {
        match self.call(ProviderCommand::AuditLog { offset }).await? {
            ProviderResponse::AuditLog { text } => Ok(text.into_string()),
            other => Err(self.unexpected(other)),
        }
    }

    /// Sets off the tamper response.
    ///
    /// # Errors
    ///
    /// [`HsmError::Refused`], [`HsmError::Unreachable`].
    pub async fn tamper(&self) -> Result<(), HsmError> {
        self.done(ProviderCommand::Tamper).await
    }

    /// Replaces the conditions of the device's surroundings, for good.
    ///
    /// # Errors
    ///
    /// [`HsmError::Configuration`] for conditions outside their limits; [`HsmError::Refused`],
    /// [`HsmError::Unreachable`].
    pub async fn set_conditions(&self, conditions: Conditions) -> Result<(), HsmError> {
        conditions.check()?;
        self.done(ProviderCommand::SetConditions { conditions }).await
    }

    /// Switches a device process off. A device in this process is switched off by dropping it.
    ///
    /// # Errors
    ///
    /// [`HsmError::Unreachable`] when it is off already.
    pub async fn power_off(&self) -> Result<(), HsmError> {
        self.done(ProviderCommand::PowerOff).await
    }

    async fn done(&self, command: ProviderCommand) -> Result<(), HsmError> {
        match self.call(command).await? {
            ProviderResponse::Done => Ok(()),
            other => Err(self.unexpected(other)),
        }
    }

    async fn call(&self, command: ProviderCommand) -> Result<ProviderResponse, HsmError> {
        match &self.way {
            Way::InProcess(device) => {
                let device = Arc::clone(device);
                let work = tokio::task::spawn_blocking(move || device.provide(command));
                work.await.map_err(|_| HsmError::Refused(Refusal::ModuleFailed))
            }
            Way::Socket(dir) => {
                let seconds =
                    if command.is_slow() { ANSWER_SECONDS_MAX } else { STATUS_SECONDS_MAX };
                let wait = Duration::from_secs(seconds);
                let body = timeout(wait, exchange(dir, &command))
                    .await
                    .unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
                    .map_err(|source| HsmError::Unreachable { address: self.address(), source })?;
                decode(&body)
                    .map_err(|source| HsmError::Protocol { address: self.address(), source })
            }
        }
    }

    fn unexpected(&self, response: ProviderResponse) -> HsmError {
        match response {
            ProviderResponse::Refused { refusal } => HsmError::Refused(refusal),
            _ => HsmError::Protocol {
                address: self.address(),
                source: crate::Malformed { what: "answer to another command" },
            },
        }
    }

    fn address(&self) -> String {
        match &self.way {
            Way::Socket(dir) => dir.join(SOCKET).display().to_string(),
            Way::InProcess(_) => "in-process".to_owned(),
        }
    }
}

async fn exchange(
    dir: &Path,
    command: &ProviderCommand,
) -> std::io::Result<crate::secret::SecretBuffer> {
    let reachable = Reachable::new(dir)?;
    let mut stream = UnixStream::connect(&reachable.path).await?;
    frame::write(&mut stream, &Frame { request: 0, body: encode(command) }).await?;
    stream.flush().await?;
    let answer = frame::read(&mut stream, CONTROL_FRAME_BYTES_MAX).await?;
    answer.map(|frame| frame.body).ok_or_else(|| ErrorKind::UnexpectedEof.into())
}
