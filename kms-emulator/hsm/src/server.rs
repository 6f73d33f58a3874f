//! The network face of one device: ports for clients and for the management tools, both TLS under
//! the cluster certificate, and the provider's control socket in the device's directory.
//!
//! The ports open when the device has a cluster certificate and close when it loses it: before it
//! is initialised there is nothing that a client could trust.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncWriteExt, BufReader, BufWriter};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::conditions::Conditions;
use crate::control;
use crate::device::{Device, Identity, Port, SessionId};
use crate::error::{HsmError, Refusal};
use crate::frame::{self, Frame};
use crate::limits::{CONNECTIONS_MAX, FRAME_BYTES_MAX, HANDSHAKE_SECONDS_MAX};
use crate::transport::execute;
use crate::verifier;
use crate::wire::{Command, Response};

/// TCP port for clients.
pub const CLIENT_PORT: u16 = 2_223;
/// TCP port for the management tools.
pub const MANAGEMENT_PORT: u16 = 2_225;

/// Where a device listens.
#[derive(Debug, Clone, Copy)]
pub struct Listen {
    /// Its own address: a loopback address stands for the network interface in the subnet.
    pub address: IpAddr,
    /// TCP port for clients; 0 for any free one.
    pub client_port: u16,
    /// TCP port for the management tools; 0 for any free one.
    pub management_port: u16,
}

impl Listen {
    /// The documented ports of an address.
    #[must_use]
    pub fn on(address: IpAddr) -> Self {
        Self { address, client_port: CLIENT_PORT, management_port: MANAGEMENT_PORT }
    }
}

/// The ports that are open at the moment, 0 for one that is closed.
#[derive(Default)]
pub(crate) struct OpenPorts {
    pub(crate) client: AtomicU16,
    pub(crate) management: AtomicU16,
}

/// Serves a device until the provider switches it off.
///
/// # Errors
///
/// [`HsmError::Storage`] when the control socket cannot be made, [`HsmError::Unreachable`] when a
/// port cannot be opened, [`HsmError::Tls`] when the cluster certificate cannot be used.
pub async fn serve(device: Arc<Device>, listen: Listen) -> Result<(), HsmError> {
    let ports = Arc::new(OpenPorts::default());
    let (power, mut powered) = watch::channel(true);
    let control = control::listen(&device, &ports, power)?;
    let mut identity = device.identity();
    let network = async {
        loop {
            let current = identity.borrow_and_update().clone();
            match current {
                Some(current) => {
                    serve_identity(&device, listen, &ports, &current, &mut identity).await?;
                }
                None if identity.changed().await.is_err() => return Ok(()),
                None => {}
            }
        }
    };
    tokio::select! {
        result = network => result,
        result = control => result,
        _ = powered.wait_for(|on| !on) => Ok(()),
    }
}

/// Serves both ports as long as the device keeps this identity.
async fn serve_identity(
    device: &Arc<Device>,
    listen: Listen,
    ports: &Arc<OpenPorts>,
    current: &Arc<Identity>,
    identity: &mut watch::Receiver<Option<Arc<Identity>>>,
) -> Result<(), HsmError> {
    let tls = verifier::server_config(current)?;
    let client = bind(listen.address, listen.client_port).await?;
    let management = bind(listen.address, listen.management_port).await?;
    ports.client.store(local_port(&client), Ordering::Release);
    ports.management.store(local_port(&management), Ordering::Release);
    let connections = Connections::new(device, &tls);
    tokio::select! {
        () = connections.accept(client, Port::Client) => {}
        () = connections.accept(management, Port::Management) => {}
        () = lost(identity, current) => {}
    }
    ports.client.store(0, Ordering::Release);
    ports.management.store(0, Ordering::Release);
    Ok(())
}

/// Waits until the identity is another one; an equal one after some other change goes on serving.
async fn lost(identity: &mut watch::Receiver<Option<Arc<Identity>>>, current: &Identity) {
    let same = |new: &Option<Arc<Identity>>| {
        new.as_ref().is_some_and(|new| new.certificate_pem == current.certificate_pem)
    };
    let _ = identity.wait_for(|new| !same(new)).await;
}

async fn bind(address: IpAddr, port: u16) -> Result<TcpListener, HsmError> {
    let address = SocketAddr::new(address, port);
    TcpListener::bind(address)
        .await
        .map_err(|source| HsmError::Unreachable { address: address.to_string(), source })
}

