//! Locations that go, caches that go, what an archive leaves out; completions and the manual.

use std::fs;
use std::process::Command;

use crate::program::{LOCATION, Program};
use crate::support::{make_rich_tree, pattern};

#[test]
fn a_bench_measures_all_three_and_leaves_nothing_behind() {
    let program = strongroom_peers::require!(Program::start());
    program.create_location();
    let count = || {
        let ended = program.json(&["check"]);
        (ended["objects"].clone(), ended["bytes"].clone(), ended["foreign"].clone())
    };
    let before = count();
    let measured = program.json(&["bench"]);
    let figures = &measured["figures"];
    for (part, name) in [
        ("machine", "chunking"),
        ("machine", "hashing"),
        ("machine", "compression"),
        ("machine", "encryption"),
        ("store", "write"),
        ("store", "read"),
        ("kms", "data_keys"),
    ] {
        assert!(figures[part][name].as_u64().unwrap() > 0, "{part} {name}: {measured}");
    }
    for (part, name) in [
        ("store", "small_create"),
        ("store", "small_read"),
        ("kms", "data_key"),
        ("kms", "decrypt"),
    ] {
        let (median, most) = (&figures[part][name]["median_ms"], &figures[part][name]["p99_ms"]);
        assert!(median.as_f64().unwrap() > 0.0 && most.as_f64() >= median.as_f64(), "{measured}");
    }
    assert_eq!(count(), before);
    let table = program.run(&["bench"]).expect(0).stdout;
    assert_eq!(table.lines().count(), 11, "{table}");
}

#[test]
fn a_location_goes_only_as_far_as_was_typed() {
    let program = strongroom_peers::require!(Program::start());
    make_rich_tree(&program.at("tree"));
    program.create_location();
    program.archive(&program.at("tree"));
    let url = program.url("store");
    let reach = ["--key", &program.key];
    fs::write(program.at("store/somebody-else"), b"foreign").unwrap();
    for arguments in [
        ["location", "remove", LOCATION, "--data"].as_slice(),
        &["location", "remove", LOCATION, "--data", "--confirm", "another"],
        &["location", "remove", LOCATION, "--confirm", LOCATION],
    ] {
        let ended = program.run(arguments).expect(2);
        assert!(ended.stderr.contains("confirm") || ended.stderr.contains("--data"), "{ended:?}");
        assert!(program.at("store/format").exists());
        program.run(&["snapshots"]).expect(0);
    }
    let removed = program.json(&["location", "remove", LOCATION]);
    assert_eq!(
        (&removed["location"], &removed["data"]),
        (&LOCATION.into(), &serde_json::Value::Null)
    );
    assert!(program.json(&["location", "list"])["locations"].as_array().unwrap().is_empty());
    program.run(&[&["snapshots", "-l", &url], reach.as_slice()].concat()).expect(0);

    program.run(&[&["location", "add", LOCATION, &url], reach.as_slice()].concat()).expect(0);
    let ended =
        program.run(&["location", "remove", LOCATION, "--data", "--confirm", LOCATION]).expect(0);
    assert!(
        ended.stdout.contains("1 snapshot") && ended.stderr.contains("none of ours"),
        "{ended:?}"
    );
    let mut left = Vec::new();
    files_below(&program.at("store"), &mut left);
    assert_eq!(left, ["somebody-else"]);
    program.run(&[&["snapshots", "-l", &url], reach.as_slice()].concat()).expect(10);
    let cached = program.json(&["cache", "show"]);
    assert_eq!(cached["locations"], serde_json::json!([]), "its names are forgotten here too");
}

/// The names of all files below `folder`.
fn files_below(folder: &std::path::Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => files_below(&entry.path(), found),
            false => found.push(entry.file_name().into_string().unwrap()),
        }
    }
}

