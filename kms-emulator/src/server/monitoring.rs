//! The operator's address: whether the server lives, whether it is ready, and what it has counted.
//!
//! It is an address of its own, so that it can be kept from clients; nothing here tells a secret or
//! changes anything.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use super::{Dispatcher, stopped};

/// Connections at one time.
const CONNECTIONS_MAX: usize = 32;
/// Longest that a connection may take for the head of its next request.
const HEADER_READ_SECONDS_MAX: u64 = 10;
/// Longest head of a request, in bytes.
const HEADER_BYTES_MAX: usize = 16 * 1024;
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Serves until `stop` changes.
pub(crate) async fn serve(
    listener: TcpListener,
    dispatcher: Arc<Dispatcher>,
    mut stop: watch::Receiver<bool>,
) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(permit) = Arc::clone(&connections).acquire_owned().await else { return };
        let stream = tokio::select! {
            () = stopped(&mut stop) => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection of the operator's was not accepted");
                    tokio::time::sleep(Duration::from_millis(super::ACCEPT_RETRY_MILLIS)).await;
                    continue;
                }
            },
        };
        let dispatcher = Arc::clone(&dispatcher);
        let mut stop = stop.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| answer(&dispatcher, request));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(HEADER_READ_SECONDS_MAX))
                .max_buf_size(HEADER_BYTES_MAX)
                .serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                () = stopped(&mut stop) => {}
                served = connection => if let Err(error) = served {
                    tracing::debug!(%error, "a connection of the operator's ended early");
                }
            }
            drop(permit);
        });
    }
}

async fn answer<B>(
    dispatcher: &Dispatcher,
    request: Request<B>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, text) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/healthz") => (StatusCode::OK, b"ok\n".to_vec()),
        (&Method::GET, "/readyz") => readiness(dispatcher),
        (&Method::GET, "/metrics") => match dispatcher.render_metrics().await {
            Ok(text) => (StatusCode::OK, text),
            Err(error) => {
                tracing::error!(%error, "the metrics were not rendered");
                (StatusCode::INTERNAL_SERVER_ERROR, b"the metrics were not rendered\n".to_vec())
            }
        },
        (_, "/healthz" | "/readyz" | "/metrics") => {
            (StatusCode::METHOD_NOT_ALLOWED, b"use GET\n".to_vec())
        }
        _ => (StatusCode::NOT_FOUND, b"there are /healthz, /readyz and /metrics\n".to_vec()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, TEXT);
    Ok(response)
}

/// Ready is a server that would not refuse a call for want of its own disk.
fn readiness(dispatcher: &Dispatcher) -> (StatusCode, Vec<u8>) {
    let problems = dispatcher.problems();
    if problems.is_empty() {
        return (StatusCode::OK, b"ready\n".to_vec());
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", problems.join("\n")).into_bytes())
}
