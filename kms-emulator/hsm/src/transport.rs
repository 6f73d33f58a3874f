//! How commands reach a device: in the same process, or over TLS.

use std::collections::HashMap;
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncWriteExt, BufReader, BufWriter, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::certificates::TrustAnchor;
use crate::device::{Device, Port, SessionId};
use crate::error::HsmError;
use crate::frame::{self, Frame};
use crate::limits::{
    ANSWER_SECONDS_MAX, COMMANDS_IN_FLIGHT_MAX, FRAME_BYTES_MAX, HANDSHAKE_SECONDS_MAX,
};
use crate::secret::SecretBuffer;
use crate::verifier;
use crate::wire::{Command, Response};

/// Carries commands to one session of one device.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Has the device execute a command.
    ///
    /// A refusal is a [`Response`], not an error.
    ///
    /// # Errors
    ///
    /// [`HsmError::Unreachable`] when the device does not answer, and from then on for every call:
    /// its session is gone. [`HsmError::Protocol`] when the answer does not decode.
    async fn call(&self, command: Command) -> Result<Response, HsmError>;

    /// Where the device is, for messages.
    fn address(&self) -> &str;

    /// Whether the session still exists as far as is known here.
    fn is_open(&self) -> bool;
}

/// A session of a device in this process.
pub struct InProcess {
    device: Arc<Device>,
    session: SessionId,
}

impl InProcess {
    /// Opens a session as a client that comes through `port`.
    ///
    /// # Errors
    ///
    /// [`HsmError::Refused`] when no session is left or the device was tampered with.
    pub fn open(device: Arc<Device>, port: Port) -> Result<Self, HsmError> {
        let session = device.open_session(port)?;
        Ok(Self { device, session })
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        self.device.close_session(self.session);
    }
}

#[async_trait]
impl Transport for InProcess {
    async fn call(&self, command: Command) -> Result<Response, HsmError> {
        Ok(execute(&self.device, self.session, command).await)
    }

    fn address(&self) -> &str {
        "in-process"
    }

    fn is_open(&self) -> bool {
        true
    }
}

/// Executes a command when it is its turn, off the event loop if it is a slow one.
pub(crate) async fn execute(
    device: &Arc<Device>,
    session: SessionId,
    command: Command,
) -> Response {
    device.turn().await;
    if !command.is_slow() {
        return device.handle(session, command);
    }
    let device = Arc::clone(device);
    let work = tokio::task::spawn_blocking(move || device.handle(session, command));
    work.await.unwrap_or(Response::Refused { refusal: crate::Refusal::ModuleFailed })
}

/// How long a client waits for a device behind TLS.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For connection and handshake together; bounded by [`HANDSHAKE_SECONDS_MAX`].
    pub connect: Duration,
    /// For the answer to a command that neither derives a password nor writes.
    pub answer: Duration,
    /// For the answer to one that does.
    pub slow_answer: Duration,
}

impl Default for Patience {
    /// The longest that is allowed: [`HANDSHAKE_SECONDS_MAX`], then [`ANSWER_SECONDS_MAX`].
    fn default() -> Self {
        let answer = Duration::from_secs(ANSWER_SECONDS_MAX);
        let connect = Duration::from_secs(HANDSHAKE_SECONDS_MAX);
        Self { connect, answer, slow_answer: answer }
    }
}

/// A session of a device behind TLS.
///
/// Calls from many tasks share the connection: each is sent at once and answered in turn.
pub struct Tls {
    address: String,
    outgoing: mpsc::Sender<Frame>,
    waiting: Arc<Waiting>,
    next_request: AtomicU32,
    patience: Patience,
}

/// The calls that wait for an answer; `None` once the connection has ended.
type Waiting = Mutex<Option<HashMap<u32, oneshot::Sender<SecretBuffer>>>>;

impl Tls {
    /// Connects to the HSM at `address`, which has to prove that it belongs to the cluster whose
    /// certificate `anchor` signed.
    ///
    /// # Errors
    ///
    /// [`HsmError::Unreachable`], [`HsmError::NotTrusted`].
    pub async fn connect(
        address: SocketAddr,
        anchor: &TrustAnchor,
        patience: Patience,
    ) -> Result<Self, HsmError> {
        let wait = patience.connect.min(Duration::from_secs(HANDSHAKE_SECONDS_MAX));
        let config = verifier::client_config(anchor)?;
        let connected = timeout(wait, handshake(address, config)).await;
        let stream = connected
            .unwrap_or_else(|_| Err(Error::from(ErrorKind::TimedOut)))
            .map_err(|error| connection_error(address, error))?;
        Ok(Self::start(address, stream, patience))
    }

