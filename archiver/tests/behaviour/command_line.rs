//! What the commands do, through the real binary and a real KMS.

use std::fs;
use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::program::{ALIAS, LOCATION, Program};
use crate::support::{make_rich_tree, pattern, skipped};

#[test]
fn the_whole_job_from_location_to_compared_restore() {
    let program = strongroom_peers::require!(Program::start());
    let tree = program.at("tree");
    make_rich_tree(&tree);
    let url = program.url("store");
    let created = program.json(&["location", "create", LOCATION, &url, "--key", ALIAS]);
    assert_eq!((&created["version"], &created["key"]), (&1.into(), &program.key.clone().into()));
    assert_eq!(program.json(&["location", "list"])["locations"][0]["name"], LOCATION);
    assert_eq!(program.json(&["location", "show"])["key_origin"], "AWS_KMS");
    program.run(&["location", "check"]).expect(0);

    let path = tree.to_str().unwrap();
    let first = program.json(&["archive", path, "--tag", "one", "--host", "here"]);
    let second = program.json(&["archive", path, "--tag", "two", "--host", "here"]);
    let stored = |made: &serde_json::Value| made["statistics"]["bytes_stored"].as_u64().unwrap();
    assert!(stored(&second) * 100 < stored(&first), "{first} then {second}");
    assert_eq!(second["parent"], first["snapshot"]);

    let listed = program.json(&["snapshots", "--tag", "two"]);
    assert_eq!(listed["snapshots"][0]["snapshot"], second["snapshot"]);
    assert_eq!(listed["snapshots"].as_array().unwrap().len(), 1);

    let snapshot = first["snapshot"].as_str().unwrap();
    program.restored_equal(snapshot, &tree);
    program.restored_equal(&snapshot[..12], &tree);
    let checked = program.json(&["check", "--read-data"]);
    assert_eq!(
        (&checked["snapshots"], checked["problems"].as_array().map(Vec::len)),
        (&2.into(), Some(0))
    );
}

#[test]
fn a_listing_shows_one_directory_or_all_below_it() {
    let program = strongroom_peers::require!(Program::start());
    let tree = program.at("tree");
    make_rich_tree(&tree);
    program.create_location();
    program.archive(&tree);
    let paths = |arguments: &[&str]| -> Vec<String> {
        let ended = program.run(&[arguments, &["--json"]].concat()).expect(0);
        let path = |line: &str| {
            let document: serde_json::Value = serde_json::from_str(line).unwrap();
            document["path"].as_str().unwrap().to_owned()
        };
        ended.stdout.lines().map(path).collect()
    };
    assert_eq!(paths(&["ls", "latest", "dir"]), ["dir/dangling", "dir/large", "dir/sub"]);
    let below = paths(&["ls", "latest", "dir", "--recursive"]);
    assert_eq!(below[3..], ["dir/sub/deep", "dir/sub/other name of file"]);
    assert_eq!(paths(&["ls", "latest", "zero"]), ["zero"]);
    let top = paths(&["ls", "latest"]);
    assert!(top.contains(&"link".to_owned()) && !top.iter().any(|path| path.contains('/')));
    let text = program.run(&["ls", "latest"]).expect(0).stdout;
    assert!(text.contains("link -> file") && !text.contains("name\n\n"), "{text}");
}

