//! The layers of the workspace: what each crate may name. A breach fails here.
//!
//! Read are the manifests and every path in every source file, not what the compiler resolves: a
//! rule that one can read off the source is one that a reviewer can hold on to.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Crates of the workspace from the ground up, and which of the others each may depend on.
const MAY_DEPEND_ON: [(&str, &str, &[&str]); 8] = [
    ("sdk", "strongroom-sdk", &[]),
    ("kms-emulator/hsm", "strongroom-hsm", &[]),
    ("kms-emulator", "strongroom-kms", &["strongroom-hsm"]),
    ("archiver", "strongroom", &["strongroom-sdk", "strongroom-kms"]),
    ("benches/peers", "strongroom-peers", &[]),
    ("benches/spec", "strongroom-spec", &[]),
    ("examples", "strongroom-examples", &["strongroom-sdk", "strongroom", "strongroom-kms"]),
    (
        "benches",
        "strongroom-benches",
        &["strongroom-sdk", "strongroom", "strongroom-kms", "strongroom-hsm", "strongroom-peers"],
    ),
];

/// Words that only the named files (or folders) of a crate's `src` may use.
///
/// A word is looked for in code, not in comments, at the beginning of a path.
const WORDS: [(&str, &str, &[&str]); 21] = [
    // The SDK's core knows no network, no runtime, no environment, and of the clock what it is given.
    ("sdk", "tokio::", &["tokio_stream.rs", "tokio_stream/", "range/", "range.rs"]),
    ("sdk", "aws_sdk_kms::", &["kms/aws.rs"]),
    ("sdk", "object_store::", &["range/", "range.rs", "key_store/"]),
    ("sdk", "rayon::", &["parallel/", "parallel.rs"]),
    ("sdk", "futures_core::", &["futures_stream/", "futures_stream.rs"]),
    ("sdk", "std::net::", &[]),
    ("sdk", "std::env::", &[]),
    ("sdk", "SystemTime::now", &["clock.rs"]),
    ("sdk", "Instant::now", &["clock.rs"]),
    ("sdk", "aws_lc_rs::", &["crypto/", "crypto.rs"]),
    ("sdk", "aes_gcm::", &["crypto/", "crypto.rs"]),
    // The HSM is below the KMS and knows nothing of it, of HTTP or of AWS.
    ("kms-emulator/hsm", "axum::", &[]),
    ("kms-emulator/hsm", "rusqlite::", &[]),
    ("kms-emulator", "rusqlite::", &["storage/", "storage.rs"]),
    ("kms-emulator", "SystemTime::now", &["clock.rs"]),
    // The archiver's library touches no terminal, no environment, and one file knows the KMS.
    ("archiver", "strongroom_kms::", &["quickstart/embedded_kms.rs"]),
    ("archiver", "SystemTime::now", &["clock.rs"]),
    ("archiver", "std::env::", &["cli/"]),
    ("archiver", "io::stdout", &["cli/"]),
    ("archiver", "io::stderr", &["cli/"]),
    ("archiver", "indicatif::", &["cli/"]),
];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[test]
fn no_crate_depends_on_one_above_it() {
    let known: Vec<&str> = MAY_DEPEND_ON.iter().map(|(_, name, _)| *name).collect();
    let mut breaches = Vec::new();
    for (folder, name, allowed) in MAY_DEPEND_ON {
        let manifest = fs::read_to_string(workspace().join(folder).join("Cargo.toml")).unwrap();
        for depended in dependencies(&manifest, &known) {
            if depended != name && !allowed.contains(&depended) {
                breaches.push(format!("{name} depends on {depended}"));
            }
        }
    }
    assert_eq!(breaches, [""; 0]);
}

/// The workspace's crates that a manifest depends on, tests of the crate not counted.
fn dependencies<'a>(manifest: &str, known: &[&'a str]) -> Vec<&'a str> {
    let (mut counted, mut found) = (false, Vec::new());
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            counted = line.ends_with("dependencies]") && !line.contains("dev-dependencies");
        } else if counted {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            found.extend(known.iter().find(|known| **known == name));
        }
    }
    found
}

#[test]
fn no_file_names_what_belongs_to_another_layer() {
    let mut breaches = Vec::new();
    for (folder, word, allowed) in WORDS {
        for (file, text) in sources(&workspace().join(folder).join("src")) {
            if !allowed.iter().any(|place| file.starts_with(place)) {
                breaches.extend(
                    breach(&text, word)
                        .map(|line| format!("{folder}/src/{file}:{line} uses {word}")),
                );
            }
        }
    }
    assert_eq!(breaches, [""; 0]);
}

/// The number of the first line that uses `word` outside of comments and of unit tests.
fn breach(text: &str, word: &str) -> Option<usize> {
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    code.lines()
        .position(|line| {
            let line = line.split("//").next().unwrap_or_default();
            line.match_indices(word).any(|(at, _)| {
                let before = line.get(..at).and_then(|before| before.chars().last());
                !before.is_some_and(|before| before.is_alphanumeric() || before == '_')
            })
        })
        .map(|line| line + 1)
}

/// Every source file below `folder` but those of unit tests, by its path from there.
fn sources(folder: &Path) -> BTreeMap<String, String> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !path.ends_with("tests.rs")
            {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn the_test_itself_sees_a_breach() {
    let manifest =
        "[dependencies]\nstrongroom-kms.workspace = true\n[dev-dependencies]\nstrongroom = {}\n";
    assert_eq!(dependencies(manifest, &["strongroom", "strongroom-kms"]), ["strongroom-kms"]);
    assert_eq!(breach("use a;\nuse tokio::net;\n", "tokio::"), Some(2));
    assert_eq!(
        breach(
            "// tokio::net\nuse my_tokio::x;\n#[cfg(test)]\nmod tests { use tokio::x; }",
            "tokio::"
        ),
        None
    );
}

#[test]
fn every_member_of_the_workspace_has_its_layer() {
    let manifest = fs::read_to_string(workspace().join("Cargo.toml")).unwrap();
    let members = manifest.split("members = [").nth(1).unwrap().split(']').next().unwrap();
    let members: Vec<&str> = members.split('"').skip(1).step_by(2).collect();
    assert!(members.len() >= 6);
    for member in members {
        assert!(
            MAY_DEPEND_ON.iter().any(|(folder, ..)| *folder == member),
            "{member} has no layer"
        );
    }
}
