//! Standard input, or a program's output, as what is archived.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use strongroom::clock::{Clock as _, SystemClock};
use strongroom::control::Control;
use strongroom::fs::stream::{End, Stream};

use crate::cli::exit::Failure;

/// A program that runs; ended with the value, should the archive fail before it does.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already, or shall not go on without anybody to read what it writes.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Standard input as a file called `name`.
pub(super) fn standard_input(name: &str, control: &Control) -> Result<Stream, Failure> {
    stream(name, io::stdin(), Box::new(|| Ok(())), control)
}

/// The name that a program's output has unless it is given one: the program's own.
pub(super) fn name_of(command: &[PathBuf]) -> String {
    let program = command.first().and_then(|program| program.file_name());
    program.unwrap_or_default().to_string_lossy().into_owned()
}

/// The standard output of a program, which is started, as a file called `name`. Its other streams
/// are ours.
pub(super) fn output_of(
    command: &[PathBuf],
    name: &str,
    control: &Control,
) -> Result<Stream, Failure> {
    let (program, arguments) = command.split_first().ok_or(Failure::NoProgram)?;
    let arguments: Vec<OsString> = arguments.iter().map(|path| path.clone().into()).collect();
    let fail = |source| Failure::Program { program: program.clone(), source };
    let mut child =
        Command::new(program).args(arguments).stdout(Stdio::piped()).spawn().map_err(fail)?;
    let output = child.stdout.take().ok_or_else(|| fail(io::ErrorKind::BrokenPipe.into()))?;
    let running = Running(child);
    let program = program.clone();
    stream(name, output, Box::new(move || ended(running, &program)), control)
}

/// Waits until the program has ended, which it must have done well.
fn ended(mut running: Running, program: &Path) -> io::Result<()> {
    let status = running.0.wait()?;
    match status.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!("{} ended with {status}", program.display()))),
    }
}

fn stream(
    name: &str,
    input: impl io::Read + Send + 'static,
    end: End,
    control: &Control,
) -> Result<Stream, Failure> {
    Ok(Stream::new(name, input, end, SystemClock.now(), control.clone())?)
}
