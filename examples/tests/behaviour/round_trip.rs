//! What `encrypt` writes, `decrypt` and the real Python SDK read.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use strongroom_peers::Peer;
use strongroom_sdk::AlgorithmSuite;
use tempfile::TempDir;

use crate::fixtures::{counts, decrypt, folder, manifest, raw_aes, run, stderr, stdout};

/// Encrypts what `manifest` asks for into the folder `out` beside it.
fn encrypt(manifest: &Value) -> (TempDir, std::process::Output) {
    let folder = folder(manifest);
    let (from, to) = (folder.path().join("manifest.json"), folder.path().join("out"));
    let output = run(&["encrypt", from.to_str().unwrap(), "--out", to.to_str().unwrap()]);
    (folder, output)
}

/// Every suite in every layout, and RSA with every padding.
fn everything() -> (Value, usize) {
    let mut tests = json!({});
    for (at, suite) in AlgorithmSuite::ALL.into_iter().enumerate() {
        let id = format!("{:04x}", suite.id());
        // Empty, ending inside a frame, with a full last frame, and without frames.
        for (plaintext, frame) in [("none", 64), ("small", 300), ("small", 250), ("small", 0)] {
            let keys = json!([raw_aes([128, 192, 256][at % 3])]);
            tests[format!("{id}-{plaintext}-{frame}")] = test(&id, plaintext, frame, &keys);
        }
    }
    for padding in
        [json!("pkcs1"), json!("sha1"), json!("sha256"), json!("sha384"), json!("sha512")]
    {
        let keys = json!([raw_rsa("rsa-2048-private", &padding), raw_aes(256)]);
        tests[format!("rsa-{padding}")] = test("0578", "small", 300, &keys);
        let public = json!([raw_aes(128), raw_rsa("rsa-2048-public", &padding)]);
        tests[format!("rsa-public-{padding}")] = test("0478", "small", 4096, &public);
    }
    let count = tests.as_object().unwrap().len();
    (manifest("awses-encrypt", 1, &tests), count)
}

fn test(suite: &str, plaintext: &str, frame: u32, keys: &Value) -> Value {
    json!({
        "plaintext": plaintext,
        "algorithm": suite,
        "frame-size": frame,
        "encryption-context": { "suite": suite, "zwölf": "12" },
        "master-keys": keys,
    })
}

fn raw_rsa(key: &str, padding: &Value) -> Value {
    let (algorithm, hash) = match padding.as_str() {
        Some("pkcs1") => ("pkcs1", Value::Null),
        _ => ("oaep-mgf1", padding.clone()),
    };
    json!({
        "type": "raw",
        "encryption-algorithm": "rsa",
        "provider-id": "strongroom-testdata",
        "key": key,
        "padding-algorithm": algorithm,
        "padding-hash": hash,
    })
}

#[test]
fn what_is_encrypted_decrypts() {
    let (manifest, messages) = everything();
    let (folder, output) = encrypt(&manifest);
    assert_eq!(counts(&output), [messages, 0, 0], "{} {}", stdout(&output), stderr(&output));
    let out = folder.path().join("out");
    let output = decrypt(&out);
    assert_eq!(counts(&output), [messages, 0, 0], "{}", stdout(&output));
    let written = std::fs::read(out.join("manifest.json")).unwrap();
    let written: Value = serde_json::from_slice(&written).unwrap();
    assert_eq!(written["manifest"], json!({ "type": "awses-decrypt", "version": 2 }));
    assert_eq!(written["tests"].as_object().unwrap().len(), messages);
}

#[test]
fn the_python_sdk_decrypts_what_is_encrypted() {
    let python = strongroom_peers::require!(Peer::PythonEncryptionSdk.find());
    let (manifest, messages) = everything();
    let (folder, output) = encrypt(&manifest);
    assert!(output.status.success(), "{}", stdout(&output));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/behaviour/python_esdk.py");
    let reader = Command::new(python).arg(script).arg(folder.path().join("out")).output().unwrap();
    let said = stdout(&reader);
    let expected = format!("{messages} passed, 0 failed\n");
    assert!(said.ends_with(&expected), "{said} {}", stderr(&reader));
}

#[test]
fn scenarios_of_version_5_say_what_must_become_of_messages() {
    let scenario = |more: Value| {
        let mut scenario = json!({
            "type": "positive-esdk",
            "plaintext": "small",
            "algorithmSuiteId": "0578",
            "frame-size": "512",
            "encryption-context": { "a": "a", "b": "b" },
            "encryptKeyDescription": raw_aes(256),
            "decryptKeyDescription": raw_aes(256),
            "reproduced-encryption-context": { "a": "a" },
        });
        scenario.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "encryption-scenario": scenario })
    };
    let tests = json!({
        "opens": scenario(json!({})),
        "other-key": scenario(json!({
            "type": "negative-decrypt-esdk", "decryptKeyDescription": raw_aes(128),
        })),
        "other-context": scenario(json!({
            "type": "negative-decrypt-esdk", "reproduced-encryption-context": { "a": "b" },
        })),
        "reserved": scenario(json!({
            "type": "negative-encrypt-esdk", "commitment-policy": "forbid-encrypt-allow-decrypt",
        })),
        "no-key": scenario(json!({
            "type": "negative-encrypt-esdk",
            "encryptKeyDescription": { "type": "multi-keyring", "childKeyrings": [] },
        })),
    });
    let (folder, output) = encrypt(&manifest("awses-encrypt", 5, &tests));
    assert_eq!(counts(&output), [5, 0, 0], "{} {}", stdout(&output), stderr(&output));
    let output = decrypt(&folder.path().join("out"));
    assert_eq!(counts(&output), [3, 0, 0], "{}", stdout(&output));
}

