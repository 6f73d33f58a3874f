//! rustic, measured with a repository in a folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use strongroom_peers::Peer;
use tempfile::TempDir;

use super::{Tool, version};
use crate::BenchError;
use crate::measure::{self, Usage};

/// rustic with a repository of its own and a home of its own, both empty at first.
#[derive(Debug)]
pub struct Rustic {
    program: PathBuf,
    label: String,
    repository: PathBuf,
    home: TempDir,
}

impl Rustic {
    /// Makes a repository in the folder.
    ///
    /// # Errors
    ///
    /// [`BenchError::Peer`] if rustic is not installed, or whatever it failed with.
    pub fn init(folder: &Path, work: &Path) -> Result<Self, BenchError> {
        let program = Peer::Rustic.find()?;
        let label = version(&program, "--version")?;
        let home = tempfile::tempdir_in(work).map_err(BenchError::file(work))?;
        let rustic = Self { program, label, repository: folder.to_owned(), home };
        rustic.run(&mut rustic.command("init"))?;
        Ok(rustic)
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(["--no-progress", "--log-level", "warn", "--repository"])
            .arg(&self.repository)
            .arg("--cache-dir")
            .arg(self.home.path().join("cache"))
            .arg(verb)
            .env("HOME", self.home.path())
            .env("RUSTIC_PASSWORD", "measured beside Strongroom");
        command
    }

    fn run(&self, command: &mut Command) -> Result<Usage, BenchError> {
        Ok(measure::run(command)?.success()?.usage)
    }
}

impl Tool for Rustic {
    fn label(&self) -> &str {
        &self.label
    }

    fn prefix(&self) -> &'static str {
        "rustic"
    }

    fn archive(&self, tree: &Path) -> Result<Usage, BenchError> {
        self.run(self.command("backup").arg(".").current_dir(tree))
    }

    fn restore(&self, _: &Path, target: &Path) -> Result<(Usage, PathBuf), BenchError> {
        let usage = self.run(self.command("restore").arg("latest").arg(target))?;
        Ok((usage, target.to_owned()))
    }
}
