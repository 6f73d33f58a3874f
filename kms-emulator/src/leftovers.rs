//! Destroys key material in custom key stores that no key has: of keys that never came into being, because the
//! server died in between or the copies for the other HSMs could not be made, and of deleted keys, until the
//! last HSM has destroyed its copy.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::kms::Kms;
use crate::records::PlannedKey;

/// Pause between two looks, in seconds.
const LOOK_SECONDS: u64 = 1;

/// Runs until `stop` changes.
pub(crate) async fn clear(kms: Arc<Kms>, mut stop: watch::Receiver<bool>) {
    let pause = Duration::from_secs(LOOK_SECONDS);
    loop {
        let state = kms.registry.state();
        for planned in state.all_planned_keys().filter(|planned| planned.is_abandoned()) {
            clear_one(&kms, planned).await;
        }
        if tokio::time::timeout(pause, stop.wait_for(|stop| *stop)).await.is_ok() {
            return;
        }
    }
}

/// Strikes the plan once nothing of it is left, and says whether that is so. What is in a store that is not connected
/// waits until it is; with the store the plan ends.
pub(crate) async fn clear_one(kms: &Kms, planned: &PlannedKey) -> bool {
    let state = kms.registry.state();
    let store = state.custom_key_store(&planned.realm, &planned.custom_key_store);
    if store.is_some()
        && let Err(error) = kms.key_stores.clear(planned).await
    {
        tracing::debug!(key = %planned.id, %error, "material that no key has remains");
        return false;
    }
    let (realm, id) = (planned.realm.clone(), planned.id);
    let update = kms.registry.update(move |draft| {
        draft.delete_planned_key(&realm, id);
        Ok::<(), std::convert::Infallible>(())
    });
    match update.await {
        Ok(()) => tracing::info!(key = %planned.id, "material that no key has was destroyed"),
        Err(error) => {
            tracing::error!(key = %planned.id, ?error, "what was destroyed is still written down");
        }
    }
    true
}
