//! Manifests that are wrong, vectors that are, and vectors that cannot be tried.

use serde_json::{Value, json};

use crate::fixtures::{counts, decrypt, folder, manifest, raw_aes, run, stderr, stdout, testdata};

/// A vector of the project's own.
fn good() -> Value {
    let message = testdata().join("python-esdk/ciphertexts/0478-frames-frames");
    let plaintext = testdata().join("plaintexts/frames");
    json!({
        "ciphertext": format!("file://{}", message.display()),
        "master-keys": [raw_aes(128), raw_aes(192), raw_aes(256)],
        "result": { "output": { "plaintext": format!("file://{}", plaintext.display()) } },
    })
}

/// [`good`] with the field at `path` replaced; `null` is as good as removed.
fn with(path: &[&str], value: Value) -> Value {
    let mut test = good();
    let mut field = &mut test;
    for name in path {
        field = &mut field[*name];
    }
    *field = value;
    test
}

#[test]
fn a_manifest_that_cannot_be_used_is_one_sentence_and_status_2() {
    let tests = json!({ "t": good() });
    let missing = json!({ "t": with(&["ciphertext"], Value::Null) });
    let no_text = json!({ "t": with(&["ciphertext"], json!(1)) });
    let no_keys = json!({ "t": with(&["master-keys"], Value::Null) });
    let no_result = json!({ "t": with(&["result"], Value::Null) });
    let method = json!({ "t": with(&["decryption-method"], json!("backwards")) });
    for (manifest, sentence) in [
        (json!([]), "`the manifest` must be an object"),
        (json!({ "tests": {} }), "`manifest` is missing"),
        (manifest("awses-encrypt", 1, &tests), "of type `awses-encrypt`, not awses-decrypt"),
        (manifest("keys", 1, &tests), "of type `keys`, not awses-decrypt"),
        (manifest("awses-decrypt", 6, &tests), "of version 6; known are 1 to 5"),
        (manifest("awses-decrypt", 0, &tests), "of version 0; known are 1 to 5"),
        (manifest("awses-decrypt", 2, &json!([])), "`tests` must be an object"),
        (manifest("awses-decrypt", 2, &json!({ "t": 1 })), "`t` must be an object"),
        (manifest("awses-decrypt", 2, &missing), "t: `ciphertext` is missing"),
        (manifest("awses-decrypt", 2, &no_text), "t: `ciphertext` must be text"),
        (manifest("awses-decrypt", 2, &no_keys), "t: `master-keys` is missing"),
        (manifest("awses-decrypt", 2, &no_result), "t: `result` is missing"),
        (manifest("awses-decrypt", 2, &method), "t: `decryption-method` must be"),
    ] {
        let folder = folder(&manifest);
        let output = decrypt(folder.path());
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{said} {}", stdout(&output));
        assert!(said.contains(sentence), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn files_that_are_not_there_or_no_json_are_status_2() {
    let folder = folder(&manifest("awses-decrypt", 2, &json!({ "t": good() })));
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("broken.json"), "{ \"manifest\": ").unwrap();
    for (arguments, sentence) in [
        (vec!["decrypt", "nowhere.json"], "cannot read nowhere.json"),
        (vec!["decrypt", &path("broken.json")], "is not JSON"),
        (vec!["decrypt", &path("manifest.json"), "--keys", "nowhere.json"], "cannot read nowhere"),
        (vec!["decrypt", &path("manifest.json"), "--keys", &path("broken.json")], "is not JSON"),
    ] {
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(sentence), "{}", stderr(&output));
    }
}

#[test]
fn a_vector_that_fails_is_a_line_and_status_1() {
    let other = format!("file://{}", testdata().join("plaintexts/short").display());
    let nowhere = json!("file://ciphertexts/nowhere");
    let failing = json!({
        "good": good(),
        "other-plaintext": with(&["result", "output", "plaintext"], json!(other)),
        "opens": with(&["result"], json!({ "error": { "error-description": "it must not" } })),
        "no-file": with(&["ciphertext"], nowhere),
        "other-suite": with(&["algorithm"], json!("0578")),
        "other-context": with(&["encryption-context"], json!({ "purpose": "another" })),
        "no-such-key": with(&["master-keys"], json!([raw_aes(512)])),
    });
    let folder = folder(&manifest("awses-decrypt", 2, &failing));
    let output = decrypt(folder.path());
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(counts(&output), [1, 6, 0], "{}", stdout(&output));
    for line in [
        "FAILED other-plaintext: one-shot: other plaintext, std::io: other plaintext",
        "FAILED opens: one-shot: opened what must not open",
        "FAILED no-file: cannot read ",
        "FAILED other-suite: suite ",
        "FAILED other-context: encryption context",
        "FAILED no-such-key: key `aes-512` is not in the keys manifest",
    ] {
        assert!(stdout(&output).lines().any(|said| said.starts_with(line)), "{line}");
    }
}

#[test]
fn a_vector_without_a_key_that_can_be_had_is_skipped_with_its_reason() {
    let keys = |description: Value| with(&["master-keys"], json!([description]));
    let mut keys_manifest: Value =
        serde_json::from_slice(&std::fs::read(testdata().join("keys.json")).unwrap()).unwrap();
    keys_manifest["keys"]["cmk"] = json!({
        "type": "aws-kms", "decrypt": true, "encrypt": true,
        "key-id": "arn:aws:kms:us-west-2:111122223333:key/1234abcd",
    });
    let tests = json!({
        "kms": keys(json!({ "type": "aws-kms", "key": "cmk" })),
        // What can be opened with another of its keys is.
        "kms-and-raw": with(
            &["master-keys"],
            json!([{ "type": "aws-kms", "key": "cmk" }, raw_aes(192)]),
        ),
        "unknown": keys(json!({ "type": "quantum", "key": "aes-256" })),
        "cipher": keys(json!({
            "type": "raw", "encryption-algorithm": "des", "provider-id": "p", "key": "aes-256",
        })),
    });
    let folder = folder(&manifest("awses-decrypt", 2, &tests));
    let text = serde_json::to_vec(&keys_manifest).unwrap();
    std::fs::write(folder.path().join("keys.json"), text).unwrap();
    let output = decrypt(folder.path());
    assert_eq!(counts(&output), [1, 0, 3], "{}", stdout(&output));
    assert!(output.status.success());
    for line in [
        "1 skipped: aws-kms: a KMS key, and no --kms-endpoint",
        "1 skipped: `quantum` is no type of keyring that is known here",
        "1 skipped: `raw des` is no type of keyring that is known here",
    ] {
        assert!(stdout(&output).contains(line), "{line} in {}", stdout(&output));
    }
}

/// Every message opens; with one field more, about its reader, none does.
#[test]
fn what_a_vector_says_of_its_reader_is_obeyed() {
    let require = json!("REQUIRE_ENCRYPT_REQUIRE_DECRYPT");
    let mut tests = json!({});
    for (message, name, value) in [
        ("0578-frames-frames", "decryption-method", json!("streaming-unsigned-only")),
        ("0178-frames-frames", "commitmentPolicy", require),
        ("0478-frames-frames", "max-encrypted-data-keys", json!(0)),
        ("0478-frames-frames", "reproduced-encryption-context", json!({ "not": "there" })),
    ] {
        let path = testdata().join("python-esdk/ciphertexts").join(message);
        let mut opens = with(&["ciphertext"], json!(path));
        tests[format!("{name} is not there")] = opens.clone();
        opens["result"] = json!({ "error": { "error-description": "as its reader is set up" } });
        opens[name] = value;
        tests[name] = opens;
    }
    let folder = folder(&manifest("awses-decrypt", 2, &tests));
    let output = decrypt(folder.path());
    assert_eq!(counts(&output), [8, 0, 0], "{}", stdout(&output));
}

#[test]
fn a_manifest_of_version_1_names_the_plaintext_itself() {
    let mut test = good();
    test["plaintext"] = test["result"]["output"]["plaintext"].clone();
    test.as_object_mut().unwrap().remove("result");
    let folder = folder(&manifest("awses-decrypt", 1, &json!({ "t": test })));
    let output = decrypt(folder.path());
    assert_eq!(counts(&output), [1, 0, 0], "{}", stdout(&output));
}
