//! The binary with a folder and a raw key of its own, without any KMS.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// Options that name the raw key of [`Tool::new`].
pub(super) const KEY: &[&str] =
    &["-w", "provider=raw-aes", "namespace=lab", "key=one", "file=one.key"];

/// A folder with the raw key `one`.
pub(super) struct Tool {
    pub(super) folder: PathBuf,
    _temporary: tempfile::TempDir,
}

/// How a run ended, its output in bytes.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) code: i32,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: String,
}

impl Tool {
    pub(super) fn new() -> Self {
        let (_temporary, folder) = crate::support::temporary();
        std::fs::write(folder.join("one.key"), [1; 32]).unwrap();
        Self { folder, _temporary }
    }

    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.at(name)).unwrap()
    }

    pub(super) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.at(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// The names in a folder, sorted.
    pub(super) fn names(&self, folder: &str) -> Vec<String> {
        names(&self.at(folder))
    }

    /// The binary in the folder, with nothing of this process's AWS environment.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy().into_owned();
            if ["AWS_", "XDG_", "STRONGROOM_"].iter().any(|prefix| text.starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command.args(arguments).current_dir(&self.folder).env("HOME", &self.folder);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the binary to its end.
    pub(super) fn run(&self, arguments: &[&str]) -> Ran {
        self.command(arguments).output().unwrap().into()
    }

    /// Runs `mode` with the folder's key and `arguments`.
    pub(super) fn with_key(&self, mode: &str, arguments: &[&str]) -> Ran {
        self.run(&[&[mode][..], KEY, arguments].concat())
    }

    /// As [`with_key`](Self::with_key), from a pipe to a pipe.
    pub(super) fn pipe(&self, mode: &str, arguments: &[&str], input: &[u8]) -> Ran {
        let arguments = [&[mode, "-i", "-", "-o", "-"][..], KEY, arguments].concat();
        self.feed(&arguments, input)
    }

    /// Runs the binary with `input` on its standard input.
    pub(super) fn feed(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        let mut to = child.stdin.take().unwrap();
        let input = input.to_vec();
        // Fed from a thread: the child may write before it has read everything. One that refuses
        // what it reads stops reading.
        let feeder = std::thread::spawn(move || drop(to.write_all(&input)));
        let ended = child.wait_with_output().unwrap();
        feeder.join().unwrap();
        ended.into()
    }

    /// The lines of JSON in a file.
    pub(super) fn json_lines(&self, name: &str) -> Vec<Value> {
        let text = String::from_utf8(self.read(name)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The names in a folder, sorted.
pub(super) fn names(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| name(entry).into_string().unwrap())
        .collect();
    names.sort();
    names
}

impl Ran {
    /// Requires this exit code.
    pub(super) fn expect(self, code: i32) -> Self {
        let text = String::from_utf8_lossy(&self.stdout[..self.stdout.len().min(300)]);
        assert_eq!(self.code, code, "{}{text}", self.stderr);
        self
    }

    /// Requires this exit code, and `part` in what was said.
    pub(super) fn expect_saying(self, code: i32, part: &str) -> Self {
        let ran = self.expect(code);
        assert!(ran.stderr.contains(part), "no \"{part}\" in {}", ran.stderr);
        ran
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
