//! The other implementations of the AWS Encryption SDK read what we write, and the reverse: every suite
//! and every keyring that both sides have, with our KMS wrapping the data keys where a KMS does.
//!
//! Each test prints its part of the matrix, peer x keyring x direction.

use std::collections::BTreeMap;

use strongroom_peers::esdk::{
    Base64, Decrypt, Encrypt, EsdkDriver, Implementation, Manager, Refusal,
};
use strongroom_peers::{KmsServer, require};

use self::kms_keys::KmsKeys;
use self::ours::Ours;
use self::table::{Case, Row};
use crate::fixtures::{sample, say, wait};

mod cli;
mod kms_keys;
mod ours;
mod table;

#[test]
fn python_and_we_read_each_other() {
    read_each_other(Implementation::Python);
}

#[test]
fn node_and_we_read_each_other() {
    read_each_other(Implementation::Node);
}

#[test]
fn the_official_rust_crate_and_we_read_each_other() {
    read_each_other(Implementation::Rust);
}

#[test]
fn java_and_we_read_each_other() {
    read_each_other(Implementation::Java);
}

fn read_each_other(implementation: Implementation) {
    let kms = require!(KmsServer::start());
    let mut driver = require!(EsdkDriver::start(implementation, kms.environment()));
    let ours = Ours::new(&kms);
    let mut failures = Vec::new();
    for row in table::rows(&wait(KmsKeys::make(&kms))) {
        let mut theirs_to_ours = Tally::default();
        let mut ours_to_theirs = Tally::default();
        for case in &row.cases {
            theirs_to_ours.count(case, they_write(&mut driver, &ours, &row, case));
            ours_to_theirs.count(case, we_write(&mut driver, &ours, &row, case));
        }
        for (direction, tally) in [("reads ours", ours_to_theirs), ("writes ours", theirs_to_ours)]
        {
            tally.print(implementation.name(), row.name, direction);
            failures.extend(
                tally.failures.into_iter().map(|why| format!("{} {direction}: {why}", row.name)),
            );
        }
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

/// Why one message did not pass.
enum Fault {
    /// The other side has no such thing.
    Skip(String),
    /// One side failed.
    Fail(String),
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unsupported(what) => Self::Skip(format!("it has no {what}")),
            other => Self::Fail(other.to_string()),
        }
    }
}

fn they_write(
    driver: &mut EsdkDriver,
    ours: &Ours<'_>,
    row: &Row,
    case: &Case,
) -> Result<(), Fault> {
    let plaintext = sample(case.plaintext_length);
    let job = Encrypt { message: case.message(&row.writer), plaintext: Base64(plaintext.clone()) };
    let message = driver.encrypt(&job)?;
    ours.check(&message, &row.reader, case.suite.id(), &plaintext).map_err(Fault::Fail)
}

fn we_write(driver: &mut EsdkDriver, ours: &Ours<'_>, row: &Row, case: &Case) -> Result<(), Fault> {
    let plaintext = sample(case.plaintext_length);
    let message = ours.encrypt(&case.message(&row.writer), &plaintext).map_err(Fault::Fail)?;
    let job = Decrypt { manager: row.reader.clone(), message: Base64(message) };
    let opened = driver.decrypt(&job)?;
    if opened.plaintext != plaintext {
        return Err(Fault::Fail("it read another plaintext".to_owned()));
    }
    if !holds(&opened.context, &row.writer) {
        return Err(Fault::Fail(format!("it read another context: {:?}", opened.context)));
    }
    Ok(())
}

/// Whether a message's context has what was encrypted with. (A signed one has the public key besides; pairs
/// that are kept out of the header, the reader gave itself, and not every peer repeats them.)
fn holds(context: &BTreeMap<String, String>, writer: &Manager) -> bool {
    let mut written = writer.context.iter().filter(|(name, _)| !writer.required.contains(name));
    written.all(|(name, value)| context.get(name) == Some(value))
}

/// The messages of one cell of the matrix.
#[derive(Default)]
struct Tally {
    passed: usize,
    skipped: BTreeMap<String, usize>,
    failures: Vec<String>,
}

impl Tally {
    fn count(&mut self, case: &Case, outcome: Result<(), Fault>) {
        match outcome {
            Ok(()) => self.passed += 1,
            Err(Fault::Skip(why)) => *self.skipped.entry(why).or_default() += 1,
            Err(Fault::Fail(why)) => self.failures.push(format!(
                "{} of {} bytes in frames of {}: {why}",
                case.suite, case.plaintext_length, case.frame_length
            )),
        }
    }

    /// Prints a cell that is a test of its own.
    fn finish(self, peer: &str, row: &str, direction: &str) {
        self.print(peer, row, direction);
        assert_eq!(self.failures, [""; 0]);
    }

    fn print(&self, peer: &str, row: &str, direction: &str) {
        let cell = format!("{peer} | {row} | {direction}");
        say(&format!("interop: {cell}: {} passed, {} failed", self.passed, self.failures.len()));
        for (why, count) in &self.skipped {
            say(&format!("skipped: interop: {cell}: {count} messages: {why}"));
        }
    }
}
