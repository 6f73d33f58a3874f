//! The walk-through that the examples give, typed by a shell.

use std::path::{Path, PathBuf};
use std::process::Command;

use strongroom_peers::{OwnProgram, Peer};

use super::{Shown, not_shown};
use crate::BenchError;
use crate::measure;
use crate::tool::Kms;

/// Runs `examples/walkthrough.sh` on a tree with the real AWS command line: from an empty server to an archive
/// under a key in a custom key store, restored equal.
///
/// # Errors
///
/// [`BenchError::Failed`] with what the script said.
pub fn walkthrough(tree: &Path, work: &Path) -> Shown {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/walkthrough.sh");
    let kms = Kms::start()?;
    let folder = tempfile::tempdir_in(work).map_err(BenchError::file(work))?;
    let mut command = Command::new("sh");
    command.arg(&script).arg(tree).arg(folder.path().join("walkthrough"));
    command.env("PATH", path()?).envs(kms.server.environment());
    command.env("AWS_ENDPOINT_URL", kms.server.endpoint());
    let ended = measure::run(&mut command)?.success()?;
    if ended.stdout.lines().next_back() != Some("equal") {
        return Err(not_shown("the walk-through ends with equal trees", ended.stdout));
    }
    Ok(format!("the whole story in {:.1} s, restored equal", ended.usage.wall.as_secs_f64()))
}

/// Where the script finds the programs: ours, the command line, and what the system has.
fn path() -> Result<std::ffi::OsString, BenchError> {
    let mut folders = Vec::new();
    let programs =
        [OwnProgram::Strongroom.find()?, OwnProgram::StrongroomKms.find()?, Peer::AwsCli.find()?];
    for program in programs {
        folders.extend(program.parent().map(Path::to_owned));
    }
    let system = std::env::var_os("PATH").unwrap_or_default();
    folders.extend(std::env::split_paths(&system).collect::<Vec<PathBuf>>());
    std::env::join_paths(folders)
        .map_err(|error| not_shown("a path of programs", error.to_string()))
}
