//! Waits for writers, and fences those that seem to be dead.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;

use super::PruneOptions;
use crate::control::Control;
use crate::entry::Timestamp;
use crate::error::{Error, Result};
use crate::id::ObjectId;
use crate::location::Location;
use crate::session;
use crate::snapshot;
use crate::store::{Family, ObjectName, Put};

/// How long a writer may give no sign of life before it is taken for dead, unless the caller says
/// otherwise: fifteen missed heartbeats. A machine that sleeps longer loses the archive under way.
pub const DEAD_AFTER_DEFAULT: Duration = Duration::from_secs(15 * 60);

/// How often it is looked again whether writers have ended: often at first, for most end soon.
const LOOK_AGAIN_FIRST: Duration = Duration::from_millis(200);
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(15);

/// Who is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
    /// Every writer that has begun; the dead are fenced.
    ForAll,
    /// Nobody; the dead are fenced.
    ForNobody,
}

/// What became of writers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Settled {
    pub(super) awaited: u64,
    pub(super) fenced: u64,
}

/// What the store says of one session.
#[derive(Default)]
struct Signs {
    has_begun: bool,
    last: Timestamp,
    objects: Vec<ObjectName>,
}

/// The writers that have begun and not ended.
pub(super) async fn list(location: &Location) -> Result<Vec<ObjectId>> {
    let signs = signs(location).await?;
    Ok(signs.into_iter().filter(|(_, signs)| signs.has_begun).map(|(id, _)| id).collect())
}

/// Waits until every writer that has begun when this is called has ended or is fenced, and removes
/// what such writers have left of their sessions.
///
/// # Errors
/// [`Error::WritersAtWork`] when that takes too long, [`Error::Stopped`], [`Error::Store`].
pub(super) async fn settle(
    location: &Location,
    waiting: Waiting,
    options: &PruneOptions,
    control: &Control,
) -> Result<Settled> {
    let mut settled = Settled::default();
    let mut now = signs(location).await?;
    remove_leftovers(location, &now).await?;
    let mut awaited: BTreeSet<ObjectId> =
        now.iter().filter(|(_, signs)| signs.has_begun).map(|(id, _)| *id).collect();
    let (mut told, mut waited, mut pause) = (BTreeSet::new(), Duration::ZERO, LOOK_AGAIN_FIRST);
    loop {
        awaited.retain(|id| now.get(id).is_some_and(|signs| signs.has_begun));
        if awaited.is_empty() {
            return Ok(settled);
        }
        for id in dead(location, &awaited, &now, options.dead_after).await? {
            snapshot::fence(location, id).await?;
            // Before anything is marked: a writer that committed, and wakes up, sees it gone.
            remove(location, now.get(&id)).await?;
            awaited.remove(&id);
            settled.fenced += 1;
        }
        if awaited.is_empty() || waiting == Waiting::ForNobody {
            return Ok(settled);
        }
        if options.exclusive || options.wait_max.is_some_and(|most| waited >= most) {
            return Err(Error::WritersAtWork { count: awaited.len() });
        }
        for id in awaited.iter().filter(|id| told.insert(**id)) {
            settled.awaited += 1;
            let host = session::load(location, *id).await.ok().map(|session| session.host);
            control.observer.awaiting(*id, host.as_deref());
        }
        control.check()?;
        tokio::time::sleep(pause).await;
        waited += pause;
        pause = (pause * 2).min(LOOK_AGAIN_MAX);
        now = signs(location).await?;
    }
}

async fn signs(location: &Location) -> Result<BTreeMap<ObjectId, Signs>> {
    let mut all: BTreeMap<ObjectId, Signs> = BTreeMap::new();
    let mut listed = location.store().list(Family::Sessions);
    while let Some(object) = listed.try_next().await? {
        let Some(name) = object.name else { continue };
        let (ObjectName::Session(id) | ObjectName::Heartbeat(id, _)) = name else { continue };
        let signs = all.entry(id).or_default();
        signs.has_begun |= matches!(name, ObjectName::Session(_));
        signs.last = signs.last.max(object.modified);
        signs.objects.push(name);
    }
    Ok(all)
}

/// The writers among `awaited` that have given no sign of life for `dead_after`, all times being the
/// store's. That they are dead is only likely: nothing relies on it.
async fn dead(
    location: &Location,
    awaited: &BTreeSet<ObjectId>,
    signs: &BTreeMap<ObjectId, Signs>,
    dead_after: Duration,
) -> Result<Vec<ObjectId>> {
    let now = store_time(location).await?;
    let is_dead =
        |id: &&ObjectId| signs.get(id).is_some_and(|signs| between(signs.last, now) >= dead_after);
    Ok(awaited.iter().filter(is_dead).copied().collect())
}

/// The time as the store has it, read off an object that is made for it.
async fn store_time(location: &Location) -> Result<Timestamp> {
    let store = location.store();
    let name = ObjectName::Preflight(ObjectId::random());
    if store.create(name, Bytes::from_static(b"what time is it")).await? == Put::Occupied {
        return Err(Error::NameTaken { object: name });
    }
    let listed: Vec<_> = store.list(Family::Preflights).try_collect().await?;
    store.delete(name).await?;
    let probe = listed.into_iter().find(|object| object.name == Some(name));
    probe.map(|probe| probe.modified).ok_or(Error::ObjectMissing { object: name })
}

fn between(earlier: Timestamp, later: Timestamp) -> Duration {
    let since_epoch = |time: Timestamp| {
        let seconds = u64::try_from(time.seconds).unwrap_or(0);
        Duration::new(seconds, time.nanoseconds)
    };
    since_epoch(later).saturating_sub(since_epoch(earlier))
}

/// Removes heartbeats of sessions that have ended.
async fn remove_leftovers(location: &Location, all: &BTreeMap<ObjectId, Signs>) -> Result<()> {
    for signs in all.values().filter(|signs| !signs.has_begun) {
        remove(location, Some(signs)).await?;
    }
    Ok(())
}

/// Removes a session, its heartbeats first: one without them is only a young one.
async fn remove(location: &Location, signs: Option<&Signs>) -> Result<()> {
    let mut objects = signs.map(|signs| signs.objects.clone()).unwrap_or_default();
    objects.sort_unstable_by_key(|name| matches!(name, ObjectName::Session(_)));
    for name in objects {
        location.store().delete(name).await?;
    }
    Ok(())
}
