//! Custom key stores: what their operations share.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use strongroom_hsm::TrustAnchor;

use super::{Call, Kms};
use crate::clock::Timestamp;
use crate::cloudhsm::{self, Health};
use crate::ids::{ClusterId, CustomKeyStoreId, RealmId};
use crate::keystore::{self, KeyStore};
use crate::policy::RequestFacts;
use crate::protocol::{Fault, FaultCode, StringLimits};
use crate::records::{Cluster, ClusterStage, ConnectionState, CustomKeyStore};
use crate::registry::{Realm, State};

/// Availability zones that a cluster needs for what takes two HSMs.
const ZONES_MIN: usize = 2;

pub(super) const NAME: StringLimits = StringLimits::length(1, 256);
pub(super) const PASSWORD: StringLimits = StringLimits::length(7, 32).sensitive();
pub(super) const CLUSTER_ID: StringLimits = StringLimits::length(19, 24)
    .pattern("cluster-[2-7a-zA-Z]{11,16}", |text| text.parse::<ClusterId>().is_ok());
pub(super) const TRUST_ANCHOR: StringLimits = StringLimits::length(1, 5_000);

/// Decides whether the caller may do an operation on custom key stores; they have no resource of
/// their own.
pub(super) fn authorize(call: &Call) -> Result<(), Fault> {
    call.authorize_without_key("*", &RequestFacts::default()).map(drop)
}

/// The store that a request names.
pub(super) fn find(state: &State, realm: &RealmId, id: &str) -> Result<Arc<CustomKeyStore>, Fault> {
    id.parse()
        .ok()
        .and_then(|id: CustomKeyStoreId| state.custom_key_store(realm, &id).cloned())
        .ok_or_else(|| keystore::custom_key_store_not_found(id))
}

/// The connection of the store that a request names.
pub(super) fn connected(call: &Call, id: &str) -> Result<Arc<dyn KeyStore>, Fault> {
    let store = find(&call.kms.registry.state(), &call.realm, id)?;
    call.kms.key_stores.connected(id).ok_or_else(|| {
        invalid_state(&store, "The operation needs a custom key store that is CONNECTED.")
    })
}

/// Changes a store: `change` gets it as it is when the change is committed.
pub(super) async fn change<T, F>(call: &Call, id: &str, change: F) -> Result<T, Fault>
where
    T: Send + 'static,
    F: Fn(&State, &mut CustomKeyStore) -> Result<T, Fault> + Send + 'static,
{
    let (realm, id) = (call.realm.clone(), id.to_owned());
    call.update(move |draft| {
        let mut store = CustomKeyStore::clone(&*find(draft.state(), &realm, &id)?);
        let value = change(draft.state(), &mut store)?;
        draft.put_custom_key_store(store);
        Ok(value)
    })
    .await
}

/// The cluster that a store is to use, as it is now: it exists and is active.
pub(super) async fn active_cluster(call: &Call, id: &str) -> Result<Arc<Cluster>, Fault> {
    let state = call.kms.registry.state();
    let parsed = id.parse::<ClusterId>().ok();
    let cluster = parsed
        .and_then(|id| state.cluster(&call.realm, &id).cloned())
        .ok_or_else(|| cluster_not_found(id))?;
    let cluster = cloudhsm::observe(&call.kms, cluster).await;
    if cluster.stage != ClusterStage::Active {
        return Err(Fault::new(
            FaultCode::CloudHsmClusterNotActiveException,
            format!("The CloudHSM cluster {id} is not active. Initialize and activate it first."),
        ));
    }
    Ok(cluster)
}

/// Demands that the cluster's security group opens the ports through which the KMS reaches its HSMs.
pub(super) fn check_security_group(kms: &Kms, cluster: &Cluster) -> Result<(), Fault> {
    if kms.cloudhsm.network().faults().opens_all_ports(cluster) {
        return Ok(());
    }
    Err(Fault::new(
        FaultCode::CloudHsmClusterInvalidConfigurationException,
        format!(
            "The security group {} of the CloudHSM cluster must allow inbound and outbound TCP traffic \
             on the ports {} to {}.",
            cluster.security_group(),
            cloudhsm::PORTS.start(),
            cloudhsm::PORTS.end()
        ),
    ))
}

