//! Who fetches what at this moment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::lock::{Mutex as AsyncMutex, MutexGuard as AsyncMutexGuard};

use super::EntryId;

/// The fetches under way, at most one for each caller that waits.
#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<EntryId, Arc<AsyncMutex<()>>>>);

/// One caller's part in the fetch of one entry; the fetch is forgotten when nobody has part in it.
pub(super) struct Flight<'a> {
    flights: &'a Flights,
    id: EntryId,
    turn: Arc<AsyncMutex<()>>,
}

impl Flights {
    /// Takes part in the fetch of the entry `id`.
    pub(super) fn join(&self, id: EntryId) -> Flight<'_> {
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = under_way.entry(id).or_default().clone();
        Flight { flights: self, id, turn }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Flight<'_> {
    /// The right to fetch, to be kept until the entry is in the cache; `None` after having waited for
    /// another who had it.
    pub(super) async fn turn(&self) -> Option<AsyncMutexGuard<'_, ()>> {
        let turn = self.turn.try_lock();
        if turn.is_none() {
            drop(self.turn.lock().await);
        }
        turn
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        /// The map's reference, and the one that is being dropped.
        const LAST: usize = 2;
        let mut under_way = self.flights.0.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::strong_count(&self.turn) <= LAST {
            under_way.remove(&self.id);
        }
    }
}
