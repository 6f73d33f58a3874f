//! What CloudHSM does by itself: exchanges of hardware, a backup of every cluster each day, and the end of those that are too old
//! or were deleted a week ago.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::backups::own_backups;
use super::exchange;
use super::retention;
use crate::clock::Timestamp;
use crate::kms::Kms;
use crate::records::{Backup, Cluster, ClusterStage};
use crate::registry::State;

/// Pause between two looks, in seconds.
const LOOK_SECONDS: u64 = 1;

/// Runs until `stop` changes.
pub(crate) async fn keep_up(kms: Arc<Kms>, mut stop: watch::Receiver<bool>) {
    let pause = Duration::from_secs(LOOK_SECONDS);
    while tokio::time::timeout(pause, stop.wait_for(|stop| *stop)).await.is_err() {
        let now = kms.clock.now();
        exchange::advance(&kms, now).await;
        back_up_daily(&kms, now).await;
        end_old_backups(&kms, now).await;
    }
}

async fn back_up_daily(kms: &Kms, now: Timestamp) {
    let state = kms.registry.state();
    for cluster in state.all_clusters().filter(|cluster| is_due(&state, cluster, now)) {
        match kms.cloudhsm.back_up(cluster).await {
            Ok(Some(_)) => {}
            Ok(None) => tracing::debug!(cluster = %cluster.id, "no HSM gave today's backup"),
            Err(error) => tracing::error!(cluster = %cluster.id, %error, "no backup today"),
        }
    }
}

async fn end_old_backups(kms: &Kms, now: Timestamp) {
    let state = kms.registry.state();
    for backup in state.all_backups().filter(|backup| is_over(&state, backup, now)) {
        match kms.cloudhsm.forget_backup(backup).await {
            Ok(()) => tracing::info!(backup = %backup.id, "a backup has come to its end"),
            Err(error) => tracing::error!(backup = %backup.id, %error, "a backup is still there"),
        }
    }
}

/// Whether an active cluster has had no backup for a day.
fn is_due(state: &State, cluster: &Cluster, now: Timestamp) -> bool {
    let is_recent = |backup: &Arc<Backup>| {
        backup.cluster == cluster.id
            && backup.copy_of.is_none()
            && now < backup.created.plus_days(1)
    };
    cluster.stage == ClusterStage::Active
        && !cluster.hsms.is_empty()
        && !own_backups(state, &cluster.realm).any(is_recent)
}

/// Whether a backup was deleted long enough ago, or is older than its cluster's backups are kept. The last
/// one of a cluster is kept.
fn is_over(state: &State, backup: &Backup, now: Timestamp) -> bool {
    if let Some(at) = backup.delete_at {
        return at <= now;
    }
    let cluster = state.cluster(&backup.realm, &backup.cluster);
    let days = cluster.map_or(retention::DAYS_DEFAULT, |cluster| cluster.backup_retention_days);
    let is_newer = |other: &Arc<Backup>| {
        other.cluster == backup.cluster
            && other.delete_at.is_none()
            && (other.created, &other.id) > (backup.created, &backup.id)
    };
    !backup.never_expires
        && backup.created.plus_days(days) <= now
        && own_backups(state, &backup.realm).any(is_newer)
}
