//! `strongroom forget`: snapshots away, by rules or by name.

use clap::Args;
use serde_json::{Value, json};
use strongroom::id::ObjectId;
use strongroom::location::Location;
use strongroom::retention::{
    Decision, Group, GroupBy, GroupKey, Judgement, Period, Policy, Reason, Span, UNLIMITED, decide,
};
use strongroom::snapshot::{self, StoredSnapshot};

use super::Global;
use super::connect::LocationArguments;
use super::exit::Failure;
use super::output::{Output, counted, printable};
use super::report::{Report, seconds};
use super::select::{SnapshotFilter, fitting};
use super::snapshots::instant;

/// Which snapshots to keep, or which to forget.
#[derive(Args)]
#[command(after_help = "\
A snapshot is kept if any rule keeps it. Rules apply to the snapshots of one host and set of paths at
a time (--group-by). Of each of the latest N hours, days, weeks, months or years that have snapshots,
the last one is kept; while there are fewer than N, the oldest snapshot too. Times are those at which
the store took the snapshots, in UTC; no clock of an archived machine counts.

Only snapshots go. What they alone referred to stays in the store until it is collected.

Examples:
  strongroom forget --keep-daily 7 --keep-weekly 5 --keep-monthly 12 --dry-run
  strongroom forget --keep-within 30d --keep-tag release --host laptop
  strongroom forget 3f2a 77c0")]
pub(super) struct Arguments {
    /// Forget these snapshots, whatever any rule says: ids, or beginnings of ids.
    #[arg(value_name = "SNAPSHOT", conflicts_with_all = ["Rules", "SnapshotFilter", "group_by"])]
    snapshots: Vec<String>,
    #[command(flatten)]
    location: LocationArguments,
    #[command(flatten)]
    rules: Rules,
    #[command(flatten)]
    filter: SnapshotFilter,
    /// What the snapshots of one group have in common: a list of host, paths and tags, or none
    /// [default: host,paths].
    #[arg(long, value_name = "LIST", value_parser = group_by)]
    group_by: Option<GroupBy>,
    /// Forget even the last snapshot of a group.
    #[arg(long)]
    allow_none_left: bool,
    /// Show what would be forgotten, and forget nothing.
    #[arg(long, short = 'n')]
    dry_run: bool,
}

/// What to keep.
#[derive(Args)]
#[command(next_help_heading = "Rules")]
struct Rules {
    /// Keep the last N snapshots; `unlimited` here and below keeps all.
    #[arg(long, value_name = "N", value_parser = count)]
    keep_last: Option<u32>,
    /// Keep the last snapshot of each of the latest N hours.
    #[arg(long, value_name = "N", value_parser = count)]
    keep_hourly: Option<u32>,
    /// … of each of the latest N days.
    #[arg(long, value_name = "N", value_parser = count)]
    keep_daily: Option<u32>,
    /// … of each of the latest N weeks, which begin on Monday.
    #[arg(long, value_name = "N", value_parser = count)]
    keep_weekly: Option<u32>,
    /// … of each of the latest N months.
    #[arg(long, value_name = "N", value_parser = count)]
    keep_monthly: Option<u32>,
    /// … of each of the latest N years.
    #[arg(long, value_name = "N", value_parser = count)]
    keep_yearly: Option<u32>,
    /// Keep what is no older than this, such as 2y6m14d12h, than the group's latest snapshot.
    #[arg(long, value_name = "DURATION")]
    keep_within: Option<Span>,
    /// Keep what has this label; may be repeated.
    #[arg(long, value_name = "TAG")]
    keep_tag: Vec<String>,
}

impl Rules {
    fn policy(&self) -> Policy {
        let counts = [
            (Period::Snapshot, self.keep_last),
            (Period::Hour, self.keep_hourly),
            (Period::Day, self.keep_daily),
            (Period::Week, self.keep_weekly),
            (Period::Month, self.keep_monthly),
            (Period::Year, self.keep_yearly),
        ];
        let given = |(period, count): (Period, Option<u32>)| Some((period, count?));
        Policy {
            counts: counts.into_iter().filter_map(given).collect(),
            within: self.keep_within,
            tags: self.keep_tag.clone(),
        }
    }
}

fn count(text: &str) -> Result<u32, String> {
    match text {
        "unlimited" => Ok(UNLIMITED),
        _ => text.parse().map_err(|_| "it is neither a number nor `unlimited`".to_owned()),
    }
}

fn group_by(text: &str) -> Result<GroupBy, String> {
    let mut by = GroupBy { host: false, paths: false, tags: false };
    for part in text.split(',').filter(|_| text != "none") {
        match part {
            "host" => by.host = true,
            "paths" => by.paths = true,
            "tags" => by.tags = true,
            _ => return Err("it is no list of host, paths and tags, nor `none`".to_owned()),
        }
    }
    Ok(by)
}

