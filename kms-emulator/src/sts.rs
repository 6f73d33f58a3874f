//! STS `GetCallerIdentity`, in the query protocol: a form in, XML out.

use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use uuid::Uuid;

use crate::auth::{AuthError, SignedRequest};
use crate::policy::Principal;
use crate::protocol::Fault;
use crate::server::Dispatcher;

/// The service's name in credential scopes.
pub(crate) const SIGNING_NAME: &str = "sts";
/// Longest form, in bytes; the two members that are known are short.
pub(crate) const BODY_BYTES_MAX: usize = 8 * 1024;
const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
const VERSION: &str = "2011-06-15";

/// A reply of the query protocol.
pub(crate) struct QueryReply {
    pub(crate) status: StatusCode,
    pub(crate) xml: String,
}

/// Whether a request speaks the query protocol: a form, and no target.
pub(crate) fn is_query(parts: &Parts) -> bool {
    let content_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|text| text.starts_with("application/x-www-form-urlencoded"))
        && !parts.headers.contains_key("x-amz-target")
}

/// Answers a request whose body has been read.
pub(crate) fn answer(
    dispatcher: &Dispatcher,
    request: &SignedRequest<'_>,
    body: &[u8],
    id: Uuid,
) -> QueryReply {
    let caller = match dispatcher.verify(request) {
        Ok(caller) => caller,
        Err(error) => return unauthenticated(&error, id),
    };
    let member = |wanted: &str| {
        form_urlencoded::parse(body).find(|(name, _)| name == wanted).map(|(_, value)| value)
    };
    match (member("Action").as_deref(), member("Version").as_deref()) {
        (Some("GetCallerIdentity"), Some(VERSION)) => {
            caller_identity(caller.identity.principal(), id)
        }
        (action, _) => error(
            StatusCode::BAD_REQUEST,
            "InvalidAction",
            &format!("Could not find operation {} for version {VERSION}", action.unwrap_or("null")),
            id,
        ),
    }
}

/// The reply for a request that was refused before its body was read.
pub(crate) fn refused(fault: &Fault, id: Uuid) -> QueryReply {
    let status = StatusCode::from_u16(fault.code().status()).unwrap_or(StatusCode::BAD_REQUEST);
    error(status, fault.code().as_str().trim_end_matches("Exception"), fault.message(), id)
}

fn caller_identity(principal: &Principal, id: Uuid) -> QueryReply {
    let xml = format!(
        "<GetCallerIdentityResponse xmlns=\"{NAMESPACE}\"><GetCallerIdentityResult>\
         <Arn>{}</Arn><UserId>{}</UserId><Account>{}</Account></GetCallerIdentityResult>\
         <ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata>\
         </GetCallerIdentityResponse>",
        escape(&principal.arn),
        escape(&principal.unique_id),
        principal.account
    );
    QueryReply { status: StatusCode::OK, xml }
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
    QueryReply { status, xml }
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
