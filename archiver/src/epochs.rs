//! Epochs: how often a location's keys were exchanged, and which of them still open something.
//!
//! ```text
//! format         keys/0       what a location is made with
//! keys/<n>.<id>  keys/<n>     its format and its secrets in epoch n
//! keys/<n>.closing             there while the exchange of keys that began epoch n comes to its end
//! keys/<n>.<id>.<kind>        the branch keys of epoch n, where data keys are under such
//! ```
//!
//! The highest `keys/<n>` is what counts, and its header names the format that goes with it. An epoch begins with the
//! creation of `keys/<n>`: of several exchanges at the same time exactly one creates it. The `keys/` of earlier epochs
//! stand as long as something may lie under their keys; once they are gone, nothing is believed that does.
//!
//! Nobody writes under keys that were given up: who has announced a write, as a session or a list of condemned packs,
//! looks again whether the epoch is still the one that it opened the location in. Whoever announces it before the epoch
//! begins is waited for.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt;

use crate::error::{Error, Result};
use crate::store::{Family, ObjectName, Store};

/// What lies under `keys/`.
#[derive(Default)]
pub(crate) struct Epochs {
    /// The objects of each epoch that has begun.
    begun: BTreeMap<u32, Vec<ObjectName>>,
    /// Formats and branch keys of epochs that never began.
    leftovers: Vec<ObjectName>,
    closing: BTreeSet<u32>,
}

impl Epochs {
    pub(crate) async fn list(store: &Store) -> Result<Self> {
        let listed: Vec<_> = store.list(Family::Keys).try_collect().await?;
        let names: BTreeSet<ObjectName> = listed.into_iter().filter_map(|l| l.name).collect();
        let mut epochs = Self::default();
        for name in &names {
            match name {
                ObjectName::Keys(epoch) => drop(epochs.begun.insert(*epoch, vec![*name])),
                ObjectName::EpochClosing(epoch) => drop(epochs.closing.insert(*epoch)),
                _ => {}
            }
        }
        for name in names {
            if let ObjectName::EpochFormat(epoch, _) | ObjectName::BranchKeys(epoch, ..) = name {
                epochs.begun.get_mut(&epoch).unwrap_or(&mut epochs.leftovers).push(name);
            }
        }
        Ok(epochs)
    }

    /// Requires that `epoch` still counts in `store`.
    ///
    /// To be asked *after* a write was announced: then whoever exchanges keys later waits for it. And after an object
    /// was met that these keys do not open: if the epoch still counts, none is under later keys.
    pub(crate) async fn confirm(store: &Store, epoch: u32) -> Result<()> {
        match Self::list(store).await?.current() {
            Some(current) if current == epoch => Ok(()),
            _ => Err(Error::KeysExchanged { store: store.url().to_owned() }),
        }
    }

    /// The epoch that counts; `None` where the location's keys are gone.
    pub(crate) fn current(&self) -> Option<u32> {
        self.begun.last_key_value().map(|(epoch, _)| *epoch)
    }

    /// The epochs before it that have not been given up.
    pub(crate) fn earlier(&self) -> Vec<u32> {
        let current = self.current();
        self.begun.keys().copied().filter(|epoch| Some(*epoch) != current).collect()
    }

    /// Whether the exchange of keys that began `epoch` comes to its end.
    ///
    /// To be asked by a writer *after* it was announced: who announced itself before that was decided is waited for.
    pub(crate) fn is_closing(&self, epoch: u32) -> bool {
        self.closing.contains(&epoch)
    }

    /// The objects of epochs before this one, the secrets first. (What lies there of a later epoch may be its
    /// beginning.)
    pub(crate) fn before(&self, epoch: u32) -> Vec<ObjectName> {
        let is_before = |name: &&ObjectName| match name {
            ObjectName::Keys(its)
            | ObjectName::EpochFormat(its, _)
            | ObjectName::BranchKeys(its, ..) => *its < epoch,
            _ => false,
        };
        let closing = self.closing.iter().filter(|its| **its < epoch);
        let closing = closing.map(|its| ObjectName::EpochClosing(*its));
        let named = self.begun.values().flatten().chain(&self.leftovers).filter(is_before);
        named.copied().chain(closing).collect()
    }
}
