//! Messages that other implementations wrote.
//!
//! The project's own, in `testdata`, are always there. The large collection lies beside the checkout, in
//! `../shared/vectors/esdk`; where it does not, the test says so and passes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use strongroom_sdk::cmm::DefaultCmm;
use strongroom_sdk::engine::{FrameOpener, SignatureStaysUnverified};
use strongroom_sdk::keyring::{Keyring, MultiKeyring, RawAesKeyring};
use strongroom_sdk::message::encryption_context::EncryptionContext;
use strongroom_sdk::message::header::{Content, Header};
use strongroom_sdk::options::{DecryptOptions, SignedMessages};
use strongroom_sdk::policy::CommitmentPolicy;
use strongroom_sdk::range::RangeReader;
use strongroom_sdk::secret::SecretBytes;

use crate::fixtures::{self, KnownDataKey, read_everywhere, say, wait};
use crate::hierarchical::static_branch_key;

/// What became of a set of messages.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: Vec<String>,
    skipped: BTreeMap<String, usize>,
}

impl Tally {
    fn skip(&mut self, reason: impl Into<String>) {
        *self.skipped.entry(reason.into()).or_default() += 1;
    }

    /// Opens `message` through every surface, and checks that each does what it should.
    fn check(
        &mut self,
        name: &str,
        message: &[u8],
        keyring: Arc<dyn Keyring>,
        options: &DecryptOptions,
        expected: Option<&[u8]>,
    ) {
        let manager = DefaultCmm::new(keyring);
        let mut problems: Vec<String> = Vec::new();
        for outcome in read_everywhere(message, &manager, options) {
            match (expected, outcome.error) {
                (Some(plaintext), None) if outcome.released == plaintext => {}
                (None, Some(_)) => {}
                (_, error) => problems.push(format!("{}: {error:?}", outcome.surface)),
            }
        }
        if let Some(plaintext) = expected {
            problems.extend(check_range(message, &manager, options, plaintext));
        }
        if problems.is_empty() {
            self.passed += 1;
        } else {
            self.failed.push(format!("{name}: {}", problems.join(", ")));
        }
    }

    fn report(&self, title: &str) {
        let reasons: Vec<String> = self.skipped.iter().map(|(r, n)| format!("{n} {r}")).collect();
        let skipped: usize = self.skipped.values().sum();
        say(&format!(
            "{title}: {} passed, {} failed, {skipped} skipped ({})",
            self.passed,
            self.failed.len(),
            reasons.join(", "),
        ));
        assert!(self.failed.is_empty(), "{title}: {:#?}", self.failed);
    }
}

/// Reads the middle of a framed message by random access.
fn check_range(
    message: &[u8],
    manager: &DefaultCmm,
    options: &DecryptOptions,
    plaintext: &[u8],
) -> Option<String> {
    let parsed = Header::parse(message, &options.limits).ok()?;
    let Content::Framed(_) = parsed.header.content() else { return None };
    let request =
        strongroom_sdk::materials::DecryptionRequest::new(&parsed.header, options).ok()?;
    use strongroom_sdk::cmm::MaterialsManager;
    let materials = wait(manager.decryption_materials(&request)).ok()?;
    let header = parsed.header.verify(materials).ok()?;
    let opener = FrameOpener::of_signed(header, SignatureStaysUnverified).ok()?;
    let result = RangeReader::new(message, Arc::new(opener)).and_then(|reader| {
        let middle = plaintext.len() / 3..plaintext.len() * 2 / 3;
        Ok(reader.read(middle.start as u64..middle.end as u64)? == plaintext[middle]
            && reader.read(0..plaintext.len() as u64)? == plaintext)
    });
    match result {
        Ok(true) => None,
        other => Some(format!("range: {other:?}")),
    }
}

