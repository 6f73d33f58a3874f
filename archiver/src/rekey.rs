//! Exchanges the keys that a location is under, while writers write and collectors collect.
//!
//! 1. An epoch begins: `keys/<n>`, with the same secrets, is created under the new keys. From now on everything is
//!    written under these, and read under these and the earlier ones.
//! 2. Writers and collectors that announced themselves before are waited for, or fenced; who comes later sees the
//!    epoch. (Both look at the epoch after they have announced themselves.)
//! 3. What lies under earlier keys is brought under the new ones: what is needed of packs is copied into new packs, as
//!    when [`prune`](mod@crate::prune) repacks; index runs are written anew; of each commit a copy is made beside it,
//!    for the commit itself tells by its place and its age what exists, and since when. When no pack is left under
//!    earlier keys, `keys/<n>.closing` says so: writers that begin then rely on nothing under these, those that began before
//!    are waited for, and what they rely on is copied. (A collector of before can have copied something that nobody
//!    needed any more, and put it into the index at the very end.)
//! 4. The `keys/` of earlier epochs are removed. From now on nothing under their keys is believed.
//!
//! No data key is wrapped anew: the tag of a message's header covers the wrapped keys, so that another wrapping would
//! mean another tag under the same key and nonce. So every byte is encrypted anew, under a data key of its own.
//!
//! Where data keys are wrapped by branch keys, step 3 falls away: the epoch has the same branch keys under its own keys, and a
//! further version of each, so that nothing else lies under the keys that are given up. What was written before stays under
//! branch keys that the keys before opened once: whoever kept a copy of `keys/` *and* can use those keys still reads it.
//!
//! Interrupted wherever, every snapshot can be read under the new keys and the earlier ones, and the next exchange with
//! the same keys goes on from there.
//!
//! A program that slept through all of it can leave an index run, a list or a pack under keys that were given up. Its
//! announcement was ended, so it commits nothing, and nothing relies on these: readers pass them over, and collectors
//! remove them.

use std::sync::Arc;

use crate::control::Control;
use crate::epochs::Epochs;
use crate::error::{Error, Result};
use crate::location::{Exchange, Location, NewKeys};
use crate::prune::{PruneOptions, Pruned, renew_packs, wait_for_others};
use crate::snapshot;
use crate::store::ObjectName;

/// What an exchange of keys did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Rekeyed {
    /// Whether an epoch has begun, now or in an exchange that was interrupted; otherwise everything was under these
    /// keys already.
    pub changed: bool,
    /// The epoch.
    pub epoch: u32,
    /// What became of packs.
    pub packs: Pruned,
    /// Index runs that were written anew, those aside that were merged.
    pub runs: u64,
    /// Commits that were copied.
    pub snapshots: u64,
}

/// Brings all of `location` under `new`; `begun` is called once the location opens under these keys only.
///
/// Of `options`, what concerns waiting, exclusive use and packs is regarded.
///
/// # Errors
/// [`Error::Encrypt`] and [`Error::Decrypt`] for keys that will not do: then nothing has changed. Later, as
/// [`prune`](crate::prune::prune).
pub async fn rekey(
    location: &Arc<Location>,
    new: &NewKeys,
    options: &PruneOptions,
    control: &Control,
    begun: impl FnOnce(),
) -> Result<Rekeyed> {
    if !location.format().capabilities.create_if_absent && !options.exclusive {
        return Err(Error::Unfenceable { store: location.store().url().to_owned() });
    }
    let location = match location.exchange_keys(new).await? {
        Exchange::Needless => {
            return Ok(Rekeyed { epoch: location.format().epoch, ..Rekeyed::default() });
        }
        Exchange::Unfinished => location.clone(),
        Exchange::Begun(location) => location,
    };
    begun();
    let mut rekeyed =
        Rekeyed { changed: true, epoch: location.format().epoch, ..Rekeyed::default() };
    if location.has_branch_keys() {
        rekeyed.packs = wait_for_others(&location, options, control).await?;
    } else {
        rekeyed.packs = renew_packs(&location, options, control).await?;
        rekeyed.runs = renew_runs(&location, control).await?;
        for stored in snapshot::list_stored(&location).await? {
            control.check()?;
            rekeyed.snapshots += u64::from(snapshot::renew(&location, &stored).await?);
        }
    }
    give_up_earlier(&location).await?;
    Ok(rekeyed)
}

/// Writes index runs anew that are under earlier keys, until a listing shows none: a collector of before can be
/// merging them meanwhile.
async fn renew_runs(location: &Location, control: &Control) -> Result<u64> {
    let (index, mut renewed) = (location.index(), 0);
    loop {
        let mut met = false;
        for name in index.list().await? {
            control.check()?;
            let ObjectName::Index(level, _) = name else { continue };
            let (wrapping, plain) = match index.read_with_wrapping(name).await {
                Err(error) if error.is_gone() => continue,
                // Late from an exchange before this one.
                Err(Error::KeysGivenUp { .. }) => {
                    location.confirm_epoch().await?;
                    location.store().delete(name).await?;
                    continue;
                }
                other => other?,
            };
            if wrapping.as_ref() != Some(location.wrapping()) {
                index.write(level, plain.to_vec()).await?;
                location.store().delete(name).await?;
                (met, renewed) = (true, renewed + 1);
            }
        }
        if !met {
            return Ok(renewed);
        }
    }
}

/// Removes the `keys/` of earlier epochs.
async fn give_up_earlier(location: &Location) -> Result<()> {
    let epochs = Epochs::list(location.store()).await?;
    for name in epochs.before(location.format().epoch) {
        location.store().delete(name).await?;
    }
    location.store().delete(ObjectName::EpochClosing(location.format().epoch)).await
}
