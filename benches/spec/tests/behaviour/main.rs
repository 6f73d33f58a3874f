//! The citations of this checkout (promise S9).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::process::Command;

/// Every citation quotes a clause, and the counter says how many clauses are cited.
#[test]
fn every_citation_quotes_a_clause_of_the_specification() {
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk");
    let run = Command::new(env!("CARGO_BIN_EXE_spec_coverage")).arg("--sdk").arg(sdk).output();
    let run = run.unwrap();
    let printed = String::from_utf8(run.stdout).unwrap();
    let figure = printed.lines().find(|line| line.starts_with("S9: "));
    // Not through the harness, which would swallow it.
    std::io::Write::write_all(
        &mut std::io::stderr(),
        format!("{}\n", figure.unwrap_or_default()).as_bytes(),
    )
    .unwrap();
    assert!(run.status.success(), "{printed}");
    assert!(figure.is_some(), "{printed}");
}
