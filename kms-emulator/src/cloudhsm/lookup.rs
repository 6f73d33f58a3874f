//! The way to a cluster or a backup: permission, existence, and whether it has become active.

use std::sync::Arc;

use super::shapes::{backup_in, backup_not_found, cluster_not_found, invalid_request};
use crate::ids::{BackupId, ClusterId, RealmId};
use crate::kms::{Call, Kms};
use crate::policy::{self, Query, RequestFacts};
use crate::protocol::Fault;
use crate::records::{Backup, Cluster, ClusterStage};
use crate::registry::{Draft, State, UpdateError};

/// Decides whether the caller may do the operation on a cluster, or on all (`*`).
pub(super) fn authorize(call: &Call, cluster: &str) -> Result<(), Fault> {
    let realm = &call.realm;
    let resource = match cluster {
        "*" => cluster.to_owned(),
        id => format!("arn:aws:cloudhsm:{}:{}:cluster/{id}", realm.region, realm.account),
    };
    let action = format!("cloudhsm:{}", call.operation);
    call.authorize_action(&action, &resource, &RequestFacts::default()).map(drop)
}

/// The cluster that a request names, after `authorize`.
pub(super) fn find(call: &Call, id: &str) -> Result<Arc<Cluster>, Fault> {
    authorize(call, id)?;
    find_in(&call.kms.registry.state(), &call.realm, id)
}

/// The same in a state.
pub(super) fn find_in(state: &State, realm: &RealmId, id: &str) -> Result<Arc<Cluster>, Fault> {
    id.parse()
        .ok()
        .and_then(|id: ClusterId| state.cluster(realm, &id).cloned())
        .ok_or_else(|| cluster_not_found(realm, id))
}

/// Changes a cluster: `change` gets it as it is when the change is committed.
pub(super) async fn change_cluster<T, F>(call: &Call, id: &ClusterId, change: F) -> Result<T, Fault>
where
    T: Send + 'static,
    F: Fn(&Draft, &mut Cluster) -> Result<T, Fault> + Send + 'static,
{
    let (realm, id) = (call.realm.clone(), id.clone());
    call.update(move |draft| {
        let mut cluster = Cluster::clone(&*find_in(draft.state(), &realm, id.as_str())?);
        let value = change(draft, &mut cluster)?;
        draft.put_cluster(cluster);
        Ok(value)
    })
    .await
}

/// The backup that a request names by its id, after the decision whether the caller may do that to it.
pub(super) fn find_backup(call: &Call, id: &str) -> Result<Arc<Backup>, Fault> {
    authorize_backup(call, id)?;
    find_backup_in(&call.kms.registry.state(), &call.realm, id)
}

/// The same in a state.
pub(super) fn find_backup_in(
    state: &State,
    realm: &RealmId,
    id: &str,
) -> Result<Arc<Backup>, Fault> {
    id.parse()
        .ok()
        .and_then(|id: BackupId| state.backup(realm, &id).cloned())
        .ok_or_else(|| backup_not_found(realm, id))
}

fn authorize_backup(call: &Call, id: &str) -> Result<(), Fault> {
    let realm = &call.realm;
    let resource = format!("arn:aws:cloudhsm:{}:{}:backup/{id}", realm.region, realm.account);
    let action = format!("cloudhsm:{}", call.operation);
    call.authorize_action(&action, &resource, &RequestFacts::default()).map(drop)
}

/// Changes a backup: `change` gets it as it is when the change is committed. Returns it as it is then.
pub(super) async fn change_backup<F>(call: &Call, id: &str, change: F) -> Result<Arc<Backup>, Fault>
where
    F: Fn(&mut Backup) -> Result<(), Fault> + Send + 'static,
{
    let (realm, id) = (call.realm.clone(), id.to_owned());
    call.update(move |draft| {
        let mut backup = Backup::clone(&*find_backup_in(draft.state(), &realm, &id)?);
        change(&mut backup)?;
        draft.put_backup(backup.clone());
        Ok(Arc::new(backup))
    })
    .await
}

/// The backup from which something is to be made: an own one, or one of another account that shares it
/// with the caller. It is ready.
pub(super) fn source_backup(call: &Call, name: &str) -> Result<Arc<Backup>, Fault> {
    let missing = || backup_not_found(&call.realm, name);
    let (place, id) = backup_in(name).ok_or_else(missing)?;
    let realm = place.unwrap_or_else(|| call.realm.clone());
    let state = call.kms.registry.state();
    let backup = if realm.account == call.realm.account {
        find_backup(call, id.as_str())?
    } else {
        let found = state.backup(&realm, &id).filter(|_| realm.region == call.realm.region);
        let shared = found.filter(|backup| is_shared_with(call, backup));
        Arc::clone(shared.ok_or_else(missing)?)
    };
    if !backup.is_ready(call.now) {
        return Err(invalid_request(format!("Backup {id} is not READY.")));
    }
    Ok(backup)
}

/// Whether a backup's resource policy, and the caller's own policies, let the caller do the operation.
pub(super) fn is_shared_with(call: &Call, backup: &Backup) -> bool {
    let Some(policy) = &backup.policy else { return false };
    let (action, resource) = (format!("cloudhsm:{}", call.operation), backup.arn());
    let query = Query {
        principal: call.principal(),
        action: &action,
        resource: &resource,
        key_policy: Some((policy, backup.realm.account)),
        key: None,
        environment: &call.environment(),
        facts: &RequestFacts::default(),
        is_granted: None,
    };
    policy::decide(&query).is_ok()
}

/// The cluster as it is now: if its officer has activated it since anybody looked, that is written
/// down, and a backup is taken as CloudHSM does at activation.
pub(crate) async fn observe(kms: &Kms, cluster: Arc<Cluster>) -> Arc<Cluster> {
    if !kms.cloudhsm.has_become_active(&cluster).await {
        return cluster;
    }
    let mut active = Cluster::clone(&cluster);
    active.stage = ClusterStage::Active;
    // Before anybody sees the activation: a crash in between leaves a backup too many.
    if let Err(error) = kms.cloudhsm.back_up(&active).await {
        tracing::warn!(cluster = %active.id, %error, "no backup at activation");
    }
    let (realm, id) = (cluster.realm.clone(), cluster.id.clone());
    let updated = kms
        .registry
        .update(move |draft| {
            let Some(cluster) = draft.state().cluster(&realm, &id) else { return Err(()) };
            let mut active = Cluster::clone(cluster);
            active.stage = ClusterStage::Active;
            draft.put_cluster(active.clone());
            Ok(active)
        })
        .await;
    match updated {
        Ok(active) => Arc::new(active),
        // Deleted in between: what was asked about is answered as it was.
        Err(UpdateError::Refused(())) => cluster,
        Err(error) => {
            tracing::error!(cluster = %cluster.id, ?error, "the activation was not written down");
            cluster
        }
    }
}
