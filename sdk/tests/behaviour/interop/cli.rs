//! The AWS Encryption CLI, with our KMS as its endpoint, reads what our SDK writes, and the reverse.

use std::path::{Path, PathBuf};
use std::process::Command;

use strongroom_peers::esdk::{Keyring, Manager};
use strongroom_peers::{KmsServer, Peer, require};
use strongroom_sdk::message::suite::AlgorithmSuite;

use super::Tally;
use super::kms_keys::KmsKeys;
use super::ours::Ours;
use super::table::{self, Case};
use crate::fixtures::{sample, wait};

/// The names that the command has for the suites.
const ALGORITHMS: [(AlgorithmSuite, &str); 11] = [
    (AlgorithmSuite::Aes128Gcm, "AES_128_GCM_IV12_TAG16"),
    (AlgorithmSuite::Aes192Gcm, "AES_192_GCM_IV12_TAG16"),
    (AlgorithmSuite::Aes256Gcm, "AES_256_GCM_IV12_TAG16"),
    (AlgorithmSuite::Aes128GcmHkdfSha256, "AES_128_GCM_IV12_TAG16_HKDF_SHA256"),
    (AlgorithmSuite::Aes192GcmHkdfSha256, "AES_192_GCM_IV12_TAG16_HKDF_SHA256"),
    (AlgorithmSuite::Aes256GcmHkdfSha256, "AES_256_GCM_IV12_TAG16_HKDF_SHA256"),
    (AlgorithmSuite::Aes128GcmHkdfSha256EcdsaP256, "AES_128_GCM_IV12_TAG16_HKDF_SHA256_ECDSA_P256"),
    (AlgorithmSuite::Aes192GcmHkdfSha384EcdsaP384, "AES_192_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384"),
    (AlgorithmSuite::Aes256GcmHkdfSha384EcdsaP384, "AES_256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384"),
    (AlgorithmSuite::Aes256GcmHkdfSha512CommitKey, "AES_256_GCM_HKDF_SHA512_COMMIT_KEY"),
    (
        AlgorithmSuite::Aes256GcmHkdfSha512CommitKeyEcdsaP384,
        "AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384",
    ),
];
const NAME: &str = "aws-encryption-sdk-cli";
/// The specification says that the final frame SHOULD be full then.
const FULL_FINAL_FRAME: &str =
    "the SDK in it, 3.3.1, refuses a final frame as long as the others; later ones read it";

#[test]
fn we_read_what_the_cli_writes() {
    let kms = require!(KmsServer::start());
    let cli = require!(Cli::new(&kms));
    let (ours, keys) = (Ours::new(&kms), wait(KmsKeys::make(&kms)));
    let manager = manager(&keys);
    let mut tally = Tally::default();
    for (case, (_, algorithm)) in table::each_suite_once(0).iter().zip(ALGORITHMS) {
        let plaintext = sample(case.plaintext_length);
        std::fs::write(cli.path("plain"), &plaintext).unwrap();
        let frame_length = case.frame_length.to_string();
        cli.run(&[
            ["--encrypt", "--input", "plain", "--output", "sealed"].as_slice(),
            &["--wrapping-keys", &format!("key={}", keys.first)],
            &["--algorithm", algorithm, "--frame-length", &frame_length],
            &["--commitment-policy", policy(case.suite)],
            &["--encryption-context", "purpose=tests", "zwölf=12"],
        ]);
        let message = std::fs::read(cli.path("sealed")).unwrap();
        let read = ours.check(&message, &manager, case.suite.id(), &plaintext);
        tally.count(case, read.map_err(super::Fault::Fail));
    }
    tally.finish(NAME, "AWS KMS, strict", "writes ours");
}

#[test]
fn the_cli_reads_what_we_write() {
    let kms = require!(KmsServer::start());
    let cli = require!(Cli::new(&kms));
    let (ours, keys) = (Ours::new(&kms), wait(KmsKeys::make(&kms)));
    let manager = manager(&keys);
    let account = keys.first.split(':').nth(4).unwrap();
    let strict = vec![format!("key={}", keys.first)];
    let discovery = vec![
        "discovery=true".to_owned(),
        "discovery-partition=aws".to_owned(),
        format!("discovery-account={account}"),
    ];
    for (row, wrapping_keys) in
        [("AWS KMS, strict", strict), ("AWS KMS, read by discovery", discovery)]
    {
        let mut tally = Tally::default();
        // One process for each policy: it takes a folder, and most of a second to start.
        for commits in [false, true] {
            let cases = table::each_suite_once(0).into_iter();
            let (refused, cases): (Vec<Case>, Vec<Case>) = cases
                .filter(|case| case.suite.commits() == commits)
                .partition(ends_in_a_full_frame);
            for case in &refused {
                tally.count(case, Err(super::Fault::Skip(FULL_FINAL_FRAME.to_owned())));
            }
            for folder in ["sealed", "opened"] {
                drop(std::fs::remove_dir_all(cli.path(folder)));
                std::fs::create_dir(cli.path(folder)).unwrap();
            }
            for case in &cases {
                let plaintext = sample(case.plaintext_length);
                let message = ours.encrypt(&case.message(&manager), &plaintext).unwrap();
                std::fs::write(cli.path("sealed").join(file_name(case)), message).unwrap();
            }
            let wrapping_keys: Vec<&str> = wrapping_keys.iter().map(String::as_str).collect();
            cli.run(&[
                ["--decrypt", "--recursive", "--input", "sealed", "--output", "opened"].as_slice(),
                &[["--wrapping-keys"].as_slice(), &wrapping_keys].concat(),
                &["--commitment-policy", policy(cases[0].suite)],
                &["--encryption-context", "purpose=tests", "zwölf=12"],
            ]);
            for case in &cases {
                let opened = cli.path("opened").join(file_name(case) + ".decrypted");
                let equal = std::fs::read(opened).unwrap() == sample(case.plaintext_length);
                let other = || super::Fault::Fail("it read another plaintext".to_owned());
                tally.count(case, if equal { Ok(()) } else { Err(other()) });
            }
        }
        tally.finish(NAME, row, "reads ours");
    }
}

fn manager(keys: &KmsKeys) -> Manager {
    let keyring = Keyring::Kms { key: keys.first.clone(), mrk: false };
    Manager::new(keyring, table::context())
}

fn policy(suite: AlgorithmSuite) -> &'static str {
    if suite.commits() { "require-encrypt-require-decrypt" } else { "forbid-encrypt-allow-decrypt" }
}

/// Whether the final frame is as long as the others.
fn ends_in_a_full_frame(case: &Case) -> bool {
    case.plaintext_length > 0 && case.plaintext_length.is_multiple_of(case.frame_length as usize)
}

fn file_name(case: &Case) -> String {
    format!("{:04x}", case.suite.id())
}

/// The command, with a folder to work in.
struct Cli {
    program: PathBuf,
    environment: Vec<(&'static str, String)>,
    folder: tempfile::TempDir,
}

impl Cli {
    fn new(kms: &KmsServer) -> Result<Self, strongroom_peers::PeerError> {
        let program = Peer::EncryptionCli.find()?;
        let environment = kms.environment().to_vec();
        Ok(Self { program, environment, folder: tempfile::tempdir().unwrap() })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs it with all the options, and without a record of what it did.
    fn run(&self, options: &[&[&str]]) {
        let output = Command::new(&self.program)
            .args(options.concat())
            .arg("--suppress-metadata")
            .current_dir(self.folder.path())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("HOME", Path::new(self.folder.path()))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{options:?}: {said}");
    }
}
