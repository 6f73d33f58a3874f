//! What caches of materials have in common: bounds on number and age, one fetch at a time for each entry.
//!
//! A lock is held to look an entry up or to put one in, never while anybody waits. Of the callers that
//! miss the same entry at the same time, one fetches it and the others wait for it.
//!
//! Source: `framework/cryptographic-materials-cache.md`,
//! `framework/local-cryptographic-materials-cache.md`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::error::Result;
use crate::message::limits::within;

mod entry_id;
mod flight;
mod recency;

pub(crate) use entry_id::{EntryId, Identity, Resource, Scope};
use flight::Flights;
use recency::Entries;

/// Most entries that a cache can be made for.
pub const CACHE_ENTRIES_MAX: usize = 1 << 20;
/// How many of the least recently used entries are looked at, with each use, for ones that are too old.
const PRUNED_ENTRIES_MAX: usize = 2;

/// A cache of at most so many entries; the least recently used ones give way to new ones.
///
/// Several users may share one. They get each other's entries only when they were given the same
/// partition. What it holds is wiped when it is dropped and no message needs it any more.
pub struct LocalCache<M> {
    clock: Arc<dyn Clock>,
    entries: Mutex<Entries<M>>,
    flights: Flights,
}

impl<M: Send> LocalCache<M> {
    /// A cache of at most `entries_max` entries; with none it keeps nothing.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`](crate::Error::LimitExceeded) above [`CACHE_ENTRIES_MAX`].
    pub fn new(entries_max: usize, clock: Arc<dyn Clock>) -> Result<Self> {
        within("cache entries", entries_max as u64, CACHE_ENTRIES_MAX as u64)?;
        let entries = Mutex::new(Entries::new(entries_max));
        Ok(Self { clock, entries, flights: Flights::default() })
    }

    /// How many entries there are, too old ones among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Drops every entry.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// What `pick` takes from the entry `id`, or what `fetch` brings when there is no such entry younger
    /// than `age_max`, or `pick` takes nothing from it.
    ///
    /// `fetch` brings the entry to keep, if it may be kept, and what `pick` would have taken from it.
    pub(crate) async fn get_or_fetch<R>(
        &self,
        id: EntryId,
        age_max: Duration,
        pick: impl Fn(&mut M) -> Option<R> + Send,
        fetch: impl Future<Output = Result<(Option<M>, R)>> + Send,
    ) -> Result<R> {
        if let Some(found) = self.pick(&id, age_max, &pick) {
            return Ok(found);
        }
        let flight = self.flights.join(id);
        // Whoever had to wait and finds nothing then fetches on his own: he must not wait for ever, and
        // a failure of another is none of his.
        let turn = flight.turn().await;
        if let Some(found) = self.pick(&id, age_max, &pick) {
            return Ok(found);
        }
        let (entry, result) = fetch.await?;
        if let Some(entry) = entry {
            self.lock().put(id, entry, self.clock.elapsed(), age_max);
        }
        drop(turn);
        Ok(result)
    }

    /// What `pick` takes from an entry; one that is too old or from which it takes nothing is dropped.
    fn pick<R>(
        &self,
        id: &EntryId,
        age_max: Duration,
        pick: impl Fn(&mut M) -> Option<R>,
    ) -> Option<R> {
        let now = self.clock.elapsed();
        let mut entries = self.lock();
        entries.prune(PRUNED_ENTRIES_MAX, now);
        entries.pick(id, now, age_max, pick)
    }

    /// No code that can panic runs under this lock, so a poisoned one is whole.
    fn lock(&self) -> MutexGuard<'_, Entries<M>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
