//! Our own `strongroom-kms serve` as a process of its own, as its users run it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::identity::{ACCESS_KEY, REGION, SECRET_KEY};
use crate::process::{Server, answers_ok, free_address};
use crate::{OwnProgram, Peer, PeerError};

/// The account whose root the one test user is.
const ACCOUNT: &str = "111122223333";
/// Plays the custom-key-store story with boto3, openssl and the management tool.
const CUSTOM_KEY_STORE_STORY: &str = include_str!("python/custom_key_store.py");

/// A user of the server beside the account's root, with the root's secret.
#[derive(Clone, Copy, Debug)]
pub struct User {
    /// The user's name.
    pub name: &'static str,
    /// The user's access key id, of 16 letters and digits or more.
    pub access_key: &'static str,
}

impl User {
    /// The user's ARN.
    #[must_use]
    pub fn arn(&self) -> String {
        format!("arn:aws:iam::{ACCOUNT}:user/{}", self.name)
    }
}

/// A running `strongroom-kms serve` on a free loopback port with its data in a temporary folder.
///
/// Killed, with the HSMs that it started, and its data removed when the value is dropped.
#[derive(Debug)]
pub struct KmsServer {
    server: Server,
    program: PathBuf,
    address: SocketAddr,
    // Dropped after the server, whose files it holds.
    folder: TempDir,
}

impl KmsServer {
    /// Builds the server if need be, starts it, and waits until it answers.
    ///
    /// # Errors
    ///
    /// [`PeerError::Failed`] if it cannot be built; [`PeerError::Ended`] or [`PeerError::NotReady`] if it
    /// does not come up.
    pub fn start() -> Result<Self, PeerError> {
        Self::start_with_users(&[])
    }

    /// As [`KmsServer::start`], with more users in the same account, who may do what key policies allow
    /// them by name.
    ///
    /// # Errors
    ///
    /// As [`KmsServer::start`].
    pub fn start_with_users(users: &[User]) -> Result<Self, PeerError> {
        let program = OwnProgram::StrongroomKms.find()?;
        let folder = tempfile::Builder::new()
            .prefix("strongroom-kms-")
            .tempdir()
            .map_err(|source| PeerError::Prepare { path: std::env::temp_dir(), source })?;
        let credentials = credentials_file(folder.path());
        std::fs::write(&credentials, credentials_of(users))
            .map_err(|source| PeerError::Prepare { path: credentials, source })?;
        let address = free_address()?;
        let server = serve(&program, address, folder.path())?;
        Ok(Self { server, program, address, folder })
    }