#[test]
fn messages_that_are_to_be_tampered_with_are_skipped() {
    let scenario = test("0578", "small", 300, &json!([raw_aes(256)]));
    let tests = json!({
        "tampered": { "encryption-scenario": scenario, "tampering": { "truncate": [] } },
        "generated": { "encryption-scenario": scenario },
    });
    let (folder, output) = encrypt(&manifest("awses-decrypt-generate", 4, &tests));
    assert_eq!(counts(&output), [1, 0, 1], "{} {}", stdout(&output), stderr(&output));
    let output = decrypt(&folder.path().join("out"));
    assert_eq!(counts(&output), [1, 0, 0], "{}", stdout(&output));
}

/// The pairs are not in the message: with all that is left in the manifest, none opens without them.
#[test]
fn required_encryption_context_is_left_out_of_the_header() {
    let mut required = test("0578", "small", 300, &json!([raw_aes(256)]));
    required["cmm"] = "RequiredEncryptionContext".into();
    let (folder, output) = encrypt(&manifest("awses-encrypt", 4, &json!({ "t": required })));
    assert_eq!(counts(&output), [1, 0, 0], "{} {}", stdout(&output), stderr(&output));
    let out = folder.path().join("out");
    assert_eq!(counts(&decrypt(&out)), [1, 0, 0]);
    let message = std::fs::read(out.join("ciphertexts/t")).unwrap();
    let key = "zwölf".as_bytes();
    assert!(!message.windows(key.len()).any(|part| part == key));

    let path = out.join("manifest.json");
    let mut written: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    written["tests"]["t"]["cmm"] = "Default".into();
    std::fs::write(&path, written.to_string()).unwrap();
    assert_eq!(counts(&decrypt(&out)), [0, 1, 0]);
}

/// Keyrings and CMMs that key descriptions of version 5 have.
#[test]
fn cmms_and_branch_keys_of_descriptions_are_used() {
    let scenario = |keys: &Value, reproduced: Value| {
        json!({ "encryption-scenario": {
            "plaintext": "small",
            "algorithmSuiteId": "0478",
            "frame-size": 512,
            "encryption-context": { "a": "a", "b": "b" },
            "encryptKeyDescription": keys,
            "decryptKeyDescription": keys,
            "reproduced-encryption-context": reproduced,
        } })
    };
    let required = json!({
        "type": "required-encryption-context-cmm",
        "requiredEncryptionContextKeys": ["a"],
        "underlying": raw_aes(256),
    });
    let caching =
        json!({ "type": "caching-cmm", "cacheLimitTtlSeconds": 5, "underlying": raw_aes(256) });
    let branch_key = json!({ "type": "aws-kms-hierarchy", "key": "branch-key" });
    let mut missing = scenario(&required, json!({ "b": "b" }));
    missing["encryption-scenario"]["type"] = "negative-decrypt-esdk".into();
    let tests = json!({
        "required": scenario(&required, json!({ "a": "a" })),
        "required-missing": missing,
        "caching": scenario(&caching, json!({})),
        "branch-key": scenario(&branch_key, json!({})),
    });
    let folder = folder(&manifest("awses-encrypt", 5, &tests));
    let keys = folder.path().join("keys.json");
    let mut manifest: Value = serde_json::from_slice(&std::fs::read(&keys).unwrap()).unwrap();
    manifest["keys"]["branch-key"] = json!({
        "type": "static-branch-key",
        "key-id": "tenant",
        "branchKeyVersion": "e9ce18a3-edb5-4272-9f86-1cacb7997ff6",
        "branchKey": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    });
    std::fs::write(&keys, manifest.to_string()).unwrap();
    let out = folder.path().join("out").display().to_string();
    let output = run(&["encrypt", folder.path().to_str().unwrap(), "--out", &out]);
    assert_eq!(counts(&output), [4, 0, 0], "{} {}", stdout(&output), stderr(&output));
    assert_eq!(counts(&run(&["decrypt", &out])), [4, 0, 0]);
}

#[test]
fn a_vector_that_cannot_be_written_fails() {
    let test = json!({
        "plaintext": "small",
        "algorithm": "0578",
        "commitment-policy": "forbid-encrypt-allow-decrypt",
        "frame-size": 512,
        "encryption-context": {},
        "master-keys": [raw_aes(256)],
    });
    let mut unexpected = test.clone();
    unexpected["type"] = "negative-encrypt-esdk".into();
    unexpected["commitment-policy"] = Value::Null;
    let tests = json!({ "forbidden": test, "written": unexpected });
    let (folder, output) = encrypt(&manifest("awses-encrypt", 4, &tests));
    assert_eq!(counts(&output), [0, 2, 0], "{} {}", stdout(&output), stderr(&output));
    assert_eq!(output.status.code(), Some(1));
    let files = std::fs::read_dir(folder.path().join("out/ciphertexts")).unwrap();
    assert_eq!(files.count(), 0, "nothing is left of vectors that fail");
}
