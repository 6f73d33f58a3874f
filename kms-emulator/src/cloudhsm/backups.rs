//! Taking backups, and what HSMs are made from.

use std::sync::Arc;

use strongroom_hsm::provision::Backup as BackupBytes;

use super::control_plane::{ControlPlane, HardwareError};
use crate::clock::Timestamp;
use crate::ids::{BackupId, HsmId, RealmId};
use crate::records::{Backup, Cluster};
use crate::registry::{Draft, Realm, State};

impl ControlPlane {
    /// Takes a backup of a cluster from the first HSM that gives one; a cluster that was not initialised,
    /// or of which no HSM answers, gives none.
    ///
    /// # Errors
    /// `HardwareError::File` and `HardwareError::Registry`: there is no backup then.
    pub(crate) async fn back_up(
        &self,
        cluster: &Cluster,
    ) -> Result<Option<Arc<Backup>>, HardwareError> {
        match self.draw_backup(cluster, None).await {
            Some(bytes) => self.keep(cluster, &bytes).await,
            None => Ok(None),
        }
    }

    /// What a new HSM of the cluster is made from: a backup of one that lives, else the last one, else
    /// the one that the cluster was made from.
    pub(super) async fn backup_for(
        &self,
        cluster: &Cluster,
        new: &HsmId,
    ) -> Result<Option<BackupBytes>, HardwareError> {
        if let Some(bytes) = self.draw_backup(cluster, Some(new)).await {
            self.keep(cluster, &bytes).await?;
            return Ok(Some(bytes));
        }
        let state = self.registry.state();
        let last = last_of(&state, cluster, self.clock.now()).map(|backup| backup.id.clone());
        match last.or_else(|| cluster.source_backup.clone()) {
            Some(id) => self.backup_files.read(&id).map(Some),
            None => Ok(None),
        }
    }

    /// Removes a backup: the record first, so that no record names a file that is gone.
    pub(crate) async fn forget_backup(&self, backup: &Backup) -> Result<(), HardwareError> {
        let (realm, id) = (backup.realm.clone(), backup.id.clone());
        self.write_down(move |draft| draft.delete_backup(&realm, &id)).await?;
        self.backup_files.remove(&backup.id);
        Ok(())
    }

    /// Copies a backup's bytes to another and writes that down.
    pub(super) async fn copy_backup(
        &self,
        source: &BackupId,
        copy: Backup,
    ) -> Result<(), HardwareError> {
        self.backup_files.write(&copy.id, &self.backup_files.read(source)?)?;
        self.write_down(move |draft| draft.put_backup(copy.clone())).await
    }

    async fn keep(
        &self,
        cluster: &Cluster,
        bytes: &BackupBytes,
    ) -> Result<Option<Arc<Backup>>, HardwareError> {
        let (Some(certificates), Some(claim)) = (&cluster.certificates, &cluster.claim) else {
            return Ok(None);
        };
        let now = self.clock.now();
        let backup = Backup {
            realm: cluster.realm.clone(),
            id: BackupId::random(),
            cluster: cluster.id.clone(),
            created: self.moment_for(cluster, now),
            ready_at: self.done_at(now),
            hsm_type: Arc::clone(&cluster.hsm_type),
            stage: cluster.stage,
            certificates: Arc::clone(certificates),
            claim: Arc::clone(claim),
            never_expires: false,
            copy_of: None,
            delete_at: None,
            tags: Arc::default(),
            policy: None,
        };
        self.backup_files.write(&backup.id, bytes)?;
        let kept = Arc::new(backup.clone());
        self.write_down(move |draft| draft.put_backup(backup.clone())).await?;
        tracing::info!(cluster = %cluster.id, backup = %kept.id, "a backup was taken");
        Ok(Some(kept))
    }

    /// A moment after that of every backup of the cluster, so that the newest is known even if the clock
    /// stands still or goes back.
    fn moment_for(&self, cluster: &Cluster, now: Timestamp) -> Timestamp {
        let state = self.registry.state();
        let others = own_backups(&state, &cluster.realm);
        let last =
            others.filter(|backup| backup.cluster == cluster.id).map(|backup| backup.created);
        let next = |last: Timestamp| Timestamp::from_millis(last.as_millis().saturating_add(1));
        last.max().map_or(now, |last| now.max(next(last)))
    }

    pub(super) async fn write_down<F>(&self, change: F) -> Result<(), HardwareError>
    where
        F: Fn(&mut Draft) + Send + 'static,
    {
        let update = self.registry.update(move |draft| {
            change(draft);
            Ok::<(), std::convert::Infallible>(())
        });
        update.await.map_err(|error| HardwareError::Registry(format!("{error:?}")))
    }
}

/// The newest backup of a cluster that is ready.
fn last_of<'a>(state: &'a State, cluster: &Cluster, now: Timestamp) -> Option<&'a Arc<Backup>> {
    own_backups(state, &cluster.realm)
        .filter(|backup| backup.cluster == cluster.id && backup.is_ready(now))
        .max_by_key(|backup| (backup.created, &backup.id))
}

/// The backups of an account in a Region.
pub(super) fn own_backups<'a>(
    state: &'a State,
    realm: &RealmId,
) -> impl Iterator<Item = &'a Arc<Backup>> {
    state.realm(realm).into_iter().flat_map(Realm::backups)
}
