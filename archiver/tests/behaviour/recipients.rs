//! Several keys for one location: each alone opens all of it, and only those of the KMS write.

use std::path::PathBuf;

use crate::program::{ALIAS, Ended, LOCATION, Program};
use crate::support::{figure, make_rich_tree, skipped};

impl Program {
    /// Makes a location in the folder `store` under the key, another one, and the recovery key of
    /// `recovery.pem`; answers the other key.
    pub(crate) fn create_shared_location(&self) -> String {
        let other = self.make_key();
        let url = self.url("store");
        let public = self.at("recovery.pub");
        let keys = ["--key", ALIAS, "--also-key", &other];
        let recovery = ["--recovery-public-key", public.to_str().unwrap()];
        let create = ["location", "create", LOCATION, &url];
        self.run(&[&create[..], &keys, &recovery].concat()).expect(0);
        other
    }

    pub(crate) fn disable(&self, key: &str) {
        self.wait(self.client.disable_key().key_id(key).send()).unwrap();
    }

    fn enable(&self, key: &str) {
        self.wait(self.client.enable_key().key_id(key).send()).unwrap();
    }

    /// Makes `NAME.pem` and `NAME.pub`; false where there is no openssl.
    fn make_rsa_key(&self, name: &str) -> bool {
        let openssl = |line: &str| {
            let mut command = std::process::Command::new("openssl");
            let command = command.args(line.split(' ')).current_dir(&self.folder);
            command.output().is_ok_and(|output| output.status.success())
        };
        openssl(&format!("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out {name}.pem"))
            && openssl(&format!("pkey -in {name}.pem -pubout -out {name}.pub"))
    }

    pub(crate) fn private(&self, name: &str) -> [String; 2] {
        let path: PathBuf = self.at(&format!("{name}.pem"));
        ["--recovery-private-key".to_owned(), path.to_str().unwrap().to_owned()]
    }

    pub(crate) fn run_with(&self, arguments: &[&str], more: &[String]) -> Ended {
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        self.run(&[arguments, &more].concat())
    }
}

/// Whether there are RSA keys to test with; says so loudly if there are none.
pub(crate) fn has_keys(program: &Program) -> bool {
    let made = program.make_rsa_key("recovery") && program.make_rsa_key("stranger");
    if !made {
        skipped("recovery keys", "this system has no openssl");
    }
    made
}

#[test]
fn each_recipient_alone_opens_a_location() {
    let mut program = strongroom_peers::require!(Program::start());
    if !has_keys(&program) {
        return;
    }
    let tree = program.at("tree");
    make_rich_tree(&tree);
    let other = program.create_shared_location();
    let snapshot = program.archive(&tree);
    program.restored_equal(&snapshot, &tree);

    // The first key is refused: the second opens everything, by itself or in its stead.
    let first = program.key.clone();
    program.disable(&first);
    program.restored_equal(&snapshot, &tree);
    program.restored_equal_with(&snapshot, &tree, &["--key".to_owned(), other.clone()]);
    program.run(&["check", "--read-data"]).expect(0);
    // Nothing is written for less than all.
    std::fs::write(tree.join("more"), b"more of it").unwrap();
    program
        .run_with(&["archive", tree.to_str().unwrap()], &["--key".to_owned(), other.clone()])
        .expect(18);
    program.disable(&other);
    let refused = program.run(&["check"]).expect(18);
    assert!(refused.stderr.contains("is disabled"), "{}", refused.stderr);

    // No KMS at all is needed with the key that lay offline.
    program.enable(&first);
    program.enable(&other);
    let second = program.archive(&tree);
    program.kms.kill();
    for made in [&snapshot, &second] {
        program.run_with(&["check", "--read-data"], &program.private("recovery")).expect(0);
        let shown = program.run_with(&["ls", made], &program.private("recovery")).expect(0);
        assert!(!shown.stdout.is_empty());
    }
    program.restored_equal_with(&second, &tree, &program.private("recovery"));
    program.run_with(&["location", "show"], &program.private("recovery")).expect(0);

    std::fs::write(tree.join("most"), b"most of it").unwrap();
    let archive = ["archive", tree.to_str().unwrap()];
    let refused = program.run_with(&archive, &program.private("recovery")).expect(2);
    assert!(refused.stderr.contains("only reads"), "{}", refused.stderr);
    let refused = program.run_with(&["check"], &program.private("stranger")).expect(19);
    assert!(refused.stderr.contains("keys/0"), "{}", refused.stderr);
    figure("recipients: two CMKs and an offline RSA key, each alone opens all");
}

#[test]
fn a_host_that_joins_writes_for_every_recipient() {
    let mut program = strongroom_peers::require!(Program::start());
    if !has_keys(&program) {
        return;
    }
    let tree = program.at("tree");
    make_rich_tree(&tree);
    let other = program.create_shared_location();
    let shown = program.json(&["location", "show"]);
    let recipients = &shown["format"]["recipients"];
    assert_eq!(recipients["keys"], serde_json::json!([program.key, other]));
    assert_eq!(recipients["recovery"]["fingerprint"].as_str().unwrap().len(), 64);
    let policy = program.json(&["location", "policy", "writer"]).to_string();
    assert!(policy.contains("\"kms:Encrypt\""), "{policy}");

    // A key that is none of its recipients is not made one by whoever writes with it.
    let stranger = program.make_key();
    let refused =
        program.run_with(&["archive", "tree"], &["--key".to_owned(), stranger]).expect(19);
    assert!(refused.stderr.contains(&other), "{}", refused.stderr);

    // It knows the other key only.
    program.run(&["location", "remove", LOCATION]).expect(0);
    program.run(&["location", "add", "joined", &program.url("store"), "--key", &other]).expect(0);
    let snapshot = program.archive(&tree);
    program.disable(&other);
    let first = ["--key".to_owned(), program.key.clone()];
    program.restored_equal_with(&snapshot, &tree, &first);
    program.kms.kill();
    program.restored_equal_with(&snapshot, &tree, &program.private("recovery"));
}

#[test]
fn what_cannot_be_a_recipient_is_refused() {
    let program = strongroom_peers::require!(Program::start());
    if !has_keys(&program) {
        return;
    }
    let url = program.url("store");
    let create = ["location", "create", LOCATION, &url, "--key", ALIAS];
    let refused = |name: &str, value: &str, code: i32, said: &str| {
        let ended = program.run(&[&create[..], &[name, value]].concat()).expect(code);
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
        assert!(!program.at("store").join("format").exists());
    };
    let private = program.at("recovery.pem");
    refused("--recovery-public-key", private.to_str().unwrap(), 2, "pkey");
    refused("--recovery-public-key", "nothing-there", 21, "nothing-there");
    std::fs::write(program.at("no.pem"), "no key").unwrap();
    refused("--recovery-public-key", "no.pem", 18, "no.pem");
    refused("--also-key", "alias/none", 17, "alias/none");
    let disabled = program.make_key();
    program.disable(&disabled);
    refused("--also-key", &disabled, 18, "Disabled");
    program.create_location();
    let none = program.run_with(&["check"], &program.private("recovery")).expect(19);
    assert!(none.stderr.contains("without a recovery key"), "{}", none.stderr);
}
