//! The real Python AWS Encryption SDK reads what we write, and the reverse, in every suite.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use strongroom_peers::Peer;
use strongroom_sdk::cmm::DefaultCmm;
use strongroom_sdk::keyring::RawAesKeyring;
use strongroom_sdk::message::suite::AlgorithmSuite;
use strongroom_sdk::oneshot;
use strongroom_sdk::options::EncryptOptions;
use strongroom_sdk::secret::SecretBytes;

use crate::fixtures::{self, read_everywhere, wait};

const NAMESPACE: &str = "strongroom-tests";
const NAME: &str = "kéy";
const KEY_BYTES: [usize; 3] = [16, 24, 32];
/// Lengths around one and two frames of 128 bytes, the shortest that the Python SDK writes.
const LENGTHS: [usize; 6] = [0, 1, 127, 128, 129, 300];
const FRAME: u32 = 128;

fn manager(key_bytes: usize) -> DefaultCmm {
    let key = SecretBytes::copy_of(&vec![3; key_bytes]);
    DefaultCmm::new(Arc::new(RawAesKeyring::new(NAMESPACE, NAME, key).unwrap()))
}

/// Every suite with every length; the wrapping keys take turns.
fn cases() -> impl Iterator<Item = (AlgorithmSuite, Vec<u8>, usize)> {
    let pairs = AlgorithmSuite::ALL.into_iter().flat_map(|s| LENGTHS.map(|length| (s, length)));
    pairs.enumerate().map(|(at, (suite, length))| {
        (suite, fixtures::sample(length), KEY_BYTES[at % KEY_BYTES.len()])
    })
}

fn job(what: &str, key_bytes: usize) -> Value {
    let key = BASE64_STANDARD.encode(vec![3; key_bytes]);
    json!({ "do": what, "namespace": NAMESPACE, "name": NAME, "key": key })
}

/// Lets one Python process do all the jobs.
fn run(python: &std::path::Path, jobs: &[Value]) -> Vec<Value> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/behaviour/python_esdk.py");
    let mut child = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let input = serde_json::to_vec(jobs).unwrap();
    child.stdin.take().unwrap().write_all(&input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn bytes(answer: &Value, field: &str) -> Vec<u8> {
    let text = answer[field].as_str().unwrap_or_else(|| panic!("{answer}"));
    BASE64_STANDARD.decode(text).unwrap()
}

#[test]
fn python_reads_what_we_write() {
    let python = strongroom_peers::require!(Peer::PythonEncryptionSdk.find());
    let jobs: Vec<Value> = cases()
        .map(|(suite, plaintext, key_bytes)| {
            let options = EncryptOptions { frame_length: FRAME };
            let request = fixtures::request(suite);
            let message =
                wait(oneshot::encrypt(&plaintext, &manager(key_bytes), &request, &options));
            let mut job = job("decrypt", key_bytes);
            job["message"] = BASE64_STANDARD.encode(message.unwrap()).into();
            job
        })
        .collect();
    for ((suite, plaintext, _), answer) in cases().zip(run(&python, &jobs)) {
        assert_eq!(bytes(&answer, "plaintext"), plaintext, "{suite}: {answer}");
        assert_eq!(answer["context"]["purpose"], "tests", "{suite}");
    }
}

#[test]
fn we_read_what_python_writes() {
    let python = strongroom_peers::require!(Peer::PythonEncryptionSdk.find());
    // Single blocks, which we read and do not write, are a frame length of 0 to the Python SDK.
    let framings = [FRAME, 0];
    let jobs: Vec<Value> = cases()
        .flat_map(|case| framings.map(|frame| (case.clone(), frame)))
        .map(|((suite, plaintext, key_bytes), frame)| {
            let mut job = job("encrypt", key_bytes);
            job["suite"] = suite.id().into();
            job["frame"] = frame.into();
            job["context"] = json!({ "purpose": "tests", "zwölf": "12" });
            job["plaintext"] = BASE64_STANDARD.encode(plaintext).into();
            job
        })
        .collect();
    let cases = cases().flat_map(|case| framings.map(|_| case.clone()));
    for ((suite, plaintext, key_bytes), answer) in cases.zip(run(&python, &jobs)) {
        let message = bytes(&answer, "message");
        let options = fixtures::reading(suite);
        for outcome in read_everywhere(&message, &manager(key_bytes), &options) {
            let surface = outcome.surface;
            assert!(outcome.error.is_none(), "{suite} {surface}: {:?}", outcome.error);
            assert_eq!(outcome.released, plaintext, "{suite} {surface}");
        }
    }
}
