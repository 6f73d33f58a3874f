//! What `strongroom restore` does to a target that is not empty.

use std::fs;
use std::os::unix::fs::{FileExt as _, symlink};

use serde_json::Value;

use crate::program::Program;
use crate::support::{make_rich_tree, set_time};

#[test]
fn surplus_goes_where_it_was_asked_for_and_nothing_else() {
    let program = strongroom_peers::require!(Program::start());
    let tree = program.at("tree");
    make_rich_tree(&tree);
    program.create_location();
    let snapshot = program.archive(&tree);
    let outside = program.at("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("canary"), b"alive").unwrap();
    let target = program.at("target");
    let to = target.to_str().unwrap();
    program.run(&["restore", &snapshot, to]).expect(0);
    let spoil = || {
        fs::create_dir_all(target.join("more/deep")).unwrap();
        fs::write(target.join("more/deep/file"), b"surplus").unwrap();
        fs::write(target.join("dir/keep.log"), b"surplus").unwrap();
        let _ = fs::remove_file(target.join("more/out"));
        symlink(&outside, target.join("more/out")).unwrap();
        let _ = fs::remove_file(target.join("zero"));
    };
    spoil();
    let arguments = ["restore", &snapshot, to, "--overwrite", "if-changed", "--delete"];
    let rehearsed = program.json_lines(&[arguments.as_slice(), &["--dry-run"]].concat());
    let with = |action: &str| -> Vec<&str> {
        let all = rehearsed.iter().filter(|document| document["action"] == action);
        all.map(|document| document["path"].as_str().unwrap()).collect()
    };
    let surplus = ["more", "dir/keep.log", "more/deep", "more/out", "more/deep/file"];
    assert_eq!((with("create"), with("delete")), (vec!["zero"], surplus.to_vec()));
    assert_eq!(with("replace"), [""; 0]);
    assert!(target.join("more/deep/file").exists() && !target.join("zero").exists());

    // What is excluded is no surplus, and what it lies in stays with it.
    let excluding =
        [arguments.as_slice(), &["--exclude", "*.log", "--exclude", "deep/file"]].concat();
    program.run(&excluding).expect(0);
    assert!(target.join("dir/keep.log").exists() && !target.join("more/out").exists());
    spoil();
    let done = program.json(&arguments);
    assert_eq!((&done["restored"]["deleted"], &done["restored"]["files"]), (&5.into(), &1.into()));
    let mut differences = Vec::new();
    strongroom::fs::compare::compare(&tree, &target, None, |d| differences.push(d.to_string()))
        .unwrap();
    assert_eq!(differences, [""; 0], "attributes of the directories too");
    assert_eq!(fs::read(outside.join("canary")).unwrap(), b"alive");
    let ended = program.run(&["restore", &snapshot, "/", "--delete", "--dry-run"]).expect(2);
    assert!(ended.stderr.contains("nothing was done"), "{}", ended.stderr);

    // Where something could not be restored, nothing is deleted.
    fs::remove_dir(target.join("empty")).unwrap();
    fs::remove_file(target.join("file")).unwrap();
    fs::create_dir_all(target.join("file/full")).unwrap();
    let always = ["restore", &snapshot, to, "--overwrite", "always", "--delete"];
    let ended = program.run(&always).expect(3);
    assert!(ended.stderr.contains("nothing was deleted"), "{}", ended.stderr);
    assert!(target.join("file/full").is_dir() && target.join("empty").is_dir());
}

#[test]
fn names_that_exist_are_treated_as_the_option_says() {
    let program = strongroom_peers::require!(Program::start());
    let tree = program.at("tree");
    fs::create_dir(&tree).unwrap();
    for name in ["same", "older", "newer"] {
        fs::write(tree.join(name), b"archived").unwrap();
        set_time(&tree.join(name), 1_000_000, 5);
    }
    program.create_location();
    let snapshot = program.archive(&tree);
    for (when, older, newer, kept) in [
        ("never", "changed!", "changed!", 3),
        ("if-newer", "archived", "changed!", 2),
        ("if-changed", "archived", "archived", 1),
        ("always", "archived", "archived", 0),
    ] {
        let target = program.at(when);
        fs::create_dir(&target).unwrap();
        fs::write(target.join("same"), b"archived").unwrap();
        set_time(&target.join("same"), 1_000_000, 5);
        for (name, time) in [("older", 999_999), ("newer", 1_000_001)] {
            fs::write(target.join(name), b"changed!").unwrap();
            set_time(&target.join(name), time, 5);
        }
        let to = target.to_str().unwrap();
        let arguments = ["restore", &snapshot, to, "--overwrite", when];
        let rehearsed = program.json_lines(&[arguments.as_slice(), &["--dry-run"]].concat());
        assert_eq!(rehearsed.last().unwrap()["counts"]["keep"], kept, "{when}");
        let code = if when == "never" { 3 } else { 0 };
        let ended = program.run(&[arguments.as_slice(), &["--json"]].concat()).expect(code);
        let document: Value = serde_json::from_str(ended.stdout.lines().next().unwrap()).unwrap();
        assert_eq!(document["restored"]["kept"], kept, "{when}");
        let held = |name: &str| fs::read_to_string(target.join(name)).unwrap();
        assert_eq!((held("older").as_str(), held("newer").as_str()), (older, newer), "{when}");
    }
    program.run(&["restore", &snapshot, "x", "--overwrite", "sometimes"]).expect(2);
}

#[test]
fn files_that_were_left_alone_are_verified_too() {
    let program = strongroom_peers::require!(Program::start());
    let tree = program.at("tree");
    make_rich_tree(&tree);
    program.create_location();
    let snapshot = program.archive(&tree);
    let target = program.at("target");
    let to = target.to_str().unwrap();
    let done = program.json(&["restore", &snapshot, to, "--verify"]);
    let files = done["restored"]["verified"].as_u64().unwrap();
    assert!(files >= 6 && done["restored"]["different"] == 0, "{done}");
    // One bit of content, one of a hole; sizes and times as they were.
    for (name, at) in [("dir/large", 2_000_000), ("sparse", 7 << 20)] {
        let path = target.join(name);
        let times = fs::metadata(&path).unwrap().modified().unwrap();
        let file = fs::File::options().read(true).write(true).open(&path).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 1], at).unwrap();
        file.set_modified(times).unwrap();
    }
    let again = ["restore", &snapshot, to, "--overwrite", "if-changed", "--verify"];
    program.run(&again[..5]).expect(0);
    let ended = program.run(&again).expect(13);
    assert!(
        ended.stderr.contains("dir/large") && ended.stderr.contains("sparse"),
        "{}",
        ended.stderr
    );
    assert!(
        ended.stderr.contains("2 of the restored files are not what was archived"),
        "{}",
        ended.stderr
    );
    let mend = ["restore", &snapshot, to, "--overwrite", "always", "--verify"];
    program.run(&mend).expect(0);
}