fn local_port(listener: &TcpListener) -> u16 {
    listener.local_addr().map(|address| address.port()).unwrap_or_default()
}

/// The connections under one identity; they end when this is dropped.
struct Connections {
    device: Arc<Device>,
    tls: TlsAcceptor,
    room: Arc<Semaphore>,
    tasks: Mutex<JoinSet<()>>,
}

impl Connections {
    fn new(device: &Arc<Device>, tls: &Arc<ServerConfig>) -> Self {
        Self {
            device: Arc::clone(device),
            tls: TlsAcceptor::from(Arc::clone(tls)),
            room: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            tasks: Mutex::new(JoinSet::new()),
        }
    }

    async fn accept(&self, listener: TcpListener, port: Port) {
        loop {
            // Waiting for room leaves further clients in the kernel's bounded queue.
            let Ok(room) = Arc::clone(&self.room).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => self.start(stream, port, room),
                // Out of descriptors, or a client that left again: neither ends the service.
                Err(error) => {
                    tracing::warn!(%error, "connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    }

    fn start(&self, stream: TcpStream, port: Port, room: OwnedSemaphorePermit) {
        let device = Arc::clone(&self.device);
        let tls = self.tls.clone();
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            let _room = room;
            if let Err(error) = connection(device, tls, stream, port).await {
                tracing::debug!(%error, "connection ended");
            }
        });
    }
}

async fn connection(
    device: Arc<Device>,
    tls: TlsAcceptor,
    stream: TcpStream,
    port: Port,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut way = Way { conditions: device.conditions(), port };
    way.open().await;
    let stream = timeout(Duration::from_secs(HANDSHAKE_SECONDS_MAX), tls.accept(stream)).await??;
    let session = match device.open_session(port) {
        Ok(session) => OpenSession { device, session },
        Err(refusal) => return turn_away(stream, refusal).await,
    };
    session.serve(stream, way).await
}

/// What lies between a device and its client.
struct Way {
    conditions: watch::Receiver<Conditions>,
    port: Port,
}

impl Way {
    /// Waits until packets get through. The peer learns nothing, not even that it was not heard.
    async fn open(&mut self) {
        let port = self.port;
        // Without a device there is nothing left to wait for.
        let _ = self.conditions.wait_for(|conditions| conditions.let_through(port)).await;
    }

    /// The same for an answer, which also takes its time.
    async fn carry_answer(&mut self) {
        let millis = self.conditions.borrow().delay_millis;
        if millis > 0 {
            tokio::time::sleep(Duration::from_millis(millis.into())).await;
        }
        self.open().await;
    }
}

/// Answers the first command of a client for whom there is no session.
async fn turn_away(mut stream: TlsStream<TcpStream>, refusal: Refusal) -> std::io::Result<()> {
    let wait = Duration::from_secs(HANDSHAKE_SECONDS_MAX);
    if let Some(frame) = timeout(wait, frame::read(&mut stream, FRAME_BYTES_MAX)).await?? {
        let body = Response::Refused { refusal }.encode();
        frame::write(&mut stream, &Frame { request: frame.request, body }).await?;
    }
    stream.shutdown().await
}

/// A session that ends with its connection.
struct OpenSession {
    device: Arc<Device>,
    session: SessionId,
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        self.device.close_session(self.session);
    }
}

impl OpenSession {
    /// Executes commands one after the other; answers are sent together when no command waits.
    async fn serve(&self, stream: TlsStream<TcpStream>, mut way: Way) -> std::io::Result<()> {
        let (reader, writer) = tokio::io::split(stream);
        let mut reader = BufReader::with_capacity(64 * 1_024, reader);
        let mut writer = BufWriter::with_capacity(64 * 1_024, writer);
        while let Some(frame) = frame::read(&mut reader, FRAME_BYTES_MAX).await? {
            way.open().await;
            let response = match crate::codec::decode::<Command>(&frame.body) {
                Ok(command) => execute(&self.device, self.session, command).await,
                Err(_) => Response::Refused { refusal: Refusal::MalformedCommand },
            };
            let answer = Frame { request: frame.request, body: response.encode() };
            way.carry_answer().await;
            frame::write(&mut writer, &answer).await?;
            if reader.buffer().is_empty() {
                writer.flush().await?;
            }
        }
        writer.shutdown().await
    }
}
