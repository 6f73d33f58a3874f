//! Forgets everything but who may call: for tests that want to begin anew.

use std::convert::Infallible;
use std::sync::Arc;

use crate::kms::Kms;
use crate::registry::UpdateError;

/// Removes every key, alias, grant, custom key store, cluster and backup of all accounts and Regions.
///
/// # Errors
/// When the storage fails; then nothing of the state is removed.
pub(crate) async fn reset(kms: &Kms) -> Result<(), UpdateError<Infallible>> {
    let state = kms.registry.state();
    for store in state.all_custom_key_stores() {
        if let Some(pool) = kms.key_stores.disconnect(&store.id) {
            pool.close().await;
        }
    }
    let changing = kms.cloudhsm.change().await;
    for hsm in state.all_clusters().flat_map(|cluster| cluster.hsms.keys()) {
        kms.cloudhsm.remove(hsm, &changing).await;
    }
    kms.registry
        .update(|draft| {
            let state = draft.state().clone();
            for store in state.all_custom_key_stores() {
                draft.delete_custom_key_store(&store.realm, &store.id);
            }
            for cluster in state.all_clusters() {
                draft.delete_cluster(&cluster.realm, &cluster.id);
            }
            for backup in state.all_backups() {
                draft.delete_backup(&backup.realm, &backup.id);
            }
            for planned in state.all_planned_keys() {
                draft.delete_planned_key(&planned.realm, planned.id);
            }
            for key in state.all_keys().map(Arc::clone) {
                draft.delete_key(&key.realm, key.id);
            }
            Ok(())
        })
        .await
}
