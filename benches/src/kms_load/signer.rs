//! One request, signed as the AWS SDK for Rust signs it, with the headers that it sends.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use strongroom_peers::identity::{ACCESS_KEY, REGION, SECRET_KEY};

use crate::BenchError;

/// The bytes of a request for a KMS operation over HTTP/1.1. Its date is now: a server takes it for the
/// next five minutes.
///
/// # Errors
/// [`BenchError::Sign`].
pub(super) fn signed(
    address: SocketAddr,
    operation: &str,
    body: &str,
) -> Result<Vec<u8>, BenchError> {
    let uri = format!("http://{address}/");
    let target = format!("TrentService.{operation}");
    let headers = [
        ("content-type", "application/x-amz-json-1.1"),
        ("x-amz-target", target.as_str()),
        ("amz-sdk-invocation-id", "a3c1b6f2-4f0e-4d4c-9f77-2d1c0e9b8a76"),
        ("amz-sdk-request", "attempt=1; max=3"),
        ("x-amz-user-agent", "aws-sdk-rust/1.3.9 ua/2.1 api/kms#1.90.0 os/linux lang/rust#1.90.0"),
    ];
    let refused = |error: Box<dyn std::error::Error + Send + Sync>| BenchError::Sign(error);
    let identity = Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "kms_load").into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(REGION)
        .name("kms")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| refused(error.into()))?
        .into();
    let signable = SignableBody::Bytes(body.as_bytes());
    let request = SignableRequest::new("POST", &uri, headers.into_iter(), signable)
        .map_err(|error| refused(error.into()))?;
    let (signature, _) =
        sign(request, &parameters).map_err(|error| refused(error.into()))?.into_parts();
    let mut head = format!("POST / HTTP/1.1\r\nhost: {address}\r\n");
    for (name, value) in headers.into_iter().chain(signature.headers()) {
        // Writing to a string cannot fail.
        let _ = write!(head, "{name}: {value}\r\n");
    }
    Ok(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes())
}
