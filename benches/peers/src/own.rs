//! The project's own programs, as files to run: built if they are not there or are out of date.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use crate::PeerError;

/// A program of this workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OwnProgram {
    /// The archiver.
    Strongroom,
    /// The KMS with its simulated HSMs.
    StrongroomKms,
}

impl OwnProgram {
    /// The program's file name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Strongroom => "strongroom",
            Self::StrongroomKms => "strongroom-kms",
        }
    }

    /// Finds the program beside the running one, with the same profile.
    ///
    /// `cargo test --workspace` and `cargo build` leave every program there. Where only one package was
    /// asked for, or its sources have changed since, the program is built first.
    ///
    /// # Errors
    ///
    /// [`PeerError::Start`] if there is no cargo, [`PeerError::Failed`] if the build fails,
    /// [`PeerError::Prepare`] if the running program cannot be found.
    pub fn find(self) -> Result<PathBuf, PeerError> {
        let folder = profile_folder()?;
        let program = folder.join(self.name());
        if !is_current(&program) {
            self.build(&folder)?;
        }
        Ok(program)
    }

    fn build(self, folder: &Path) -> Result<(), PeerError> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(&cargo);
        command
            // The whole workspace chooses the features, so that no dependency is compiled again.
            .args(["build", "--quiet", "--locked", "--workspace", "--bin", self.name()])
            .arg("--manifest-path")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml"))
            .arg("--target-dir")
            .arg(folder.parent().unwrap_or(folder));
        if folder.file_name().is_some_and(|name| name == "release") {
            command.arg("--release");
        }
        let output = command
            .output()
            .map_err(|source| PeerError::Start { program: PathBuf::from(&cargo), source })?;
        if output.status.success() {
            return Ok(());
        }
        Err(PeerError::Failed {
            program: format!("cargo build --bin {}", self.name()),
            status: output.status.to_string(),
            output: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

/// The folder of the running program's profile, such as `target/debug`; tests are in `deps` below it.
fn profile_folder() -> Result<PathBuf, PeerError> {
    let running = std::env::current_exe()
        .map_err(|source| PeerError::Prepare { path: "the running program".into(), source })?;
    let folder = running.parent().unwrap_or(&running);
    let folder = match folder.parent() {
        Some(above) if folder.ends_with("deps") => above,
        _ => folder,
    };
    Ok(folder.to_owned())
}

/// Whether the program is there and no older than any of its sources, which cargo lists beside it.
fn is_current(program: &Path) -> bool {
    let Some(built) = modified(program) else { return false };
    let Ok(list) = std::fs::read_to_string(program.with_extension("d")) else { return false };
    let Some((_, sources)) = list.split_once(": ") else { return false };
    sources
        .split_whitespace()
        .all(|source| modified(Path::new(source)).is_some_and(|at| at <= built))
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: &Path, seconds: u64) {
        let file = std::fs::File::create(path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds))
            .unwrap();
    }

    #[test]
    fn a_program_older_than_a_source_is_not_current() {
        let folder = tempfile::tempdir().unwrap();
        let (program, source) = (folder.path().join("tool"), folder.path().join("main.rs"));
        let list = format!("{}: {}\n", program.display(), source.display());
        std::fs::write(program.with_extension("d"), list).unwrap();
        touch(&source, 100);
        assert!(!is_current(&program), "it is not there");
        touch(&program, 100);
        assert!(is_current(&program));
        touch(&source, 101);
        assert!(!is_current(&program), "the source is newer");
    }
}
