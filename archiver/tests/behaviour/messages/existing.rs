//! Nothing is overwritten silently, and nothing half done stands under a name.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::tool::{KEY, Ran, Tool};
use crate::support::{pattern, skipped};

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
    let ended = Command::new("bash")
        .args(["-c", script, "-", env!("CARGO_BIN_EXE_strongroom"), "encrypt"])
        .args(["-i", "plain", "-o", "sealed"])
        .args(KEY)
        .current_dir(&tool.folder)
        .output()
        .unwrap();
    Ran::from(ended).expect_saying(1, "cannot write sealed: File too large");
    assert_eq!(tool.names("."), ["one.key", "plain"]);
}

#[test]
fn an_interrupted_run_leaves_nothing_and_a_killed_one_neither() {
    use rustix::process::Signal;
    let tool = Tool::new();
    tool.write("old", "old");
    for (signal, code, output) in [
        (Signal::INT, Some(130), "new"),
        (Signal::TERM, Some(130), "old"),
        (Signal::KILL, None, "new"),
        (Signal::KILL, None, "old"),
    ] {
        let arguments = ["encrypt", "-i", "-", "-o", output, "--overwrite"];
        let arguments = [&arguments[..], KEY].concat();
        let mut child = tool.command(&arguments).stdin(Stdio::piped()).spawn().unwrap();
        let mut to = child.stdin.take().unwrap();
        // More than pipe and buffers hold: some of it has been written to the output.
        to.write_all(&pattern(4_000_000)).unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal).unwrap();
        // The signal takes effect before the next piece: which may be the last one.
        std::thread::sleep(Duration::from_millis(300));
        let _ = to.write_all(&pattern(100_000));
        drop(to);
        assert_eq!(child.wait().unwrap().code(), code);
        assert_eq!(tool.read("old"), b"old");
        if code.is_some() || has_files_without_a_name(&tool.folder) {
            assert_eq!(tool.names("."), ["old", "one.key"], "{signal:?} {output}");
        }
    }
}

/// Whether a file in `folder` may have no name: not every file system knows such.
fn has_files_without_a_name(folder: &Path) -> bool {
    use rustix::fs::{CWD, Mode, OFlags, openat};
    let file = openat(CWD, folder, OFlags::TMPFILE | OFlags::WRONLY, Mode::RUSR | Mode::WUSR);
    if file.is_err() {
        skipped("what a killed process leaves", "this file system has no files without a name");
    }
    file.is_ok()
}
