//! The official Encryption CLI opens what ours wrote and the reverse, and both say the same about it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use strongroom_peers::{Peer, PeerError, require};

use crate::program::Program;
use crate::support::pattern;

/// Options for each message: suites of both versions, signed and not, with and without a context and frames.
const KINDS: [&[&str]; 5] = [
    &["--frame-length", "0"],
    &["-c", "who=me", "key 2=wörld"],
    &["--algorithm", "AES_256_GCM_HKDF_SHA512_COMMIT_KEY", "--frame-length", "1024"],
    &["--commitment-policy", "forbid-encrypt-allow-decrypt"],
    &[
        "--commitment-policy",
        "forbid-encrypt-allow-decrypt",
        "--algorithm",
        "AES_128_GCM_IV12_TAG16",
        "-c",
        "a=1",
    ],
];

/// A plaintext of whole frames, of which the official program refuses a full final one.
const WHOLE_FRAMES_BYTES: usize = 3 * 4096;

/// Both programs, with two keys of our KMS.
struct Both {
    program: Program,
    official: PathBuf,
    keys: [String; 2],
}

#[derive(Clone, Copy)]
enum By {
    Us,
    Them,
}

impl Both {
    fn start() -> Result<Self, PeerError> {
        let official = Peer::EncryptionCli.find()?;
        let program = Program::start()?;
        let keys = [format!("key={}", program.key), format!("key={}", program.make_key())];
        std::fs::write(program.at("plain"), pattern(10_000)).unwrap();
        std::fs::write(program.at("whole"), pattern(WHOLE_FRAMES_BYTES)).unwrap();
        Ok(Self { program, official, keys })
    }

    /// Runs one of the programs, and returns its line of metadata.
    fn run(&self, by: By, mode: &str, files: [&str; 2], more: &[&str]) -> Value {
        let [input, output] = files;
        let [first, second] = &self.keys;
        let log = self.program.at("log");
        let _ = std::fs::remove_file(&log);
        let common = ["-i", input, "-o", output, "-w", first, second, "--metadata-output", "log"];
        let mut command = match by {
            By::Us => self.program.command(&[mode]),
            By::Them => {
                let mut command = Command::new(&self.official);
                command.arg(format!("--{mode}")).envs(self.program.kms.environment());
                command.current_dir(&self.program.folder).stdin(Stdio::null());
                command
            }
        };
        let ended = command.args(common).args(more).output().unwrap();
        let errors = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{mode} {more:?}: {errors}");
        serde_json::from_slice(&std::fs::read(log).unwrap()).unwrap()
    }
}

#[test]
fn each_opens_what_the_other_wrote_and_says_the_same_about_it() {
    let both = require!(Both::start());
    let allow = ["--commitment-policy", "require-encrypt-allow-decrypt"];
    for (number, kind) in KINDS.into_iter().enumerate() {
        for (by, other) in [(By::Us, "us"), (By::Them, "them")] {
            let sealed = format!("{number}-{other}.sealed");
            let written = both.run(by, "encrypt", ["plain", &sealed], kind);
            let [ours, theirs] = [By::Us, By::Them].map(|reader| {
                let _ = std::fs::remove_file(both.program.at("opened"));
                let read = both.run(reader, "decrypt", [&sealed, "opened"], &allow);
                let opened = std::fs::read(both.program.at("opened")).unwrap();
                assert_eq!(opened, pattern(10_000), "{sealed}");
                read
            });
            assert_eq!(ours, theirs, "{sealed}");
            assert_eq!(written["header"], ours["header"], "{sealed}");
            let members =
                |line: &Value| line.as_object().unwrap().keys().cloned().collect::<Vec<String>>();
            assert_eq!(members(&written), ["header", "input", "mode", "output"]);
            assert_eq!(written["input"], both.program.at("plain").to_str().unwrap());
        }
    }
}

#[test]
fn messages_of_whole_frames_go_both_ways() {
    let both = require!(Both::start());
    for (writer, reader, sealed) in [(By::Us, By::Them, "ours"), (By::Them, By::Us, "theirs")] {
        both.run(writer, "encrypt", ["whole", sealed], &[]);
        let opened = format!("{sealed}.opened");
        both.run(reader, "decrypt", [sealed, &opened], &[]);
        let opened = std::fs::read(both.program.at(&opened)).unwrap();
        assert!(opened == pattern(WHOLE_FRAMES_BYTES), "{sealed}");
    }
}
