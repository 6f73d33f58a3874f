//! HTTP around the dispatcher: what is read, in what order, and how answers look.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::{Semaphore, SemaphorePermit};
use uuid::Uuid;

use super::dispatch::{RequestOrigin, Target};
use super::{Connection, Dispatcher, testing};
use crate::auth::{Peer, SignedRequest, TlsDetails};
use crate::ids::random_uuid;
use crate::protocol::{Fault, FaultCode};
use crate::sts;

const JSON: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.1");
const PLAIN_JSON: HeaderValue = HeaderValue::from_static("application/json");
const XML: HeaderValue = HeaderValue::from_static("text/xml");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// Longest that a body may take to arrive.
const BODY_READ_SECONDS_MAX: u64 = 20;
/// Longest body that is read without asking for room, in bytes.
const SHORT_BODY_BYTES_MAX: usize = 16 * 1024;
/// Longer bodies that are read at one time, in bytes together.
const LONG_BODIES_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Longest body that is read although it is refused, in bytes.
const DRAINED_BODY_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Longest that reading a refused body may take.
const DRAIN_SECONDS_MAX: u64 = 5;

type HttpResponse = Response<Full<Bytes>>;

/// Answers one request; every failure is an answer.
pub(super) async fn answer(
    dispatcher: &Dispatcher,
    connection: &Connection,
    request: Request<Incoming>,
) -> Result<HttpResponse, Infallible> {
    let id = random_uuid();
    let (parts, body) = request.into_parts();
    if parts.method == Method::GET && parts.uri.path() == "/health" {
        return Ok(response(id, StatusCode::OK, JSON, Bytes::from_static(b"{\"status\":\"ok\"}")));
    }
    if parts.uri.path().starts_with(testing::PREFIX) {
        let (status, body) = answer_test(dispatcher, connection, &parts, body).await;
        return Ok(response(id, status, PLAIN_JSON, body));
    }
    let started = Instant::now();
    let origin = RequestOrigin { peer: peer(connection, &parts), id };
    if sts::is_query(&parts) {
        let answer = answer_query(dispatcher, origin, &parts, body).await;
        dispatcher.metrics().count(
            answer.operation,
            answer.error_code.as_deref(),
            started.elapsed(),
        );
        return Ok(response(id, answer.status, XML, Bytes::from(answer.xml)));
    }
    let (operation, outcome) = match find_target(dispatcher, &parts) {
        Ok(target) => {
            (target.operation(), answer_json(dispatcher, &target, origin, &parts, body).await)
        }
        Err(fault) => (None, Err(fault)),
    };
    pause(dispatcher, operation, id).await;
    let failure = outcome.as_ref().err().map(|fault| fault.code().as_str());
    dispatcher.metrics().count(operation, failure, started.elapsed());
    Ok(match outcome {
        Ok(reply) => response(id, StatusCode::OK, JSON, reply),
        Err(fault) => refusal(id, &fault),
    })
}

fn find_target(dispatcher: &Dispatcher, parts: &Parts) -> Result<Target, Fault> {
    check_request_line(parts)?;
    let target = parts
        .headers
        .get("x-amz-target")
        .and_then(|value| value.to_str().ok())
        .ok_or_else(|| Fault::new(FaultCode::UnknownOperationException, "No X-Amz-Target."))?;
    dispatcher.target(target)
}

async fn answer_json(
    dispatcher: &Dispatcher,
    target: &Target,
    origin: RequestOrigin,
    parts: &Parts,
    body: Incoming,
) -> Result<Bytes, Fault> {
    let body = read_body(dispatcher.body_room(), body, target.body_bytes_max()).await?;
    match dispatcher.authenticate(target, signed_request(parts, &body)) {
        Ok(caller) => Ok(dispatcher.run(target, caller, origin, &body).await?.into_bytes()),
        Err(fault) => {
            dispatcher.record_stranger(target, origin, &fault).await;
            Err(fault)
        }
    }
}

