//! Backups of CloudHSM clusters, as the control plane remembers them. What they hold lies in a file that
//! only an HSM of the same factory can open.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ClusterCertificates, ClusterClaim, ClusterStage};
use crate::clock::Timestamp;
use crate::ids::{BackupId, ClusterId, RealmId, Region};
use crate::policy::KeyPolicy;

/// A backup of a cluster: from it another cluster is made that shares its history.
#[derive(Clone, Debug)]
pub(crate) struct Backup {
    pub(crate) realm: RealmId,
    pub(crate) id: BackupId,
    /// The cluster that it was taken of; it may be gone.
    pub(crate) cluster: ClusterId,
    pub(crate) created: Timestamp,
    /// Until then the backup shows that it is being made.
    pub(crate) ready_at: Timestamp,
    pub(crate) hsm_type: Arc<str>,
    /// How far the cluster had come.
    pub(crate) stage: ClusterStage,
    pub(crate) certificates: Arc<ClusterCertificates>,
    pub(crate) claim: Arc<ClusterClaim>,
    /// Whether the retention of the cluster passes it by.
    pub(crate) never_expires: bool,
    /// Where it was copied from, if it is a copy.
    pub(crate) copy_of: Option<BackupSource>,
    /// When it will be gone, if its owner has deleted it.
    pub(crate) delete_at: Option<Timestamp>,
    pub(crate) tags: Arc<BTreeMap<String, String>>,
    /// With whom it is shared.
    pub(crate) policy: Option<Arc<KeyPolicy>>,
}

/// What a copy was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BackupSource {
    pub(crate) region: Region,
    pub(crate) backup: BackupId,
    pub(crate) copied: Timestamp,
}

impl Backup {
    /// For example `arn:aws:cloudhsm:us-east-1:111122223333:backup/backup-2a3b4c5d6e7`.
    pub(crate) fn arn(&self) -> String {
        let RealmId { account, region } = &self.realm;
        format!("arn:aws:cloudhsm:{region}:{account}:backup/{}", self.id)
    }

    /// Whether a cluster can be made from it.
    pub(crate) fn is_ready(&self, now: Timestamp) -> bool {
        self.ready_at <= now && self.delete_at.is_none()
    }
}