    /// The URL of the endpoint, such as `http://127.0.0.1:40123`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The environment variables from which AWS clients take credentials, Region and the endpoints of
    /// KMS, CloudHSM and STS. The user is the one whom the S3 servers know too.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, String); 6] {
        [
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_DEFAULT_REGION", REGION.to_owned()),
            ("AWS_ENDPOINT_URL_KMS", self.endpoint()),
            ("AWS_ENDPOINT_URL_CLOUDHSM_V2", self.endpoint()),
        ]
    }

    /// The program that serves, which is also the management tool.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// A folder that lives as long as the server, for a test's own files beside the server's.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The server's process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.server.id()
    }

    /// What the server has written so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.server.log()
    }

    /// Kills the server and its HSMs at once, as power loss would.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Kills the server if it runs, and starts it again at the same address on the same data.
    ///
    /// # Errors
    ///
    /// As [`KmsServer::start`].
    pub fn restart(&mut self) -> Result<(), PeerError> {
        self.server.kill();
        self.server = serve(&self.program, self.address, self.folder.path())?;
        Ok(())
    }

    /// Makes a symmetric key in the default key store with the aws command line, and returns its ARN.
    ///
    /// Needs [`Peer::AwsCli`].
    ///
    /// # Errors
    ///
    /// [`PeerError::NotInstalled`] without it; [`PeerError::Failed`] if the server refuses.
    pub fn create_key(&self) -> Result<String, PeerError> {
        let aws = Peer::AwsCli.find()?;
        let arguments = ["kms", "create-key", "--query", "KeyMetadata.Arn", "--output", "text"];
        let output = Command::new(&aws)
            .args(arguments)
            .envs(self.environment())
            .output()
            .map_err(|source| PeerError::Start { program: aws, source })?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        Err(PeerError::Failed {
            program: format!("aws {}", arguments.join(" ")),
            status: output.status.to_string(),
            output: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Plays the custom-key-store story: a cluster of two HSMs in two zones, initialised with an
    /// owner's own certificate authority and activated; `kmsuser`; a custom key store, connected; a key
    /// made in an HSM, and an alias.
    ///
    /// Needs [`Peer::PythonBoto3`] and the system's openssl.
    ///
    /// # Errors
    ///
    /// [`PeerError::NotInstalled`] without boto3; [`PeerError::Failed`] with the step that failed.
    pub fn play_custom_key_store_story(&self) -> Result<CustomKeyStore, PeerError> {
        let python = Peer::PythonBoto3.find()?;
        let authority = self.folder.path().join("owner");
        std::fs::create_dir_all(&authority)
            .map_err(|source| PeerError::Prepare { path: authority.clone(), source })?;
        let output = Command::new(&python)
            .args(["-c", CUSTOM_KEY_STORE_STORY, &self.endpoint()])
            .args([&self.program, &authority])
            .envs(self.environment())
            .stdin(Stdio::null())
            .output()
            .map_err(|source| PeerError::Start { program: python, source })?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        CustomKeyStore::parse(&text).filter(|_| output.status.success()).ok_or_else(|| {
            PeerError::Failed {
                program: "the custom-key-store story".to_owned(),
                status: output.status.to_string(),
                output: format!("{text}{errors}"),
            }
        })
    }
}

/// What the story leaves behind.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CustomKeyStore {
    /// The ARN of the key that was made in an HSM.
    pub key_arn: String,
    /// The key's alias, `alias/…`.
    pub alias: String,
    /// The id of the custom key store, `cks-…`.
    pub key_store_id: String,
    /// The id of the cluster, `cluster-…`.
    pub cluster_id: String,
}

impl CustomKeyStore {
    /// Reads `NAME=VALUE` lines.
    fn parse(text: &str) -> Option<Self> {
        let value = |name: &str| {
            text.lines()
                .find_map(|line| Some(line.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
        };
        Some(Self {
            key_arn: value("key")?,
            alias: value("alias")?,
            key_store_id: value("key_store")?,
            cluster_id: value("cluster")?,
        })
    }
}

fn serve(program: &Path, address: SocketAddr, folder: &Path) -> Result<Server, PeerError> {
    let mut command = Command::new(program);
    command
        .args(["serve", "--listen", &address.to_string(), "--data-dir"])
        .arg(folder.join("data"))
        .arg("--credentials")
        .arg(credentials_file(folder));
    let mut server = Server::start(&command, &folder.join("log"))?;
    server.wait_until(|| answers_ok(address, "/health"))?;
    Ok(server)
}

fn credentials_file(folder: &Path) -> PathBuf {
    folder.join("credentials.json")
}

/// The credentials file: the one test user, as the root of an account, and whoever else is wanted.
fn credentials_of(users: &[User]) -> String {
    let root = format!(
        r#"{{"accountId": "{ACCOUNT}", "accessKeyId": "{ACCESS_KEY}", "secretAccessKey": "{SECRET_KEY}"}}"#
    );
    let user = |User { name, access_key }: &User| {
        format!(
            r#"{{"accountId": "{ACCOUNT}", "userName": "{name}", "accessKeyId": "{access_key}", "secretAccessKey": "{SECRET_KEY}"}}"#
        )
    };
    let all: Vec<String> = [root].into_iter().chain(users.iter().map(user)).collect();
    format!(r#"{{"credentials": [{}]}}"#, all.join(", "))
}
