//! Examples with keys of a real KMS.

use strongroom_peers::{KmsServer, require};
use strongroom_sdk::message::header::Header;
use strongroom_sdk::message::limits::Limits;

use super::tool::{plaintext, run, written};

const CACHE_DATA_KEYS: &str = env!("CARGO_BIN_EXE_cache_data_keys");
const RECOVER_OFFLINE: &str = env!("CARGO_BIN_EXE_recover_offline");
const ROTATE_BRANCH_KEYS: &str = env!("CARGO_BIN_EXE_rotate_branch_keys");
const SHARE_BETWEEN_KEYS: &str = env!("CARGO_BIN_EXE_share_between_keys");

#[test]
fn either_of_two_keys_reads_what_both_wrote() {
    let kms = require!(KmsServer::start());
    let keys = [require!(kms.create_key()), require!(kms.create_key())];
    let other = require!(kms.create_key());
    let (folder, environment) = (kms.folder(), kms.environment());
    let plain = plaintext(10_000);
    let both = keys.each_ref().map(String::as_str);
    let message = written(SHARE_BETWEEN_KEYS, folder, &environment, &both, &plain);
    for key in both {
        let arguments = ["--decrypt", key];
        assert_eq!(written(SHARE_BETWEEN_KEYS, folder, &environment, &arguments, &message), plain);
    }
    let refused = run(SHARE_BETWEEN_KEYS, folder, &environment, &["--decrypt", &other], &message);
    assert!(!refused.status.success());
}

#[test]
fn messages_share_a_data_key() {
    let kms = require!(KmsServer::start());
    let key = require!(kms.create_key());
    let (folder, environment) = (kms.folder(), kms.environment());
    for name in ["records", "sealed"] {
        std::fs::create_dir(folder.join(name)).unwrap();
    }
    for name in ["a", "b.txt"] {
        std::fs::write(folder.join("records").join(name), name).unwrap();
    }
    written(CACHE_DATA_KEYS, folder, &environment, &[&key, "records", "sealed"], b"");
    let messages =
        ["a", "b.txt"].map(|name| std::fs::read(folder.join("sealed").join(name)).unwrap());
    let wrapped = messages.each_ref().map(|message| {
        let parsed = Header::parse(message, &Limits::default()).unwrap();
        parsed.header.encrypted_data_keys()[0].ciphertext.clone()
    });
    assert_eq!(wrapped[0], wrapped[1]);
    // Readers need not know about it.
    for (message, plain) in messages.iter().zip([&b"a"[..], b"b.txt"]) {
        let arguments = ["--decrypt", key.as_str()];
        assert_eq!(written(SHARE_BETWEEN_KEYS, folder, &environment, &arguments, message), plain);
    }
}

#[test]
fn a_rotation_leaves_every_message_readable() {
    let kms = require!(KmsServer::start());
    let key = require!(kms.create_key());
    let (folder, environment) = (kms.folder(), kms.environment());
    std::fs::create_dir(folder.join("keys")).unwrap();
    let url = format!("file://{}/keys", folder.display());
    let act = |action: &str, tenant: &str, input: &[u8]| {
        let arguments = [&key, url.as_str(), action, tenant];
        run(ROTATE_BRANCH_KEYS, folder, &environment, &arguments, input)
    };
    let must = |action: &str, input: &[u8]| {
        let output = act(action, "tenant-1", input);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{action}: {errors}");
        output.stdout
    };
    must("create", b"");
    let before = must("encrypt", b"before");
    must("rotate", b"");
    let after = must("encrypt", b"after");
    assert_eq!(must("decrypt", &before), b"before");
    assert_eq!(must("decrypt", &after), b"after");
    assert!(act("create", "tenant-2", b"").status.success());
    assert!(!act("decrypt", "tenant-2", &after).status.success());
}

#[test]
fn a_private_key_from_the_safe_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("key"), [1; 32]).unwrap();
    let openssl = |arguments: &str| {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        written("openssl", folder, &[], &arguments, b"");
    };
    openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out recovery.pem");
    openssl("pkey -in recovery.pem -pubout -out recovery.pub.pem");
    let plain = plaintext(200_000);
    let message = written(RECOVER_OFFLINE, folder, &[], &["key", "recovery.pub.pem"], &plain);
    let recover = ["--recover", "recovery.pem"];
    assert_eq!(written(RECOVER_OFFLINE, folder, &[], &recover, &message), plain);
    let cut = &message[..message.len() - 1];
    assert!(!run(RECOVER_OFFLINE, folder, &[], &recover, cut).status.success());
}
