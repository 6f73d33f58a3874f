//! Wrapping keys: raw ones in files, and keys of a real KMS.

use std::sync::Arc;

use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use strongroom_sdk::EncryptionContext;
use strongroom_sdk::clock::SystemClock;
use strongroom_sdk::crypto::default_provider;
use strongroom_sdk::key_store::object::ObjectKeyStore;
use strongroom_sdk::key_store::{BranchKeyId, BranchKeyWrapping, KmsConfiguration};
use strongroom_sdk::kms::arn::KmsArn;
use strongroom_sdk::kms::aws::AwsKmsClient;

use super::tool::{Ran, Tool};
use crate::program::{ALIAS, Program};
use crate::support::skipped;

/// Runs the binary in the program's folder.
fn run(program: &Program, arguments: &[&str]) -> Ran {
    program.command(arguments).output().unwrap().into()
}

#[test]
fn any_of_several_raw_keys_opens_a_message_and_no_other() {
    let tool = Tool::new();
    tool.write("short.key", [2; 16]);
    tool.write("bad.key", [2; 33]);
    let short = ["-w", "provider=raw-aes", "namespace=lab", "key=two", "file=short.key"];
    let sealed = tool.pipe("encrypt", &short, b"text").expect(0).stdout;
    let only =
        |key: &[&str]| tool.feed(&[&["decrypt", "-i", "-", "-o", "-"][..], key].concat(), &sealed);
    assert_eq!(only(&short).expect(0).stdout, b"text");
    assert_eq!(tool.pipe("decrypt", &[], &sealed).expect(0).stdout, b"text");
    let other = ["-w", "provider=raw-aes", "namespace=lab", "key=three", "file=short.key"];
    only(&other).expect_saying(19, "could be opened");
    let bad = ["-w", "provider=raw-aes", "namespace=lab", "key=two", "file=bad.key"];
    only(&bad).expect_saying(2, "16, 24 or 32 bytes");
    let none = ["-w", "provider=raw-aes", "namespace=lab", "key=two", "file=none.key"];
    only(&none).expect_saying(21, "none.key");
    only(&["-w", "provider=pgp", "key=two"]).expect_saying(2, "\"pgp\"");
}

#[test]
fn a_public_rsa_key_writes_what_its_private_half_reads() {
    let tool = Tool::new();
    if !make_rsa_keys(&tool) {
        return skipped("RSA keys", "this system has no openssl");
    }
    let rsa = ["-w", "provider=raw-rsa", "namespace=vault", "key=offline"];
    let with = |mode: &str, file: &str, more: &[&str], input: &[u8]| {
        let file = format!("file={file}");
        let arguments = [&[mode, "-i", "-", "-o", "-"][..], &rsa, &[&file], more].concat();
        tool.feed(&arguments, input)
    };
    let sealed = with("encrypt", "public.pem", &[], b"text").expect(0).stdout;
    assert_eq!(with("decrypt", "private.pem", &[], &sealed).expect(0).stdout, b"text");
    with("decrypt", "private.pem", &["padding=oaep-sha1"], &sealed).expect(19);
    with("decrypt", "public.pem", &[], &sealed).expect_saying(2, "private key");
    with("encrypt", "one.key", &[], b"text").expect_saying(2, "public key");
    // A key that is used every day, and one that lies in a safe.
    let both = [&rsa[..], &["file=public.pem"]].concat();
    let sealed = tool.pipe("encrypt", &both, b"text").expect(0).stdout;
    assert_eq!(with("decrypt", "private.pem", &[], &sealed).expect(0).stdout, b"text");
    assert_eq!(tool.pipe("decrypt", &[], &sealed).expect(0).stdout, b"text");
}

/// Makes `private.pem` and `public.pem`; false where there is no openssl.
fn make_rsa_keys(tool: &Tool) -> bool {
    openssl(tool, "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out private.pem")
        && openssl(tool, "pkey -in private.pem -pubout -out public.pem")
}

/// Runs openssl in the tool's folder; false when it fails, or where there is none.
fn openssl(tool: &Tool, arguments: &str) -> bool {
    let mut command = std::process::Command::new("openssl");
    let ended = command.args(arguments.split(' ')).current_dir(&tool.folder).output();
    ended.is_ok_and(|ended| ended.status.success())
}

