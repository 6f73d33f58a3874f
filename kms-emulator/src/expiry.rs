//! Deletes keys whose waiting period is over, and imported material whose time is.
//!
//! A key stops to exist for every request at the moment of its deletion date, and material at that of its
//! expiration; this task removes what is left of them soon after.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;

use crate::audit::Event;
use crate::clock::Timestamp;
use crate::kms::{self, Kms};
use crate::leftovers;
use crate::records::{Key, PlannedKey};

/// Pause between two looks for keys to delete. AWS says that it may take up to a day longer.
const LOOK_SECONDS: u64 = 5;

/// Runs until `stop` changes.
pub(crate) async fn delete_expired(kms: Arc<Kms>, mut stop: watch::Receiver<bool>) {
    let pause = Duration::from_secs(LOOK_SECONDS);
    while tokio::time::timeout(pause, stop.wait_for(|stop| *stop)).await.is_err() {
        sweep(&kms).await;
    }
}

/// Deletes what is due by now.
pub(crate) async fn sweep(kms: &Kms) {
    let now = kms.clock.now();
    let state = kms.registry.state();
    let expired: Vec<Arc<Key>> =
        state.all_keys().filter(|key| key.is_expired(now)).map(Arc::clone).collect();
    for key in expired {
        delete(kms, &key, now).await;
    }
    let expired: Vec<Arc<Key>> =
        state.all_keys().filter(|key| key.has_expired_material(now)).map(Arc::clone).collect();
    for key in expired {
        forget_material(kms, &key, now).await;
    }
}

/// Removes the key first, then its material: a crash in between never leaves a key without material. What
/// was made in HSMs is written down as a leftover until every one of them has destroyed its copy; as AWS does
/// it, a store that is not connected keeps its orphan.
async fn delete(server: &Kms, key: &Key, now: Timestamp) {
    let (realm, id) = (key.realm.clone(), key.id);
    let leftover = leftover(server, key);
    let planned = leftover.clone();
    let removed = server
        .registry
        .update(move |draft| {
            let due = draft.state().key(&realm, id).filter(|key| key.is_expired(now)).cloned();
            if let Some(key) = &due {
                draft.delete_key(&realm, id);
                if let Some(leftover) = &planned {
                    draft.put_planned_key(leftover.clone());
                }
                kms::after_deletion(draft, key, now);
            }
            Ok::<bool, std::convert::Infallible>(due.is_some())
        })
        .await;
    match removed {
        Ok(true) => {}
        Ok(false) => return,
        Err(error) => {
            tracing::error!(key = %key.arn(), ?error, "an expired key was not deleted");
            return;
        }
    }
    let destroyed = match leftover {
        Some(leftover) => leftovers::clear_one(server, &leftover).await,
        None => destroy(server, key).await,
    };
    let cluster = cluster(server, key);
    let end = || Event::deleted(now, key, cluster.as_deref().map(|cluster| (cluster, destroyed)));
    server.audit.record(end).await;
}

/// Destroys the material of a deleted key, if its key store is connected; says whether it is gone.
async fn destroy(server: &Kms, key: &Key) -> bool {
    let Some(store) = server.key_stores.of(key) else { return false };
    let deleted = store.delete(&key.material).await;
    if let Err(error) = &deleted {
        tracing::warn!(key = %key.arn(), %error, "the key material of a deleted key remains");
    }
    deleted.is_ok()
}

/// The cluster that a key's material is in.
fn cluster(server: &Kms, key: &Key) -> Option<String> {
    let store = key.custom_key_store.as_deref()?.parse().ok()?;
    let state = server.registry.state();
    Some(state.custom_key_store(&key.realm, &store)?.cluster.to_string())
}

/// What is left of a key in the HSMs of a connected custom key store.
fn leftover(server: &Kms, key: &Key) -> Option<PlannedKey> {
    let store = key.custom_key_store.as_deref()?;
    server.key_stores.connected(store)?;
    Some(PlannedKey {
        realm: key.realm.clone(),
        id: key.id,
        custom_key_store: store.parse().ok()?,
        request: Weak::new(),
    })
}

/// Removes imported material; the key stays and awaits the same material again.
async fn forget_material(server: &Kms, key: &Key, now: Timestamp) {
    let (realm, id) = (key.realm.clone(), key.id);
    let forgotten = server.registry.update(move |draft| {
        let newest = draft.state().key(&realm, id);
        if let Some(key) = newest.and_then(|key| kms::without_expired_material(key, now)) {
            kms::put_shared(draft, key);
        }
        Ok::<(), std::convert::Infallible>(())
    });
    if let Err(error) = forgotten.await {
        tracing::error!(key = %key.arn(), ?error, "expired key material was not deleted");
        return;
    }
    let details = serde_json::json!({ "keyId": key.id.to_string() });
    let begin = || Event::of_service(now, "DeleteExpiredKeyMaterial", key, Some(details));
    server.audit.record(begin).await;
}
