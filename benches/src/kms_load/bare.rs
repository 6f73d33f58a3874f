//! A server that does nothing but HTTP: what any server of this kind could reach at most.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::BenchError;

/// Reads every request to its end and answers it with the bytes of a file, until it is killed.
///
/// # Errors
/// [`BenchError::File`] if the file cannot be read or the address not be listened on.
pub fn serve(address: SocketAddr, reply: &Path) -> Result<(), BenchError> {
    let reply = Bytes::from(std::fs::read(reply).map_err(BenchError::file(reply))?);
    let failed = || BenchError::file(address.to_string());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(failed())?.block_on(async {
        let listener = TcpListener::bind(address).await.map_err(failed())?;
        loop {
            let (stream, _) = listener.accept().await.map_err(failed())?;
            stream.set_nodelay(true).map_err(failed())?;
            let reply = reply.clone();
            let service = service_fn(move |request| answer(request, reply.clone()));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // A client that goes away ends its connection.
            tokio::spawn(async move { connection.await.ok() });
        }
    })
}

async fn answer(
    request: Request<Incoming>,
    reply: Bytes,
) -> Result<Response<Full<Bytes>>, Infallible> {
    // The next request of the connection tells whether this one was read.
    drop(request.into_body().collect().await);
    let mut response = Response::new(Full::new(reply));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        "x-amzn-requestid",
        HeaderValue::from_static("a3c1b6f2-4f0e-4d4c-9f77-2d1c0e9b8a76"),
    );
    Ok(response)
}
