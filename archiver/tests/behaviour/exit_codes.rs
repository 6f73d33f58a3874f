//! Bad input: each cause has its exit code, a sentence that names it, and a next step; nothing is
//! lost by it.

use std::fs;
use std::path::Path;

use crate::program::{ALIAS, LOCATION, Program};
use crate::support::{make_rich_tree, skipped};

/// An address that refuses connections: nobody listens on port 1.
const NOBODY: &str = "http://127.0.0.1:1";

#[test]
fn every_bad_input_has_its_code_and_sentence() {
    let program = strongroom_peers::require!(Program::start());
    make_rich_tree(&program.at("tree"));
    fs::create_dir(program.at("empty")).unwrap();
    program.create_location();
    let snapshot = program.archive(&program.at("tree"));
    let other_key = program.make_key();
    let (empty, missing, key) =
        (program.url("empty"), program.url("missing"), program.key.as_str());
    let tree = program.at("tree");
    let tree = tree.to_str().unwrap();
    let cases: &[(&[&str], i32, &str)] = &[
        (&["archive"], 2, "required"),
        (&["archive", tree, "--no-such-option"], 2, "--no-such-option"),
        (&["archive", tree, "--exclude", "a{b"], 2, "a{b"),
        (&["archive", tree, tree], 2, "both be called \"tree\""),
        (&["archive", "no/such/path"], 21, "no/such/path"),
        (&["restore", "latest", "/proc/no/such"], 21, "/proc/no/such"),
        (&["snapshots", "-l", "nowhere"], 10, "no location \"nowhere\""),
        (&["snapshots", "-l", &empty, "--key", key], 10, "not an archival location"),
        (&["snapshots", "-l", &missing, "--key", key], 15, "missing"),
        (&["snapshots", "-l", &empty], 2, "without a key"),
        (&["snapshots", "-l", "ftp://host/x", "--key", key], 2, "ftp://host/x"),
        (
            &["snapshots", "-l", "s3://bucket/x", "--key", key, "--endpoint", NOBODY],
            11,
            "s3://bucket/x",
        ),
        (&["snapshots", "--kms-endpoint", NOBODY], 16, "gave no answer"),
        (&["snapshots", "--key", "alias/nobody"], 17, "alias/nobody"),
        (&["snapshots", "--key", &other_key], 19, "keys/0"),
        (&["ls", "ffffffffffff"], 20, "no snapshot ffffffffffff"),
        (&["ls", "latest", "no/such"], 20, "no/such"),
        (&["ls", "latest", "../x"], 2, "../x"),
        (&["archive", tree, "--exclude-file", "no/such"], 21, "no/such"),
        (&["archive", tree, "--exclude-larger-than", "big"], 2, "no size"),
        (&["archive", tree, "--parent", "ffff"], 20, "no snapshot ffff"),
        (&["location", "remove", "nowhere"], 10, "no location \"nowhere\""),
        (&["cache", "clear", "nowhere"], 2, "hexadecimal"),
        (&["man", "nothing"], 2, "no command \"nothing\""),
        (&["location", "create", LOCATION, &empty, "--key", ALIAS], 2, "already"),
        (&["location", "create", "again", &program.url("store"), "--key", ALIAS], 2, "already"),
        (&["location", "create", "new", &empty, "--key", "alias/nobody"], 17, "alias/nobody"),
    ];
    for (arguments, code, part) in cases {
        let ended = program.run(arguments).expect(*code);
        assert!(ended.stderr.contains(part), "{arguments:?}: {}", ended.stderr);
        // Clap words its own complaints, which go on with the usage.
        let next = ended.stderr.contains("next: ") || ended.stderr.contains("Usage: ");
        assert!(next || ended.stderr.contains("--help"), "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.lines().count() <= 8, "{arguments:?}: {}", ended.stderr);
    }
    let json = program.run(&["snapshots", "-l", "nowhere", "--json"]).expect(10);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((&json["error"]["code"], &json["error"]["name"]), (&10.into(), &"location".into()));
    program.restored_equal(&snapshot, &program.at("tree"));
}

#[test]
fn a_key_that_is_denied_or_disabled_is_told_apart() {
    let program = strongroom_peers::require!(Program::start());
    make_rich_tree(&program.at("tree"));
    program.create_location();
    let snapshot = program.archive(&program.at("tree"));
    program.wait(program.client.disable_key().key_id(&program.key).send()).unwrap();
    let ended = program.run(&["snapshots"]).expect(18);
    assert!(ended.stderr.contains("is disabled") && ended.stderr.contains("enable the key"));
    let url = program.url("other");
    let ended = program.run(&["location", "create", "other", &url, "--key", ALIAS]).expect(18);
    assert!(ended.stderr.contains("Disabled"), "{}", ended.stderr);
    assert!(!program.at("other").exists(), "nothing was made for a key that cannot be used");
    program.wait(program.client.enable_key().key_id(&program.key).send()).unwrap();

    put_policy(
        &program,
        r#"{"Effect":"Deny","Principal":"*","Action":"kms:Decrypt","Resource":"*"}"#,
    );
    let ended = program.run(&["snapshots"]).expect(12);
    assert!(ended.stderr.contains("AccessDeniedException"), "{}", ended.stderr);
    assert!(ended.stderr.contains("kms:Decrypt in the key's policy"), "{}", ended.stderr);
    let tree = program.at("tree");
    program.run(&["archive", tree.to_str().unwrap()]).expect(12);
    put_policy(&program, "");
    program.restored_equal(&snapshot, &tree);
}

/// Sets the key's policy: all for the account, and `more`.
fn put_policy(program: &Program, more: &str) {
    let all = r#"{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}"#;
    let comma = if more.is_empty() { "" } else { "," };
    let policy = format!(r#"{{"Version":"2012-10-17","Statement":[{all}{comma}{more}]}}"#);
    let put = program.client.put_key_policy().key_id(&program.key).policy(policy);
    program.wait(put.bypass_policy_lockout_safety_check(true).send()).unwrap();
}

#[test]
fn a_truncated_object_is_named_and_the_rest_is_unharmed() {
    let program = strongroom_peers::require!(Program::start());
    let (one, two) = (program.at("one"), program.at("two"));
    for (path, text) in [(&one, "first"), (&two, "second")] {
        fs::create_dir(path).unwrap();
        fs::write(path.join("file"), &crate::support::pattern(300_000)[text.len()..]).unwrap();
    }
    program.create_location();
    let first = program.archive(&one);
    let before = packs(&program.at("store"));
    let second = program.archive(&two);
    let pack = packs(&program.at("store")).into_iter().find(|pack| !before.contains(pack)).unwrap();
    let path = program.at("store").join(&pack);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    for arguments in [["check"].as_slice(), &["check", "--read-data"]] {
        let ended = program.run(arguments).expect(13);
        assert!(
            ended.stdout.contains(&pack) && ended.stderr.contains("1 object is damaged"),
            "{ended:?}"
        );
    }
    let json = program.run(&["check", "--json"]).expect(13);
    let document = json.stdout.lines().next().unwrap();
    let document: serde_json::Value = serde_json::from_str(document).unwrap();
    assert_eq!(document["problems"][0]["object"], pack.as_str());
    fs::write(
        &path,
        [&whole[..whole.len() / 2], &[whole[whole.len() / 2] ^ 1], &whole[whole.len() / 2 + 1..]]
            .concat(),
    )
    .unwrap();
    let target = program.at("damaged");
    let ended = program.run(&["restore", &second, target.to_str().unwrap()]).expect(13);
    assert!(ended.stderr.contains("file"), "{}", ended.stderr);
    assert!(!target.join("file").exists(), "a damaged file was left under its name");
    program.restored_equal(&first, &one);
    fs::write(&path, whole).unwrap();
    program.restored_equal(&second, &two);
}

/// The keys of all data packs.
fn packs(store: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for group in fs::read_dir(store.join("d")).unwrap() {
        let group = group.unwrap().path();
        for pack in fs::read_dir(&group).unwrap() {
            let pack = pack.unwrap().path();
            found.push(pack.strip_prefix(store).unwrap().to_str().unwrap().to_owned());
        }
    }
    found
}

#[test]
fn an_entry_that_cannot_be_read_costs_only_itself() {
    let program = strongroom_peers::require!(Program::start());
    // The kernel refuses to read these even to root, and they claim to have content.
    let unreadable =
        ["/sys/bus/cpu/uevent", "/sys/bus/cpu/drivers_probe", "/sys/kernel/slab/kmalloc-64/shrink"];
    let unreadable = unreadable.iter().find(|path| {
        fs::metadata(path).is_ok_and(|stat| stat.len() > 0) && fs::read(path).is_err()
    });
    let Some(unreadable) = unreadable else {
        return skipped("an unreadable entry", "this system has no file that root cannot read");
    };
    let tree = program.at("tree");
    make_rich_tree(&tree);
    program.create_location();
    let arguments = ["archive", tree.to_str().unwrap(), unreadable, "--json"];
    let ended = program.run(&arguments).expect(3);
    let name = Path::new(unreadable).file_name().unwrap().to_str().unwrap();
    assert!(ended.stderr.contains(name), "{}", ended.stderr);
    let made: serde_json::Value =
        serde_json::from_str(ended.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&made["statistics"]["unreadable"], &made["troubles"][0]["path"]),
        (&1.into(), &name.into())
    );
    let target = program.at("restored");
    program.run(&["restore", "latest", target.to_str().unwrap()]).expect(0);
    let mut differences = 0;
    strongroom::fs::compare::compare(&tree, &target.join("tree"), None, |_| differences += 1)
        .unwrap();
    assert_eq!(differences, 0);
}
