//! Signature Version 4, verified strictly.
//!
//! Source: "Signature Version 4 signing process" of the AWS General Reference. One form is accepted:
//! `POST /` without a query, signed in the `Authorization` header, with the hash of the real body, as
//! every SDK sends to KMS. Presigned URLs, chunked and unsigned payloads are refused: a verifier that
//! knows one form cannot be talked into a weaker one.
//!
//! `scratchstack-aws-signature` was looked at and not taken: it accepts presigned requests and several
//! date forms by design and leaves payload modes to its caller, signs with a second HMAC and SHA-2
//! stack, and brings `chrono`, `regex` and `encoding_rs` into the place where a lenient parser costs
//! most.

use std::sync::Arc;

use aws_lc_rs::{digest, hmac};
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HOST, HeaderName};
use zeroize::Zeroizing;

use super::credentials::{Credential, Credentials};
use super::{AuthError, Authenticated, Caller};
use crate::clock::Timestamp;
use crate::ids::Region;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const TERMINATOR: &str = "aws4_request";
const AMZ_DATE: &str = "x-amz-date";
const SECURITY_TOKEN: &str = "x-amz-security-token";
/// Furthest that a request's date may lie from ours, before or after, in seconds.
const SKEW_SECONDS_MAX: i64 = 300;
/// Headers that a signature may name; hyper takes a hundred.
const SIGNED_HEADER_COUNT_MAX: usize = 100;

/// Proof that a signature was recomputed and compared, in constant time, and is equal.
struct SignatureMatch(());

/// The parts of a request that a signature covers. Method `POST`, path `/` and an empty query are the
/// only ones that reach this far.
#[derive(Clone, Copy)]
pub(crate) struct SignedRequest<'a> {
    pub(crate) headers: &'a HeaderMap,
    /// Host of an HTTP/2 request, which has no `Host` header.
    pub(crate) authority: Option<&'a str>,
    pub(crate) body: &'a [u8],
    /// The service that must be named in the credential scope, for example `kms`.
    pub(crate) service: &'a str,
}

/// Finds out who sent a request.
///
/// # Errors
/// See `AuthError`; nothing tells how much of a wrong signature was right.
pub(crate) fn verify(
    request: &SignedRequest<'_>,
    credentials: &Credentials,
    now: Timestamp,
) -> Result<Caller, AuthError> {
    let header = single(request.headers, AUTHORIZATION.as_str())?.ok_or(AuthError::Missing)?;
    let authorization = Authorization::parse(header)?;
    let date_text = single(request.headers, AMZ_DATE)?.ok_or_else(|| {
        incomplete(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
        )
    })?;
    check_signed_headers(&authorization, request)?;
    let payload_hash = payload_hash(request)?;
    let session;
    let credential = match single(request.headers, SECURITY_TOKEN)? {
        None => credentials.find(authorization.access_key_id).ok_or(AuthError::UnknownToken)?,
        Some(token) => {
            session = credentials.session(token, authorization.access_key_id, now)?;
            &session
        }
    };
    let region = check_scope(&authorization, date_text, request.service)?;
    let canonical = canonical_request(&authorization, request, &payload_hash)?;
    let matched = compare(&authorization, date_text, &canonical, credential)?;
    // The date last: only the owner of the key learns what our clock says.
    check_date(date_text, now)?;
    Ok(Caller {
        identity: authenticate(credential, &matched),
        access_key_id: Some(Arc::clone(&credential.access_key_id)),
        region,
    })
}

fn authenticate(credential: &Credential, SignatureMatch(()): &SignatureMatch) -> Authenticated {
    Authenticated(credential.principal.clone())
}

/// The three parameters of the `Authorization` header.
struct Authorization<'a> {
    access_key_id: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    terminator: &'a str,
    signed_headers: &'a str,
    signature: [u8; 32],
}

impl<'a> Authorization<'a> {
    fn parse(header: &'a str) -> Result<Self, AuthError> {
        let parameters = header
            .strip_prefix(ALGORITHM)
            .and_then(|rest| rest.strip_prefix(' '))
            .ok_or_else(|| incomplete("Unsupported AWS 'algorithm': use AWS4-HMAC-SHA256."))?;
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for parameter in parameters.split(',') {
            let (name, value) = parameter
                .trim_matches(' ')
                .split_once('=')
                .ok_or_else(|| incomplete("A parameter of the Authorization header has no '='."))?;
            let slot = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return Err(incomplete("Unknown parameter in the Authorization header.")),
            };
            if slot.replace(value).is_some() {
                return Err(incomplete("A parameter of the Authorization header is repeated."));
            }
        }
        let credential = credential.ok_or_else(|| required("Credential"))?;
        let signature = signature.ok_or_else(|| required("Signature"))?;
        let signed_headers = signed_headers.ok_or_else(|| required("SignedHeaders"))?;
        let [access_key_id, date, region, service, terminator] = five(credential)?;
        Ok(Self {
            access_key_id,
            date,
            region,
            service,
            terminator,
            signed_headers,
            signature: parse_signature(signature)?,
        })
    }
}

