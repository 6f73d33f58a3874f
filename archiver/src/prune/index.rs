//! Keeps the index tidy: runs that name packs that are gone, and many small runs, are written anew.

use crate::condemned::Packs;
use crate::error::Result;
use crate::index::{NamedRun, RunBuilder};
use crate::location::Location;
use crate::store::ObjectName;

/// Runs smaller than this are merged, once there are several…
const RUN_BYTES_SMALL: usize = 16 << 20;

/// … into runs of about this size at most: reading one for the first time takes several times as much memory.
const RUN_BYTES_TARGET: usize = 64 << 20;

/// Takes the packs `going`, and those that are gone already, out of the index, and merges small
/// runs; answers how many runs were removed.
///
/// New runs are there before old ones go, so that a crash leaves entries twice, which is harmless.
pub(super) async fn tidy(location: &Location, going: &Packs) -> Result<u64> {
    let runs = location.index().read_all().await?;
    // After the runs: a pack that is named and not there has been removed.
    let there = location.packs().await?;
    let stays = |pack: ObjectName| there.contains_key(&pack) && !going.contains(&pack);
    let is_stale = |named: &&NamedRun| named.run.packs().iter().any(|pack| !stays(pack.name()));
    let is_small = |named: &&NamedRun| named.run.bytes() < RUN_BYTES_SMALL;
    let several = runs.iter().filter(is_small).count() > 1;
    let old: Vec<&NamedRun> =
        runs.iter().filter(|named| is_stale(named) || (several && is_small(named))).collect();
    let mut new = RunBuilder::default();
    let mut bytes = 0;
    for named in &old {
        if bytes + named.run.bytes() > RUN_BYTES_TARGET {
            write(location, std::mem::take(&mut new)).await?;
            bytes = 0;
        }
        new.absorb(&named.run, stays);
        bytes += named.run.bytes();
    }
    write(location, new).await?;
    let mut names: Vec<ObjectName> = old.iter().map(|named| named.name).collect();
    names.extend(location.index().given_up(&runs).await?);
    let removed = names.len() as u64;
    location.store().delete_all(names).await?;
    Ok(removed)
}

async fn write(location: &Location, run: RunBuilder) -> Result<()> {
    if run.is_empty() {
        return Ok(());
    }
    location.index().write(1, run.serialize()).await.map(drop)
}
