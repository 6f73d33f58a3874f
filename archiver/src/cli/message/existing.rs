//! What happens to output files that exist: nothing is replaced unless somebody said so.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use strongroom::source::Trouble;

use super::Ended;
use super::arguments::Existing;
use super::failure::MessageFailure;
use super::paths::{Job, PathRule, Planned, inode_of, same_as_standard};
use crate::cli::output::printable;
use crate::cli::question;

/// What is to be done about one planned message.
pub(super) enum Step {
    Process { job: Job, replace: bool },
    Nothing(Ended),
}

/// Decides what happens to an output that exists.
pub(super) fn decide(planned: Planned, existing: &Existing) -> Step {
    let job = match planned {
        Planned::Job(job) => job,
        Planned::LeftOut(what) => return Step::Nothing(Ended::LeftOut(what)),
        Planned::Unreadable(Trouble { path, error: source, .. }) => {
            let path = PathBuf::from(OsString::from_vec(path));
            return Step::Nothing(Ended::Undone(MessageFailure::Open { path, source }.into()));
        }
    };
    let undone = |failure: MessageFailure| Step::Nothing(Ended::Undone(failure.into()));
    let stat = match fs::metadata(&job.output) {
        Ok(stat) if !same_as_standard(&job.output) => stat,
        _ => return Step::Process { job, replace: false },
    };
    if inode_of(&job.input) == inode_of(&job.output) {
        return undone(PathRule::InputIsOutput(job.input).into());
    }
    if stat.is_dir() {
        let source = io::ErrorKind::IsADirectory.into();
        return undone(MessageFailure::Open { path: job.output, source });
    }
    // A pipe or a device is written to, not replaced.
    if !stat.is_file() || existing.overwrite {
        return Step::Process { job, replace: true };
    }
    if existing.no_overwrite {
        return Step::Nothing(Ended::Kept(job.output));
    }
    match existing.interactive.then(|| ask(&job.output)) {
        None => undone(MessageFailure::Exists { path: job.output }),
        Some(Ok(true)) => Step::Process { job, replace: true },
        Some(Ok(false)) => Step::Nothing(Ended::Kept(job.output)),
        Some(Err(source)) => {
            undone(MessageFailure::Read { input: "standard input".to_owned(), source })
        }
    }
}

/// Asks whether the file at `path` is to be replaced; no answer means no.
fn ask(path: &Path) -> io::Result<bool> {
    let name = printable(&path.display().to_string());
    let answer = question::ask(&format!("Replace the existing file {name}? [y/N]"))?;
    Ok(answer.starts_with(['y', 'Y']))
}
