//! Messages that other implementations wrote.

use std::io::Write;
use std::path::Path;

use crate::fixtures::{counts, decrypt, stdout, testdata};

/// Manifests of the large collection, and how many messages each has.
const COLLECTION: [(&str, usize); 5] = [
    ("c-from-dafny/decrypt-manifest.json", 149),
    ("net-v4-4.0.1", 49),
    ("net-valid-4.0.0", 3),
    ("net-invalid-4.0.0", 14),
    ("regenerated-py4.0.7-raw/manifest.json", 441),
];

#[test]
fn the_projects_own_vectors_pass() {
    for (writer, messages) in [("python-esdk", 100), ("node-esdk", 49)] {
        let output = decrypt(&testdata().join(writer).join("manifest.json"));
        let report = stdout(&output);
        assert_eq!(counts(&output), [messages, 0, 0], "{writer}: {report}");
        assert!(output.status.success(), "{writer}: {report}");
    }
}

#[test]
fn the_large_collection_passes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors/esdk");
    if !folder.is_dir() {
        say("SKIPPED examples the_large_collection_passes: no ../shared/vectors/esdk");
        return;
    }
    for (manifest, messages) in COLLECTION {
        let output = decrypt(&folder.join(manifest));
        let report = stdout(&output);
        say(&format!("{manifest}: {report}"));
        assert_eq!(counts(&output), [messages, 0, 0], "{manifest}: {report}");
        assert!(output.status.success(), "{manifest}: {report}");
    }
}

/// One line that the test harness does not swallow.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{}", line.trim_end());
}
