//! Nothing is overwritten silently, and nothing half done stands under a name.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::tool::{Ran, Tool};
use crate::support::pattern;

#[test]
fn a_file_that_exists_is_replaced_only_when_that_is_wanted() {
    let tool = Tool::new();
    tool.write("plain", "new");
    tool.write("sealed", "old");
    let encrypt = |more: &[&str]| {
        tool.with_key("encrypt", &[&["-i", "plain", "-o", "sealed"][..], more].concat())
    };
    encrypt(&[]).expect_saying(23, "sealed exists already");
    assert_eq!(tool.read("sealed"), b"old");
    encrypt(&["--no-overwrite"]).expect_saying(0, "left sealed as it is");
    assert_eq!(tool.read("sealed"), b"old");
    encrypt(&["--no-overwrite", "--overwrite"]).expect(2);
    encrypt(&["--overwrite"]).expect(0);
    assert_ne!(tool.read("sealed"), b"old");
}

#[test]
fn who_is_asked_decides() {
    let tool = Tool::new();
    tool.write("plain", "new");
    for (answer, replaced) in [("n\n", false), ("", false), ("y\n", true), ("Yes\n", true)] {
        tool.write("sealed", "old");
        let key = ["-w", "provider=raw-aes", "namespace=lab", "key=one", "file=one.key"];
        let arguments = ["encrypt", "-i", "plain", "-o", "sealed", "--interactive"];
        let ran = tool.feed(&[&arguments[..], &key].concat(), answer.as_bytes()).expect(0);
        assert!(ran.stderr.contains("Replace the existing file sealed?"), "{}", ran.stderr);
        assert_eq!(tool.read("sealed") != b"old", replaced, "{answer:?}");
    }
}

#[test]
fn of_several_files_those_that_exist_are_named_and_the_others_done() {
    let tool = Tool::new();
    for name in ["in/a", "in/b", "out/a.encrypted"] {
        tool.write(name, name);
    }
    let encrypt = |more: &[&str]| {
        tool.with_key("encrypt", &[&["-i", "in", "-o", "out", "-r"][..], more].concat())
    };
    let ran = encrypt(&[]).expect_saying(3, "out/a.encrypted exists already");
    assert!(ran.stderr.contains("1 of 2 files"), "{}", ran.stderr);
    assert_eq!(tool.names("out"), ["a.encrypted", "b.encrypted"]);
    assert_eq!(tool.read("out/a.encrypted"), b"out/a.encrypted");
    encrypt(&["--no-overwrite"]).expect_saying(0, "left out/b.encrypted as it is");
}

#[test]
fn a_damaged_message_leaves_no_file_and_a_held_back_pipe_empty() {
    let tool = Tool::new();
    tool.write("plain", pattern(100_000));
    tool.with_key("encrypt", &["-i", "plain", "-o", "sealed"]).expect(0);
    let whole = tool.read("sealed");
    for at in [whole.len() / 2, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        tool.write("damaged", &damaged);
        tool.with_key("decrypt", &["-i", "damaged", "-o", "opened"]).expect_saying(13, "damaged");
        let held = tool.pipe("decrypt", &["--buffer"], &damaged).expect(13);
        assert_eq!(held.stdout.len(), 0);
        let released = tool.pipe("decrypt", &[], &damaged).expect(13).stdout;
        assert!(pattern(100_000).starts_with(&released) && released.len() < 100_000);
    }
    tool.write("damaged", &whole[..whole.len() - 1]);
    tool.with_key("decrypt", &["-i", "damaged", "-o", "opened"]).expect(13);
    assert_eq!(tool.names("."), ["damaged", "one.key", "plain", "sealed"]);
}

#[test]
fn a_full_disk_leaves_nothing() {
    let tool = Tool::new();
    tool.write("plain", pattern(600_000));
    // The limit on the size of a file acts as a disk that is full; its signal is ignored.
    let script = "trap '' XFSZ; ulimit -f 100; exec \"$@\"";
    let key = ["-w", "provider=raw-aes", "namespace=lab", "key=one", "file=one.key"];
    let ended = Command::new("bash")
        .args(["-c", script, "-", env!("CARGO_BIN_EXE_strongroom"), "encrypt"])
        .args(["-i", "plain", "-o", "sealed"])
        .args(key)
        .current_dir(&tool.folder)
        .output()
        .unwrap();
    Ran::from(ended).expect_saying(1, "cannot write sealed: File too large");
    assert_eq!(tool.names("."), ["one.key", "plain"]);
}

#[test]
fn an_interrupted_run_leaves_nothing_and_a_killed_one_nothing_under_the_name() {
    let tool = Tool::new();
    for (signal, code) in [("INT", Some(130)), ("TERM", Some(130)), ("KILL", None)] {
        let key = ["-w", "provider=raw-aes", "namespace=lab", "key=one", "file=one.key"];
        let arguments = [&["encrypt", "-i", "-", "-o", "sealed"][..], &key].concat();
        let mut child = tool.command(&arguments).stdin(Stdio::piped()).spawn().unwrap();
        let mut to = child.stdin.take().unwrap();
        to.write_all(&pattern(2_000_000)).unwrap();
        let begun = Instant::now();
        while tool.names(".").len() < 2 {
            assert!(begun.elapsed() < Duration::from_secs(60), "nothing was begun");
            std::thread::sleep(Duration::from_millis(5));
        }
        let id = rustix::process::Pid::from_child(&child);
        let signal = match signal {
            "INT" => rustix::process::Signal::INT,
            "TERM" => rustix::process::Signal::TERM,
            _ => rustix::process::Signal::KILL,
        };
        rustix::process::kill_process(id, signal).unwrap();
        // The signal takes effect before the next piece: which may be the last one.
        std::thread::sleep(Duration::from_millis(300));
        let _ = to.write_all(&pattern(100_000));
        drop(to);
        assert_eq!(child.wait().unwrap().code(), code);
        assert!(!tool.at("sealed").exists());
        if code.is_some() {
            assert_eq!(tool.names("."), ["one.key"]);
        }
    }
}
