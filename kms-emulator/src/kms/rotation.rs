//! Rotation: which keys have one, and the task that rotates them in time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Kms;
use super::access::live_key;
use super::key_state::KeyState;
use super::multi_region;
use crate::audit::Event;
use crate::clock::Timestamp;
use crate::keystore::KeyStoreError;
use crate::protocol::Fault;
use crate::records::{Key, KeySpec, Material, Origin, Rotated, RotationKind, RotationSchedule};
use crate::registry::State;

/// Pause between two looks for keys to rotate.
const LOOK_SECONDS: u64 = 5;

/// Refuses a key that has no automatic rotation.
pub(super) fn check(key: &Key) -> Result<(), Fault> {
    check_origin(key, &[Origin::AwsKms])
}

/// Refuses a key that is never rotated. One of imported material is, on demand.
pub(super) fn check_on_demand(key: &Key) -> Result<(), Fault> {
    check_origin(key, &[Origin::AwsKms, Origin::External])
}

fn check_origin(key: &Key, origins: &[Origin]) -> Result<(), Fault> {
    let unsupported = |what: &str, value: &str| {
        Err(Fault::unsupported(format!(
            "{} {what} is {value} which is not valid for this operation.",
            key.arn()
        )))
    };
    if key.spec != KeySpec::SymmetricDefault {
        return unsupported("key spec", key.spec.as_str());
    }
    if !origins.contains(&key.origin) {
        return unsupported("origin", key.origin.as_str());
    }
    Ok(())
}

/// Where material stands that was imported to be the next one (`KeyMaterialState`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PendingState {
    /// Some key of the id has yet to get it.
    MultiRegionImport,
    /// Every key of the id has it.
    Rotation,
}

impl PendingState {
    /// The name on the wire.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::MultiRegionImport => "PENDING_MULTI_REGION_IMPORT_AND_ROTATION",
            Self::Rotation => "PENDING_ROTATION",
        }
    }
}

/// That of the material that is to be a key's next one, if there is any.
pub(super) fn pending_state(state: &State, key: &Key, now: Timestamp) -> Option<PendingState> {
    let pending = key.pending.as_ref()?;
    let has_it = |key: &Key| {
        key.pending.as_ref().is_some_and(|own| own.id == pending.id && own.is_present(now))
    };
    let is_everywhere = has_it(key) && state.relatives(key).all(|relative| has_it(relative));
    Some(if is_everywhere { PendingState::Rotation } else { PendingState::MultiRegionImport })
}

/// Makes the material of a rotation.
pub(super) async fn material(
    kms: &Kms,
    key: &Key,
    rotated: Rotated,
) -> Result<Material, KeyStoreError> {
    let made = kms.key_stores.default_store().create(&key.arn()).await?;
    Ok(Material { rotated: Some(rotated), ..made })
}

/// Rotates keys whose time has come, until `stop` changes.
pub(crate) async fn rotate_due_keys(kms: Arc<Kms>, mut stop: watch::Receiver<bool>) {
    let pause = Duration::from_secs(LOOK_SECONDS);
    while tokio::time::timeout(pause, stop.wait_for(|stop| *stop)).await.is_err() {
        rotate_due(&kms).await;
    }
}

/// Rotates the keys whose time has come by now.
pub(crate) async fn rotate_due(kms: &Kms) {
    let now = kms.clock.now();
    let state = kms.registry.state();
    let due: Vec<Arc<Key>> =
        state.all_keys().filter(|key| is_due(key, now)).map(Arc::clone).collect();
    for key in due {
        if let Err(fault) = rotate(kms, &key, now).await {
            tracing::error!(key = %key.arn(), %fault, "a key was not rotated");
        }
    }
}

/// A key that is disabled or waits for its deletion keeps its schedule and is rotated when it is
/// enabled again.
fn is_due(key: &Key, now: Timestamp) -> bool {
    key.is_primary()
        && KeyState::of(key, true, now) == KeyState::Enabled
        && key.rotation.is_some_and(|rotation| rotation.next <= now)
}

async fn rotate(kms: &Kms, key: &Key, now: Timestamp) -> Result<(), Fault> {
    let rotated = Rotated { at: now, kind: RotationKind::Automatic };
    let new = material(kms, key, rotated).await.map_err(KeyStoreError::into_creation_fault)?;
    let (realm, id) = (key.realm.clone(), key.id);
    let updated = kms.registry.update(move |draft| {
        let newest = live_key(draft.state(), &realm, id, now).filter(|key| is_due(key, now));
        if let Some(mut key) = newest.map(|key| Key::clone(key)) {
            key.rotate(new.clone());
            key.rotation = key.rotation.map(|rotation| after(rotation, now));
            multi_region::put_shared(draft, key);
            return Ok(true);
        }
        Ok::<bool, std::convert::Infallible>(false)
    });
    let is_rotated = updated.await.map_err(|error| Fault::internal(format!("{error:?}")))?;
    if is_rotated {
        let details = serde_json::json!({ "keyId": key.id.to_string() });
        kms.audit.record(|| Event::of_service(now, "RotateKey", key, Some(details))).await;
    }
    Ok(())
}

/// The schedule behind a rotation at `now`: times that were missed are not made up for.
fn after(rotation: RotationSchedule, now: Timestamp) -> RotationSchedule {
    let mut next = rotation.next;
    while next <= now {
        next = next.plus_days(rotation.period_days);
    }
    RotationSchedule { next, ..rotation }
}
