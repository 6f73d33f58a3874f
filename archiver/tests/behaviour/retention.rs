//! `strongroom forget` through the binary: what it keeps, what it refuses.

use std::fs;

use crate::program::Program;
use crate::support::set_time;

const DAY: i64 = 86_400;

/// 2026-11-01, noon.
const NOON: i64 = 1_793_534_400;

/// A snapshot that the store took this many days ago, whatever its own clock says.
fn snapshot(program: &Program, host: &str, tags: &[&str], days_ago: i64) -> String {
    let tree = program.at("tree");
    fs::create_dir_all(&tree).unwrap();
    let mut arguments = vec!["archive", tree.to_str().unwrap(), "--host", host];
    tags.iter().for_each(|tag| arguments.extend(["--tag", tag]));
    let made = program.json(&arguments);
    let id = made["snapshot"].as_str().unwrap().to_owned();
    set_time(&program.at("store/s").join(&id), NOON - days_ago * DAY, 0);
    id
}

fn left(program: &Program) -> Vec<String> {
    let listed = program.json(&["snapshots"]);
    let ids = listed["snapshots"].as_array().unwrap().iter();
    let mut ids: Vec<String> =
        ids.map(|snapshot| snapshot["snapshot"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort();
    ids
}

#[test]
fn rules_keep_what_they_say_by_the_store_s_time() {
    let program = strongroom_peers::require!(Program::start());
    program.create_location();
    // Made in this order, stored in another.
    let old = snapshot(&program, "one", &[], 400);
    let tagged = snapshot(&program, "one", &["release"], 30);
    let latest = snapshot(&program, "one", &[], 0);
    let yesterday = snapshot(&program, "one", &[], 1);
    let last_week = snapshot(&program, "one", &[], 8);
    let other = snapshot(&program, "two", &[], 300);
    let all = left(&program);

    let rules = ["forget", "--keep-daily", "2", "--keep-tag", "release"];
    let planned = program.json(&[rules.as_slice(), &["--dry-run"]].concat());
    assert_eq!((&planned["forgotten"], &planned["kept"]), (&2.into(), &4.into()));
    assert_eq!(left(&program), all, "a dry run forgets nothing");
    let one = planned["groups"].as_array().unwrap().iter().find(|group| group["host"] == "one");
    let one = one.unwrap()["snapshots"].as_array().unwrap();
    let reasons = |id: &str| {
        let judged = one.iter().find(|judged| judged["snapshot"] == id).unwrap();
        judged["reasons"].to_string()
    };
    assert_eq!(
        (reasons(&latest), reasons(&yesterday)),
        ("[\"daily\"]".into(), "[\"daily\"]".into())
    );
    assert_eq!((reasons(&tagged), reasons(&old)), ("[\"tag release\"]".into(), "[]".into()));
    let text = program.run(&[rules.as_slice(), &["--dry-run"]].concat()).expect(0).stdout;
    assert!(
        text.contains("host one, paths ") && text.contains("would forget 2 snapshots, 4 kept"),
        "{text}"
    );
    let line = text.lines().find(|line| line.contains(&tagged)).unwrap();
    assert!(line.starts_with("  keep") && line.ends_with("tag release"), "{line}");

    program.run(&rules).expect(0);
    assert_eq!(
        left(&program),
        sorted(vec![latest.clone(), yesterday.clone(), tagged.clone(), other.clone()])
    );
    assert!(!all.iter().any(|id| id == &last_week && left(&program).contains(id)));
    program.run(&["check", "--read-data"]).expect(0);
    // Counted back from each group's own latest: the host that was off for long keeps its snapshot.
    program.run(&["forget", "--keep-within", "12h"]).expect(0);
    assert_eq!(left(&program), sorted(vec![latest.clone(), other.clone()]));
    program.run(&["forget", "--keep-last", "1", "--group-by", "none"]).expect(0);
    assert_eq!(left(&program), [latest]);
}

#[test]
fn nothing_is_forgotten_by_mistake() {
    let program = strongroom_peers::require!(Program::start());
    program.create_location();
    let one = snapshot(&program, "one", &["keep"], 1);
    let two = snapshot(&program, "two", &[], 0);
    let cases: &[(&[&str], i32, &str)] = &[
        (&["forget"], 2, "neither a snapshot"),
        (&["forget", "--keep-daily", "0"], 2, "neither a snapshot"),
        (&["forget", "--keep-tag", "keep"], 2, "no snapshot of host two"),
        (&["forget", &one, &two], 2, "no snapshot of the whole location"),
        (&["forget", "ffffffff"], 20, "no snapshot ffffffff"),
        (&["forget", ""], 20, "no snapshot"),
        (&["forget", &one, "--keep-last", "1"], 2, "cannot be used with"),
        (&["forget", "--keep-last", "many"], 2, "neither a number"),
        (&["forget", "--keep-within", "7"], 2, "no length of time"),
        (&["forget", "--keep-last", "1", "--group-by", "hosts"], 2, "no list of host"),
    ];
    for (arguments, code, part) in cases {
        let ended = program.run(arguments).expect(*code);
        assert!(ended.stderr.contains(part), "{arguments:?}: {}", ended.stderr);
    }
    assert_eq!(left(&program), sorted(vec![one.clone(), two.clone()]));
    let ended = program.run(&["forget", &two[..10]]).expect(0);
    assert!(ended.stdout.contains("forgot 1 snapshot, 1 kept"), "{}", ended.stdout);
    assert_eq!(left(&program), std::slice::from_ref(&one));
    // Neither is it found in the cache any more.
    let cached = program.at("home/.cache/strongroom");
    let kept = fs::read_dir(cached).unwrap().map(|entry| entry.unwrap().path().join("snapshots"));
    assert!(kept.into_iter().all(|folder| !folder.join(&two).exists()));
    program.run(&["forget", &one, "--allow-none-left"]).expect(0);
    assert_eq!(left(&program), [""; 0]);
}
