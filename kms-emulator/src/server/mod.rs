//! The HTTP server: one port for KMS, CloudHSM v2 and STS.
//!
//! Everything that a stranger can make large or slow is bounded here, before a byte of it is trusted:
//! connections, headers, bodies, and the time that each may take.

mod dispatch;
mod http;
mod latency;
mod metrics;
pub(crate) mod monitoring;
mod quotas;
mod testing;
mod tls;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

pub(crate) use dispatch::{Dispatcher, ForTests, RequestOrigin};
pub use latency::Latency;
pub(crate) use metrics::Metrics;
pub(crate) use quotas::Quotas;
pub(crate) use testing::Testing;
pub(crate) use tls::Tls;
pub use tls::{TlsError, TlsIdentity};

/// Connections at one time; more wait in the listen queue of the kernel.
pub(crate) const CONNECTIONS_MAX: usize = 4_096;
/// Longest head of a request, in bytes.
const HEADER_BYTES_MAX: usize = 64 * 1024;
/// Longest that a connection may take for the head of its next request.
const HEADER_READ_SECONDS_MAX: u64 = 30;
/// Requests at one time on one HTTP/2 connection.
const STREAMS_MAX: u32 = 64;
/// Longest that open requests may take once the server was told to stop.
const SHUTDOWN_SECONDS_MAX: u64 = 10;
/// Pause after the system refused a connection, for example for want of file descriptors.
const ACCEPT_RETRY_MILLIS: u64 = 50;

/// Serves until `stop` changes, then lets open requests finish.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    dispatcher: Arc<Dispatcher>,
    mut stop: watch::Receiver<bool>,
) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    let builder = Arc::new(connection_builder());
    loop {
        let Ok(permit) = Arc::clone(&connections).acquire_owned().await else { break };
        let (stream, peer) = tokio::select! {
            () = stopped(&mut stop) => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(ACCEPT_RETRY_MILLIS)).await;
                    continue;
                }
            },
        };
        let connection =
            serve_connection(&builder, stream, peer, tls.as_ref(), &dispatcher, &graceful);
        tokio::spawn(async move {
            connection.await;
            drop(permit);
        });
    }
    drop(listener);
    let patience = Duration::from_secs(SHUTDOWN_SECONDS_MAX);
    if tokio::time::timeout(patience, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in time");
    }
}

/// Waits for the order to stop, or for the end of whoever could give it.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

fn connection_builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(HEADER_READ_SECONDS_MAX))
        .max_buf_size(HEADER_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_BYTES_MAX as u32)
        .keep_alive_interval(Duration::from_secs(HEADER_READ_SECONDS_MAX));
    builder
}

fn serve_connection(
    builder: &Arc<Builder<TokioExecutor>>,
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<&Arc<Tls>>,
    dispatcher: &Arc<Dispatcher>,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + Send + 'static {
    // Replies are small and written at once; waiting to fill a packet would only add latency.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "TCP_NODELAY was not set");
    }
    let (builder, dispatcher) = (Arc::clone(builder), Arc::clone(dispatcher));
    let (watcher, tls) = (graceful.watcher(), tls.cloned());
    let address = peer.ip();
    let counted = dispatcher.metrics().connection();
    async move {
        let _counted = counted;
        let Some(tls) = tls else {
            let connection = Connection { address, tls: None };
            return serve_stream(&builder, stream, connection, dispatcher, watcher).await;
        };
        match tls.accept(stream).await {
            Ok(stream) => {
                let connection = Connection { address, tls: Some(tls::session(&stream)) };
                serve_stream(&builder, stream, connection, dispatcher, watcher).await;
            }
            Err(error) => tracing::debug!(%peer, %error, "a TLS handshake failed"),
        }
    }
}

/// What requests have in common that come over one connection.
#[derive(Clone, Copy)]
struct Connection {
    address: IpAddr,
    /// Protocol version and cipher suite.
    tls: Option<(&'static str, &'static str)>,
}

async fn serve_stream<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    builder: &Builder<TokioExecutor>,
    stream: S,
    connection: Connection,
    dispatcher: Arc<Dispatcher>,
    watcher: Watcher,
) {
    let service = service_fn(move |request| {
        let dispatcher = Arc::clone(&dispatcher);
        async move { http::answer(&dispatcher, &connection, request).await }
    });
    let served = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    if let Err(error) = watcher.watch(served).await {
        tracing::debug!(peer = %connection.address, %error, "a connection ended early");
    }
}
