//! ModifyCluster.

use super::lookup::{change_cluster, find, find_in};
use super::retention::RetentionPolicy;
use super::shapes::{self, invalid_request};
use super::show::{ClusterReply, ShownCluster};
use crate::kms::{Call, Operation};
use crate::protocol::{Fault, Members, Request};

pub(super) struct ModifyCluster;

pub(super) struct Input {
    cluster_id: String,
    hsm_type: Option<String>,
    backup_retention: Option<RetentionPolicy>,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        Ok(Self {
            cluster_id: members.string("ClusterId", &shapes::CLUSTER_ID)?,
            hsm_type: members.optional_string("HsmType", &shapes::HSM_TYPE)?,
            backup_retention: RetentionPolicy::read(members)?,
        })
    }
}

impl Operation for ModifyCluster {
    const NAME: &'static str = "ModifyCluster";
    type Input = Input;
    type Output = ClusterReply;

    async fn run(call: &Call, input: Input) -> Result<ClusterReply, Fault> {
        let cluster = find(call, &input.cluster_id)?;
        if input.hsm_type.is_some_and(|wanted| wanted != *cluster.hsm_type) {
            return Err(invalid_request(
                "The hardware of a cluster is not exchanged here; make a cluster of the other type \
                 from a backup.",
            ));
        }
        let Some(policy) = input.backup_retention else {
            return Err(invalid_request("Give a BackupRetentionPolicy or an HsmType."));
        };
        let days = policy.days()?;
        change_cluster(call, &cluster.id, move |_, cluster| {
            cluster.backup_retention_days = days;
            Ok(())
        })
        .await?;
        let modified = find_in(&call.kms.registry.state(), &call.realm, cluster.id.as_str())?;
        let shown = ShownCluster::now(&call.kms.cloudhsm, &modified, call.now).await;
        Ok(ClusterReply { cluster: shown })
    }
}
