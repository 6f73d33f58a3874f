//! What the program prints: results on standard output, everything else on standard error.

use std::io::{self, IsTerminal as _};

use serde_json::{Value, json};

use super::Global;
use super::exit::Failure;

/// Version of every JSON document that the program prints. It counts up when a member changes
/// its meaning or goes; new members may appear at any time.
pub(super) const JSON_VERSION: u32 = 1;

/// Where a command's result goes, and how much is said beside it.
#[derive(Clone, Debug)]
pub(super) struct Output {
    command: &'static str,
    json: bool,
    quiet: bool,
    verbose: bool,
}

impl Output {
    pub(super) fn new(command: &'static str, global: &Global) -> Self {
        Self { command, json: global.json, quiet: global.quiet, verbose: global.verbose > 0 }
    }

    /// For a process whose options are not known yet.
    pub(super) fn plain() -> Self {
        Self { command: "", json: false, quiet: false, verbose: false }
    }

    /// Says nothing beside the result, whatever was asked for.
    pub(super) fn silent(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// Whether the result is wanted as JSON.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether less is to be said than usual.
    pub(super) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether more is to be said than usual.
    pub(super) fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// Whether somebody is there to watch a progress bar.
    pub(super) fn shows_progress(&self) -> bool {
        !self.quiet && !self.json && io::stderr().is_terminal()
    }

    /// A JSON document of this command with the given members.
    pub(super) fn document(&self, members: Value) -> Value {
        let mut document = json!({ "version": JSON_VERSION, "command": self.command });
        if let (Value::Object(document), Value::Object(members)) = (&mut document, members) {
            document.extend(members);
        }
        document
    }

    /// Prints the command's result: `human` line by line, or `members` as one JSON document.
    pub(super) fn result(
        &self,
        human: &str,
        members: impl FnOnce() -> Value,
    ) -> Result<(), Failure> {
        if self.json {
            self.json_line(&self.document(members()))
        } else if human.is_empty() {
            Ok(())
        } else {
            self.line(human)
        }
    }

    /// Prints a summary, which `--quiet` leaves out.
    pub(super) fn summary(
        &self,
        human: &str,
        members: impl FnOnce() -> Value,
    ) -> Result<(), Failure> {
        self.result(if self.quiet { "" } else { human }, members)
    }

    /// Prints one line on standard output.
    pub(super) fn line(&self, text: &str) -> Result<(), Failure> {
        write_all(&mut io::stdout().lock(), text).map_err(Failure::Output)
    }

    /// Prints one JSON document on a line of its own.
    pub(super) fn json_line(&self, value: &Value) -> Result<(), Failure> {
        self.line(&value.to_string())
    }

    /// Says something beside the result, on standard error.
    pub(super) fn note(&self, text: &str) {
        if !self.quiet {
            complain(text);
        }
    }

    /// Says that the command failed.
    pub(super) fn failed(&self, sentence: &str, hint: &str, code: u8, name: &str) {
        complain(&format!("strongroom: {}", printable(sentence)));
        if !hint.is_empty() {
            complain(&format!("  next: {hint}"));
        }
        if self.json {
            let error = json!({ "code": code, "name": name, "message": sentence, "next": hint });
            // The exit code says it too, should nobody listen any more.
            let _ = self.json_line(&self.document(json!({ "error": error })));
        }
    }
}

/// Writes a line on standard error; where that is closed there is nobody to tell.
pub(super) fn complain(text: &str) {
    let _ = write_all(&mut io::stderr().lock(), text);
}

fn write_all(to: &mut impl io::Write, text: &str) -> io::Result<()> {
    to.write_all(text.as_bytes())?;
    to.write_all(b"\n")?;
    to.flush()
}

/// `text` with control characters escaped: names of files are written by others, and must not
/// reach a terminal as commands to it.
pub(super) fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            safe.extend(character.escape_default());
        } else {
            safe.push(character);
        }
    }
    safe
}

/// A path's bytes for people.
pub(super) fn path_text(path: &[u8]) -> String {
    printable(&String::from_utf8_lossy(path))
}

/// A path's bytes for programs: as text under `path`, and exactly, in hexadecimal, under
/// `path_hex` where it is no text.
pub(super) fn path_members(path: &[u8]) -> Value {
    match std::str::from_utf8(path) {
        Ok(text) => json!({ "path": text }),
        Err(_) => json!({ "path": String::from_utf8_lossy(path), "path_hex": hex::encode(path) }),
    }
}

/// A number of bytes for people, in decimal units.
pub(super) fn bytes_text(bytes: u64) -> String {
    indicatif::DecimalBytes(bytes).to_string()
}

/// A count for people, with separators.
pub(super) fn count_text(count: u64) -> String {
    indicatif::HumanCount(count).to_string()
}

/// `count` things: the noun gets an `s` unless there is one.
pub(super) fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count_text(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(path_text(b"a\x1b[2Jb\n\xff"), "a\\u{1b}[2Jb\\n\u{fffd}");
    }

    #[test]
    fn paths_that_are_no_text_are_exact_in_json() {
        assert_eq!(path_members(b"a"), json!({ "path": "a" }));
        assert_eq!(path_members(b"\xff"), json!({ "path": "\u{fffd}", "path_hex": "ff" }));
    }
}
