//! The way to a cluster: permission, existence, and whether it has become active.

use std::sync::Arc;

use super::shapes::cluster_not_found;
use crate::ids::{ClusterId, RealmId};
use crate::kms::{Call, Kms};
use crate::policy::RequestFacts;
use crate::protocol::Fault;
use crate::records::{Cluster, ClusterStage};
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

/// The cluster as it is now: if its officer has activated it since anybody looked, that is written
/// down, and a backup is taken as CloudHSM does at activation.
pub(crate) async fn observe(kms: &Kms, cluster: Arc<Cluster>) -> Arc<Cluster> {
    if !kms.cloudhsm.has_become_active(&cluster).await {
        return cluster;
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
        Ok(active) => {
            if let Err(error) = kms.cloudhsm.back_up(&active).await {
                tracing::warn!(cluster = %active.id, %error, "no backup at activation");
            }
            Arc::new(active)
        }
        // Deleted in between: what was asked about is answered as it was.
        Err(UpdateError::Refused(())) => cluster,
        Err(error) => {
            tracing::error!(cluster = %cluster.id, ?error, "the activation was not written down");
            cluster
        }
    }
}
