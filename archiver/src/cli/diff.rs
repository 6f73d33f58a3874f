//! `strongroom diff`: what changed between two snapshots.

use clap::Args;
use serde_json::{Value, json};
use strongroom::snapshot::{Change, Diff, Differences, Node};

use super::Global;
use super::connect::LocationArguments;
use super::entries;
use super::exit::Failure;
use super::output::{Output, bytes_text, count_text, path_members, path_text};
use super::report::Report;
use super::select::find_snapshot;

/// Which snapshots.
#[derive(Args)]
#[command(after_help = "\
One line for each path: + added, - removed, M other content, T other type, A other attributes only.
What both snapshots share is not read, so that a difference costs what changed.

Examples:
  strongroom diff 3f2a latest
  strongroom diff --attributes --json 3f2a 77c0 | jq -r 'select(.change) | .path'

With --json every path is a document on a line of its own, and the counts are the last one.")]
pub(super) struct Arguments {
    /// The earlier snapshot: an id, the beginning of one, or `latest`.
    before: String,
    /// The later snapshot.
    after: String,
    /// Show also what differs only in mode, owner, modification time or extended attributes.
    #[arg(long)]
    attributes: bool,
    #[command(flatten)]
    location: LocationArguments,
}

/// What a path's change amounts to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Added,
    Removed,
    Content,
    Type,
    Attributes,
}

#[derive(Default, serde::Serialize)]
struct Counts {
    added: u64,
    removed: u64,
    content: u64,
    #[serde(rename = "type")]
    kind: u64,
    attributes: u64,
    bytes_added: u64,
    bytes_removed: u64,
}

pub(super) async fn run(
    arguments: Arguments,
    global: &Global,
    output: &Output,
) -> Result<(), Failure> {
    let location = arguments.location.open(global).await?;
    let before = find_snapshot(&location, &arguments.before).await?;
    let after = find_snapshot(&location, &arguments.after).await?;
    let report = Report::start(&output.clone().silent(), "comparing");
    let reader = location.reader(None);
    let mut diff = Diff::new(&reader, before.root()?, after.root()?);
    let mut counts = Counts::default();
    while let Some(change) = diff.next().await? {
        if report.control.is_stopped() {
            return Err(strongroom::Error::Stopped.into());
        }
        let Some((kind, differences)) = judge(&change) else { continue };
        counts.add(kind, &change);
        if kind != Kind::Attributes || arguments.attributes {
            print(kind, differences, &change, output)?;
        }
    }
    report.finish();
    tell(&counts, &before.id.to_string(), &after.id.to_string(), output)
}

/// `None` when nothing differs that a restore would give back.
fn judge(change: &Change) -> Option<(Kind, Differences)> {
    let (before, after) = match change {
        Change::Added(_) => return Some((Kind::Added, Differences::default())),
        Change::Removed(_) => return Some((Kind::Removed, Differences::default())),
        Change::Changed { before, after } => (before, after),
    };
    let differences = Differences::between(before, after);
    let kind = match differences {
        Differences { kind: true, .. } => Kind::Type,
        Differences { content: true, .. } => Kind::Content,
        _ => Kind::Attributes,
    };
    differences.any().then_some((kind, differences))
}

fn print(
    kind: Kind,
    differences: Differences,
    change: &Change,
    output: &Output,
) -> Result<(), Failure> {
    if !output.is_json() {
        return output.line(&format!("{} {}", kind.letter(), path_text(change.path().as_bytes())));
    }
    let (before, after) = sides(change);
    let entry = |node: Option<&Node>| node.map(|node| entries::members(&node.entry));
    let mut members = json!({
        "change": kind.name(),
        "differences": differences,
        "before": entry(before),
        "after": entry(after),
    });
    if let (Value::Object(members), Value::Object(path)) =
        (&mut members, path_members(change.path().as_bytes()))
    {
        members.extend(path);
    }
    output.json_line(&output.document(members))
}

fn sides(change: &Change) -> (Option<&Node>, Option<&Node>) {
    match change {
        Change::Added(node) => (None, Some(node)),
        Change::Removed(node) => (Some(node), None),
        Change::Changed { before, after } => (Some(before), Some(after)),
    }
}

fn tell(counts: &Counts, before: &str, after: &str, output: &Output) -> Result<(), Failure> {
    let human = format!(
        "{} added ({}), {} removed ({}), {} with other content, {} of another type, {} with other attributes",
        count_text(counts.added),
        bytes_text(counts.bytes_added),
        count_text(counts.removed),
        bytes_text(counts.bytes_removed),
        count_text(counts.content),
        count_text(counts.kind),
        count_text(counts.attributes),
    );
    output.summary(&human, || json!({ "before": before, "after": after, "counts": counts }))
}

impl Counts {
    fn add(&mut self, kind: Kind, change: &Change) {
        *match kind {
            Kind::Added => &mut self.added,
            Kind::Removed => &mut self.removed,
            Kind::Content => &mut self.content,
            Kind::Type => &mut self.kind,
            Kind::Attributes => &mut self.attributes,
        } += 1;
        let bytes = |node: &Node| node.entry.size().unwrap_or(0);
        match change {
            Change::Added(node) => self.bytes_added += bytes(node),
            Change::Removed(node) => self.bytes_removed += bytes(node),
            Change::Changed { .. } => {}
        }
    }
}

impl Kind {
    const fn letter(self) -> char {
        match self {
            Self::Added => '+',
            Self::Removed => '-',
            Self::Content => 'M',
            Self::Type => 'T',
            Self::Attributes => 'A',
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Content => "content",
            Self::Type => "type",
            Self::Attributes => "attributes",
        }
    }
}
