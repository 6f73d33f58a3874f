//! The servers that are asked, each with keys of its own.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;

use serde_json::{Value, json};
use strongroom_peers::process::{Server, free_address};
use strongroom_peers::{KmsServer, OtherKms, PeerError};
use tempfile::TempDir;

use super::operation::{KeyKind, Operation};
use super::signer::signed;
use super::wire::Connection;
use crate::BenchError;

/// Different requests of one operation.
const REQUESTS: usize = 64;

/// A server that is asked.
pub(super) struct Subject {
    pub(super) name: String,
    pub(super) address: SocketAddr,
    /// The server's process.
    pub(super) process: u32,
    keys: Vec<(KeyKind, String)>,
    /// Ends when this does.
    server: Running,
}

enum Running {
    Ours(KmsServer),
    /// Held, and ended, with the subject.
    Other {
        _server: OtherKms,
    },
    Bare {
        _server: Server,
        _folder: TempDir,
    },
}

impl Subject {
    /// Our server, as its users run it; `with_hsms` also makes a custom key store with a key in it.
    pub(super) fn strongroom(with_hsms: bool) -> Result<Self, BenchError> {
        let server = KmsServer::start()?;
        let mut subject = Self {
            name: "strongroom-kms".to_owned(),
            address: server.address(),
            process: server.id(),
            keys: Vec::new(),
            server: Running::Ours(server),
        };
        subject.make_keys()?;
        if with_hsms && let Running::Ours(server) = &subject.server {
            let store = server.play_custom_key_store_story()?;
            subject.keys.push((KeyKind::InHsm, store.key_arn));
        }
        Ok(subject)
    }

    /// Our server, which can be started again.
    pub(super) fn restart(&mut self) -> Result<(), BenchError> {
        if let Running::Ours(server) = &mut self.server {
            server.restart()?;
            self.process = server.id();
        }
        Ok(())
    }

    fn other(server: OtherKms) -> Result<Self, BenchError> {
        let mut subject = Self {
            name: server.software().to_owned(),
            address: server.address(),
            process: server.id(),
            keys: Vec::new(),
            server: Running::Other { _server: server },
        };
        subject.make_keys()?;
        Ok(subject)
    }

    /// A server that answers everything with what this one answers to `operation`.
    pub(super) fn bare(&self, operation: Operation) -> Result<Self, BenchError> {
        let reply = self.call(operation.api_name(), &self.body(operation, 0)?)?;
        let folder = tempfile::tempdir().map_err(BenchError::file(std::env::temp_dir()))?;
        let path = folder.path().join("reply");
        std::fs::write(&path, reply.to_string()).map_err(BenchError::file(&path))?;
        let program = std::env::current_exe().map_err(BenchError::file("the running program"))?;
        let address = free_address()?;
        let mut command = Command::new(program);
        command.arg("--bare").arg(address.to_string()).arg("--bare-reply").arg(&path);
        let mut server = Server::start(&command, &folder.path().join("log"))?;
        server.wait_until(|| std::net::TcpStream::connect(address).is_ok())?;
        Ok(Self {
            name: "bare hyper".to_owned(),
            address,
            process: server.id(),
            keys: self.keys.clone(),
            server: Running::Bare { _server: server, _folder: folder },
        })
    }

    fn make_keys(&mut self) -> Result<(), BenchError> {
        for (kind, input) in KeyKind::everywhere() {
            let made = self.call("CreateKey", &input)?;
            let id = text(&made, "/KeyMetadata/KeyId");
            self.keys.push((kind, id));
        }
        Ok(())
    }

    /// Whether it has the kind of key that the operation needs.
    pub(super) fn has(&self, operation: Operation) -> bool {
        self.keys.iter().any(|(kind, _)| *kind == operation.key_kind())
    }

    /// Requests for the operation, signed now.
    pub(super) fn requests(&self, operation: Operation) -> Result<Arc<[Vec<u8>]>, BenchError> {
        let requests = (0..REQUESTS).map(|index| {
            let body = self.body(operation, index)?.to_string();
            signed(self.address, operation.api_name(), &body)
        });
        requests.collect()
    }

    fn body(&self, operation: Operation, index: usize) -> Result<Value, BenchError> {
        let key = self.keys.iter().find(|(kind, _)| *kind == operation.key_kind());
        let key = key.map_or("", |(_, id)| id.as_str());
        // The bare server opens nothing, so any ciphertext will do for it.
        if operation != Operation::Decrypt || matches!(self.server, Running::Bare { .. }) {
            return Ok(operation.body(key, index, "AAAA"));
        }
        let input = Operation::Encrypt.body(key, index, "");
        let sealed = self.call(Operation::Encrypt.api_name(), &input)?;
        Ok(operation.body(key, index, &text(&sealed, "/CiphertextBlob")))
    }

    /// One call, outside of what is measured.
    ///
    /// # Errors
    /// [`BenchError::Refused`] with what the server says.
    pub(super) fn call(&self, operation: &str, input: &Value) -> Result<Value, BenchError> {
        let request = signed(self.address, operation, &input.to_string())?;
        let mut connection = Connection::new(self.address);
        let reply = connection.exchange(&request).map_err(BenchError::exchange(&self.name))?;
        if reply.status != 200 {
            return Err(BenchError::refused(&self.name, reply.status, reply.body));
        }
        Ok(serde_json::from_slice(reply.body).unwrap_or(json!(null)))
    }
}

/// The other emulators that are installed, and the sentence for each that is not.
pub(super) fn peers() -> Result<(Vec<Subject>, Vec<String>), BenchError> {
    let (mut found, mut absent) = (Vec::new(), Vec::new());
    for start in [OtherKms::start_local_kms, OtherKms::start_moto] {
        match start() {
            Ok(server) => found.push(Subject::other(server)?),
            Err(error) if PeerError::is_absence(&error) => absent.push(error.to_string()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok((found, absent))
}

fn text(reply: &Value, pointer: &str) -> String {
    reply.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}
