//! Strongroom, with the KMS as a server of its own and its key in a custom key store.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use strongroom_peers::{CustomKeyStore, KmsServer, OwnProgram};
use tempfile::TempDir;

use super::{Tool, version};
use crate::BenchError;
use crate::measure::{self, Ended, Usage};
use crate::store::Store;

/// The prefix in the store.
const PREFIX: &str = "strongroom";
/// The name of the one archival location.
const LOCATION: &str = "bench";

/// The KMS and the key that archives are encrypted under.
#[derive(Debug)]
pub struct Kms {
    /// The server.
    pub server: KmsServer,
    /// The custom key store that holds the key.
    pub key_store: CustomKeyStore,
}

impl Kms {
    /// Starts the server and plays the custom-key-store story.
    ///
    /// # Errors
    ///
    /// [`BenchError::Peer`] if boto3 is missing or a step of the story fails.
    pub fn start() -> Result<Self, BenchError> {
        let server = KmsServer::start()?;
        let key_store = server.play_custom_key_store_story()?;
        Ok(Self { server, key_store })
    }
}

/// The `strongroom` program with an archival location of its own and a home of its own.
#[derive(Debug)]
pub struct Strongroom {
    program: PathBuf,
    label: String,
    environment: Vec<(&'static str, String)>,
    home: TempDir,
}

impl Strongroom {
    /// Makes an archival location in the store under the key of the custom key store.
    ///
    /// # Errors
    ///
    /// [`BenchError::Peer`] if the program cannot be built, or whatever it failed with.
    pub fn create(store: &Store, kms: &Kms, work: &Path) -> Result<Self, BenchError> {
        let program = OwnProgram::Strongroom.find()?;
        let label = version(&program, "--version")?;
        let home = tempfile::tempdir_in(work).map_err(BenchError::file(work))?;
        let mut environment = kms.server.environment().to_vec();
        if let Some((server, _)) = store.server() {
            environment.extend(server.environment());
        }
        let strongroom = Self { program, label, environment, home };
        let create = ["location", "create", LOCATION, &url(store), "--key", &kms.key_store.key_arn];
        measure::run(&mut strongroom.command(&create))?.success()?;
        Ok(strongroom)
    }

    /// The program with these arguments, its location and credentials in the environment.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .env("XDG_CONFIG_HOME", self.home.path().join("config"))
            .env("XDG_CACHE_HOME", self.home.path().join("cache"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Archives a tree and returns the snapshot's id and what it took.
    ///
    /// # Errors
    ///
    /// Whatever the program failed with, or [`BenchError::Output`] if it names no snapshot.
    pub fn snapshot(&self, tree: &Path) -> Result<(String, Usage), BenchError> {
        let ended = measure::run(&mut self.archive_command(tree))?.success()?;
        let json: Option<serde_json::Value> = serde_json::from_str(&ended.stdout).ok();
        let snapshot = json.and_then(|json| Some(json.get("snapshot")?.as_str()?.to_owned()));
        snapshot.map(|snapshot| (snapshot, ended.usage)).ok_or(BenchError::Output {
            command: ended.command,
            expected: "snapshot",
            output: ended.stdout,
        })
    }

    /// Starts to archive a tree, to be killed.
    ///
    /// # Errors
    ///
    /// [`BenchError::Run`] if it cannot be started.
    pub fn start_snapshot(&self, tree: &Path) -> Result<Child, BenchError> {
        let mut command = self.archive_command(tree);
        let line = measure::line_of(&command);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map_err(|source| BenchError::Run { command: line, source })
    }

    /// Restores a snapshot and returns what it took and the folder that is equal to the archived tree.
    ///
    /// # Errors
    ///
    /// Whatever the program failed with.
    pub fn restore_snapshot(
        &self,
        snapshot: &str,
        target: &Path,
        _tree: &Path,
    ) -> Result<(Usage, PathBuf), BenchError> {
        let mut command = self.command(&["restore", snapshot]);
        let ended = measure::run(command.arg(target).args(["--location", LOCATION]))?.success()?;
        Ok((ended.usage, target.to_owned()))
    }

    /// Runs `check --read-data` to its end, whatever that is.
    ///
    /// # Errors
    ///
    /// [`BenchError::Run`] if it cannot be run.
    pub fn check(&self) -> Result<Ended, BenchError> {
        measure::run(&mut self.command(&["check", "--read-data", "--location", LOCATION]))
    }

    fn archive_command(&self, tree: &Path) -> Command {
        let mut command = self.command(&["archive", "--json", "--location", LOCATION]);
        command.arg(tree);
        command
    }
}

fn url(store: &Store) -> String {
    match store.server() {
        Some((_, bucket)) => format!("s3://{bucket}/{PREFIX}"),
        None => format!("file://{}", store.folder(PREFIX).unwrap_or_default().display()),
    }
}

impl Tool for Strongroom {
    fn label(&self) -> &str {
        &self.label
    }

    fn prefix(&self) -> &'static str {
        PREFIX
    }

    fn archive(&self, tree: &Path) -> Result<Usage, BenchError> {
        Ok(self.snapshot(tree)?.1)
    }

    fn restore(&self, tree: &Path, target: &Path) -> Result<(Usage, PathBuf), BenchError> {
        self.restore_snapshot("latest", target, tree)
    }
}
