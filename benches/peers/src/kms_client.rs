//! AWS SDKs in other languages as clients of a KMS: each does one list of tasks and says how it went.
//!
//! The tasks: `create` a key with an alias, `encrypt` with a context, `rotate`, `decrypt-old` what was
//! encrypted before, `sign` with three kinds of keys and verify by the language's own cryptography, `import`
//! material, `grant` to a second principal, `replicate` to another Region. A driver prints one line of JSON for
//! each, `{"task": "…"}`, with `"error"` if it failed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::{Peer, PeerError};

/// The tasks, in the order in which every driver does them.
pub const TASKS: [&str; 8] =
    ["create", "encrypt", "rotate", "decrypt-old", "sign", "import", "grant", "replicate"];

/// A client of a KMS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KmsClient {
    /// boto3.
    Boto3,
    /// The aws command line.
    AwsCli,
    /// `@aws-sdk/client-kms`.
    JavaScript,
    /// `software.amazon.awssdk:kms`.
    Java,
    /// `github.com/aws/aws-sdk-go-v2/service/kms`.
    Go,
}

/// What the drivers are told: the variables of every AWS SDK, and a second principal.
#[derive(Clone, Debug)]
pub struct KmsAccess {
    /// The server's URL.
    pub endpoint: String,
    /// The Region.
    pub region: String,
    /// An access key that may do everything.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: String,
    /// The ARN of a principal who may do nothing.
    pub second_arn: String,
    /// The access key of that principal.
    pub second_access_key_id: String,
    /// Its secret.
    pub second_secret_access_key: String,
}

/// How one task went.
#[derive(Clone, Debug, Deserialize)]
pub struct TaskOutcome {
    /// The task's name.
    pub task: String,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

impl KmsClient {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Boto3, Self::AwsCli, Self::JavaScript, Self::Java, Self::Go];

    /// The name of the package.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boto3 => "boto3",
            Self::AwsCli => "aws-cli 1",
            Self::JavaScript => "@aws-sdk/client-kms 3",
            Self::Java => "software.amazon.awssdk:kms 2",
            Self::Go => "aws-sdk-go-v2/service/kms",
        }
    }

    /// Has the client do the tasks.
    ///
    /// # Errors
    ///
    /// [`PeerError::NotInstalled`] or [`PeerError::OtherVersion`]; [`PeerError::Start`]; and
    /// [`PeerError::Failed`] if the driver did not come to the end of the list.
    pub fn run(self, access: &KmsAccess) -> Result<Vec<TaskOutcome>, PeerError> {
        let mut command = self.command()?;
        let program = PathBuf::from(command.get_program());
        let output = command
            .envs(access.variables())
            .stdin(Stdio::null())
            .output()
            .map_err(|source| PeerError::Start { program, source })?;
        let text = String::from_utf8_lossy(&output.stdout);
        let outcomes: Result<Vec<TaskOutcome>, _> =
            text.lines().map(serde_json::from_str).collect();
        match outcomes {
            Ok(outcomes) if outcomes.iter().map(|outcome| &outcome.task).eq(TASKS) => Ok(outcomes),
            _ => Err(PeerError::Failed {
                program: format!("the driver of {}", self.name()),
                status: output.status.to_string(),
                output: format!("{text}{}", String::from_utf8_lossy(&output.stderr)),
            }),
        }
    }

    fn command(self) -> Result<Command, PeerError> {
        let drivers = Path::new(env!("CARGO_MANIFEST_DIR")).join("drivers");
        let tasks = drivers.join("python/kms_tasks.py");
        Ok(match self {
            Self::Boto3 | Self::AwsCli => {
                // The interpreter that has both boto3 and the package `cryptography`.
                let mut python = Command::new(Peer::PythonEncryptionSdk.find()?);
                python.arg(tasks);
                if self == Self::AwsCli {
                    python.arg(Peer::AwsCli.find()?);
                }
                python
            }
            Self::JavaScript => {
                let found = Peer::NodeEncryptionSdk.find()?;
                let modules = found.ancestors().nth(2).unwrap_or(&found);
                let mut node = Command::new("node");
                node.arg(drivers.join("node/kms_tasks.js")).env("NODE_PATH", modules);
                node
            }
            Self::Java => {
                let found = Peer::JavaEncryptionSdk.find()?;
                let libraries = found.with_file_name("lib").join("*");
                let mut java = Command::new("java");
                java.args(["-XX:TieredStopAtLevel=1", "-cp"])
                    .arg(format!("{}:{}", found.display(), libraries.display()))
                    .arg("KmsTasks");
                java
            }
            Self::Go => Command::new(Peer::GoKmsTasks.find()?),
        })
    }
}

impl KmsAccess {
    fn variables(&self) -> [(&'static str, &str); 10] {
        [
            ("AWS_ENDPOINT_URL", &self.endpoint),
            ("AWS_DEFAULT_REGION", &self.region),
            ("AWS_ACCESS_KEY_ID", &self.access_key_id),
            ("AWS_SECRET_ACCESS_KEY", &self.secret_access_key),
            ("SECOND_ARN", &self.second_arn),
            ("SECOND_ACCESS_KEY_ID", &self.second_access_key_id),
            ("SECOND_SECRET_ACCESS_KEY", &self.second_secret_access_key),
            // Nothing of the user's own configuration counts.
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]
    }
}
