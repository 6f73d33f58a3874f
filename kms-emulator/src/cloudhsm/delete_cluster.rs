//! DeleteCluster.

use super::lookup::{find, find_in};
use super::shapes::{self, invalid_request};
use super::show::{ClusterReply, ShownCluster};
use crate::kms::{Call, Operation};
use crate::protocol::{Fault, Members, Request};

pub(super) struct DeleteCluster;

pub(super) struct Input {
    cluster_id: String,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        Ok(Self { cluster_id: members.string("ClusterId", &shapes::CLUSTER_ID)? })
    }
}

impl Operation for DeleteCluster {
    const NAME: &'static str = "DeleteCluster";
    type Input = Input;
    type Output = ClusterReply;

    /// The cluster's last backup stays: from it the keys can be had back.
    async fn run(call: &Call, input: Input) -> Result<ClusterReply, Fault> {
        let cluster = find(call, &input.cluster_id)?;
        let _changing = call.kms.cloudhsm.change().await;
        let (realm, id) = (call.realm.clone(), cluster.id.clone());
        call.update(move |draft| {
            let cluster = find_in(draft.state(), &realm, id.as_str())?;
            if !cluster.hsms.is_empty() {
                return Err(invalid_request(format!(
                    "Cluster {id} still has {} HSMs; delete them first.",
                    cluster.hsms.len()
                )));
            }
            draft.delete_cluster(&realm, &id);
            Ok(())
        })
        .await?;
        let shown = ShownCluster::of(&cluster, "DELETE_IN_PROGRESS", "", Vec::new());
        Ok(ClusterReply { cluster: shown })
    }
}
