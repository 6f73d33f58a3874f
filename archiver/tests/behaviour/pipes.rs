//! Archives of standard input and of a program's output.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use crate::program::{Ended, Program};
use crate::support::pattern;

#[test]
fn what_comes_through_a_pipe_is_archived_whole_or_not_at_all() {
    let program = strongroom_peers::require!(Program::start());
    program.create_location();
    let bytes = pattern(3_000_001);
    fs::write(program.at("dump"), &bytes).unwrap();
    let mut child = program
        .command(&["archive", "--stdin", "db.sql", "--tag", "pipe", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    for part in bytes.chunks(70_001) {
        input.write_all(part).unwrap();
    }
    drop(input);
    let ended = Ended::from(child.wait_with_output().unwrap()).expect(0);
    let made: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(made["statistics"]["bytes"], 3_000_001);
    assert_eq!(
        (&made["statistics"]["changed"], &made["troubles"]),
        (&0.into(), &serde_json::json!([]))
    );
    let first = made["snapshot"].as_str().unwrap();
    let cat = |file: &str| program.command(&["cat", file]).output().unwrap().stdout;
    assert!(cat(&format!("{first}:db.sql")) == bytes);
    let target = program.at("restored");
    program.run(&["restore", first, target.to_str().unwrap(), "--verify"]).expect(0);
    assert!(fs::read(target.join("db.sql")).unwrap() == bytes);

    // A program's output: the same bytes are stored already.
    let dump = program.at("dump");
    let dump = dump.to_str().unwrap();
    let made = program.json(&["archive", "--command", "--name", "again", "--", "cat", dump]);
    assert_eq!((&made["statistics"]["bytes_new"], &made["paths"][0]), (&0.into(), &"again".into()));
    assert!(cat("latest:again") == bytes);
    let empty = program.json(&["archive", "--command", "--", "true"]);
    assert_eq!((&empty["statistics"]["files"], &empty["paths"][0]), (&1.into(), &"true".into()));

    let before = program.json(&["snapshots"]);
    let script = format!("cat {dump}; exit 3");
    let failing = ["archive", "--command", "--", "sh", "-c", &script];
    let ended = program.run(&failing).expect(24);
    assert!(ended.stderr.contains("sh ended with exit status: 3"), "{}", ended.stderr);
    assert!(ended.stderr.contains("nothing was committed"), "{}", ended.stderr);
    let killed = ["archive", "--command", "--", "sh", "-c", "kill -9 $$"];
    assert!(program.run(&killed).expect(24).stderr.contains("signal: 9"));
    let missing = ["archive", "--command", "--", "/no/such/program"];
    assert!(program.run(&missing).expect(21).stderr.contains("/no/such/program"));
    for bad in ["a/b", "..", ""] {
        assert!(
            program.run(&["archive", "--stdin", bad]).expect(2).stderr.contains("no file name")
        );
    }
    program.run(&["archive", "--stdin", "x", "some/path"]).expect(2);
    program.run(&["archive", "--stdin", "x", "--dry-run"]).expect(2);
    program.run(&["archive", "--stdin", "x", "--gitignore"]).expect(2);
    assert_eq!(
        program.json(&["snapshots"])["snapshots"],
        before["snapshots"],
        "none was committed"
    );
    program.run(&["check", "--read-data"]).expect(0);
}
