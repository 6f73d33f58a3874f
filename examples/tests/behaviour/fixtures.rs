//! Folders with manifests, and the program.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Runs `esdk-vectors` with `arguments`.
pub(crate) fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_esdk-vectors")).args(arguments).output().unwrap()
}

/// Runs `esdk-vectors decrypt` on `manifest`.
pub(crate) fn decrypt(manifest: &Path) -> Output {
    run(&["decrypt", manifest.to_str().unwrap()])
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The counts in the last but for the reasons line: passed, failed, skipped.
pub(crate) fn counts(output: &Output) -> [usize; 3] {
    let text = stdout(output);
    let line = text.lines().find(|line| line.contains(" passed, ")).unwrap_or_else(|| {
        panic!("no counts in {text:?}, {:?}", stderr(output));
    });
    let number = |part: &str| part.split_whitespace().next().unwrap().parse().unwrap();
    let mut numbers = line.split(", ").map(number);
    std::array::from_fn(|_| numbers.next().unwrap())
}

/// The project's own vectors.
pub(crate) fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/testdata")
}

/// A folder with a manifest and the keys of the project's own vectors.
pub(crate) fn folder(manifest: &Value) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(testdata().join("keys.json"), folder.path().join("keys.json")).unwrap();
    let text = serde_json::to_vec(manifest).unwrap();
    std::fs::write(folder.path().join("manifest.json"), text).unwrap();
    folder
}

/// A manifest of type `kind`.
pub(crate) fn manifest(kind: &str, version: u64, tests: &Value) -> Value {
    json!({
        "manifest": { "type": kind, "version": version },
        "keys": "file://keys.json",
        "plaintexts": { "none": 0, "small": 1000 },
        "tests": tests,
    })
}

/// The description of a raw AES keyring.
pub(crate) fn raw_aes(bits: u32) -> Value {
    json!({
        "type": "raw",
        "encryption-algorithm": "aes",
        "provider-id": "strongroom-testdata",
        "key": format!("aes-{bits}"),
    })
}