/// The same for the cluster of a store; one that is gone shows elsewhere.
pub(super) fn check_network_of(call: &Call, store: &str) -> Result<(), Fault> {
    let state = call.kms.registry.state();
    let store = find(&state, &call.realm, store)?;
    match state.cluster(&call.realm, &store.cluster) {
        Some(cluster) => check_security_group(&call.kms, cluster),
        None => Ok(()),
    }
}

/// Demands two HSMs that are active, in two availability zones.
pub(super) async fn check_two_hsms(kms: &Kms, cluster: &Cluster) -> Result<(), Fault> {
    let mut zones = BTreeSet::new();
    for hsm in cluster.hsms.values() {
        if matches!(kms.cloudhsm.health(&hsm.id).await, Health::Active { .. }) {
            zones.insert(hsm.zone.as_str());
        }
    }
    if zones.len() < ZONES_MIN {
        return Err(keystore::too_few_hsms());
    }
    Ok(())
}

/// Demands that no other store of the account uses the cluster, or one that shares its certificate and
/// so its backup history.
pub(super) fn check_not_in_use(
    state: &State,
    realm: &RealmId,
    cluster: &Cluster,
    except: Option<&CustomKeyStoreId>,
) -> Result<(), Fault> {
    let certificate = certificate(cluster);
    let uses = |store: &CustomKeyStore| {
        store.cluster == cluster.id || Some(&*store.cluster_certificate) == certificate
    };
    let stores = state.realm(realm).into_iter().flat_map(Realm::custom_key_stores);
    let mut others = stores.filter(|store| Some(&store.id) != except);
    match others.find(|store| uses(store)) {
        None => Ok(()),
        Some(other) => Err(Fault::new(
            FaultCode::CloudHsmClusterInUseException,
            format!(
                "The CloudHSM cluster {} is associated with the custom key store {}, or shares a \
                 backup history with its cluster.",
                cluster.id, other.id
            ),
        )),
    }
}

/// Demands that no other store of the account has the name.
pub(super) fn check_name(
    state: &State,
    realm: &RealmId,
    name: &str,
    except: Option<&CustomKeyStoreId>,
) -> Result<(), Fault> {
    let mut stores = state.realm(realm).into_iter().flat_map(Realm::custom_key_stores);
    if stores.any(|store| *store.name == *name && Some(&store.id) != except) {
        return Err(Fault::new(
            FaultCode::CustomKeyStoreNameInUseException,
            format!("Custom key store name {name} is in use."),
        ));
    }
    Ok(())
}

/// The certificate of a cluster that was initialised.
pub(super) fn certificate(cluster: &Cluster) -> Option<&str> {
    cluster.claim.as_ref().map(|claim| claim.certificate.as_str())
}

/// Reads a trust anchor as of `now`.
pub(super) fn trust_anchor(
    pem: &str,
    now: Timestamp,
) -> Result<TrustAnchor, strongroom_hsm::CertificateFault> {
    let millis = u64::try_from(now.as_millis()).unwrap_or_default();
    TrustAnchor::from_pem(pem, Duration::from_millis(millis))
}

/// The refusal for a cluster that does not exist.
pub(super) fn cluster_not_found(id: &str) -> Fault {
    Fault::new(
        FaultCode::CloudHsmClusterNotFoundException,
        format!("The CloudHSM cluster {id} is not found."),
    )
}

/// The refusal for a store that stands where the operation cannot be done.
pub(super) fn invalid_state(store: &CustomKeyStore, needed: &str) -> Fault {
    Fault::new(
        FaultCode::CustomKeyStoreInvalidStateException,
        format!("Custom key store {} is {}. {needed}", store.id, store.connection.as_str()),
    )
}

/// Demands that a store is disconnected.
pub(super) fn check_disconnected(store: &CustomKeyStore) -> Result<(), Fault> {
    if store.connection == ConnectionState::Disconnected {
        return Ok(());
    }
    Err(invalid_state(store, "Disconnect it first."))
}
