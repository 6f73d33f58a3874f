//! HTTP around the dispatcher: what is read, in what order, and how answers look.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use uuid::Uuid;

use super::Dispatcher;
use crate::auth::SignedRequest;
use crate::protocol::{Fault, FaultCode};
use crate::sts;

const JSON: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.1");
const XML: HeaderValue = HeaderValue::from_static("text/xml");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// Longest that a body may take to arrive.
const BODY_READ_SECONDS_MAX: u64 = 20;
/// Longest body that is read although it is refused, in bytes.
const DRAINED_BODY_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Longest that reading a refused body may take.
const DRAIN_SECONDS_MAX: u64 = 5;

type HttpResponse = Response<Full<Bytes>>;

/// Answers one request; every failure is an answer.
pub(super) async fn answer(
    dispatcher: &Dispatcher,
    request: Request<Incoming>,
) -> Result<HttpResponse, Infallible> {
    let id = request_id();
    let (parts, body) = request.into_parts();
    if parts.method == Method::GET && parts.uri.path() == "/health" {
        return Ok(response(id, StatusCode::OK, JSON, Bytes::from_static(b"{\"status\":\"ok\"}")));
    }
    if sts::is_query(&parts) {
        return Ok(answer_query(dispatcher, id, &parts, body).await);
    }
    Ok(match answer_json(dispatcher, id, &parts, body).await {
        Ok(reply) => response(id, StatusCode::OK, JSON, reply),
        Err(fault) => refusal(id, &fault),
    })
}

async fn answer_json(
    dispatcher: &Dispatcher,
    id: Uuid,
    parts: &Parts,
    body: Incoming,
) -> Result<Bytes, Fault> {
    check_request_line(parts)?;
    let target = parts
        .headers
        .get("x-amz-target")
        .and_then(|value| value.to_str().ok())
        .ok_or_else(|| Fault::new(FaultCode::UnknownOperationException, "No X-Amz-Target."))?;
    let target = dispatcher.target(target)?;
    let body = read_body(body, target.body_bytes_max()).await?;
    let caller = dispatcher.authenticate(&target, signed_request(parts, &body))?;
    let reply = dispatcher.run(&target, caller, id, &body).await?;
    Ok(reply.into_bytes())
}

async fn answer_query(
    dispatcher: &Dispatcher,
    id: Uuid,
    parts: &Parts,
    body: Incoming,
) -> HttpResponse {
    let read = match check_request_line(parts) {
        Ok(()) => read_body(body, sts::BODY_BYTES_MAX).await,
        Err(fault) => Err(fault),
    };
    let answer = match read {
        Ok(body) => sts::answer(dispatcher, &signed_request(parts, &body), &body, id),
        Err(fault) => sts::refused(&fault, id),
    };
    response(id, answer.status, XML, Bytes::from(answer.xml))
}

/// SigV4 is verified for this form alone; see `auth::sigv4`.
fn check_request_line(parts: &Parts) -> Result<(), Fault> {
    if parts.method != Method::POST || parts.uri.path() != "/" {
        return Err(Fault::new(FaultCode::UnknownOperationException, "Requests are POST to /."));
    }
    if parts.uri.query().is_some() {
        return Err(Fault::new(
            FaultCode::IncompleteSignatureException,
            "Requests signed in the query string are not accepted: sign in the Authorization header.",
        ));
    }
    Ok(())
}

fn signed_request<'a>(parts: &'a Parts, body: &'a [u8]) -> SignedRequest<'a> {
    SignedRequest {
        headers: &parts.headers,
        authority: parts.uri.authority().map(hyper::http::uri::Authority::as_str),
        body,
        service: sts::SIGNING_NAME,
    }
}

/// Reads a body of at most `max` bytes, in at most `BODY_READ_SECONDS_MAX`.
async fn read_body(body: Incoming, max: usize) -> Result<Bytes, Fault> {
    let too_large = || {
        Fault::new(
            FaultCode::RequestEntityTooLargeException,
            format!("The request body is longer than {max} bytes."),
        )
    };
    // Refuse by the announced length before the first byte is read.
    let announced = body.size_hint().lower();
    if announced > max as u64 {
        if announced <= DRAINED_BODY_BYTES_MAX {
            drain(body).await;
        }
        return Err(too_large());
    }
    let reading = Limited::new(body, max).collect();
    match tokio::time::timeout(Duration::from_secs(BODY_READ_SECONDS_MAX), reading).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => Err(Fault::serialization("The body did not arrive.").because(error)),
        Err(_) => Err(Fault::new(
            FaultCode::RequestTimeoutException,
            format!("The body did not arrive within {BODY_READ_SECONDS_MAX} seconds."),
        )),
    }
}

/// Reads a refused body of moderate length to its end and drops it: a connection that is closed while its
/// client still writes loses the reply as well.
async fn drain(mut body: Incoming) {
    let reading = async { while let Some(Ok(_)) = body.frame().await {} };
    // A client too slow for this does without the reply.
    drop(tokio::time::timeout(Duration::from_secs(DRAIN_SECONDS_MAX), reading).await);
}

/// A random id for the reply and the log, from a generator that makes no system call each time.
fn request_id() -> Uuid {
    let mut bytes = [0; 16];
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => uuid::Builder::from_random_bytes(bytes).into_uuid(),
        Err(_) => Uuid::new_v4(),
    }
}

fn refusal(id: Uuid, fault: &Fault) -> HttpResponse {
    match fault.internal_cause() {
        Some(cause) if fault.code().status() >= 500 => {
            tracing::error!(request = %id, code = fault.code().as_str(), cause, "a request failed");
        }
        cause => {
            tracing::debug!(request = %id, code = fault.code().as_str(), cause, "a request was refused");
        }
    }
    let status =
        StatusCode::from_u16(fault.code().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response(id, status, JSON, Bytes::from(fault.to_json().to_string()))
}

fn response(id: Uuid, status: StatusCode, content_type: HeaderValue, body: Bytes) -> HttpResponse {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CACHE_CONTROL, NO_STORE);
    if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}
