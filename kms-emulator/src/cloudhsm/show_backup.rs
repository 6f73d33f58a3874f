//! Backups as replies show them.

use std::sync::Arc;

use serde::Serialize;

use super::tags::{self, Tag};
use crate::clock::Timestamp;
use crate::ids::{BackupId, ClusterId, Region};
use crate::records::Backup;

/// `Backup`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ShownBackup {
    backup_id: BackupId,
    backup_arn: String,
    backup_state: &'static str,
    cluster_id: ClusterId,
    create_timestamp: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    copy_timestamp: Option<Timestamp>,
    never_expires: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_region: Option<Region>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_backup: Option<BackupId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_cluster: Option<ClusterId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delete_timestamp: Option<Timestamp>,
    tag_list: Vec<Tag>,
    hsm_type: Arc<str>,
    mode: &'static str,
}

/// A reply that is a backup.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BackupReply {
    pub(super) backup: ShownBackup,
}

impl ShownBackup {
    /// A backup as it is at `now`.
    pub(super) fn of(backup: &Backup, now: Timestamp) -> Self {
        let source = backup.copy_of.as_ref();
        Self {
            backup_id: backup.id.clone(),
            backup_arn: backup.arn(),
            backup_state: state_of(backup, now),
            cluster_id: backup.cluster.clone(),
            create_timestamp: backup.created,
            copy_timestamp: source.map(|source| source.copied),
            never_expires: backup.never_expires,
            source_region: source.map(|source| source.region.clone()),
            source_backup: source.map(|source| source.backup.clone()),
            source_cluster: source.map(|_| backup.cluster.clone()),
            delete_timestamp: backup.delete_at,
            tag_list: tags::shown(&backup.tags),
            hsm_type: Arc::clone(&backup.hsm_type),
            mode: "FIPS",
        }
    }
}

/// `BackupState`.
pub(super) fn state_of(backup: &Backup, now: Timestamp) -> &'static str {
    match backup.delete_at {
        Some(at) if at <= now => "DELETED",
        Some(_) => "PENDING_DELETION",
        None if now < backup.ready_at => "CREATE_IN_PROGRESS",
        None => "READY",
    }
}
