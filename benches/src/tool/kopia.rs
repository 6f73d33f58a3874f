//! Kopia.

use std::path::{Path, PathBuf};
use std::process::Command;

use strongroom_peers::Peer;
use tempfile::TempDir;

use super::{Tool, version};
use crate::BenchError;
use crate::measure::{self, Usage};
use crate::store::Store;

/// Kopia with a repository of its own and a home of its own, both empty at first.
#[derive(Debug)]
pub struct Kopia {
    program: PathBuf,
    label: String,
    home: TempDir,
}

impl Kopia {
    /// Makes a repository in the store.
    ///
    /// # Errors
    ///
    /// [`BenchError::Peer`] if Kopia is not installed, or whatever it failed with.
    pub fn init(store: &Store, work: &Path) -> Result<Self, BenchError> {
        let program = Peer::Kopia.find()?;
        let version = version(&program, "--version")?;
        let label = format!("kopia {}", version.split(' ').next().unwrap_or_default());
        let home = tempfile::tempdir_in(work).map_err(BenchError::file(work))?;
        let kopia = Self { program, label, home };
        let mut create = kopia.command(&["repository", "create"]);
        match store.server() {
            Some((server, bucket)) => {
                let endpoint = server.endpoint();
                let address = endpoint.split("://").nth(1).unwrap_or_default().to_owned();
                create
                    .args(["s3", "--disable-tls", "--bucket", bucket, "--prefix", "kopia/"])
                    .args(["--endpoint", &address])
                    .envs(server.environment());
            }
            None => {
                let folder = store.folder("kopia").unwrap_or_default();
                std::fs::create_dir_all(&folder).map_err(BenchError::file(&folder))?;
                create.args(["filesystem", "--path"]).arg(folder);
            }
        }
        kopia.run(&mut create)?;
        Ok(kopia)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(words)
            .env("HOME", self.home.path())
            .env("XDG_CONFIG_HOME", self.home.path().join("config"))
            .env("XDG_CACHE_HOME", self.home.path().join("cache"))
            .env("KOPIA_CHECK_FOR_UPDATES", "false")
            .env("KOPIA_PASSWORD", "measured beside Strongroom");
        command
    }

    fn run(&self, command: &mut Command) -> Result<Usage, BenchError> {
        Ok(measure::run(command)?.success()?.usage)
    }
}

impl Tool for Kopia {
    fn label(&self) -> &str {
        &self.label
    }

    fn prefix(&self) -> &'static str {
        "kopia"
    }

    fn archive(&self, tree: &Path) -> Result<Usage, BenchError> {
        self.run(self.command(&["snapshot", "create", "--no-progress"]).arg(tree))
    }

    fn restore(&self, tree: &Path, target: &Path) -> Result<(Usage, PathBuf), BenchError> {
        // Of a path, it restores the latest snapshot.
        let mut command = self.command(&["restore", "--snapshot-time", "latest"]);
        let usage = self.run(command.arg(tree).arg(target))?;
        Ok((usage, target.to_owned()))
    }
}
