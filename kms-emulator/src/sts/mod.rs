//! STS, in the query protocol: a form in, XML out.
//!
//! To add an operation: a file with a function from a `Call` to the members of its result, an arm in
//! `run`, and its name in `OPERATIONS`.

mod assume_role;
mod form;
mod get_caller_identity;

use std::sync::Arc;

use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use serde_json::Value;
use uuid::Uuid;

use crate::audit::{Actor, Event};
use crate::auth::{AuthError, Caller, SignedRequest};
use crate::protocol::{Fault, FaultCode};
use crate::server::{Dispatcher, RequestOrigin};
use form::Form;

/// The service's name in credential scopes.
pub(crate) const SIGNING_NAME: &str = "sts";
/// Longest form, in bytes.
pub(crate) const BODY_BYTES_MAX: usize = 8 * 1024;
/// Every operation that is provided.
pub(crate) const OPERATIONS: &[&str] = &["AssumeRole", "GetCallerIdentity"];
const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
const VERSION: &str = "2011-06-15";

/// A reply of the query protocol.
pub(crate) struct QueryReply {
    pub(crate) status: StatusCode,
    pub(crate) xml: String,
    /// The operation, if the request got as far as naming one.
    pub(crate) operation: Option<&'static str>,
    /// Of a refusal.
    pub(crate) error_code: Option<String>,
}

/// An authenticated request for one operation.
struct Call<'a> {
    dispatcher: &'a Dispatcher,
    caller: &'a Caller,
    origin: &'a RequestOrigin,
    form: Form<'a>,
}

/// What an operation gives: the XML of its result, and what the audit trail shows of it.
struct Outcome {
    xml: String,
    shown: Value,
}

/// Whether a request speaks the query protocol: a form, and no target.
pub(crate) fn is_query(parts: &Parts) -> bool {
    let content_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|text| text.starts_with("application/x-www-form-urlencoded"))
        && !parts.headers.contains_key("x-amz-target")
}

/// Answers a request whose body has been read, and records the call.
pub(crate) async fn answer(
    dispatcher: &Dispatcher,
    request: &SignedRequest<'_>,
    origin: RequestOrigin,
) -> QueryReply {
    let id = origin.id;
    let form = Form::new(request.body);
    let action = form.get("Action");
    let known = OPERATIONS.iter().find(|name| action.as_deref() == Some(**name));
    let caller = match dispatcher.verify(request) {
        Ok(caller) => caller,
        Err(error) => {
            return QueryReply { operation: known.copied(), ..unauthenticated(&error, id) };
        }
    };
    let Some(operation) = known.filter(|_| form.get("Version").as_deref() == Some(VERSION)) else {
        let name = action.as_deref().unwrap_or("null");
        let message = format!("Could not find operation {name} for version {VERSION}");
        return error(StatusCode::BAD_REQUEST, "InvalidAction", &message, id);
    };
    let call = Call { dispatcher, caller: &caller, origin: &origin, form };
    let reply = match run_recorded(operation, &call).await {
        Ok(outcome) => succeeded(operation, &outcome.xml, id),
        Err(fault) => refused(&fault, id),
    };
    QueryReply { operation: Some(operation), ..reply }
}

/// Runs an operation between its two marks in the audit trail.
async fn run_recorded(operation: &'static str, call: &Call<'_>) -> Result<Outcome, Fault> {
    let Call { caller, origin, .. } = call;
    let begin = || {
        let principal = Arc::clone(caller.identity.principal());
        let actor = Actor::Caller(principal, caller.access_key_id.clone());
        let (now, region) = (call.dispatcher.clock().now(), caller.region.clone());
        Event::call(now, SIGNING_NAME, region, actor, origin.peer.clone(), origin.id)
    };
    let admitted = call.dispatcher.audit().admit(operation, BODY_BYTES_MAX, begin).await?;
    let outcome = match operation {
        "AssumeRole" => assume_role::run(call),
        _ => Ok(get_caller_identity::run(call)),
    };
    let parameters = call.form.shown().to_string();
    match &outcome {
        Ok(done) => {
            admitted.complete(parameters.as_bytes(), Ok(done.shown.to_string().as_bytes()), &[]);
        }
        Err(fault) => admitted.complete(parameters.as_bytes(), Err(fault), &[]),
    }
    outcome
}

/// The reply for a request that was refused.
pub(crate) fn refused(fault: &Fault, id: Uuid) -> QueryReply {
    let (status, code) = match fault.code() {
        FaultCode::AccessDeniedException => (StatusCode::FORBIDDEN, "AccessDenied"),
        FaultCode::ValidationException => (StatusCode::BAD_REQUEST, "ValidationError"),
        other => (
            StatusCode::from_u16(other.status()).unwrap_or(StatusCode::BAD_REQUEST),
            other.as_str().trim_end_matches("Exception"),
        ),
    };
    error(status, code, fault.message(), id)
}

fn succeeded(operation: &'static str, result: &str, id: Uuid) -> QueryReply {
    let xml = format!(
        "<{operation}Response xmlns=\"{NAMESPACE}\"><{operation}Result>{result}</{operation}Result>\
         <ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata></{operation}Response>"
    );
    QueryReply { status: StatusCode::OK, xml, operation: Some(operation), error_code: None }
}

fn unauthenticated(cause: &AuthError, id: Uuid) -> QueryReply {
    let status = match cause {
        AuthError::Incomplete(_) => StatusCode::BAD_REQUEST,
        _ => StatusCode::FORBIDDEN,
    };
    error(status, cause.query_code(), &cause.to_string(), id)
}

fn error(status: StatusCode, code: &str, message: &str, id: Uuid) -> QueryReply {
    let xml = format!(
        "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>Sender</Type><Code>{}</Code>\
         <Message>{}</Message></Error><RequestId>{id}</RequestId></ErrorResponse>",
        escape(code),
        escape(message)
    );
    QueryReply { status, xml, operation: None, error_code: Some(code.to_owned()) }
}

/// Text as XML character data. Writing three elements needs no XML library; nothing here reads XML.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // XML 1.0 has no other control characters, not even as references.
            c if c.is_control() && !matches!(c, '\t' | '\n' | '\r') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_escaped() {
        assert_eq!(escape("<a & \"b\">\u{1}"), "&lt;a &amp; &quot;b&quot;&gt;\u{fffd}");
    }
}
