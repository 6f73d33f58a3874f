//! Mends what can be mended: an index that is damaged or lost, snapshots that refer to lost data.
//!
//! Nothing that a user archived is removed here. What is written is new: index runs that say what
//! the packs themselves say, and snapshots that leave out what is lost and say so.

mod index;
mod snapshots;

pub use self::index::{IndexRepaired, RepairIndexOptions, repair_index};
pub use self::snapshots::{
    Loss, REPAIRED_TAG, RepairSnapshotsOptions, Repaired, SnapshotsRepaired, repair_snapshots,
};