    fn start(address: SocketAddr, stream: TlsStream<TcpStream>, patience: Patience) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        let (outgoing, queue) = mpsc::channel(COMMANDS_IN_FLIGHT_MAX);
        let waiting = Arc::new(Mutex::new(Some(HashMap::new())));
        tokio::spawn(carry(queue, writer, reader, Arc::clone(&waiting)));
        let (address, next_request) = (address.to_string(), AtomicU32::new(0));
        Self { address, outgoing, waiting, next_request, patience }
    }

    async fn exchange(&self, body: SecretBuffer, wait: Duration) -> std::io::Result<SecretBuffer> {
        let request = self.next_request.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        lock(&self.waiting)
            .as_mut()
            .ok_or(Error::from(ErrorKind::NotConnected))?
            .insert(request, answer);
        let _forget = Forget { waiting: &self.waiting, request };
        let exchanged = async {
            let sent = self.outgoing.send(Frame { request, body }).await;
            sent.map_err(|_| Error::from(ErrorKind::NotConnected))?;
            answered.await.map_err(|_| Error::from(ErrorKind::ConnectionAborted))
        };
        timeout(wait, exchanged).await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
    }
}

#[async_trait]
impl Transport for Tls {
    async fn call(&self, command: Command) -> Result<Response, HsmError> {
        let wait = if command.is_slow() { self.patience.slow_answer } else { self.patience.answer };
        let body = self
            .exchange(command.encode(), wait)
            .await
            .map_err(|source| HsmError::Unreachable { address: self.address.clone(), source })?;
        crate::codec::decode(&body)
            .map_err(|source| HsmError::Protocol { address: self.address.clone(), source })
    }

    fn address(&self) -> &str {
        &self.address
    }

    fn is_open(&self) -> bool {
        lock(&self.waiting).is_some()
    }
}

/// Takes a call that was given up off the list.
struct Forget<'a> {
    waiting: &'a Waiting,
    request: u32,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        if let Some(waiting) = lock(self.waiting).as_mut() {
            waiting.remove(&self.request);
        }
    }
}

async fn handshake(
    address: SocketAddr,
    config: Arc<rustls::ClientConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::IpAddress(address.ip().into());
    TlsConnector::from(config).connect(name, stream).await
}

/// Tells a peer that is not trusted from one that is not there.
fn connection_error(address: SocketAddr, error: Error) -> HsmError {
    let address = address.to_string();
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).cloned();
    match tls {
        Some(source) => HsmError::NotTrusted { address, source },
        None => HsmError::Unreachable { address, source: error },
    }
}

/// Carries frames both ways until the transport is dropped or the peer is gone: either way nothing of the
/// connection stays, even if the peer never closes its end.
async fn carry(
    queue: mpsc::Receiver<Frame>,
    writer: WriteHalf<TlsStream<TcpStream>>,
    reader: ReadHalf<TlsStream<TcpStream>>,
    waiting: Arc<Waiting>,
) {
    tokio::select! {
        () = send(queue, writer, &waiting) => {}
        () = receive(reader, &waiting) => {}
    }
    lock(&waiting).take();
}

async fn send(
    mut queue: mpsc::Receiver<Frame>,
    writer: WriteHalf<TlsStream<TcpStream>>,
    waiting: &Waiting,
) {
    let mut writer = BufWriter::new(writer);
    while let Some(first) = queue.recv().await {
        if send_all(&mut writer, first, &mut queue).await.is_err() {
            break;
        }
    }
    // The transport was dropped, or the connection is gone.
    lock(waiting).take();
    let _ = timeout(Duration::from_secs(HANDSHAKE_SECONDS_MAX), writer.shutdown()).await;
}

/// Sends what is queued and flushes once.
async fn send_all(
    writer: &mut BufWriter<WriteHalf<TlsStream<TcpStream>>>,
    first: Frame,
    queue: &mut mpsc::Receiver<Frame>,
) -> std::io::Result<()> {
    frame::write(writer, &first).await?;
    while let Ok(next) = queue.try_recv() {
        frame::write(writer, &next).await?;
    }
    writer.flush().await
}

async fn receive(reader: ReadHalf<TlsStream<TcpStream>>, waiting: &Waiting) {
    let mut reader = BufReader::new(reader);
    while let Ok(Some(frame)) = frame::read(&mut reader, FRAME_BYTES_MAX).await {
        let answer = lock(waiting).as_mut().and_then(|waiting| waiting.remove(&frame.request));
        if let Some(answer) = answer {
            // The caller may have stopped waiting.
            let _ = answer.send(frame.body);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
