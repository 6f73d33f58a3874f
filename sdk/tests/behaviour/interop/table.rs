//! What is tried with each peer: keyrings, suites, frames and lengths.

use std::collections::BTreeMap;

use strongroom_peers::esdk::{Base64, Keyring, Manager, Message};
use strongroom_sdk::message::suite::AlgorithmSuite;

/// The shortest frame that every implementation writes, in bytes.
const SHORT_FRAME: u32 = 128;
/// Around one and two short frames, in bytes.
const LENGTHS: [usize; 6] = [0, 1, 127, 128, 129, 300];

/// One line of the table.
pub(super) struct Row {
    /// What it is called in the matrix.
    pub(super) name: &'static str,
    /// Who encrypts.
    pub(super) writer: Manager,
    /// Who decrypts.
    pub(super) reader: Manager,
    /// With what.
    pub(super) cases: Vec<Case>,
    /// Whether we write such messages; we read them all.
    pub(super) we_write: bool,
}

impl Row {
    fn new(name: &'static str, keyring: Keyring) -> Self {
        Self::between(name, keyring.clone(), keyring)
    }

    /// A row whose reader has another keyring than its writer.
    fn between(name: &'static str, writer: Keyring, reader: Keyring) -> Self {
        let manager = |keyring| Manager::new(keyring, context());
        let (writer, reader) = (manager(writer), manager(reader));
        Self { name, writer, reader, cases: each_suite_once(name.len()), we_write: true }
    }

    fn with_cases(mut self, cases: Vec<Case>) -> Self {
        self.cases = cases;
        self
    }
}

/// One message.
pub(super) struct Case {
    pub(super) suite: AlgorithmSuite,
    pub(super) frame_length: u32,
    pub(super) plaintext_length: usize,
}

impl Case {
    /// The form in which `manager` writes it.
    pub(super) fn message(&self, manager: &Manager) -> Message {
        Message {
            suite: self.suite.id(),
            frame_length: self.frame_length,
            manager: manager.clone(),
        }
    }
}

/// The keys of our KMS that rows use, by ARN.
pub(super) struct KmsKeys {
    pub(super) first: String,
    pub(super) second: String,
}

/// Every row.
pub(super) fn rows(keys: &KmsKeys) -> Vec<Row> {
    let kms = |key: &str| Keyring::Kms { key: key.to_owned(), mrk: false };
    let multi = Keyring::Multi {
        generator: Box::new(kms(&keys.first)),
        children: vec![raw_aes(32), kms(&keys.second)],
    };
    vec![
        Row::new("raw AES-128", raw_aes(16)).with_cases(every_length()),
        Row::new("raw AES-192", raw_aes(24)).with_cases(every_length()),
        Row::new("raw AES-256", raw_aes(32)).with_cases(every_length()),
        Row::new("raw AES-256, frames of 4 and 64 KiB", raw_aes(32)).with_cases(long_frames()),
        Row {
            we_write: false,
            ..Row::new("raw AES-256, single block", raw_aes(32)).with_cases(single_blocks())
        },
        Row::new("AWS KMS", kms(&keys.first)),
        Row::between("multi, read by its generator", multi.clone(), kms(&keys.first)),
        Row::between("multi, read by a raw AES child", multi.clone(), raw_aes(32)),
        Row::between("multi, read by an AWS KMS child", multi, kms(&keys.second)),
    ]
}

fn raw_aes(key_bytes: usize) -> Keyring {
    Keyring::RawAes {
        namespace: "strongroom-tests".to_owned(),
        // Not ASCII: it is also what is authenticated and sorted.
        name: format!("kéy-{key_bytes}"),
        key: Base64(vec![3; key_bytes]),
    }
}

fn context() -> BTreeMap<String, String> {
    let pairs = [("purpose", "tests"), ("zwölf", "12")];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// Every suite with every length.
fn every_length() -> Vec<Case> {
    let pairs = AlgorithmSuite::ALL.into_iter().flat_map(|s| LENGTHS.map(|length| (s, length)));
    pairs.map(|(suite, length)| case(suite, SHORT_FRAME, length)).collect()
}

/// Every suite once; the lengths take turns, beginning elsewhere in each row.
fn each_suite_once(turn: usize) -> Vec<Case> {
    let suites = AlgorithmSuite::ALL.into_iter().enumerate();
    suites
        .map(|(at, suite)| case(suite, SHORT_FRAME, LENGTHS[(at + turn) % LENGTHS.len()]))
        .collect()
}

/// Lengths around frames of the usual lengths, signed and not.
fn long_frames() -> Vec<Case> {
    let mut cases = Vec::new();
    for frame_length in [4096, 65_536] {
        for suite in crate::fixtures::COMMITTING {
            let frame = frame_length as usize;
            for length in [frame - 1, frame, frame + 1, 3 * frame + 5] {
                cases.push(case(suite, frame_length, length));
            }
        }
    }
    cases
}

/// Every suite with every length, in the form without frames.
fn single_blocks() -> Vec<Case> {
    every_length().into_iter().map(|case| Case { frame_length: 0, ..case }).collect()
}

fn case(suite: AlgorithmSuite, frame_length: u32, plaintext_length: usize) -> Case {
    Case { suite, frame_length, plaintext_length }
}
