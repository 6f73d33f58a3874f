//! What one command took: time, processor time, memory.

use std::io::{Read as _, Seek as _};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use wait4::Wait4 as _;

use crate::BenchError;

/// How much of a command's output an error message carries.
const OUTPUT_TAIL_CHARS_MAX: usize = 2_000;

/// What one command took, with all the processes that it waited for.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// From start to end.
    pub wall: Duration,
    /// Processor time in user and kernel mode, over all threads.
    pub cpu: Duration,
    /// The largest resident set of any one process.
    pub peak_memory_bytes: u64,
}

/// A command that has ended.
#[derive(Debug)]
pub struct Ended {
    /// The command line, for messages.
    pub command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// What it took.
    pub usage: Usage,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Ended {
    /// Passes on what ended with success.
    ///
    /// # Errors
    ///
    /// [`BenchError::Failed`] with the end of what it wrote.
    pub fn success(self) -> Result<Self, BenchError> {
        if self.status.success() {
            return Ok(self);
        }
        let output = format!("{}{}", self.stdout, self.stderr);
        let surplus = output.chars().count().saturating_sub(OUTPUT_TAIL_CHARS_MAX);
        let output = output.chars().skip(surplus).collect();
        Err(BenchError::Failed { command: self.command, status: self.status.to_string(), output })
    }
}

/// Runs a command to its end, whatever that is, and measures it.
///
/// Its output goes to unnamed files, so that no pipe holds it up.
///
/// # Errors
///
/// [`BenchError::Run`] if it cannot be started or waited for.
pub fn run(command: &mut Command) -> Result<Ended, BenchError> {
    let line = line_of(command);
    let failed = |source| BenchError::Run { command: line.clone(), source };
    let mut stdout = tempfile::tempfile().map_err(failed)?;
    let mut stderr = tempfile::tempfile().map_err(failed)?;
    command
        .stdin(Stdio::null())
        .stdout(stdout.try_clone().map_err(failed)?)
        .stderr(stderr.try_clone().map_err(failed)?);
    let started = Instant::now();
    let resources = command.spawn().and_then(|mut child| child.wait4()).map_err(failed)?;
    let wall = started.elapsed();
    let cpu = resources.rusage.utime + resources.rusage.stime;
    let usage = Usage { wall, cpu, peak_memory_bytes: resources.rusage.maxrss };
    let (stdout, stderr) = (text(&mut stdout).map_err(failed)?, text(&mut stderr).map_err(failed)?);
    Ok(Ended { command: line, status: resources.status, usage, stdout, stderr })
}

/// The command line as a person would type it, but for quotes.
#[must_use]
pub fn line_of(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

fn text(file: &mut std::fs::File) -> std::io::Result<String> {
    file.rewind()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Ended {
        run(Command::new("/bin/sh").args(["-c", script])).unwrap()
    }

    #[test]
    fn memory_is_counted_in_bytes() {
        let small = shell(":").usage.peak_memory_bytes;
        let large = shell("head -c 64000000 /dev/zero | tail -c 64000000 >/dev/null").usage;
        assert!(small > 100_000 && small < 32_000_000, "{small}");
        assert!(large.peak_memory_bytes > 64_000_000, "{}", large.peak_memory_bytes);
    }

    #[test]
    fn time_and_output_are_those_of_the_command() {
        let ended = shell("echo out; echo err >&2; sleep 0.2; exit 3");
        assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("out\n", "err\n"));
        assert!(ended.usage.wall >= Duration::from_millis(200));
        assert!(ended.usage.cpu < Duration::from_millis(200));
        let error = ended.success().unwrap_err().to_string();
        assert!(error.ends_with("failed with exit status: 3: out\nerr\n"), "{error}");
    }
}
