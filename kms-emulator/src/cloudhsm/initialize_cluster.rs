//! InitializeCluster.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use strongroom_hsm::certificates::{check_cluster_certificate, csr_public_key};
use strongroom_hsm::{CertificateFault, TrustAnchor};

use super::lookup::{change_cluster, find, find_in};
use super::shapes::{self, internal, invalid_request};
use super::show::{INITIALIZING, state_of};
use crate::clock::Timestamp;
use crate::ids::ClusterId;
use crate::kms::{Call, Operation};
use crate::protocol::{Fault, Members, Request};
use crate::records::{Cluster, ClusterClaim, ClusterStage};

pub(super) struct InitializeCluster;

pub(super) struct Input {
    cluster_id: String,
    signed_certificate: String,
    trust_anchor: String,
}

/// The reply.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    state: &'static str,
    state_message: &'static str,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        Ok(Self {
            cluster_id: members.string("ClusterId", &shapes::CLUSTER_ID)?,
            signed_certificate: members.string("SignedCert", &shapes::CERTIFICATE)?,
            trust_anchor: members.string("TrustAnchor", &shapes::CERTIFICATE)?,
        })
    }
}

impl Operation for InitializeCluster {
    const NAME: &'static str = "InitializeCluster";
    type Input = Input;
    type Output = Output;

    async fn run(call: &Call, input: Input) -> Result<Output, Fault> {
        let cluster = find(call, &input.cluster_id)?;
        let plane = &call.kms.cloudhsm;
        let changing = plane.change().await;
        check_request(&cluster, &input, call.now)?;
        let claim = Arc::new(ClusterClaim {
            certificate: input.signed_certificate,
            trust_anchor: input.trust_anchor,
        });
        // Written down first: the hardware follows, at the next start if need be.
        claim_cluster(call, &cluster.id, Some(claim)).await?;
        let claimed = find_in(&call.kms.registry.state(), &call.realm, cluster.id.as_str())?;
        for hsm in claimed.hsms.values() {
            if let Err(error) = plane.ensure(&claimed, hsm, &changing).await {
                claim_cluster(call, &cluster.id, None).await?;
                return Err(internal(error));
            }
        }
        Ok(Output { state: "INITIALIZE_IN_PROGRESS", state_message: INITIALIZING })
    }
}

/// Refuses what cannot initialise this cluster, in the order in which a user can mend it.
fn check_request(cluster: &Cluster, input: &Input, now: Timestamp) -> Result<(), Fault> {
    let (state, _) = state_of(cluster, now);
    let (ClusterStage::Uninitialized, "UNINITIALIZED") = (cluster.stage, state) else {
        return Err(invalid_request(format!(
            "Cluster {} is {state}; only a cluster that is UNINITIALIZED can be initialized.",
            cluster.id
        )));
    };
    let Some(certificates) = &cluster.certificates else {
        return Err(invalid_request(format!(
            "Cluster {} has no HSM yet; create the first one, then sign the ClusterCsr.",
            cluster.id
        )));
    };
    let now = Duration::from_millis(u64::try_from(now.as_millis()).unwrap_or_default());
    let anchor = TrustAnchor::from_pem(&input.trust_anchor, now)
        .map_err(|fault| refused("TrustAnchor", fault))?;
    let key = csr_public_key(&certificates.csr).map_err(internal)?;
    check_cluster_certificate(&input.signed_certificate, &anchor, &key, now)
        .map_err(|fault| refused("SignedCert", fault))?;
    Ok(())
}

fn refused(member: &str, fault: CertificateFault) -> Fault {
    invalid_request(format!("{member} is refused: {fault}."))
}

/// Writes down that the cluster has a certificate, or, after a failure, that it has none.
async fn claim_cluster(
    call: &Call,
    id: &ClusterId,
    claim: Option<Arc<ClusterClaim>>,
) -> Result<(), Fault> {
    let done_at = call.kms.cloudhsm.done_at(call.now);
    change_cluster(call, id, move |_, cluster| {
        cluster.stage = match claim {
            Some(_) => ClusterStage::Initialized,
            None => ClusterStage::Uninitialized,
        };
        cluster.claim.clone_from(&claim);
        cluster.busy_until = done_at;
        Ok(())
    })
    .await
}