#[test]
fn two_sides_agree_on_a_key_and_each_reads_what_the_other_wrote() {
    let tool = Tool::new();
    if !(make_ec_keys(&tool, "ann", "P-384") && make_ec_keys(&tool, "bob", "P-384")) {
        return skipped("elliptic-curve keys", "this system has no openssl");
    }
    make_ec_keys(&tool, "eve", "P-256");
    let with = |mode: &str, keys: &[&str], input: &[u8]| {
        let arguments = [mode, "-i", "-", "-o", "-", "-w", "provider=raw-ecdh"];
        tool.feed(&[&arguments[..], keys].concat(), input)
    };
    let (ann, bob) = (
        ["private=ann.private.pem", "public=bob.public.pem"],
        ["private=bob.private.pem", "public=ann.public.pem"],
    );
    let between = with("encrypt", &ann, b"text").expect(0).stdout;
    for keys in [&ann[..], &bob, &bob[..1]] {
        assert_eq!(with("decrypt", keys, &between).expect(0).stdout, b"text", "{keys:?}");
    }
    // From somebody with a key for this message only: Bob can tell that it was not Ann.
    let anybody = with("encrypt", &["public=bob.public.pem"], b"text").expect(0).stdout;
    assert_eq!(with("decrypt", &bob[..1], &anybody).expect(0).stdout, b"text");
    with("decrypt", &bob, &anybody).expect_saying(19, "not a key of this keyring");
    with("decrypt", &["private=eve.private.pem"], &anybody).expect(19);

    with("encrypt", &["private=ann.private.pem"], b"").expect_saying(2, "needs public=");
    with("decrypt", &["public=ann.public.pem"], &between).expect_saying(2, "needs private=");
    let mixed = ["private=ann.private.pem", "public=eve.public.pem"];
    with("encrypt", &mixed, b"").expect_saying(2, "it is on P-256");
    with("encrypt", &["public=one.key"], b"").expect_saying(2, "a public key in");
    with("encrypt", &["public=none.pem"], b"").expect_saying(21, "none.pem");
}

/// Makes `NAME.private.pem` and `NAME.public.pem`; false where there is no openssl.
fn make_ec_keys(tool: &Tool, name: &str, curve: &str) -> bool {
    let make =
        format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:{curve} -out {name}.private.pem");
    let publish = format!("pkey -in {name}.private.pem -pubout -out {name}.public.pem");
    openssl(tool, &make) && openssl(tool, &publish)
}

#[test]
fn a_branch_key_of_a_store_wraps_and_unwraps() {
    let program = strongroom_peers::require!(Program::start());
    std::fs::create_dir(program.at("keys")).unwrap();
    std::fs::write(program.at("plain"), "text").unwrap();
    make_branch_key(&program, "tenant");
    make_branch_key(&program, "other");
    let (store, key) = (format!("store={}", program.url("keys")), format!("key={}", program.key));
    let with = |mode: &str, files: [&str; 2], branch_key: &str, more: &[&str]| {
        let [input, output] = files;
        let branch_key = format!("branch-key={branch_key}");
        let named = ["-w", "provider=aws-kms-hierarchy", &branch_key, &store, "store-name=tests"];
        run(&program, &[&[mode, "-i", input, "-o", output][..], &named, more].concat())
    };
    with("encrypt", ["plain", "sealed"], "tenant", &[&key]).expect(0);
    // By the KMS key that was named, and by the one that the store names.
    for more in [&[key.as_str()][..], &[]] {
        assert_eq!(with("decrypt", ["sealed", "-"], "tenant", more).expect(0).stdout, b"text");
    }
    with("decrypt", ["sealed", "-"], "other", &[]).expect_saying(19, "not a key of this keyring");
    with("encrypt", ["plain", "x"], "none", &[&key]).expect_saying(17, "branch key none");
    with("encrypt", ["plain", "x"], "tenant", &[]).expect_saying(2, "needs key=");
    let another = format!("key={}", program.make_key());
    with("encrypt", ["plain", "x"], "tenant", &[&another]).expect_saying(19, "may not use");
    // The name of the store is bound to its branch keys.
    let renamed = ["store-name=other", &key];
    let arguments = ["encrypt", "-i", "plain", "-o", "x", "-w", "provider=aws-kms-hierarchy"];
    let arguments = [&arguments[..], &["branch-key=tenant", &store], &renamed].concat();
    assert_ne!(run(&program, &arguments).code, 0);
}