#[test]
fn a_part_is_restored_with_the_directories_above_it() {
    let program = strongroom_peers::require!(Program::start());
    let tree = program.at("tree");
    make_rich_tree(&tree);
    program.create_location();
    program.archive(&tree);
    let to = program.at("part");
    let arguments =
        ["restore", "latest", to.to_str().unwrap(), "--include", "deep", "--include", "/zero"];
    program.run(&arguments).expect(0);
    let names = |path: &str| {
        let mut names: Vec<_> = fs::read_dir(to.join(path))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(
        (names(""), names("dir"), names("dir/sub")),
        (
            vec!["dir".to_owned(), "zero".to_owned()],
            vec!["sub".to_owned()],
            vec!["deep".to_owned()],
        )
    );
    let time = |path: &std::path::Path| fs::metadata(path.join("dir")).unwrap().modified().unwrap();
    assert_eq!(time(&to), time(&tree));
}

#[test]
fn what_is_excluded_is_not_archived_nor_is_the_archive_itself() {
    let program = strongroom_peers::require!(Program::start());
    let tree = program.at("tree");
    make_rich_tree(&tree);
    let url = format!("file://{}/inside", tree.display());
    program.run(&["location", "create", LOCATION, &url, "--key", ALIAS]).expect(0);
    let path = tree.to_str().unwrap();
    let dry = program.json(&["archive", path, "--exclude", "sub/", "--dry-run"]);
    assert_eq!(dry["dry_run"], true);
    program.run(&["archive", path, "--exclude", "sub/"]).expect(0);
    let listed = program.run(&["ls", "latest", "-R"]).expect(0).stdout;
    assert!(listed.contains("dir/large") && !listed.contains("sub") && !listed.contains("inside"));
}

#[test]
fn a_quickstart_does_the_whole_job_and_leaves_nothing() {
    let program = strongroom_peers::require!(Program::start());
    let (tree, work) = (program.at("tree"), program.at("work"));
    make_rich_tree(&tree);
    fs::create_dir(&work).unwrap();
    let (tree, folder) = (tree.to_str().unwrap(), work.to_str().unwrap());
    let ended = program.run(&["quickstart", tree, "--work", folder]).expect(0);
    assert!(ended.stdout.contains("0 differences"), "{}", ended.stdout);
    let document = program.json(&["quickstart", tree, "--work", folder]);
    assert_eq!(document["compared"]["differences"], 0);
    assert!(document["compared"]["entries"].as_u64().unwrap() >= 13);
    assert_eq!(fs::read_dir(&work).unwrap().count(), 0);
}

#[test]
fn an_interrupted_run_stops_cleanly_and_the_next_one_completes() {
    let program = strongroom_peers::require!(Program::start());
    let tree = program.at("tree");
    fs::create_dir(&tree).unwrap();
    for number in 0..60 {
        fs::write(tree.join(number.to_string()), pattern(4_000_000 + number)).unwrap();
    }
    program.create_location();
    let mut child = program
        .command(&["archive", tree.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Interrupted when it has begun to store.
    let begun = Instant::now();
    while fs::read_dir(program.at("store")).unwrap().count() < 4 {
        assert!(begun.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(5));
    }
    interrupt(&child);
    let status = child.wait().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    if status.success() {
        skipped("the interrupt", "the archive was complete before it arrived");
    } else {
        assert_eq!((status.code(), status.signal()), (Some(130), None), "{said}");
        assert!(said.contains("nothing was committed"), "{said}");
        assert_eq!(program.json(&["snapshots"])["snapshots"].as_array().map(Vec::len), Some(0));
    }
    let snapshot = program.archive(&tree);
    program.restored_equal(&snapshot, &tree);
}

fn interrupt(child: &std::process::Child) {
    let id = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
}

#[test]
fn a_reader_that_goes_away_causes_no_panic() {
    let program = strongroom_peers::require!(Program::start());
    let tree = program.at("tree");
    fs::create_dir(&tree).unwrap();
    for number in 0..3000 {
        fs::write(tree.join(format!("{number:0100}")), b"").unwrap();
    }
    program.create_location();
    program.archive(&tree);
    let mut listing = program
        .command(&["ls", "latest"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(listing.stdout.take());
    let ended = listing.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(141));
    assert_eq!(String::from_utf8(ended.stderr).unwrap(), "");
}

#[test]
fn help_has_examples_and_codes() {
    let help = |arguments: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_strongroom")).args(arguments).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(help(&["--help"]).contains("Exit codes:"));
    let commands = [
        "archive",
        "cat",
        "check",
        "completions",
        "diff",
        "find",
        "forget",
        "ls",
        "man",
        "quickstart",
        "restore",
        "snapshots",
        "stats",
    ];
    let nested = [
        ["location", "create"],
        ["location", "add"],
        ["location", "list"],
        ["location", "show"],
        ["location", "check"],
        ["location", "policy"],
        ["location", "remove"],
        ["cache", "show"],
        ["cache", "clear"],
    ];
    let all =
        commands.iter().map(|name| vec![*name]).chain(nested.iter().map(|names| names.to_vec()));
    for mut command in all {
        let example = format!("strongroom {}", command.join(" "));
        command.push("--help");
        let text = help(&command);
        let examples =
            text.split("Example").nth(1).unwrap_or_else(|| panic!("{command:?}: {text}"));
        assert!(examples.contains(&example), "{command:?}: {text}");
    }
}
