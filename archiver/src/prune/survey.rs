//! Looks at everything, in the order that makes the answers fit together.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::live::Live;
use super::sessions;
use crate::condemned;
use crate::control::Control;
use crate::error::Result;
use crate::id::ObjectId;
use crate::index::NamedRun;
use crate::location::Location;
use crate::store::ObjectName;

/// What is in a location.
pub(super) struct Survey {
    /// The index.
    pub(super) runs: Vec<NamedRun>,
    /// What other collectors have condemned.
    condemned: HashSet<ObjectName>,
    /// Packs that are not under the location's present keys.
    outlived: HashSet<ObjectName>,
    /// The packs that are there, with their length in bytes.
    pub(super) packs: HashMap<ObjectName, u64>,
    /// Writers that have begun and not ended.
    pub(super) writers: Vec<ObjectId>,
    /// What snapshots need.
    pub(super) live: Live,
}

impl Survey {
    /// Takes a survey for a collector that works on list `own`.
    ///
    /// The index comes before the lists, so that what is found in it was in it when others'
    /// lists were created, or will be found by their makers. The lists come before the packs, so
    /// that a list that is done with has had its packs removed. The sessions come before the
    /// snapshots, so that a writer that is not among the former is among the latter or never will be.
    pub(super) async fn take(
        location: &Arc<Location>,
        own: Option<ObjectId>,
        control: &Control,
    ) -> Result<Self> {
        let runs = location.index().read_all().await?;
        let mut condemned = HashSet::new();
        for id in condemned::list(location).await?.into_iter().filter(|id| Some(*id) != own) {
            condemned.extend(condemned::load(location, id).await?.unwrap_or_default());
        }
        let packs = location.packs().await?;
        let writers = sessions::list(location).await?;
        let live = Live::mark(location, &runs, &packs, control).await?;
        let outlived = location.outlived(runs.iter().flat_map(|named| named.run.packs()));
        Ok(Self { runs, condemned, outlived, packs, writers, live })
    }

    /// Whether a pack is not under the location's present keys, so that its days are numbered.
    pub(super) fn is_outlived(&self, pack: ObjectName) -> bool {
        self.outlived.contains(&pack)
    }

    /// Whether a pack is there and stays there as far as others have decided.
    pub(super) fn stays(&self, pack: ObjectName) -> bool {
        self.packs.contains_key(&pack) && !self.condemned.contains(&pack)
    }
}
