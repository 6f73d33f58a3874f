//! Drives the Python implementation of the AWS Encryption SDK.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use strongroom_peers::{KmsServer, Peer, PeerError};

/// What the Python SDK is asked to do with each file.
#[derive(Clone, Copy)]
pub(super) enum Direction {
    /// To encrypt it, under one of the two committing suites.
    Encrypt,
    /// To decrypt it.
    Decrypt,
}

/// The Python SDK with an AWS KMS keyring of one key of our KMS.
pub(super) struct PythonSdk {
    python: PathBuf,
    environment: Vec<(&'static str, String)>,
    endpoint: String,
    key_arn: String,
}

impl PythonSdk {
    pub(super) fn new(kms: &KmsServer, key_arn: &str) -> Result<Self, PeerError> {
        let python = Peer::PythonEncryptionSdk.find()?;
        let environment = kms.environment().to_vec();
        Ok(Self { python, environment, endpoint: kms.endpoint(), key_arn: key_arn.to_owned() })
    }

    /// Encrypts or decrypts each file to the file beside it in the pair; returns for each the encryption
    /// context of its header (`context`) and the name of its suite (`suite`).
    pub(super) fn run(
        &self,
        direction: Direction,
        files: &[(PathBuf, PathBuf)],
    ) -> Vec<serde_json::Value> {
        let direction = match direction {
            Direction::Encrypt => "encrypt",
            Direction::Decrypt => "decrypt",
        };
        let mut child = Command::new(&self.python)
            .args(["-c", include_str!("esdk.py"), direction, &self.endpoint, &self.key_arn])
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines: String = files.iter().map(|(from, to)| line(from, to)).collect();
        // The script reads everything before it writes anything, so neither side waits for the other.
        child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the Python SDK failed to {direction}: {errors}");
        let results = String::from_utf8(output.stdout).unwrap();
        let results: Vec<_> =
            results.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(results.len(), files.len());
        results
    }
}

fn line(from: &Path, to: &Path) -> String {
    format!("{}\t{}\n", from.display(), to.display())
}