#[test]
fn a_cache_is_shown_and_cleared_and_comes_back() {
    let program = strongroom_peers::require!(Program::start());
    assert_eq!(program.json(&["cache", "show"])["locations"], serde_json::json!([]));
    make_rich_tree(&program.at("tree"));
    program.create_location();
    let snapshot = program.archive(&program.at("tree"));
    let id = program.json(&["location", "show"])["id"].clone();
    let shown = program.json(&["cache", "show"]);
    assert_eq!(shown["locations"][0]["id"], id);
    assert!(shown["locations"][0]["bytes"].as_u64().unwrap() > 100, "{shown}");
    let other = "00000000000000000000000000000000";
    assert_eq!(program.json(&["cache", "clear", other])["removed"], serde_json::json!([]));
    let cleared = program.json(&["cache", "clear", id.as_str().unwrap()]);
    assert_eq!(cleared["removed"], shown["locations"]);
    program.restored_equal(&snapshot, &program.at("tree"));
    program.run(&["snapshots"]).expect(0);
    assert_eq!(program.json(&["cache", "show"])["locations"][0]["id"], id);
    assert!(program.run(&["cache", "clear"]).expect(0).stdout.contains("1 location"));
}

#[test]
fn an_archive_leaves_out_what_it_is_told_to() {
    let program = strongroom_peers::require!(Program::start());
    let tree = program.at("tree");
    for (name, length) in [
        ("keep", 10),
        ("big", 5001),
        ("a.tmp", 1),
        ("b.tmp", 1),
        ("listed/x", 1),
        ("built/x", 1),
        ("cache/x", 1),
    ] {
        let path = tree.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, pattern(length)).unwrap();
    }
    fs::write(tree.join("cache/CACHEDIR.TAG"), "Signature: 8a477f597d28d172789f06886806bc55")
        .unwrap();
    fs::write(tree.join(".gitignore"), "/built/\n").unwrap();
    fs::write(program.at("patterns"), "# not these\n\n/listed/\n*.tmp\n").unwrap();
    program.create_location();
    let path = tree.to_str().unwrap();
    let patterns = program.at("patterns");
    let options = [
        "--exclude-file",
        patterns.to_str().unwrap(),
        "--exclude",
        "!b.tmp",
        "--exclude-caches",
        "--exclude-larger-than",
        "5kB",
        "--gitignore",
    ];
    let ended = program.run(&[&["archive", path, "-v"], options.as_slice()].concat()).expect(0);
    assert!(ended.stderr.contains("big"), "what is too large is named: {}", ended.stderr);
    let listed = program.json_lines(&["ls", "latest", "-R"]);
    let names: Vec<&str> =
        listed.iter().map(|document| document["path"].as_str().unwrap()).collect();
    assert_eq!(names, [".gitignore", "b.tmp", "cache", "keep", "cache/CACHEDIR.TAG"]);

    // Against a parent that was named: what it does not have is read, what it has is not.
    let first = program.json(&["snapshots"])["snapshots"][0]["snapshot"].clone();
    std::thread::sleep(std::time::Duration::from_millis(60));
    let second = program.json(&["archive", path]);
    let third = program.json(&["archive", path, "--parent", first.as_str().unwrap()]);
    assert_eq!((&second["parent"], &third["parent"]), (&first, &first));
    assert!(third["statistics"]["bytes_read"].as_u64().unwrap() >= 5001, "{third}");
    assert_eq!(program.json(&["archive", path])["statistics"]["bytes_read"], 0);
}

#[test]
fn shells_and_manuals_know_every_command() {
    let run = |arguments: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_strongroom")).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completions", shell]);
        assert!(script.contains("keep-weekly") && script.contains("quickstart"), "{shell}");
    }
    let page = run(&["man", "location", "create"]);
    assert!(
        page.contains(".TH") && page.contains("location create") && page.contains("zstd"),
        "{page}"
    );
    assert!(run(&["man"]).contains("Exit codes:"));
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    run(&["man", "--output-dir", pages.to_str().unwrap()]);
    for name in ["strongroom.1", "strongroom-forget.1", "strongroom-location-remove.1"] {
        assert!(pages.join(name).exists(), "{name}");
    }
}
