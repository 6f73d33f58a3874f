//! Brings all packs under the location's present keys, by a collector's means: packs under earlier keys are condemned,
//! and what is needed of them is copied.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::plan::Plan;
use super::sessions::Waiting;
use super::survey::Survey;
use super::{Collector, Goal, PruneOptions, Pruned, index};
use crate::condemned::{self, Packs};
use crate::control::Control;
use crate::envelope::Wrapping;
use crate::error::{Error, Result};
use crate::location::Location;
use crate::store::ObjectName;

/// Packs are copied in rounds of at least so many bytes…
const ROUND_BYTES_MIN: u64 = 4 << 30;

/// … and at most this part of all: each round looks at all snapshots, and needs the room for its copies.
const ROUNDS: u64 = 8;

/// Longer than the header of any pack that this program writes.
const HEADER_BYTES_READ: u64 = 64 << 10;

/// Brings every pack under the location's present keys, and waits for every writer that may use earlier ones.
///
/// # Errors
/// As [`prune`](super::prune); [`Error::KeyDenied`](crate::Cause::KeyDenied) when a kind of pack cannot be read.
pub(crate) async fn renew_packs(
    location: &Arc<Location>,
    options: &PruneOptions,
    control: &Control,
) -> Result<Pruned> {
    let mut collector = begin(location, options, control).await?;
    let (mut is_first, mut is_closing) = (true, false);
    loop {
        control.check()?;
        let survey = Survey::take(location, None, control).await?;
        demand_index(location, &survey).await?;
        if std::mem::take(&mut is_first) {
            let all = Plan::for_present_keys(&survey, u64::MAX);
            control.progress.bytes_total.store(all.bytes_needed, Ordering::Relaxed);
        }
        let all: u64 = survey.packs.values().sum();
        let plan = Plan::for_present_keys(&survey, ROUND_BYTES_MIN.max(all / ROUNDS));
        if plan.condemned.is_empty() && !is_closing {
            // A collector of before may have copied something that nobody needed any more, and tell of it only now: from
            // here on no writer relies on what it says, and those who already do are waited for and looked after.
            close_epoch(location).await?;
            collector.settle(Waiting::ForAll).await?;
            is_closing = true;
            continue;
        }
        if plan.condemned.is_empty() {
            collector.pruned.snapshots = survey.live.snapshots();
            break;
        }
        drop(survey);
        let before = collector.pruned;
        let id = condemned::condemn(location, &plan.condemned).await?;
        collector.finish(id).await?;
        let copied = collector.pruned.bytes_copied - before.bytes_copied;
        control.progress.add(collector.pruned.packs_removed - before.packs_removed, copied);
        if collector.pruned.packs_removed == before.packs_removed {
            return Err(Error::CollectorsAtWork);
        }
    }
    collector.pruned.runs_removed += index::tidy(location, &Packs::new()).await?;
    Ok(collector.pruned)
}

/// Has writers that begin from now on rely on nothing under earlier keys.
async fn close_epoch(location: &Location) -> Result<()> {
    let name = ObjectName::EpochClosing(location.format().epoch);
    // It may be there from an exchange that was interrupted.
    location.store().create(name, Bytes::new()).await.map(drop)
}

/// Waits for every writer and collector that may use earlier keys.
///
/// # Errors
/// As [`renew_packs`].
pub(crate) async fn wait_for_others(
    location: &Arc<Location>,
    options: &PruneOptions,
    control: &Control,
) -> Result<Pruned> {
    Ok(begin(location, options, control).await?.pruned)
}

/// A collector that has nobody under earlier keys at work beside it: whoever writes under these had announced that before
/// the epoch began, or does not go on.
async fn begin<'a>(
    location: &'a Arc<Location>,
    options: &'a PruneOptions,
    control: &'a Control,
) -> Result<Collector<'a>> {
    let mut collector = Collector::new(Goal::PresentKeys, location, options, control)?;
    collector.finish_all().await?;
    collector.settle(Waiting::ForAll).await?;
    Ok(collector)
}

/// Requires that the index says what snapshots need of packs under earlier keys. A snapshot that was committed since
/// the index was read needs packs that are not found in it, and which are under the present keys.
async fn demand_index(location: &Location, survey: &Survey) -> Result<()> {
    for object in survey.live.unindexed().filter(|pack| survey.packs.contains_key(pack)) {
        let header = match location.store().get_range(object, 0..HEADER_BYTES_READ).await {
            Err(error) if error.is_gone() => continue,
            other => other?,
        };
        if Wrapping::of(&header).as_ref() != Some(location.wrapping()) {
            let what = "no index run says what a snapshot needs of it";
            return Err(Error::Damaged { object, what });
        }
    }
    Ok(())
}