fn permissive() -> DecryptOptions {
    DecryptOptions {
        commitment_policy: CommitmentPolicy::RequireEncryptAllowDecrypt,
        ..DecryptOptions::default()
    }
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn base64(value: &Value) -> Vec<u8> {
    BASE64_STANDARD.decode(value.as_str().unwrap()).unwrap()
}

/// The file that a `file://` address in a manifest means.
fn referenced(folder: &Path, address: &Value) -> Vec<u8> {
    let relative = address.as_str().unwrap().strip_prefix("file://").unwrap();
    std::fs::read(folder.join(relative)).unwrap()
}

/// The keyring that a key description asks for, or why there is none.
fn keyring(description: &Value, keys: &Value) -> Result<Arc<dyn Keyring>, String> {
    let kind = description["type"].as_str().unwrap_or_default();
    match (kind, description["encryption-algorithm"].as_str()) {
        ("raw", Some("aes")) => {
            let name = description["key"].as_str().unwrap();
            let key = &keys["keys"][name];
            let id = key["key-id"].as_str().unwrap_or(name);
            let secret = SecretBytes::copy_of(&base64(&key["material"]));
            let namespace = description["provider-id"].as_str().unwrap();
            Ok(Arc::new(RawAesKeyring::new(namespace, id, secret).unwrap()))
        }
        ("aws-kms-hierarchy", _) => {
            let key = &keys["keys"][description["key"].as_str().unwrap()];
            let text = |name: &str| key[name].as_str().unwrap();
            let branch_key = base64(&key["branchKey"]);
            Ok(static_branch_key(text("key-id"), text("branchKeyVersion"), branch_key))
        }
        ("multi-keyring", _) => {
            let children = description["childKeyrings"].as_array().unwrap();
            let children = children.iter().map(|child| keyring(child, keys));
            let generator = keyring(&description["generator"], keys)?;
            Ok(Arc::new(
                MultiKeyring::new(Some(generator), children.collect::<Result<_, _>>()?).unwrap(),
            ))
        }
        ("required-encryption-context-cmm", _) => keyring(&description["underlying"], keys),
        (kind, algorithm) => Err(format!("{kind} {}", algorithm.unwrap_or_default())),
    }
}

fn all_keyrings(descriptions: &Value, keys: &Value) -> Result<Arc<dyn Keyring>, String> {
    let keyrings = descriptions.as_array().unwrap().iter().map(|key| keyring(key, keys));
    Ok(Arc::new(MultiKeyring::new(None, keyrings.collect::<Result<_, _>>()?).unwrap()))
}

fn context(pairs: &Value) -> EncryptionContext {
    let pairs = pairs.as_object().into_iter().flatten();
    EncryptionContext::from_pairs(pairs.map(|(k, v)| (k.clone(), v.as_str().unwrap()))).unwrap()
}

/// A manifest of type `awses-decrypt`, version 2 to 4.
fn check_manifest(tally: &mut Tally, folder: &Path, must_reject: bool) {
    let manifest = read_json(&folder.join("manifest.json"));
    let keys = read_json(&folder.join("keys.json"));
    for (name, test) in manifest["tests"].as_object().unwrap() {
        let keyring = match all_keyrings(&test["master-keys"], &keys) {
            Ok(keyring) => keyring,
            Err(reason) => {
                tally.skip(reason);
                continue;
            }
        };
        let mut options = permissive();
        if test["cmm"] == "RequiredEncryptionContext" {
            options.reproduced_context = context(&test["encryption-context"]);
        }
        if test["decryption-method"] == "streaming-unsigned-only" {
            options.signed_messages = SignedMessages::Refuse;
        }
        let message = referenced(folder, &test["ciphertext"]);
        let plaintext = &test["result"]["output"]["plaintext"];
        let expected =
            (!must_reject && plaintext.is_string()).then(|| referenced(folder, plaintext));
        tally.check(name, &message, keyring, &options, expected.as_deref());
    }
}

/// A manifest of version 5, with scenarios.
fn check_scenarios(tally: &mut Tally, folder: &Path) {
    let manifest = read_json(&folder.join("decrypt-manifest.json"));
    let keys = read_json(&folder.join("keys.json"));
    for (name, test) in manifest["tests"].as_object().unwrap() {
        let scenario = &test["decryption-scenario"];
        let keyring = match keyring(&scenario["decryptKeyDescription"], &keys) {
            Ok(keyring) => keyring,
            Err(reason) => {
                tally.skip(reason);
                continue;
            }
        };
        let mut options = permissive();
        options.reproduced_context = context(&scenario["reproduced-encryption-context"]);
        let message = referenced(folder, &scenario["ciphertext"]);
        let expected = referenced(folder, &scenario["result"]);
        tally.check(name, &message, keyring, &options, Some(&expected));
    }
}

fn check_known_keys(tally: &mut Tally, folder: &Path) {
    for test in read_json(&folder.join("c-decryption_vectors.json")).as_array().unwrap() {
        let (message, plaintext) = (base64(&test["ciphertext"]), base64(&test["plaintext"]));
        let name = test["name"].as_str().unwrap();
        tally.check(name, &message, zero_key(&message), &permissive(), Some(&plaintext));
    }
    for test in read_json(&folder.join("python-decrypt_oracle_vectors.json")).as_array().unwrap() {
        if test["key-type"] != "null" {
            tally.skip("data keys that only the writer's test knows");
            continue;
        }
        let (message, plaintext) = (base64(&test["ciphertext"]), base64(&test["plaintext"]));
        tally.check("python oracle", &message, zero_key(&message), &permissive(), Some(&plaintext));
    }
    let commitment = read_json(&folder.join("commitment-test-vectors.json"));
    for test in commitment["tests"].as_array().unwrap() {
        let keyring = Arc::new(KnownDataKey(base64(&test["decrypted-dek"])));
        let frames = test["plaintext-frames"].as_array().unwrap();
        let plaintext: String = frames.iter().map(|frame| frame.as_str().unwrap()).collect();
        let expected = (test["status"] == true).then_some(plaintext.as_bytes());
        let name = test["comment"].as_str().unwrap();
        let options = DecryptOptions::default();
        tally.check(name, &base64(&test["ciphertext"]), keyring, &options, expected);
    }
    let javascript = read_json(&folder.join("js_fixtures.json"));
    check_javascript(tally, &javascript);
    for test in javascript["hierarchical_static_branch_key"].as_array().unwrap() {
        let (message, plaintext) = (base64(&test["ciphertext"]), base64(&test["plaintextBase64"]));
        let (id, version, key) = STATIC_BRANCH_KEY;
        let keyring = static_branch_key(id, version, BASE64_STANDARD.decode(key).unwrap());
        let name = test["comment"].as_str().unwrap();
        tally.check(name, &message, keyring, &DecryptOptions::default(), Some(&plaintext));
    }
}

/// The public test key of all implementations: branch key id, version, key.
const STATIC_BRANCH_KEY: (&str, &str, &str) = (
    "bd3842ff-3076-4092-9918-4395730050b8",
    "e9ce18a3-edb5-4272-9f86-1cacb7997ff6",
    "tJwf65epYvUt5HMiQsl/6jlvLxS0tgdjIuvFy2BLIwg=",
);

fn check_javascript(tally: &mut Tally, fixtures: &Value) {
    for (name, test) in fixtures["zero_key_messages"].as_object().unwrap() {
        let message = base64(&test["ciphertext"]);
        let keyring = zero_key(&message);
        if test["result"].as_str().unwrap().starts_with("must reject") {
            tally.check(name, &message, keyring, &permissive(), None);
            continue;
        }
        // Of most of these only the length of the plaintext is known.
        let length: String = test["result"].as_str().unwrap()[7..]
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        let manager = DefaultCmm::new(keyring.clone());
        let opened = wait(strongroom_sdk::oneshot::decrypt(&message, &manager, &permissive()));
        let plaintext = opened.unwrap().plaintext;
        assert_eq!(plaintext.len(), length.parse::<usize>().unwrap());
        if test["result"].as_str().unwrap().ends_with("==base64Plaintext") {
            assert_eq!(plaintext, base64(&fixtures["plaintext"]));
        }
        tally.check(name, &message, keyring, &permissive(), Some(&plaintext));
    }
}

/// A data key of zeros, as long as the suite of `message` wants it.
fn zero_key(message: &[u8]) -> Arc<dyn Keyring> {
    let suite = fixtures::parse(message).header.suite();
    Arc::new(KnownDataKey(vec![0; suite.data_key_bytes()]))
}

#[test]
fn messages_of_other_implementations_open() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors/esdk");
    if !folder.is_dir() {
        say("SKIPPED sdk messages_of_other_implementations_open: no ../shared/vectors/esdk");
        return;
    }
    let mut tally = Tally::default();
    for manifest in ["regenerated-py4.0.7-raw", "net-v4-4.0.1", "net-valid-4.0.0"] {
        check_manifest(&mut tally, &folder.join(manifest), false);
    }
    check_manifest(&mut tally, &folder.join("net-invalid-4.0.0"), true);
    check_scenarios(&mut tally, &folder.join("c-from-dafny"));
    check_known_keys(&mut tally, &folder.join("json"));
    tally.report("messages of other implementations");
}

#[test]
fn messages_of_the_python_sdk_in_testdata_open() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/python-esdk");
    let vectors = read_json(&folder.join("vectors.json"));
    let mut tally = Tally::default();
    for vector in vectors["messages"].as_array().unwrap() {
        let key = SecretBytes::copy_of(&base64(&vector["wrapping-key"]));
        let text = |name: &str| vector[name].as_str().unwrap().to_owned();
        let keyring = RawAesKeyring::new(text("namespace"), text("key-name"), key).unwrap();
        let mut options = permissive();
        options.expected_context = context(&vector["encryption-context"]);
        let (message, plaintext) = (base64(&vector["message"]), base64(&vector["plaintext"]));
        tally.check(&text("name"), &message, Arc::new(keyring), &options, Some(&plaintext));
    }
    assert!(tally.passed + tally.failed.len() >= 20, "the collection is smaller than it was");
    tally.report("messages of the Python SDK in testdata");
}
