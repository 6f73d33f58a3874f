//! The keys that a fleet device has unwrapped, kept for a while and bounded.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, PoisonError, RwLock};

use super::token::KeyToken;
use crate::limits::WORKING_KEYS_MAX;
use crate::mechanism::WorkingKey;

/// Parts of the memory that lock independently.
const SHARDS: usize = 16;

/// Unwrapped keys by token, in two generations per shard: when the young one is full it becomes the
/// old one, and the old one is zeroised. Tokens in it have been authenticated.
#[derive(Default)]
pub(super) struct WorkingKeys {
    hasher: RandomState,
    shards: [RwLock<Generations>; SHARDS],
}

#[derive(Default)]
struct Generations {
    young: HashMap<KeyToken, Arc<WorkingKey>>,
    old: HashMap<KeyToken, Arc<WorkingKey>>,
}

impl WorkingKeys {
    /// Keys of one generation of one shard.
    const GENERATION_MAX: usize = WORKING_KEYS_MAX / SHARDS / 2;

    pub(super) fn get(&self, token: &KeyToken) -> Option<Arc<WorkingKey>> {
        let shard = self.shard(token)?;
        let generations = shard.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = generations.young.get(token) {
            return Some(Arc::clone(key));
        }
        let key = Arc::clone(generations.old.get(token)?);
        drop(generations);
        shard.write().unwrap_or_else(PoisonError::into_inner).keep(token, &key);
        Some(key)
    }

    pub(super) fn insert(&self, token: &KeyToken, key: WorkingKey) -> Arc<WorkingKey> {
        let key = Arc::new(key);
        if let Some(shard) = self.shard(token) {
            shard.write().unwrap_or_else(PoisonError::into_inner).keep(token, &key);
        }
        key
    }

    pub(super) fn clear(&self) {
        for shard in &self.shards {
            *shard.write().unwrap_or_else(PoisonError::into_inner) = Generations::default();
        }
    }

    fn shard(&self, token: &KeyToken) -> Option<&RwLock<Generations>> {
        let hash = usize::try_from(self.hasher.hash_one(token) & 0xff).ok()?;
        self.shards.get(hash % SHARDS)
    }
}

impl Generations {
    fn keep(&mut self, token: &KeyToken, key: &Arc<WorkingKey>) {
        if self.young.len() >= WorkingKeys::GENERATION_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(token.clone(), Arc::clone(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto;

    #[test]
    fn working_keys_are_bounded() {
        let working = WorkingKeys::default();
        for number in 0..(WORKING_KEYS_MAX as u32 * 2) {
            let mut token = vec![1; 77];
            token[1..5].copy_from_slice(&number.to_be_bytes());
            let token = KeyToken::from_bytes(&token).unwrap();
            working.insert(&token, WorkingKey::Aes(crypto::generate_key().unwrap()));
        }
        let kept: usize = working
            .shards
            .iter()
            .map(|shard| {
                let generations = shard.read().unwrap();
                generations.young.len() + generations.old.len()
            })
            .sum();
        assert!(kept <= WORKING_KEYS_MAX, "{kept} keys kept");
        assert!(kept > WORKING_KEYS_MAX / 4, "{kept} keys kept");
    }
}
