//! A server in the test's process and the clients that talk to it over loopback.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kms::Client;
use aws_sdk_kms::config::{BehaviorVersion, Credentials, Region};
use serde_json::Value;
use strongroom_kms::clock::{Clock, ManualClock, SystemClock, Timestamp};
use strongroom_kms::{DataDir, Emulator, EmulatorConfig};

use crate::signer::{RawRequest, Signer};

pub(crate) const ACCOUNT: &str = "000000000000";
pub(crate) const OTHER_ACCOUNT: &str = "444455556666";
const REGION: &str = "us-east-1";

/// A running server.
pub(crate) struct Server {
    pub(crate) emulator: Emulator,
}

/// A raw HTTP reply.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The `__type` of a refusal.
    pub(crate) fn code(&self) -> String {
        self.json()["__type"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_default().to_owned()
    }
}

impl Server {
    /// A server without state.
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// A server on a directory that outlives it.
    pub(crate) async fn on(dir: &Path) -> Self {
        let dir = dir.to_owned();
        Self::with(move |config| config.data_dir = DataDir::Persistent(dir)).await
    }

    /// A server whose clock the test moves.
    pub(crate) async fn with_clock() -> (Self, Arc<ManualClock>) {
        let clock =
            Arc::new(ManualClock::new(Timestamp::from_millis(SystemClock.now().as_millis())));
        let given = Arc::clone(&clock);
        (Self::with(move |config| config.clock = given).await, clock)
    }

    /// A server with the users of a credentials file.
    pub(crate) async fn with_credentials(file: &str) -> Self {
        let path = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(path.path(), file).unwrap();
        let given = path.path().to_owned();
        Self::with(move |config| config.credentials_file = Some(given)).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut EmulatorConfig)) -> Self {
        let mut config = EmulatorConfig::loopback(DataDir::Ephemeral).unwrap();
        change(&mut config);
        Self { emulator: Emulator::start(config).await.unwrap() }
    }

    pub(crate) fn host(&self) -> String {
        let endpoint = self.emulator.endpoint();
        endpoint.split("://").nth(1).unwrap().to_owned()
    }

    /// The AWS SDK for Rust as the account's root.
    pub(crate) fn client(&self) -> Client {
        let root = self.emulator.credentials();
        self.client_as(root.access_key_id, root.secret_access_key, REGION)
    }

    /// The AWS SDK for Rust with an access key, in a Region.
    pub(crate) fn client_as(&self, access_key_id: &str, secret: &str, region: &str) -> Client {
        let credentials = Credentials::new(access_key_id, secret, None, None, "test");
        let config = aws_sdk_kms::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            .endpoint_url(self.emulator.endpoint())
            .credentials_provider(credentials)
            .retry_config(aws_sdk_kms::config::retry::RetryConfig::disabled())
            .build();
        Client::from_conf(config)
    }

    /// A signer as the account's root.
    pub(crate) fn signer(&self, service: &str) -> Signer {
        let root = self.emulator.credentials();
        Signer {
            access_key_id: root.access_key_id.to_owned(),
            secret: root.secret_access_key.to_owned(),
            region: REGION.to_owned(),
            service: service.to_owned(),
        }
    }

    /// Sends a request to the KMS, signed as root.
    pub(crate) async fn kms(&self, operation: &str, body: &str) -> Reply {
        let request = RawRequest::json(&self.host(), &format!("TrentService.{operation}"), body);
        self.send(&self.signer("kms").sign(&request)).await
    }

    /// Sends a request to an address of the server's that needs no signature.
    pub(crate) async fn plain(&self, host: &str, method: &str, path: &str, body: &str) -> Reply {
        let bytes = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        let host = host.to_owned();
        let exchange = move || exchange(&host, bytes.as_bytes());
        tokio::task::spawn_blocking(exchange).await.unwrap()
    }

    /// Sends a request as it is.
    pub(crate) async fn send(&self, request: &RawRequest) -> Reply {
        self.send_bytes(request.to_bytes()).await
    }

    /// Sends bytes and reads until the server closes.
    pub(crate) async fn send_bytes(&self, bytes: Vec<u8>) -> Reply {
        let host = self.host();
        tokio::task::spawn_blocking(move || exchange(&host, &bytes)).await.unwrap()
    }

    /// Makes a key as root and returns its id.
    pub(crate) async fn create_key(&self) -> String {
        let reply = self.kms("CreateKey", "{}").await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned()
    }
}

/// Sends bytes to a server and reads until it closes.
pub(crate) fn exchange(host: &str, bytes: &[u8]) -> Reply {
    let stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    exchange_over(stream, bytes)
}

/// Sends bytes and reads until the other side closes.
pub(crate) fn exchange_over(mut stream: impl Read + Write, bytes: &[u8]) -> Reply {
    // A server that refuses early may close before it has read all; the reply is what counts.
    drop(stream.write_all(bytes));
    let mut reply = Vec::new();
    drop(stream.read_to_end(&mut reply));
    let end = reply.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(reply.len());
    let head = String::from_utf8_lossy(&reply[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|text| text.parse().ok()).unwrap_or(0);
    let body = reply.get(end + 4..).unwrap_or_default().to_vec();
    Reply { status, head, body }
}