fn required(parameter: &str) -> AuthError {
    incomplete(&format!("Authorization header requires '{parameter}' parameter."))
}

fn five(credential: &str) -> Result<[&str; 5], AuthError> {
    let parts: Vec<&str> = credential.split('/').take(6).collect();
    parts.try_into().map_err(|_| {
        incomplete(
            "Credential must have exactly 5 slash-delimited elements, \
             e.g. keyid/date/region/service/term.",
        )
    })
}

/// Sixty-four lower-case hexadecimal digits, as SigV4 writes it.
fn parse_signature(text: &str) -> Result<[u8; 32], AuthError> {
    let mut signature = [0; 32];
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(mismatch());
    }
    hex::decode_to_slice(text, &mut signature).map_err(|_| mismatch())?;
    Ok(signature)
}

/// The host and every `x-amz-` header of the request must be signed, or whoever carries the request
/// could change what it asks for.
fn check_signed_headers(
    authorization: &Authorization<'_>,
    request: &SignedRequest<'_>,
) -> Result<(), AuthError> {
    let names: Vec<&str> = authorization.signed_headers.split(';').collect();
    let ascending = names.windows(2).all(|pair| matches!(pair, [a, b] if a < b));
    let plain = names.iter().all(|name| !name.is_empty() && *name == name.to_ascii_lowercase());
    if !ascending || !plain || names.len() > SIGNED_HEADER_COUNT_MAX {
        return Err(incomplete(
            "'SignedHeaders' must be sorted, in lower case and without repeats.",
        ));
    }
    if !names.contains(&HOST.as_str()) {
        return Err(invalid(
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
        ));
    }
    let unsigned = request
        .headers
        .keys()
        .map(HeaderName::as_str)
        .find(|name| name.starts_with("x-amz-") && !names.contains(name));
    match unsigned {
        None => Ok(()),
        Some(name) => {
            Err(invalid(&format!("'{name}' must be a 'SignedHeader' in the AWS Authorization.")))
        }
    }
}

/// The hash of the body that came, which must be the one that the request claims, if it claims one.
fn payload_hash(request: &SignedRequest<'_>) -> Result<String, AuthError> {
    let hash = hex::encode(digest::digest(&digest::SHA256, request.body));
    match single(request.headers, "x-amz-content-sha256")? {
        None => Ok(hash),
        Some(claimed) if claimed == hash => Ok(hash),
        Some("UNSIGNED-PAYLOAD") => {
            Err(invalid("Unsigned payloads are not accepted: sign the hash of the body."))
        }
        Some(mode) if mode.starts_with("STREAMING-") => {
            Err(invalid("Chunked payloads are not accepted: sign the hash of the whole body."))
        }
        Some(_) => Err(invalid(
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        )),
    }
}

fn check_scope(
    authorization: &Authorization<'_>,
    date_text: &str,
    service: &str,
) -> Result<Region, AuthError> {
    if authorization.terminator != TERMINATOR {
        return Err(invalid(&format!(
            "Credential should be scoped with a valid terminator: '{TERMINATOR}'."
        )));
    }
    if authorization.service != service {
        return Err(invalid(&format!(
            "Credential should be scoped to correct service: '{service}'."
        )));
    }
    let day = date_text.split('T').next().unwrap_or_default();
    if authorization.date != day {
        return Err(invalid(&format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from \
             HTTP: '{}' != '{day}', from '{date_text}'.",
            authorization.date
        )));
    }
    authorization
        .region
        .parse()
        .map_err(|_| invalid("Credential should be scoped to a valid region."))
}

fn check_date(date_text: &str, now: Timestamp) -> Result<(), AuthError> {
    let date = Timestamp::parse_amz_date(date_text).ok_or_else(|| {
        incomplete(
            "Date must be in ISO-8601 'basic format', for example 20260102T030405Z; see 'X-Amz-Date'.",
        )
    })?;
    let (earliest, latest) =
        (now.plus_seconds(-SKEW_SECONDS_MAX), now.plus_seconds(SKEW_SECONDS_MAX));
    if date < earliest {
        return Err(invalid(&format!(
            "Signature expired: {date_text} is now earlier than {} ({} - 5 min.)",
            earliest.to_amz_date(),
            now.to_amz_date()
        )));
    }
    if date > latest {
        return Err(invalid(&format!(
            "Signature not yet current: {date_text} is still later than {} ({} + 5 min.)",
            latest.to_amz_date(),
            now.to_amz_date()
        )));
    }
    Ok(())
}

fn canonical_request(
    authorization: &Authorization<'_>,
    request: &SignedRequest<'_>,
    payload_hash: &str,
) -> Result<String, AuthError> {
    let mut text = String::with_capacity(1024);
    text.push_str("POST\n/\n\n");
    for name in authorization.signed_headers.split(';') {
        text.push_str(name);
        text.push(':');
        push_header_value(&mut text, name, request)?;
        text.push('\n');
    }
    text.push('\n');
    text.push_str(authorization.signed_headers);
    text.push('\n');
    text.push_str(payload_hash);
    Ok(text)
}

