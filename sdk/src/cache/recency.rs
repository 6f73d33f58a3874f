//! Entries in the order of their use.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::EntryId;

/// At most so many entries; the least recently used one gives way.
pub(super) struct Entries<M> {
    entries_max: usize,
    by_id: HashMap<EntryId, Entry<M>>,
    /// The least recently used first.
    by_use: BTreeMap<Use, EntryId>,
    uses: Use,
}

/// The how-manieth use of any entry; in 64 bits it does not come round.
type Use = u64;

struct Entry<M> {
    materials: M,
    created: Duration,
    expires: Duration,
    last_use: Use,
}

impl<M> Entries<M> {
    pub(super) fn new(entries_max: usize) -> Self {
        Self { entries_max, by_id: HashMap::new(), by_use: BTreeMap::new(), uses: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn clear(&mut self) {
        self.by_id.clear();
        self.by_use.clear();
    }

    /// What `pick` takes from the entry `id` if at `now` it has not expired and is younger than `age_max`;
    /// one from which nothing is taken is dropped.
    pub(super) fn pick<R>(
        &mut self,
        id: &EntryId,
        now: Duration,
        age_max: Duration,
        pick: impl FnOnce(&mut M) -> Option<R>,
    ) -> Option<R> {
        let next = self.uses.wrapping_add(1);
        let entry = self.by_id.get_mut(id)?;
        //= framework/local-cryptographic-materials-cache.md#get-cache-entry
        //# The local CMC MUST NOT return any TTL-expired entry.
        let is_valid = now < entry.expires && now.saturating_sub(entry.created) < age_max;
        let picked = if is_valid { pick(&mut entry.materials) } else { None };
        let Some(picked) = picked else {
            self.remove(id);
            return None;
        };
        let last = std::mem::replace(&mut entry.last_use, next);
        self.uses = next;
        self.by_use.remove(&last);
        self.by_use.insert(next, *id);
        Some(picked)
    }

    /// Puts an entry, made `now` and good for `age_max`, in the place of any other of this id.
    pub(super) fn put(&mut self, id: EntryId, materials: M, now: Duration, age_max: Duration) {
        if self.entries_max == 0 {
            return;
        }
        self.remove(&id);
        //= framework/local-cryptographic-materials-cache.md#put-cache-entry
        //# However, before returning, the local CMC MUST evict least-recently used entries
        //# until the number of stored entries does not exceed the entry capacity.
        while self.by_id.len() >= self.entries_max {
            let Some((_, oldest)) = self.by_use.pop_first() else { break };
            self.by_id.remove(&oldest);
        }
        self.uses = self.uses.wrapping_add(1);
        self.by_use.insert(self.uses, id);
        let expires = now.saturating_add(age_max);
        self.by_id.insert(id, Entry { materials, created: now, expires, last_use: self.uses });
    }

    /// Drops those of the `count` least recently used entries that have expired at `now`.
    pub(super) fn prune(&mut self, count: usize, now: Duration) {
        //= framework/local-cryptographic-materials-cache.md#pruning
        //# To prune TTL-expired cache entries, the local CMC MUST evict all TTL-expired entries among
        //# the `N` least recently used entries, where N is the Entry Pruning Tail Size.
        let oldest: Vec<EntryId> = self.by_use.values().take(count).copied().collect();
        for id in oldest {
            if self.by_id.get(&id).is_some_and(|entry| entry.expires <= now) {
                self.remove(&id);
            }
        }
    }

    fn remove(&mut self, id: &EntryId) {
        if let Some(entry) = self.by_id.remove(id) {
            self.by_use.remove(&entry.last_use);
        }
    }
}
