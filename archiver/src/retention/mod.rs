//! Which snapshots to keep: the rules that backup administrators know, as plain functions.
//!
//! Nothing here reads a clock or a store. A snapshot's time is when the store took its commit, not
//! what its host wrote into it: a host whose clock is wrong, or who lies, can neither have others'
//! snapshots forgotten nor its own kept for ever. Ages count back from the latest snapshot of a
//! group, so that a host that was switched off for a year loses nothing by that.
//!
//! - [`Policy`], [`judge`]: the rules, and what each of them keeps.
//! - [`Period`], [`Span`]: the calendar that they count in (UTC, weeks from Monday).
//! - [`GroupBy`], [`decide`]: rules apply to the snapshots of one host and set of paths at a time.

mod calendar;
mod group;
mod policy;

pub use self::calendar::{MalformedSpan, Period, Span};
pub use self::group::{Decision, Group, GroupBy, GroupKey, decide};
pub use self::policy::{Judgement, Policy, Reason, UNLIMITED, judge};

use crate::entry::Timestamp;
use crate::id::ObjectId;
use crate::snapshot::StoredSnapshot;

/// A snapshot as the rules see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub id: ObjectId,
    /// When the store took it.
    pub stored: Timestamp,
    /// The archived machine.
    pub host: String,
    /// What was archived.
    pub paths: Vec<String>,
    /// Its labels.
    pub tags: Vec<String>,
}

impl From<&StoredSnapshot> for Candidate {
    fn from(stored: &StoredSnapshot) -> Self {
        let StoredSnapshot { snapshot, stored } = stored;
        Self {
            id: snapshot.id,
            stored: *stored,
            host: snapshot.commit.host.clone(),
            paths: snapshot.commit.paths.clone(),
            tags: snapshot.commit.tags.clone(),
        }
    }
}
