//! ModifyCluster.

use super::exchange;
use super::lookup::{change_cluster, find, find_in, observe};
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
        if input.hsm_type.is_none() && input.backup_retention.is_none() {
            return Err(invalid_request("Give a BackupRetentionPolicy or an HsmType."));
        }
        let days = input.backup_retention.as_ref().map(RetentionPolicy::days).transpose()?;
        // It may have become active without anybody having looked.
        let cluster = observe(&call.kms, cluster).await;
        let (wanted, now) = (input.hsm_type, call.now);
        change_cluster(call, &cluster.id, move |_, cluster| {
            if let Some(wanted) = &wanted {
                exchange::begin(cluster, wanted, now)?;
            }
            cluster.backup_retention_days = days.unwrap_or(cluster.backup_retention_days);
            Ok(())
        })
        .await?;
        let modified = find_in(&call.kms.registry.state(), &call.realm, cluster.id.as_str())?;
        let shown = ShownCluster::now(&call.kms.cloudhsm, &modified, call.now).await;
        Ok(ClusterReply { cluster: shown })
    }
}