/// Makes the branch key `id` in the folder `keys`, whose store has the name `tests`.
fn make_branch_key(program: &Program, id: &str) {
    let objects = LocalFileSystem::new_with_prefix(program.at("keys")).unwrap();
    let client = Arc::new(AwsKmsClient::new(program.client.clone()));
    let configuration = KmsConfiguration::Key(KmsArn::parse_key(&program.key).unwrap());
    let wrapping = BranchKeyWrapping::new(client, configuration, "tests").unwrap();
    let clock = Arc::new(SystemClock::default());
    let (root, provider) = (ObjectPath::default(), default_provider());
    let store = ObjectKeyStore::new(Arc::new(objects), root, wrapping, clock, provider);
    let context = EncryptionContext::from_pairs([("department", "accounts")]).unwrap();
    program.wait(store.create(Some(BranchKeyId::new(id).unwrap()), &context)).unwrap();
}

#[test]
fn discovery_asks_for_the_keys_that_a_message_names_within_the_filter() {
    let program = strongroom_peers::require!(Program::start());
    std::fs::write(program.at("plain"), "text").unwrap();
    let key = format!("key={}", program.key);
    run(&program, &["encrypt", "-i", "plain", "-o", "sealed", "-w", &key]).expect(0);
    let account = program.key.split(':').nth(4).unwrap();
    let (ours, other) =
        (format!("discovery-account={account}"), "discovery-account=999999999999".to_owned());
    let discover = |more: &[&str]| {
        let arguments = ["decrypt", "-i", "sealed", "-o", "-", "-w", "discovery=true"];
        run(&program, &[&arguments[..], more].concat())
    };
    let region = format!("region={}", strongroom_peers::identity::REGION);
    for more in [&[][..], &["discovery-partition=aws", &other, &ours], &[&region]] {
        assert_eq!(discover(more).expect(0).stdout, b"text", "{more:?}");
    }
    discover(&["discovery-partition=aws", &other]).expect_saying(19, "could be opened");
    discover(&["region=us-gov-west-1"]).expect(19);
    let encrypt = ["encrypt", "-i", "plain", "-o", "x", "-w", "discovery=true"];
    run(&program, &encrypt).expect_saying(2, "only decrypts");
}

#[test]
fn keys_of_a_kms_wrap_and_unwrap() {
    let program = strongroom_peers::require!(Program::start());
    let (first, second) = (program.key.clone(), program.make_key());
    std::fs::write(program.at("plain"), "text").unwrap();
    let (by_alias, by_second) = (format!("key={ALIAS}"), format!("key={second}"));
    let encrypt = ["encrypt", "-i", "plain", "-o", "sealed", "-w", &by_alias, &by_second];
    run(&program, &encrypt).expect(0);
    let decrypt = |key: &str| {
        run(&program, &["decrypt", "-i", "sealed", "-o", "-", "-w", &format!("key={key}")])
    };
    // By the first key's ARN and alias, and by the second one.
    for key in [first.as_str(), ALIAS, &second] {
        assert_eq!(decrypt(key).expect(0).stdout, b"text", "{key}");
    }
    decrypt(&program.make_key()).expect_saying(19, "could be opened");
    decrypt("alias/none").expect_saying(17, "alias/none");
    program.wait(program.client.disable_key().key_id(&second).send()).unwrap();
    decrypt(&second).expect_saying(18, &second);
    assert_eq!(decrypt(&first).expect(0).stdout, b"text");
    run(&program, &[&encrypt[..], &["--overwrite"]].concat()).expect_saying(18, &second);
    let nobody = ["--overwrite", "--kms-endpoint", "http://127.0.0.1:1"];
    run(&program, &[&encrypt[..], &nobody].concat()).expect_saying(16, "gave no answer");
}
