//! An example under test, in a folder of its own.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs `program` in `folder` with `input` on its standard input.
pub(super) fn run(
    program: &str,
    folder: &Path,
    environment: &[(&str, String)],
    arguments: &[&str],
    input: &[u8],
) -> Output {
    let mut child = Command::new(program)
        .args(arguments)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut to = child.stdin.take().unwrap();
    let input = input.to_vec();
    // From a thread: the program may write before it has read everything, or end before that.
    let feeder = std::thread::spawn(move || drop(to.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    output
}

/// Runs a program that must succeed, and returns what it wrote.
pub(super) fn written(
    program: &str,
    folder: &Path,
    environment: &[(&str, String)],
    arguments: &[&str],
    input: &[u8],
) -> Vec<u8> {
    let output = run(program, folder, environment, arguments, input);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {errors}");
    output.stdout
}

/// Bytes that differ from frame to frame.
pub(super) fn plaintext(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at / 251 + at) as u8).collect()
}
