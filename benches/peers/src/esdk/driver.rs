//! A driver as a process: a job in, an answer out.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::job::{Base64, Decrypt, Encrypt, Measure};
use crate::{Peer, PeerError};

/// The most memory that the Java machine takes for its heap.
const JAVA_HEAP: &str = "-Xmx2g";

/// An implementation of the AWS Encryption SDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Implementation {
    /// `aws-encryption-sdk` for Python.
    Python,
    /// `@aws-crypto/client-node`.
    Node,
    /// `aws-esdk`, the official crate.
    Rust,
    /// `com.amazonaws:aws-encryption-sdk-java`.
    Java,
}

/// The stack of the official Rust SDK's threads, as the environment has it; the system gives what is used.
const RUST_STACK_BYTES: &str = "4294967296";

impl Implementation {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Python, Self::Node, Self::Rust, Self::Java];

    /// The name of the package.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Python => "aws-encryption-sdk (Python)",
            Self::Node => "@aws-crypto/client-node",
            Self::Rust => "aws-esdk (Rust)",
            Self::Java => "aws-encryption-sdk-java",
        }
    }

    const fn peer(self) -> Peer {
        match self {
            Self::Python => Peer::PythonEncryptionSdk,
            Self::Node => Peer::NodeEncryptionSdk,
            Self::Rust => Peer::RustEncryptionSdk,
            Self::Java => Peer::JavaEncryptionSdk,
        }
    }

    fn command(self) -> Result<Command, PeerError> {
        let found = self.peer().find()?;
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("drivers");
        Ok(match self {
            Self::Python => {
                let mut python = Command::new(found);
                python.arg(source.join("python/driver.py"));
                python
            }
            Self::Node => {
                let mut node = Command::new("node");
                // The folder that holds `@aws-crypto/client-node`.
                let modules = found.ancestors().nth(2).unwrap_or(&found);
                node.arg(source.join("node/driver.js")).env("NODE_PATH", modules);
                node
            }
            Self::Rust => {
                let mut rust = Command::new(found);
                // A message of 64 MiB in frames of 4 KiB overflows a usual stack there.
                rust.env("RUST_MIN_STACK", RUST_STACK_BYTES);
                rust
            }
            Self::Java => {
                let mut java = Command::new("java");
                let libraries = found.with_file_name("lib").join("*");
                let classes = format!("{}:{}", found.display(), libraries.display());
                java.args([JAVA_HEAP, "-cp", &classes, "Driver"]);
                java
            }
        })
    }
}

/// A running driver; killed when dropped.
#[derive(Debug)]
pub struct EsdkDriver {
    implementation: Implementation,
    child: Child,
    jobs: ChildStdin,
    answers: BufReader<ChildStdout>,
    log: File,
}

/// Why a driver did not do a job.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The implementation has no such thing.
    #[error("it has no {0}")]
    Unsupported(String),
    /// The implementation has it, and failed.
    #[error("{0}")]
    Failed(String),
    /// The driver itself broke.
    #[error(transparent)]
    Driver(#[from] PeerError),
}

/// A message that was decrypted.
#[derive(Debug)]
pub struct Opened {
    /// Its plaintext.
    pub plaintext: Vec<u8>,
    /// Its encryption context.
    pub context: BTreeMap<String, String>,
}

impl EsdkDriver {
    /// Starts the driver of `implementation` with `environment` added to its own.
    ///
    /// # Errors
    ///
    /// [`PeerError::NotInstalled`] or [`PeerError::OtherVersion`]; [`PeerError::Start`].
    pub fn start<'a>(
        implementation: Implementation,
        environment: impl IntoIterator<Item = (&'a str, String)>,
    ) -> Result<Self, PeerError> {
        let mut command = implementation.command()?;
        let program = PathBuf::from(command.get_program());
        let failed = |source| PeerError::Start { program: program.clone(), source };
        let log = tempfile::tempfile().map_err(failed)?;
        let mut child = command
            .envs(environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.try_clone().map_err(failed)?)
            .spawn()
            .map_err(failed)?;
        let (Some(jobs), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed(std::io::Error::other("its pipes are gone")));
        };
        Ok(Self { implementation, child, jobs, answers: BufReader::new(answers), log })
    }

    /// Has a message encrypted.
    ///
    /// # Errors
    ///
    /// As [`Refusal`] says.
    pub fn encrypt(&mut self, job: &Encrypt) -> Result<Vec<u8>, Refusal> {
        match self.ask("encrypt", job)? {
            Answer::Encrypted { message } => Ok(message.0),
            other => Err(self.refusal(other)),
        }
    }

    /// Has a message decrypted.
    ///
    /// # Errors
    ///
    /// As [`Refusal`] says.
    pub fn decrypt(&mut self, job: &Decrypt) -> Result<Opened, Refusal> {
        match self.ask("decrypt", job)? {
            Answer::Decrypted { plaintext, context } => {
                Ok(Opened { plaintext: plaintext.0, context })
            }
            other => Err(self.refusal(other)),
        }
    }

    /// Has messages timed; returns the time for all of them.
    ///
    /// # Errors
    ///
    /// As [`Refusal`] says.
    pub fn measure(&mut self, job: &Measure) -> Result<Duration, Refusal> {
        match self.ask("measure", job)? {
            Answer::Measured { seconds } => Duration::try_from_secs_f64(seconds)
                .map_err(|error| Refusal::Failed(error.to_string())),
            other => Err(self.refusal(other)),
        }
    }

    fn ask(&mut self, what: &str, job: &impl Serialize) -> Result<Answer, PeerError> {
        #[derive(Serialize)]
        struct Line<'a, J> {
            r#do: &'a str,
            #[serde(flatten)]
            job: &'a J,
        }
        let mut exchange = || -> std::io::Result<Answer> {
            let mut line = serde_json::to_string(&Line { r#do: what, job })?;
            line.push('\n');
            self.jobs.write_all(line.as_bytes())?;
            self.jobs.flush()?;
            let mut answer = String::new();
            self.answers.read_line(&mut answer)?;
            Ok(serde_json::from_str(&answer)?)
        };
        exchange().map_err(|error| self.broken(&error.to_string()))
    }

    fn refusal(&mut self, answer: Answer) -> Refusal {
        match answer {
            Answer::Unsupported { unsupported } => Refusal::Unsupported(unsupported),
            Answer::Failed { error } => Refusal::Failed(error),
            other => self.broken(&format!("it answered {other:?}")).into(),
        }
    }

    fn broken(&mut self, why: &str) -> PeerError {
        let mut log = String::new();
        // What cannot be read of the log is missing from the message, no more.
        let _ = self.log.rewind().and_then(|()| self.log.read_to_string(&mut log));
        let status = match self.child.try_wait() {
            Ok(Some(status)) => status.to_string(),
            _ => "still running".to_owned(),
        };
        let program = format!("the driver of {}", self.implementation.name());
        PeerError::Failed { program, status, output: format!("{why}; {log}") }
    }
}

impl Drop for EsdkDriver {
    fn drop(&mut self) {
        // Fails only if it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Answer {
    Encrypted { message: Base64 },
    Decrypted { plaintext: Base64, context: BTreeMap<String, String> },
    Measured { seconds: f64 },
    Unsupported { unsupported: String },
    Failed { error: String },
}