/// Answers 404 to whoever is not on this machine, and where there are no endpoints for tests.
async fn answer_test(
    dispatcher: &Dispatcher,
    connection: &Connection,
    parts: &Parts,
    body: Incoming,
) -> testing::TestReply {
    let absent = || (StatusCode::NOT_FOUND, Bytes::new());
    if !dispatcher.has_test_endpoints() || !connection.address.to_canonical().is_loopback() {
        return absent();
    }
    match read_body(dispatcher.body_room(), body, testing::BODY_BYTES_MAX).await {
        Ok(body) => dispatcher.answer_test(parts, &body).await.unwrap_or_else(absent),
        Err(fault) => (StatusCode::PAYLOAD_TOO_LARGE, Bytes::from(fault.to_json().to_string())),
    }
}

/// Waits as long as a KMS over a network would, if the server is asked to.
async fn pause(dispatcher: &Dispatcher, operation: Option<&str>, id: Uuid) {
    let [random, ..] = id.into_bytes();
    let pause = dispatcher.latency().pause(operation.unwrap_or_default(), random);
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
}

async fn answer_query(
    dispatcher: &Dispatcher,
    origin: RequestOrigin,
    parts: &Parts,
    body: Incoming,
) -> sts::QueryReply {
    let id = origin.id;
    let read = match check_request_line(parts) {
        Ok(()) => read_body(dispatcher.body_room(), body, sts::BODY_BYTES_MAX).await,
        Err(fault) => Err(fault),
    };
    match read {
        Ok(body) => sts::answer(dispatcher, &signed_request(parts, &body), origin).await,
        Err(fault) => sts::refused(&fault, id),
    }
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

fn peer(connection: &Connection, parts: &Parts) -> Peer {
    let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let tls = connection.tls.as_ref().map(|(tls_version, cipher_suite)| TlsDetails {
        tls_version,
        cipher_suite,
        client_provided_host_header: header(HOST)
            .or_else(|| parts.uri.authority().map(hyper::http::uri::Authority::as_str))
            .map(str::to_owned),
    });
    Peer::new(connection.address, header(USER_AGENT), tls)
}

fn signed_request<'a>(parts: &'a Parts, body: &'a [u8]) -> SignedRequest<'a> {
    SignedRequest {
        headers: &parts.headers,
        authority: parts.uri.authority().map(hyper::http::uri::Authority::as_str),
        body,
        service: sts::SIGNING_NAME,
    }
}

/// Reads a body of at most `max` bytes, in at most `BODY_READ_SECONDS_MAX`, the wait for room included.
async fn read_body(room: &BodyRoom, body: Incoming, max: usize) -> Result<Bytes, Fault> {
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
    let length = body.size_hint().upper().map_or(max, |upper| upper.min(max as u64) as usize);
    let reading = async {
        let _room = room.take(length).await;
        Limited::new(body, max).collect().await
    };
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

/// Room for the bodies of all requests together, before anybody is authenticated. Small ones, which are
/// nearly all, need none: whoever fills it with long ones holds up long ones alone.
pub(super) struct BodyRoom(Semaphore);

impl BodyRoom {
    /// All of it.
    pub(super) fn new() -> Self {
        Self(Semaphore::new(LONG_BODIES_BYTES_MAX))
    }

    /// Waits for room for a body of `bytes`.
    async fn take(&self, bytes: usize) -> Option<SemaphorePermit<'_>> {
        if bytes <= SHORT_BODY_BYTES_MAX {
            return None;
        }
        let permits = u32::try_from(bytes.min(LONG_BODIES_BYTES_MAX)).unwrap_or(u32::MAX);
        // It is closed by nobody.
        self.0.acquire_many(permits).await.ok()
    }
}

/// Reads a refused body of moderate length to its end and drops it: a connection that is closed while its
/// client still writes loses the reply as well.
async fn drain(mut body: Incoming) {
    let reading = async { while let Some(Ok(_)) = body.frame().await {} };
    // A client too slow for this does without the reply.
    drop(tokio::time::timeout(Duration::from_secs(DRAIN_SECONDS_MAX), reading).await);
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
