//! Endpoints for other people's tests: begin anew, move time, break HSMs.
//!
//! They exist only on a server that was asked for them, which listens on a loopback address, and answer
//! there to programs, not to web pages: a page that a browser shows can send a `POST` to this machine too,
//! but not one with this content type without asking first.

use std::sync::Arc;

use bytes::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admin::{self, AdminRequest};
use crate::clock::{AdjustableClock, Clock};
use crate::expiry;
use crate::kms::{self, Kms};
use crate::reset::reset;
use crate::seed::Seed;

/// The path below which the endpoints lie.
pub(super) const PREFIX: &str = "/_strongroom/";
/// Longest body, in bytes.
pub(super) const BODY_BYTES_MAX: usize = 4 * 1024;
/// Furthest that one request moves the time, in seconds: a hundred years.
const ADVANCE_SECONDS_MAX: i64 = 100 * 366 * 86_400;

/// What the endpoints act on.
pub(crate) struct Testing {
    pub(crate) clock: Arc<AdjustableClock>,
    pub(crate) seed: Option<Arc<Seed>>,
}

/// A reply's status and body.
pub(super) type TestReply = (StatusCode, Bytes);

/// What is answered.
type Answer = Result<Value, (StatusCode, String)>;

impl Testing {
    /// Answers a request to a path that begins with `PREFIX`.
    pub(super) async fn answer(&self, kms: &Arc<Kms>, parts: &Parts, body: &[u8]) -> Answer {
        let path = parts.uri.path().strip_prefix(PREFIX).unwrap_or_default();
        let segments: Vec<&str> = path.split('/').collect();
        match (&parts.method, segments.as_slice()) {
            (&Method::GET, ["clock"]) => Ok(self.time()),
            (&Method::GET, ["hsms"]) => hsm(kms, AdminRequest::List).await,
            (&Method::POST, segments) => {
                check_content_type(parts)?;
                match segments {
                    ["reset"] => self.reset(kms).await,
                    ["clock"] => self.advance(kms, body).await,
                    ["hsms", id, "start"] => hsm(kms, AdminRequest::Start((*id).into())).await,
                    ["hsms", id, "stop"] => hsm(kms, AdminRequest::Stop((*id).into())).await,
                    ["hsms", id, "tamper"] => hsm(kms, AdminRequest::Tamper((*id).into())).await,
                    _ => Err(unknown()),
                }
            }
            _ => Err(unknown()),
        }
    }

    /// Forgets all state, sets the clock back to the present and makes the seeded keys anew.
    async fn reset(&self, kms: &Kms) -> Answer {
        let failed = |reason: String| (StatusCode::INTERNAL_SERVER_ERROR, reason);
        reset(kms).await.map_err(|error| failed(format!("{error:?}")))?;
        self.clock.reset();
        if let Some(seed) = &self.seed {
            seed.sow(kms).await.map_err(|error| failed(error.to_string()))?;
        }
        Ok(self.time())
    }

    /// Moves the clock, and does what is due then before it answers.
    async fn advance(&self, kms: &Kms, body: &[u8]) -> Answer {
        let wrong = |reason: String| (StatusCode::BAD_REQUEST, reason);
        let by: Advance =
            serde_json::from_slice(body).map_err(|error| wrong(format!("the body: {error}")))?;
        let seconds = by.seconds().map_err(wrong)?;
        self.clock.advance_seconds(seconds);
        kms::rotate_due(kms).await;
        expiry::sweep(kms).await;
        Ok(self.time())
    }

    fn time(&self) -> Value {
        json!({ "now": self.clock.now().to_iso8601() })
    }
}

/// How far to move the clock.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Advance {
    #[serde(default)]
    advance_seconds: i64,
    #[serde(default)]
    advance_days: i64,
}

impl Advance {
    fn seconds(&self) -> Result<i64, String> {
        let days = self.advance_days.saturating_mul(86_400);
        match self.advance_seconds.saturating_add(days) {
            seconds @ 1..=ADVANCE_SECONDS_MAX => Ok(seconds),
            _ => Err(format!(
                "advanceSeconds and advanceDays must be between one second and {ADVANCE_SECONDS_MAX} \
                 seconds together: time does not go back but by a reset"
            )),
        }
    }
}

async fn hsm(kms: &Kms, request: AdminRequest) -> Answer {
    let reports = admin::execute_on_hsms(kms, &request).await;
    let reports = reports.map_err(|reason| (StatusCode::NOT_FOUND, reason))?;
    Ok(json!({ "hsms": reports }))
}

fn check_content_type(parts: &Parts) -> Result<(), (StatusCode, String)> {
    let given = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if given.is_some_and(|text| text.starts_with("application/json")) {
        return Ok(());
    }
    let reason = "send Content-Type: application/json".to_owned();
    Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, reason))
}

fn unknown() -> (StatusCode, String) {
    let known =
        "there are POST reset, GET and POST clock, GET hsms, POST hsms/ID/start|stop|tamper";
    (StatusCode::NOT_FOUND, known.to_owned())
}

/// The reply's status and body.
pub(super) fn written(answer: Answer) -> TestReply {
    let (status, value) = match answer {
        Ok(value) => (StatusCode::OK, value),
        Err((status, reason)) => (status, json!({ "message": reason })),
    };
    (status, Bytes::from(value.to_string()))
}