/// All values of a header in their order, trimmed, with single spaces, separated by commas.
fn push_header_value(
    text: &mut String,
    name: &str,
    request: &SignedRequest<'_>,
) -> Result<(), AuthError> {
    let mut values = request.headers.get_all(name).iter().peekable();
    if values.peek().is_none() {
        // A header that is named and absent is signed as nothing, except the host of HTTP/2.
        if name == HOST.as_str() {
            text.push_str(request.authority.unwrap_or_default());
        }
        return Ok(());
    }
    for (index, value) in values.enumerate() {
        if index > 0 {
            text.push(',');
        }
        let value = value.to_str().map_err(|_| mismatch())?;
        for (index, word) in value.split([' ', '\t']).filter(|word| !word.is_empty()).enumerate() {
            if index > 0 {
                text.push(' ');
            }
            text.push_str(word);
        }
    }
    Ok(())
}

fn compare(
    authorization: &Authorization<'_>,
    date_text: &str,
    canonical: &str,
    credential: &Credential,
) -> Result<SignatureMatch, AuthError> {
    let Authorization { date, region, service, .. } = authorization;
    let string_to_sign = format!(
        "{ALGORITHM}\n{date_text}\n{date}/{region}/{service}/{TERMINATOR}\n{}",
        hex::encode(digest::digest(&digest::SHA256, canonical.as_bytes()))
    );
    let key = SigningKey::for_scope(credential, date, region, service);
    // `hmac::verify` compares in constant time.
    hmac::verify(&key.key, string_to_sign.as_bytes(), &authorization.signature)
        .map(|()| SignatureMatch(()))
        .map_err(|_| mismatch())
}

/// A key derived for one day, Region and service. Each credential remembers its last.
pub(super) struct SigningKey {
    date: String,
    region: String,
    service: String,
    key: hmac::Key,
}

impl SigningKey {
    fn for_scope(credential: &Credential, date: &str, region: &str, service: &str) -> Arc<Self> {
        let remembered = credential.signing_key.load_full();
        if let Some(key) = remembered
            && key.date == date
            && key.region == region
            && key.service == service
        {
            return key;
        }
        let key = Arc::new(Self {
            date: date.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            key: derive(credential.secret.expose(), [date, region, service]),
        });
        credential.signing_key.store(Some(Arc::clone(&key)));
        key
    }
}

/// `HMAC(HMAC(HMAC(HMAC("AWS4" + secret, date), region), service), "aws4_request")`.
fn derive(secret: &str, scope: [&str; 3]) -> hmac::Key {
    let seed = Zeroizing::new(format!("AWS4{secret}"));
    let mut key = hmac::Key::new(hmac::HMAC_SHA256, seed.as_bytes());
    for part in scope.into_iter().chain([TERMINATOR]) {
        key = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref());
    }
    key
}

/// The value of a header that may occur once; of two values nobody could say which was meant.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, AuthError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(incomplete(&format!("The header '{name}' is repeated.")));
    }
    value
        .to_str()
        .map(Some)
        .map_err(|_| incomplete(&format!("The header '{name}' is not plain ASCII.")))
}

fn incomplete(message: &str) -> AuthError {
    AuthError::Incomplete(message.to_owned())
}

fn invalid(message: &str) -> AuthError {
    AuthError::Invalid(message.to_owned())
}

fn mismatch() -> AuthError {
    invalid(
        "The request signature we calculated does not match the signature you provided. Check your \
         AWS Secret Access Key and signing method. Consult the service documentation for details.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_derivation_of_the_general_reference() {
        // "Deriving the signing key": secret, date, Region and service of the published example.
        let key =
            derive("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", ["20150830", "us-east-1", "iam"]);
        let string_to_sign = "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/iam/aws4_request\n\
            f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59";
        assert_eq!(
            hex::encode(hmac::sign(&key, string_to_sign.as_bytes())),
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
        );
    }

    #[test]
    fn authorization_headers_are_read_strictly() {
        let good = format!(
            "AWS4-HMAC-SHA256 Credential=A/20150830/us-east-1/kms/aws4_request, \
             SignedHeaders=host, Signature={}",
            "0".repeat(64)
        );
        assert!(Authorization::parse(&good).is_ok());
        for (from, to) in [
            ("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256"),
            ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
            ("Credential", "credential"),
            (", SignedHeaders=host", ""),
            ("SignedHeaders=host", "SignedHeaders=host, SignedHeaders=host"),
            ("/kms/", "/"),
            ("aws4_request", "aws4_request/x"),
            ("Signature=0", "Signature=A"),
            ("Signature=00", "Signature=0"),
        ] {
            assert!(Authorization::parse(&good.replace(from, to)).is_err(), "{from} -> {to}");
        }
    }
}