pub(super) async fn run(
    arguments: Arguments,
    global: &Global,
    output: &Output,
) -> Result<(), Failure> {
    let policy = arguments.rules.policy();
    if arguments.snapshots.is_empty() && policy.is_empty() {
        return Err(Failure::NothingToForget);
    }
    let location = arguments.location.open(global).await?;
    let mut all = snapshot::load_all_stored(&location).await?;
    let decision = if arguments.snapshots.is_empty() {
        all.retain(|stored| arguments.filter.admits(&stored.snapshot));
        let candidates = all.iter().map(Into::into).collect();
        decide(&policy, arguments.group_by.unwrap_or_default(), candidates)
    } else {
        named(&arguments.snapshots, &all)?
    };
    if let (false, Some(group)) = (arguments.allow_none_left, decision.emptied()) {
        return Err(Failure::NoneLeft { group: group.to_string() });
    }
    let report = Report::start(output, "forgetting");
    if !arguments.dry_run {
        forget(&location, &decision, &all, &report).await?;
    }
    let explicit = !arguments.snapshots.is_empty();
    tell(&decision, explicit, arguments.dry_run, &report, output)
}

/// The decision of somebody who names what to forget: all else is kept, for no rule's sake.
fn named(wanted: &[String], all: &[StoredSnapshot]) -> Result<Decision, Failure> {
    let ids: Vec<ObjectId> = all.iter().map(|stored| stored.snapshot.id).collect();
    let wanted =
        wanted.iter().map(|wanted| fitting(wanted, &ids)).collect::<Result<Vec<_>, _>>()?;
    let judgement = |stored: &StoredSnapshot| {
        let kept = !wanted.contains(&stored.snapshot.id);
        let reasons = if kept { vec![Reason::NotNamed] } else { vec![] };
        Judgement { candidate: stored.into(), reasons }
    };
    let judgements = all.iter().rev().map(judgement).collect();
    Ok(Decision { groups: vec![Group { key: GroupKey::default(), judgements }] })
}

async fn forget(
    location: &Location,
    decision: &Decision,
    all: &[StoredSnapshot],
    report: &Report,
) -> Result<(), Failure> {
    for id in decision.forgotten() {
        if report.control.is_stopped() {
            return Err(strongroom::Error::Stopped.into());
        }
        if let Some(stored) = all.iter().find(|stored| stored.snapshot.id == id) {
            snapshot::forget(location, &stored.snapshot).await?;
        }
    }
    Ok(())
}

fn tell(
    decision: &Decision,
    explicit: bool,
    dry_run: bool,
    report: &Report,
    output: &Output,
) -> Result<(), Failure> {
    let elapsed = report.finish();
    if !output.is_json() && !output.is_quiet() {
        for group in &decision.groups {
            lines(group, explicit).iter().try_for_each(|line| output.line(&printable(line)))?;
        }
    }
    let (forgotten, kept) = (decision.forgotten().count(), decision.kept());
    let human = format!(
        "{} {}, {kept} kept",
        if dry_run { "would forget" } else { "forgot" },
        counted(forgotten as u64, "snapshot"),
    );
    output.summary(&human, || {
        json!({
            "dry_run": dry_run,
            "forgotten": forgotten,
            "kept": kept,
            "groups": decision.groups.iter().map(members).collect::<Vec<Value>>(),
            "seconds": seconds(elapsed),
        })
    })
}

fn lines(group: &Group, explicit: bool) -> Vec<String> {
    // Who named a few snapshots does not want to read the names of all others.
    let shown = group.judgements.iter().filter(|judgement| !explicit || !judgement.is_kept());
    let line = |judgement: &Judgement| {
        let Judgement { candidate, reasons } = judgement;
        let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
        format!(
            "  {:6}  {}  {}  {}:{}  {}",
            if judgement.is_kept() { "keep" } else { "forget" },
            candidate.id,
            instant(candidate.stored.into()),
            candidate.host,
            candidate.paths.join(" "),
            reasons.join(", "),
        )
    };
    let heading = (!explicit).then(|| group.key.to_string());
    heading
        .into_iter()
        .chain(shown.map(|judgement| line(judgement).trim_end().to_owned()))
        .collect()
}

fn members(group: &Group) -> Value {
    let judgement = |judgement: &Judgement| {
        let candidate = &judgement.candidate;
        json!({
            "snapshot": candidate.id.to_string(),
            "stored": instant(candidate.stored.into()),
            "host": candidate.host,
            "paths": candidate.paths,
            "tags": candidate.tags,
            "kept": judgement.is_kept(),
            "reasons": judgement.reasons.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })
    };
    json!({
        "host": group.key.host,
        "paths": group.key.paths,
        "tags": group.key.tags,
        "snapshots": group.judgements.iter().map(judgement).collect::<Vec<Value>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_lists_of_what_they_share() {
        assert_eq!(group_by("host,paths"), Ok(GroupBy::default()));
        assert_eq!(group_by("none"), Ok(GroupBy { host: false, paths: false, tags: false }));
        assert_eq!(group_by("tags"), Ok(GroupBy { host: false, paths: false, tags: true }));
        for bad in ["", "host,", "hosts", "none,host"] {
            assert!(group_by(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn counts_are_numbers_or_unlimited() {
        assert_eq!((count("7"), count("unlimited"), count("0")), (Ok(7), Ok(UNLIMITED), Ok(0)));
        assert!(count("-1").is_err() && count("all").is_err());
    }
}
