//! A client's side of Signature Version 4, written apart from the server's.

use aws_lc_rs::{digest, hmac};
use time::OffsetDateTime;
use time::macros::format_description;

/// An access key and the scope that it signs for.
#[derive(Clone)]
pub(crate) struct Signer {
    pub(crate) access_key_id: String,
    pub(crate) secret: String,
    pub(crate) region: String,
    pub(crate) service: String,
}

/// A request as it goes over the wire: headers in order, and a body.
#[derive(Clone, Debug)]
pub(crate) struct RawRequest {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl RawRequest {
    /// An unsigned JSON request.
    pub(crate) fn json(host: &str, operation: &str, body: &str) -> Self {
        let date = OffsetDateTime::now_utc();
        let format = format_description!("[year][month][day]T[hour][minute][second]Z");
        Self {
            method: "POST".into(),
            target: "/".into(),
            headers: vec![
                ("host".into(), host.into()),
                ("content-type".into(), "application/x-amz-json-1.1".into()),
                ("x-amz-date".into(), date.format(format).unwrap()),
                ("x-amz-target".into(), operation.into()),
            ],
            body: body.as_bytes().to_vec(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        &self.headers.iter().find(|(known, _)| known == name).unwrap().1
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.into(), value.into()));
    }

    /// The request's bytes in HTTP/1.1; the connection is closed after the reply.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\nconnection: close\r\n\r\n", self.body.len()));
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

impl Signer {
    /// Signs every header that the request has now.
    pub(crate) fn sign(&self, request: &RawRequest) -> RawRequest {
        let mut headers = request.headers.clone();
        headers.sort();
        let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        self.sign_only(request, &names)
    }

    /// Signs the named headers only.
    pub(crate) fn sign_only(&self, request: &RawRequest, names: &[&str]) -> RawRequest {
        let date = request.header("x-amz-date");
        let day = &date[..8];
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        let mut canonical = format!("{}\n{}\n\n", request.method, request.target);
        for name in names {
            canonical.push_str(&format!("{name}:{}\n", request.header(name)));
        }
        let signed_headers = names.join(";");
        canonical.push_str(&format!("\n{signed_headers}\n{}", sha256(&request.body)));
        let to_sign =
            format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha256(canonical.as_bytes()));
        let mut key = format!("AWS4{}", self.secret).into_bytes();
        for part in [day, &self.region, &self.service, "aws4_request"] {
            key = mac(&key, part);
        }
        let signature = hex::encode(mac(&key, &to_sign));
        let mut signed = request.clone();
        signed.headers.push((
            "authorization".into(),
            format!(
                "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={signed_headers}, \
                 Signature={signature}",
                self.access_key_id
            ),
        ));
        signed
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}
