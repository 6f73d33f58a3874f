//! Vectors with KMS keys, against our own KMS.

use std::process::{Command, Output};

use serde_json::json;
use strongroom_peers::{KmsServer, Peer};

use crate::fixtures::{counts, folder, manifest, stdout};

/// Runs `esdk-vectors` with the credentials of `kms`.
fn run(kms: &KmsServer, arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_esdk-vectors");
    Command::new(program).args(arguments).envs(kms.environment()).output().unwrap()
}

#[test]
fn vectors_with_kms_keys_pass_against_a_kms_that_has_the_keys() {
    strongroom_peers::require!(Peer::AwsCli.find());
    let kms = strongroom_peers::require!(KmsServer::start());
    let arn = kms.create_key().unwrap();
    let elsewhere =
        arn.rsplit_once('/').unwrap().0.to_owned() + "/1234abcd-0000-0000-0000-000000000000";
    let test = |kind: &str, key: &str| {
        json!({
            "plaintext": "small",
            "algorithm": "0578",
            "frame-size": 512,
            "encryption-context": { "purpose": "vectors" },
            "master-keys": [{ "type": kind, "key": key }],
        })
    };
    let tests = json!({
        "strict": test("aws-kms", "here"),
        "mrk-aware": test("aws-kms-mrk-aware", "here"),
        "not-there": test("aws-kms", "elsewhere"),
    });
    let folder = folder(&manifest("awses-encrypt", 3, &tests));
    let key =
        |arn: &str| json!({ "type": "aws-kms", "encrypt": true, "decrypt": true, "key-id": arn });
    let keys = json!({
        "manifest": { "type": "keys", "version": 3 },
        "keys": { "here": key(&arn), "elsewhere": key(&elsewhere) },
    });
    std::fs::write(folder.path().join("keys.json"), keys.to_string()).unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let endpoint = kms.endpoint();

    let arguments = ["encrypt", &path("manifest.json"), "--out", &path("out")];
    let output = run(&kms, &[&arguments[..], &["--kms-endpoint", &endpoint]].concat());
    assert_eq!(counts(&output), [2, 0, 1], "{}", stdout(&output));
    let reason = "1 skipped: a KMS key that the KMS does not have";
    assert!(stdout(&output).contains(reason), "{}", stdout(&output));

    let output = run(&kms, &["decrypt", &path("out"), "--kms-endpoint", &endpoint]);
    assert_eq!(counts(&output), [2, 0, 0], "{}", stdout(&output));
    let output = run(&kms, &["decrypt", &path("out")]);
    assert_eq!(counts(&output), [0, 0, 2], "{}", stdout(&output));
}
