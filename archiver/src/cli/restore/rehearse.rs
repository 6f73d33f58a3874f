//! `strongroom restore --dry-run`: what would happen to the target, name by name.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use strongroom::Error;
use strongroom::entry::EntryPath;
use strongroom::fs::restore::{Overwrite, Rehearsal, Rehearsed};
use strongroom::fs::walk::{LocalTree, WalkOptions};
use strongroom::location::Location;
use strongroom::restore::{Selection, Surplus, surplus};
use strongroom::snapshot::{Cursor, Direction, Snapshot};

use crate::cli::exit::Failure;
use crate::cli::output::{Output, bytes_text, counted, path_members, path_text};
use crate::cli::report::Report;
use crate::cli::select::visit;

/// What would be restored, and into what.
pub(super) struct Rehearse<'a> {
    pub(super) location: &'a Arc<Location>,
    pub(super) snapshot: &'a Snapshot,
    pub(super) select: Option<Selection>,
    pub(super) target: &'a Path,
    pub(super) overwrite: Overwrite,
    pub(super) delete: bool,
    pub(super) output: &'a Output,
}

#[derive(Default, serde::Serialize)]
struct Counts {
    create: u64,
    replace: u64,
    keep: u64,
    delete: u64,
    /// Of files that would be written.
    bytes: u64,
    failures: u64,
}

impl Rehearse<'_> {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let unusable = |source| Failure::Target { path: self.target.to_owned(), source };
        let rehearsal = Rehearsal::open(self.target, self.overwrite).map_err(unusable)?;
        let report = Report::start(&self.output.clone().silent(), "comparing");
        let mut counts = Counts::default();
        visit(self.location, self.snapshot, EntryPath::root(), |node| {
            if report.control.is_stopped() {
                return Err(Error::Stopped.into());
            }
            let entry = &node.entry;
            if self.select.as_ref().is_some_and(|select| !select(entry)) {
                return Ok(true);
            }
            let what = match rehearsal.rehearse(entry) {
                Ok(what) => what,
                Err(error) => {
                    counts.failures += 1;
                    let path = path_text(entry.path.as_bytes());
                    report.say(&format!("strongroom: cannot look at {path}: {error}"));
                    return Ok(true);
                }
            };
            let (name, count) = match what {
                Rehearsed::Merge => return Ok(true),
                Rehearsed::Create => ("create", &mut counts.create),
                Rehearsed::Replace => ("replace", &mut counts.replace),
                Rehearsed::Keep => ("keep", &mut counts.keep),
            };
            *count += 1;
            if what != Rehearsed::Keep {
                counts.bytes += entry.size().unwrap_or(0);
            }
            self.print(name, &entry.path)?;
            Ok(true)
        })
        .await?;
        if self.delete && rehearsal.exists() {
            let surplus = self.surplus(&report).await?;
            counts.failures += surplus.unreadable;
            for entry in &surplus.entries {
                counts.delete += 1;
                self.print("delete", &entry.path)?;
            }
        }
        report.finish();
        self.tell(&counts)?;
        match counts.failures {
            0 => Ok(()),
            count => Err(Failure::Partial { count, what: "names", done: "looked at" }),
        }
    }

    async fn surplus(&self, report: &Report) -> Result<Surplus, Failure> {
        let options = WalkOptions { one_file_system: true, ..WalkOptions::default() };
        let tree = LocalTree::open(&[self.target.to_owned()], options)?;
        let Some((root, level)) = self.snapshot.root()? else { return Ok(Surplus::default()) };
        let (reader, select) = (self.location.reader(None), self.select.clone());
        let control = report.control.clone();
        let runtime = tokio::runtime::Handle::current();
        let search = move || {
            let cursor = Cursor::new(&reader, root, level, Direction::Forward);
            surplus(cursor, &runtime, &tree, select.as_ref(), &control)
        };
        let found = tokio::task::spawn_blocking(search).await;
        Ok(found.map_err(|_| Error::StageLost { stage: "walk" })??)
    }

    fn print(&self, what: &str, path: &EntryPath) -> Result<(), Failure> {
        if !self.output.is_json() {
            return self.output.line(&format!("{what:7} {}", path_text(path.as_bytes())));
        }
        let mut members = path_members(path.as_bytes());
        if let Value::Object(members) = &mut members {
            members.insert("action".to_owned(), what.into());
        }
        self.output.json_line(&self.output.document(members))
    }

    fn tell(&self, counts: &Counts) -> Result<(), Failure> {
        let human = format!(
            "would create {}, replace {}, leave {} alone, delete {}: {}",
            counted(counts.create, "name"),
            counts.replace,
            counts.keep,
            counts.delete,
            bytes_text(counts.bytes),
        );
        self.output.summary(&human, || {
            json!({ "dry_run": true, "snapshot": self.snapshot.id.to_string(), "counts": counts })
        })
    }
}
