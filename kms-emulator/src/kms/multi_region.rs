//! Multi-Region keys: the keys of one id in several Regions of an account.
//!
//! They are keys of their own with the same material. One of them is the primary: it alone is replicated
//! and rotated, and what it shares with its replicas is copied to them in the same commit.

use serde::Serialize;

use super::Call;
use crate::clock::Timestamp;
use crate::ids::{KeyArn, RealmId, Region};
use crate::protocol::{Fault, StringLimits};
use crate::records::{Key, Lifecycle};
use crate::registry::Draft;

/// Constraints of a Region's name.
pub(super) const REGION: StringLimits = StringLimits::length(1, 32)
    .pattern("^([a-z]+-){2,3}\\d+$", |text| text.parse::<Region>().is_ok());

/// `MultiRegionConfiguration`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Configuration {
    multi_region_key_type: &'static str,
    primary_key: Place,
    replica_keys: Vec<Place>,
}

/// Where a key lies.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Place {
    arn: KeyArn,
    region: Region,
}

impl Place {
    fn of(realm: &RealmId, key: &Key) -> Self {
        Self { arn: realm.key_arn(key.id), region: realm.region.clone() }
    }
}

/// What is shown of a key's relatives; none for a single-Region key.
pub(super) fn configuration(call: &Call, key: &Key) -> Option<Configuration> {
    let primary = key.primary_region.clone()?;
    let account = key.realm.account;
    // The key itself may be newer than the state.
    let mut regions: Vec<&Region> =
        call.state.relatives(key).map(|relative| &relative.realm.region).collect();
    regions.push(&key.realm.region);
    regions.retain(|region| **region != primary);
    regions.sort();
    let place = |region: &Region| Place::of(&RealmId { account, region: region.clone() }, key);
    Some(Configuration {
        multi_region_key_type: if key.is_primary() { "PRIMARY" } else { "REPLICA" },
        replica_keys: regions.into_iter().map(place).collect(),
        primary_key: place(&primary),
    })
}

/// Refuses what is not the primary key of a multi-Region key.
pub(super) fn check_primary(key: &Key) -> Result<(), Fault> {
    if key.primary_region.is_some() && key.is_primary() {
        return Ok(());
    }
    Err(Fault::unsupported(format!("{} is not a multi-Region primary key.", key.arn())))
}

/// Refuses a replica, for what only its primary key does.
pub(super) fn refuse_replica(key: &Key) -> Result<(), Fault> {
    if key.primary_region.is_none() || key.is_primary() {
        return Ok(());
    }
    Err(Fault::unsupported(format!(
        "{} is a multi-Region replica key, which is not valid for this operation.",
        key.arn()
    )))
}

/// Puts a changed key, and what it shares into its replicas.
pub(crate) fn put_shared(draft: &mut Draft, key: Key) {
    if key.is_primary() {
        let replicas: Vec<Key> =
            draft.state().relatives(&key).map(|replica| Key::clone(replica)).collect();
        for mut replica in replicas {
            replica.share_properties_of(&key);
            draft.put_key(replica);
        }
    }
    draft.put_key(key);
}

/// Whether a key has replicas, so that it cannot be deleted before them.
pub(super) fn has_replicas(draft: &Draft, key: &Key) -> bool {
    key.primary_region.is_some()
        && key.is_primary()
        && draft.state().relatives(key).next().is_some()
}

/// Starts the waiting period of a primary key whose last replica is gone.
pub(crate) fn after_deletion(draft: &mut Draft, deleted: &Key, now: Timestamp) {
    let relatives: Vec<Key> =
        draft.state().relatives(deleted).map(|relative| Key::clone(relative)).collect();
    let [primary] = relatives.as_slice() else { return };
    if let Lifecycle::PendingReplicaDeletion { window_days } = primary.lifecycle {
        let at = now.plus_days(window_days);
        let lifecycle = Lifecycle::PendingDeletion { at, window_days };
        draft.put_key(Key { lifecycle, ..primary.clone() });
    }
}
