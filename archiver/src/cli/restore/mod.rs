//! `strongroom restore`: a snapshot, or parts of it, into a directory.

mod rehearse;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde_json::json;
use strongroom::fs::restore::{LocalTarget, Overwrite, RestoreOptions as TargetOptions};
use strongroom::restore::{RestoreOptions, Restored, restore};

use self::rehearse::Rehearse;
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
followed. --delete removes only what the patterns choose, and nothing when anything could not be
restored; what the archive could not read is not in the snapshot, and so is surplus.

Examples:
  strongroom restore latest /tmp/restored
  strongroom restore 3f2a /srv --include home/anna --overwrite if-changed
  strongroom restore latest /srv --overwrite if-changed --delete --dry-run
  strongroom restore latest /tmp/drill --verify")]
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
    /// Remove what stands in the target and is not in the snapshot.
    #[arg(long)]
    delete: bool,
    /// Read every file back from the disk, also those that were left alone, and compare it.
    #[arg(long)]
    verify: bool,
    /// Wait until everything is on the disk.
    #[arg(long)]
    sync: bool,
    /// Show what would happen to each name, and do nothing.
    #[arg(long, short = 'n', conflicts_with_all = ["verify", "sync"])]
    dry_run: bool,
}

/// [`Overwrite`] as an option.
#[derive(Clone, Copy, ValueEnum)]
enum When {
    /// They are left alone, and the exit code says so.
    Never,
    /// Those with the same type, size and modification time are left alone, others replaced.
    IfChanged,
    /// They are replaced if the snapshot's were modified later.
    IfNewer,
    /// They are replaced.
    Always,
}

impl From<When> for Overwrite {
    fn from(when: When) -> Self {
        match when {
            When::Never => Self::Never,
            When::IfChanged => Self::IfChanged,
            When::IfNewer => Self::IfNewer,
            When::Always => Self::Always,
        }
    }
}

pub(super) async fn run(
    arguments: Arguments,
    global: &Global,
    output: &Output,
) -> Result<(), Failure> {
    if arguments.delete && !arguments.patterns.include_some() && is_root(&arguments.target) {
        return Err(Failure::DeleteAtRoot);
    }
    let location = arguments.location.open(global).await?;
    let snapshot = find_snapshot(&location, &arguments.snapshot).await?;
    let select = arguments.patterns.selection(&location, &snapshot).await?;
    if arguments.dry_run {
        let rehearse = Rehearse {
            location: &location,
            snapshot: &snapshot,
            select,
            target: &arguments.target,
            overwrite: arguments.overwrite.into(),
            delete: arguments.delete,
            output,
        };
        return rehearse.run().await;
    }
    let unusable = |source| Failure::Target { path: arguments.target.clone(), source };
    let options = TargetOptions {
        overwrite: arguments.overwrite.into(),
        numeric_owners: arguments.numeric_owner,
    };
    let target = Arc::new(LocalTarget::open(&arguments.target, options).map_err(unusable)?);
    let report = Report::start(output, "restoring");
    let (delete, verify) = (arguments.delete, arguments.verify);
    let options = RestoreOptions { select, delete, verify, ..RestoreOptions::default() };
    let restored = restore(&location, &snapshot, target.clone(), options, &report.control).await?;
    if arguments.sync {
        target.sync().map_err(unusable)?;
    }
    if arguments.delete && restored.failures > restored.different {
        output
            .note("strongroom: warning: not everything could be restored, so nothing was deleted");
    }
    tell(&snapshot.id.to_string(), restored, target.owners_left(), &report, output)?;
    judge(restored, arguments.overwrite.into())
}

fn is_root(target: &Path) -> bool {
    target.canonicalize().is_ok_and(|target| target == Path::new("/"))
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
        "restored {}, {} directories, {} others: {} in {:.1} s ({})\n  {} left alone, {} deleted, {} failed{}",
        counted(restored.files, "file"),
        restored.directories,
        restored.others,
        bytes_text(restored.bytes),
        elapsed.as_secs_f64(),
        speed(restored.bytes, elapsed),
        restored.kept,
        restored.deleted,
        restored.failures,
        match restored.verified {
            0 => String::new(),
            verified => format!(", {} read back and equal", counted(verified, "file")),
        },
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
    if restored.different > 0 {
        return Err(Failure::Unequal { count: restored.different });
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
