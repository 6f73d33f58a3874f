//! `strongroom restore`: a snapshot, or parts of it, into a directory.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde_json::json;
use strongroom::fs::restore::{LocalTarget, Overwrite, RestoreOptions as TargetOptions};
use strongroom::restore::{RestoreOptions, Restored, restore};

use super::Global;
use super::connect::LocationArguments;
use super::exit::Failure;
use super::output::{Output, bytes_text, counted};
use super::report::{Report, seconds, speed};
use super::select::{PatternArguments, find_snapshot};

/// What to restore, and where to.
#[derive(Args)]
#[command(after_help = "\
Nothing is written outside of the target, whatever the snapshot says: no link below the target is
followed.

Examples:
  strongroom restore latest /tmp/restored
  strongroom restore 3f2a /srv --include home/anna --overwrite if-changed")]
pub(super) struct Arguments {
    /// A snapshot's id, the beginning of one, or `latest`.
    snapshot: String,
    /// The directory to restore into; made if need be.
    target: PathBuf,
    #[command(flatten)]
    location: LocationArguments,
    #[command(flatten)]
    patterns: PatternArguments,
    /// What happens to names that exist in the target.
    #[arg(long, value_name = "WHEN", default_value = "never")]
    overwrite: When,
    /// Give files to the numbers of their owners, even where names are known here.
    #[arg(long)]
    numeric_owner: bool,
    /// Wait until everything is on the disk.
    #[arg(long)]
    sync: bool,
}

/// [`Overwrite`] as an option.
#[derive(Clone, Copy, ValueEnum)]
enum When {
    /// They are left alone, and the exit code says so.
    Never,
    /// Those with the same type, size and modification time are left alone, others replaced.
    IfChanged,
    /// They are replaced.
    Always,
}

impl From<When> for Overwrite {
    fn from(when: When) -> Self {
        match when {
            When::Never => Self::Never,
            When::IfChanged => Self::IfChanged,
            When::Always => Self::Always,
        }
    }
}

pub(super) async fn run(
    arguments: Arguments,
    global: &Global,
    output: &Output,
) -> Result<(), Failure> {
    let location = arguments.location.open(global).await?;
    let snapshot = find_snapshot(&location, &arguments.snapshot).await?;
    let select = arguments.patterns.selection(&location, &snapshot).await?;
    let unusable = |source| Failure::Target { path: arguments.target.clone(), source };
    let options = TargetOptions {
        overwrite: arguments.overwrite.into(),
        numeric_owners: arguments.numeric_owner,
    };
    let target = Arc::new(LocalTarget::open(&arguments.target, options).map_err(unusable)?);
    let report = Report::start(output, "restoring");
    let options = RestoreOptions { select, ..RestoreOptions::default() };
    let restored = restore(&location, &snapshot, target.clone(), options, &report.control).await?;
    if arguments.sync {
        target.sync().map_err(unusable)?;
    }
    tell(&snapshot.id.to_string(), restored, target.owners_left(), &report, output)?;
    judge(restored, arguments.overwrite.into())
}

fn tell(
    snapshot: &str,
    restored: Restored,
    owners_left: u64,
    report: &Report,
    output: &Output,
) -> Result<(), Failure> {
    let elapsed = report.finish();
    if owners_left > 0 {
        output.note(&format!(
            "strongroom: warning: {} now to you: only root may give files to others",
            match owners_left {
                1 => "1 entry belongs".to_owned(),
                more => format!("{more} entries belong"),
            }
        ));
    }
    let human = format!(
        "restored {}, {} directories, {} others: {} in {:.1} s ({})\n  {} left alone, {} failed",
        counted(restored.files, "file"),
        restored.directories,
        restored.others,
        bytes_text(restored.bytes),
        elapsed.as_secs_f64(),
        speed(restored.bytes, elapsed),
        restored.kept,
        restored.failures,
    );
    output.summary(&human, || {
        json!({
            "snapshot": snapshot,
            "seconds": seconds(elapsed),
            "restored": restored,
            "owners_left": owners_left,
            "troubles": report.troubles(),
        })
    })
}

fn judge(restored: Restored, overwrite: Overwrite) -> Result<(), Failure> {
    if restored.damaged > 0 {
        return Err(Failure::Damaged { count: restored.damaged, what: "files are" });
    }
    if restored.failures > 0 {
        let (count, what) = (restored.failures, "entries");
        return Err(Failure::Partial { count, what, done: "restored" });
    }
    if restored.kept > 0 && overwrite == Overwrite::Never {
        return Err(Failure::Kept { count: restored.kept });
    }
    Ok(())
}
