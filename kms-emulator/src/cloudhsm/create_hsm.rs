//! CreateHsm.

use std::net::Ipv4Addr;
use std::sync::Arc;

use serde::Serialize;

use super::exchange;
use super::lookup::{change_cluster, find, find_in, observe};
use super::network::{AddressError, Zone};
use super::shapes::{self, internal, invalid_request};
use super::show::ShownHsm;
use crate::ids::{ClusterId, HsmId, InterfaceId};
use crate::kms::{Call, Operation};
use crate::protocol::{Fault, FaultCode, Members, Request};
use crate::records::{Cluster, ClusterStage, Hsm};

/// HSMs of one cluster (quota of CloudHSM).
const HSMS_MAX: usize = 28;

pub(super) struct CreateHsm;

pub(super) struct Input {
    cluster_id: String,
    zone: String,
    address: Option<String>,
}

/// The reply.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    hsm: ShownHsm,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        Ok(Self {
            cluster_id: members.string("ClusterId", &shapes::CLUSTER_ID)?,
            zone: members.string("AvailabilityZone", &shapes::ZONE)?,
            address: members.optional_string("IpAddress", &shapes::IP_ADDRESS)?,
        })
    }
}

impl Operation for CreateHsm {
    const NAME: &'static str = "CreateHsm";
    type Input = Input;
    type Output = Output;

    async fn run(call: &Call, input: Input) -> Result<Output, Fault> {
        let cluster = find(call, &input.cluster_id)?;
        let zone = zone_of(call, &cluster, &input.zone)?;
        let plane = &call.kms.cloudhsm;
        let changing = plane.change().await;
        // Whether the cluster is active decides nothing here, and everything for the next caller.
        observe(&call.kms, cluster.clone()).await;
        let hsm = reserve(call, &cluster.id, zone, input.address).await?;
        let made = async {
            let cluster = find_in(&call.kms.registry.state(), &call.realm, cluster.id.as_str())?;
            plane.ensure(&cluster, &hsm, &changing).await.map_err(internal)?;
            if cluster.certificates.is_none() {
                store_certificates(call, &cluster.id, &hsm.id).await?;
            }
            Ok(cluster)
        };
        match made.await {
            Ok(cluster) => {
                let message = "HSM is being created.";
                Ok(Output { hsm: ShownHsm::of(&cluster, &hsm, "CREATE_IN_PROGRESS", message) })
            }
            Err(fault) => {
                give_up(call, &cluster.id, &hsm.id).await;
                plane.remove(&hsm.id, &changing).await;
                Err(fault)
            }
        }
    }
}

fn zone_of(call: &Call, cluster: &Cluster, name: &str) -> Result<Zone, Fault> {
    let faults = call.kms.cloudhsm.network().faults();
    Zone::of_name(&cluster.realm.region, name)
        .filter(|zone| cluster.subnets.contains_key(&zone.name))
        .filter(|zone| faults.has_subnet(zone.subnet))
        .ok_or_else(|| invalid_request(format!("Cluster {} has no subnet in {name}.", cluster.id)))
}

/// Writes the new HSM down, with an address, before any of it exists.
async fn reserve(
    call: &Call,
    id: &ClusterId,
    zone: Zone,
    address: Option<String>,
) -> Result<Hsm, Fault> {
    let wanted: Option<Ipv4Addr> = address.as_deref().and_then(|text| text.parse().ok());
    let (hsm, interface) = (HsmId::random(), InterfaceId::random());
    let kms = Arc::clone(&call.kms);
    let busy_until = kms.cloudhsm.done_at(call.now);
    change_cluster(call, id, move |draft, cluster| {
        check_room(cluster)?;
        let address = kms
            .cloudhsm
            .network()
            .free_address(draft.state(), &zone, wanted)
            .map_err(|error| address_fault(error, &zone, wanted))?;
        let made = Hsm {
            id: hsm.clone(),
            hsm_type: Arc::clone(&cluster.hsm_type),
            zone: zone.name.clone(),
            interface: interface.clone(),
            address,
            busy_until,
        };
        Arc::make_mut(&mut cluster.hsms).insert(hsm.clone(), made.clone());
        Ok(made)
    })
    .await
}

fn check_room(cluster: &Cluster) -> Result<(), Fault> {
    if exchange::is_under_way(cluster) {
        return Err(invalid_request(format!(
            "Cluster {} is being modified; wait until it is ACTIVE.",
            cluster.id
        )));
    }
    if cluster.stage == ClusterStage::Uninitialized && !cluster.hsms.is_empty() {
        return Err(invalid_request(format!(
            "Cluster {} has its first HSM and is UNINITIALIZED; initialize it before you add another.",
            cluster.id
        )));
    }
    if cluster.hsms.len() >= HSMS_MAX {
        return Err(Fault::new(
            FaultCode::CloudHsmResourceLimitExceededException,
            format!("Cluster {} has {HSMS_MAX} HSMs, which is the limit.", cluster.id),
        ));
    }
    Ok(())
}

fn address_fault(error: AddressError, zone: &Zone, wanted: Option<Ipv4Addr>) -> Fault {
    let subnet = zone.subnet;
    let wanted = wanted.map(|address| address.to_string()).unwrap_or_default();
    invalid_request(match error {
        AddressError::Exhausted => format!("The subnet {subnet} has no free IP address."),
        AddressError::Outside => {
            format!("The IP address {wanted} does not belong to the subnet {subnet}.")
        }
        AddressError::Taken => format!("The IP address {wanted} is in use."),
    })
}

/// Shows the signing request of the cluster, now that its first HSM has made it.
async fn store_certificates(call: &Call, cluster: &ClusterId, hsm: &HsmId) -> Result<(), Fault> {
    let made = call.kms.cloudhsm.certificates(hsm).await.map_err(internal)?;
    let made = Arc::new(made);
    change_cluster(call, cluster, move |_, cluster| {
        cluster.certificates.get_or_insert_with(|| Arc::clone(&made));
        Ok(())
    })
    .await
}

/// Strikes an HSM that could not be made.
async fn give_up(call: &Call, cluster: &ClusterId, hsm: &HsmId) {
    let hsm = hsm.clone();
    let struck = change_cluster(call, cluster, move |_, cluster| {
        Arc::make_mut(&mut cluster.hsms).remove(&hsm);
        Ok(())
    });
    if let Err(fault) = struck.await {
        tracing::error!(%fault, "an HSM that was not made is still listed");
    }
}
