//! Deletes keys whose waiting period is over.
//!
//! A key stops to exist for every request at the moment of its deletion date; this task removes what is
//! left of it soon after.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Timestamp;
use crate::kms::Kms;
use crate::records::Key;

/// Pause between two looks for keys to delete. AWS says that it may take up to a day longer.
const LOOK_SECONDS: u64 = 5;

/// Runs until `stop` changes.
pub(crate) async fn delete_expired_keys(kms: Arc<Kms>, mut stop: watch::Receiver<bool>) {
    let pause = Duration::from_secs(LOOK_SECONDS);
    while tokio::time::timeout(pause, stop.wait_for(|stop| *stop)).await.is_err() {
        let now = kms.clock.now();
        let state = kms.registry.state();
        let expired: Vec<Arc<Key>> =
            state.all_keys().filter(|key| key.is_expired(now)).map(Arc::clone).collect();
        for key in expired {
            delete(&kms, &key, now).await;
        }
    }
}

/// Removes the key first, then its material: a crash in between leaves material that no key names, and
/// never a key without material. As AWS does it, a store that is away keeps its orphan.
async fn delete(kms: &Kms, key: &Key, now: Timestamp) {
    let (realm, id) = (key.realm.clone(), key.id);
    let removed = kms
        .registry
        .update(move |draft| {
            let is_due = draft.state().key(&realm, id).is_some_and(|key| key.is_expired(now));
            if is_due {
                draft.delete_key(&realm, id);
            }
            Ok::<bool, std::convert::Infallible>(is_due)
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
    let Some(store) = kms.key_stores.of(key) else { return };
    if let Err(error) = store.delete(&key.material).await {
        tracing::warn!(key = %key.arn(), %error, "the key material of a deleted key remains");
    }
}
