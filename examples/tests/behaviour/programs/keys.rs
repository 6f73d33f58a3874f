//! Examples with keys of a real KMS.

use strongroom_peers::{KmsServer, require};

use super::tool::{plaintext, run, written};

const RECOVER_OFFLINE: &str = env!("CARGO_BIN_EXE_recover_offline");
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
