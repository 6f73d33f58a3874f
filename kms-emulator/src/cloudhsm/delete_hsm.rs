//! DeleteHsm.

use std::sync::Arc;

use serde::Serialize;

use super::lookup::{change_cluster, find, find_in};
use super::shapes::{self, internal, invalid_request, not_found};
use crate::ids::HsmId;
use crate::kms::{Call, Operation};
use crate::protocol::{Fault, Members, Request};
use crate::records::{Cluster, ClusterStage, Hsm};

pub(super) struct DeleteHsm;

pub(super) struct Input {
    cluster_id: String,
    hsm_id: Option<String>,
    interface: Option<String>,
    address: Option<String>,
}

/// The reply.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    hsm_id: HsmId,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        Ok(Self {
            cluster_id: members.string("ClusterId", &shapes::CLUSTER_ID)?,
            hsm_id: members.optional_string("HsmId", &shapes::HSM_ID)?,
            interface: members.optional_string("EniId", &shapes::INTERFACE_ID)?,
            address: members.optional_string("EniIp", &shapes::IP_ADDRESS)?,
        })
    }
}

impl Operation for DeleteHsm {
    const NAME: &'static str = "DeleteHsm";
    type Input = Input;
    type Output = Output;

    async fn run(call: &Call, input: Input) -> Result<Output, Fault> {
        let cluster = find(call, &input.cluster_id)?;
        let plane = &call.kms.cloudhsm;
        let changing = plane.change().await;
        let hsm = named(&cluster, &input)?.id.clone();
        // The last moment at which what it holds can be saved, as CloudHSM does before each deletion.
        plane.back_up(&cluster).await.map_err(internal)?;
        let gone = hsm.clone();
        change_cluster(call, &cluster.id, move |_, cluster| {
            let removed = Arc::make_mut(&mut cluster.hsms).remove(&gone);
            // A request that nobody signed goes with the key that it was for.
            if cluster.stage == ClusterStage::Uninitialized {
                cluster.certificates = None;
            }
            removed.map(drop).ok_or_else(|| hsm_not_found(cluster, gone.as_str()))
        })
        .await?;
        plane.remove(&hsm, &changing).await;
        let cluster = find_in(&call.kms.registry.state(), &call.realm, cluster.id.as_str())?;
        plane.tell_members(&cluster).await;
        Ok(Output { hsm_id: hsm })
    }
}

/// The one HSM that a request names, by id, interface or address.
fn named<'a>(cluster: &'a Cluster, input: &Input) -> Result<&'a Hsm, Fault> {
    let mut hsms = cluster.hsms.values();
    let (name, found) = match (&input.hsm_id, &input.interface, &input.address) {
        (Some(id), None, None) => (id, hsms.find(|hsm| hsm.id.as_str() == id)),
        (None, Some(id), None) => (id, hsms.find(|hsm| hsm.interface.as_str() == id)),
        (None, None, Some(ip)) => (ip, hsms.find(|hsm| hsm.address.to_string() == *ip)),
        _ => return Err(invalid_request("Give exactly one of HsmId, EniId and EniIp.")),
    };
    found.ok_or_else(|| hsm_not_found(cluster, name))
}

fn hsm_not_found(cluster: &Cluster, name: &str) -> Fault {
    not_found(format!("Cluster {} has no HSM {name}.", cluster.id))
}
