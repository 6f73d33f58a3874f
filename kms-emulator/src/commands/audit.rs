//! `strongroom-kms audit`: reads and verifies the audit trail.

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use strongroom_kms::audit::{Verification, directory_in, newest_records, verify};

/// Records that `show` prints if it is not told how many.
const SHOWN_RECORDS: usize = 20;

/// Options of `audit`.
#[derive(Debug, Args)]
pub(crate) struct Audit {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Verify that no closed log file was altered or removed; names the first broken link
    Verify(Verify),
    /// Print the newest records, one JSON object a line
    Show(Show),
}

/// Where the trail lies.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Place {
    /// Data directory of the server, which may be running
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// A copy of the server's audit directory
    #[arg(long, value_name = "DIR")]
    audit_dir: Option<PathBuf>,
}

impl Place {
    fn directory(&self) -> PathBuf {
        match (&self.audit_dir, &self.data_dir) {
            (Some(dir), _) => dir.clone(),
            (None, Some(dir)) => directory_in(dir),
            (None, None) => PathBuf::new(),
        }
    }
}

/// Options of `audit verify`.
#[derive(Debug, Args)]
struct Verify {
    #[command(flatten)]
    place: Place,

    /// Public key that was kept elsewhere, in PEM; without it the one in the trail is used, which a
    /// forger could have replaced
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
}

/// Options of `audit show`.
#[derive(Debug, Args)]
struct Show {
    #[command(flatten)]
    place: Place,

    /// How many records
    #[arg(long, short, value_name = "COUNT", default_value_t = SHOWN_RECORDS)]
    number: usize,
}

impl Audit {
    pub(crate) fn run(self) -> Result<(), Box<dyn Error>> {
        match self.action {
            Action::Verify(options) => {
                let found = verify(&options.place.directory(), options.public_key.as_deref())?
                    .map_err(|link| format!("the audit trail is broken at {link}"))?;
                report(&found)?;
            }
            Action::Show(options) => {
                let mut out = std::io::stdout().lock();
                for record in newest_records(&options.place.directory(), options.number)? {
                    writeln!(out, "{record}")?;
                }
            }
        }
        Ok(())
    }
}

fn report(found: &Verification) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "The audit trail is whole: {} digests, {} records, key {}.",
        found.digests, found.records, found.fingerprint
    )?;
    if let Some((name, hash)) = &found.newest {
        writeln!(out, "Newest digest: {name}, SHA-256 {hash}.")?;
    }
    for log in &found.left_open {
        writeln!(
            out,
            "Left open by an unclean end of the server: {log}. Records of its last second may be \
             missing after a power failure, of its last 20 milliseconds after a crash."
        )?;
    }
    if let Some(log) = &found.open {
        writeln!(out, "Not covered yet, because it is still written: {log}.")?;
    }
    out.flush()
}
