//! Borg, which archives to a folder only.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::Command;

use strongroom_peers::Peer;
use tempfile::TempDir;

use super::{Tool, version};
use crate::BenchError;
use crate::measure::{self, Usage};

/// Borg with a repository of its own and a home of its own, both empty at first.
#[derive(Debug)]
pub struct Borg {
    program: PathBuf,
    label: String,
    repository: PathBuf,
    home: TempDir,
    archives: Cell<u32>,
}

impl Borg {
    /// Makes a repository in the folder, encrypted as its manual recommends.
    ///
    /// # Errors
    ///
    /// [`BenchError::Peer`] if Borg is not installed, or whatever it failed with.
    pub fn init(folder: &Path, work: &Path) -> Result<Self, BenchError> {
        let program = Peer::Borg.find()?;
        let label = version(&program, "--version")?;
        let home = tempfile::tempdir_in(work).map_err(BenchError::file(work))?;
        let repository = folder.to_owned();
        let borg = Self { program, label, repository, home, archives: Cell::new(0) };
        borg.run(borg.command("init").args(["--encryption", "repokey-blake2"]).arg(folder))?;
        Ok(borg)
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg(verb)
            .env("BORG_BASE_DIR", self.home.path())
            .env("BORG_PASSPHRASE", "measured beside Strongroom");
        command
    }

    fn archive_name(&self) -> String {
        format!("{}::{}", self.repository.display(), self.archives.get())
    }

    fn run(&self, command: &mut Command) -> Result<Usage, BenchError> {
        Ok(measure::run(command)?.success()?.usage)
    }
}

impl Tool for Borg {
    fn label(&self) -> &str {
        &self.label
    }

    fn prefix(&self) -> &'static str {
        "borg"
    }

    fn archive(&self, tree: &Path) -> Result<Usage, BenchError> {
        self.archives.set(self.archives.get() + 1);
        self.run(self.command("create").arg(self.archive_name()).arg(".").current_dir(tree))
    }

    fn restore(&self, _: &Path, target: &Path) -> Result<(Usage, PathBuf), BenchError> {
        std::fs::create_dir(target).map_err(BenchError::file(target))?;
        let mut command = self.command("extract");
        let usage =
            self.run(command.arg("--sparse").arg(self.archive_name()).current_dir(target))?;
        Ok((usage, target.to_owned()))
    }
}
