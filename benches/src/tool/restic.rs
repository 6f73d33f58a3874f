//! restic.

use std::path::{Path, PathBuf};
use std::process::Command;

use strongroom_peers::{Peer, PeerError};
use tempfile::TempDir;

use super::{Tool, version};
use crate::BenchError;
use crate::measure::{self, Usage};
use crate::store::Store;

/// restic with a repository of its own and a cache of its own, both empty at first.
#[derive(Debug)]
pub struct Restic {
    program: PathBuf,
    label: String,
    repository: String,
    environment: Vec<(&'static str, String)>,
    cache: TempDir,
}

impl Restic {
    /// Makes a repository in the store.
    ///
    /// # Errors
    ///
    /// [`BenchError::Peer`] if restic is not installed, or whatever it failed with.
    pub fn init(store: &Store, work: &Path) -> Result<Self, BenchError> {
        let program = Peer::Restic.find()?;
        let version = version(&program, "version")?;
        let label = version.split(" compiled").next().unwrap_or_default().to_owned();
        let (repository, environment) = match store.server() {
            Some((server, bucket)) => {
                let repository = format!("s3:{}/{bucket}/restic", server.endpoint());
                (repository, server.environment().to_vec())
            }
            None => (local(store)?, Vec::new()),
        };
        let cache = tempfile::tempdir_in(work).map_err(BenchError::file(work))?;
        let restic = Self { program, label, repository, environment, cache };
        restic.run(restic.command().arg("init"))?;
        Ok(restic)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(["--quiet", "--repo", &self.repository, "--cache-dir"])
            .arg(self.cache.path())
            .env("RESTIC_PASSWORD", "measured beside Strongroom")
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    fn run(&self, command: &mut Command) -> Result<Usage, BenchError> {
        Ok(measure::run(command)?.success()?.usage)
    }
}

fn local(store: &Store) -> Result<String, BenchError> {
    let folder = store.folder("restic").ok_or(PeerError::NoFolder)?;
    Ok(folder.to_string_lossy().into_owned())
}

impl Tool for Restic {
    fn label(&self) -> &str {
        &self.label
    }

    fn prefix(&self) -> &'static str {
        "restic"
    }

    fn archive(&self, tree: &Path) -> Result<Usage, BenchError> {
        self.run(self.command().args(["backup", "."]).current_dir(tree))
    }

    fn restore(&self, _: &Path, target: &Path) -> Result<(Usage, PathBuf), BenchError> {
        let usage = self.run(self.command().args(["restore", "latest", "--target"]).arg(target))?;
        Ok((usage, target.to_owned()))
    }
}
