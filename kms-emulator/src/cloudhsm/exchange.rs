//! Exchanging the hardware of a cluster: another type of HSM for each that it has, one after the other, as
//! `ModifyCluster` asks for it, and back within a day.
//!
//! The registry says which type the cluster is to have and which each of its HSMs is; while they differ, the next one is
//! replaced: the cluster is backed up, a new HSM takes the place, the interface and the address of the old one, and is made
//! from a backup of another that lives, or from this one. So it goes on after a crash, and whoever talks to the cluster
//! finds one HSM at most away at a time.

use std::sync::Arc;

use super::control_plane::HardwareError;
use super::shapes::invalid_request;
use crate::clock::Timestamp;
use crate::ids::HsmId;
use crate::kms::Kms;
use crate::protocol::Fault;
use crate::records::{Cluster, ClusterStage, HardwareExchange, Hsm};

/// Types of HSMs, the older first.
pub(super) const HSM_TYPES: [&str; 2] = ["hsm1.medium", "hsm2m.medium"];

/// For how long an exchange can be taken back, in days.
const ROLLBACK_DAYS: u32 = 1;

/// Writes into `cluster` that its HSMs are to be of type `wanted`.
///
/// # Errors
/// `CloudHsmInvalidRequestException`.
pub(super) fn begin(cluster: &mut Cluster, wanted: &str, now: Timestamp) -> Result<(), Fault> {
    if !HSM_TYPES.contains(&wanted) {
        return Err(invalid_request(format!(
            "Invalid HSM type {wanted}. Types: {}.",
            HSM_TYPES.join(", ")
        )));
    }
    if *cluster.hsm_type == *wanted {
        return Ok(());
    }
    if cluster.stage != ClusterStage::Active {
        return Err(invalid_request(format!(
            "Cluster {} is not ACTIVE; the type of its HSMs cannot be modified.",
            cluster.id
        )));
    }
    let is_rollback = rollback_until(cluster).is_some_and(|until| now < until)
        && cluster.exchange.as_ref().is_some_and(|exchange| *exchange.from == *wanted);
    if is_rollback {
        cluster.hsm_type = wanted.into();
        let exchange = cluster.exchange.as_ref();
        let back =
            exchange.map(|exchange| HardwareExchange { is_rollback: true, ..exchange.clone() });
        cluster.exchange = back;
        return Ok(());
    }
    if is_under_way(cluster) {
        return Err(invalid_request(format!(
            "Cluster {} is being modified; wait until it is ACTIVE.",
            cluster.id
        )));
    }
    if *cluster.hsm_type != *HSM_TYPES[0] {
        return Err(invalid_request(format!(
            "Cluster {} cannot be modified from {} to {wanted}: that is possible only within {} hours after the \
             opposite modification began.",
            cluster.id,
            cluster.hsm_type,
            ROLLBACK_DAYS * 24
        )));
    }
    let from = std::mem::replace(&mut cluster.hsm_type, wanted.into());
    cluster.exchange = Some(HardwareExchange { from, began: now, is_rollback: false });
    Ok(())
}

/// Until when the cluster can be given its earlier type again; none if it has no earlier one, or has it.
pub(super) fn rollback_until(cluster: &Cluster) -> Option<Timestamp> {
    let exchange = cluster.exchange.as_ref().filter(|exchange| !exchange.is_rollback)?;
    Some(exchange.began.plus_days(ROLLBACK_DAYS))
}

/// Whether the cluster has an HSM of another type than it is to have.
pub(super) fn is_under_way(cluster: &Cluster) -> bool {
    next(cluster).is_some()
}

fn next(cluster: &Cluster) -> Option<&Hsm> {
    cluster.hsms.values().find(|hsm| hsm.hsm_type != cluster.hsm_type)
}

/// Replaces the next HSM of each cluster that has one of another type than it is to have.
pub(super) async fn advance(kms: &Kms, now: Timestamp) {
    let state = kms.registry.state();
    for cluster in state.all_clusters().filter(|cluster| is_under_way(cluster)) {
        match replace_next(kms, cluster, now).await {
            Ok(()) => {}
            Err(error) => {
                tracing::error!(cluster = %cluster.id, %error, "an HSM was not exchanged yet");
            }
        }
    }
}

async fn replace_next(
    kms: &Kms,
    cluster: &Arc<Cluster>,
    now: Timestamp,
) -> Result<(), HardwareError> {
    let plane = &kms.cloudhsm;
    let changing = plane.change().await;
    // What has changed while others were at work.
    let state = kms.registry.state();
    let Some(cluster) = state.cluster(&cluster.realm, &cluster.id) else { return Ok(()) };
    let Some(old) = next(cluster) else { return Ok(()) };
    plane.back_up(cluster).await?;
    let new = Hsm {
        id: HsmId::random(),
        hsm_type: Arc::clone(&cluster.hsm_type),
        busy_until: plane.done_at(now),
        ..old.clone()
    };
    let (realm, id, gone, put) =
        (cluster.realm.clone(), cluster.id.clone(), old.id.clone(), new.clone());
    plane
        .write_down(move |draft| {
            let Some(known) = draft.state().cluster(&realm, &id) else { return };
            let mut changed = Cluster::clone(known);
            let hsms = Arc::make_mut(&mut changed.hsms);
            if hsms.remove(&gone).is_some() {
                hsms.insert(put.id.clone(), put.clone());
                draft.put_cluster(changed);
            }
        })
        .await?;
    plane.remove(&old.id, &changing).await;
    let state = kms.registry.state();
    let Some(cluster) = state.cluster(&cluster.realm, &cluster.id) else { return Ok(()) };
    plane.ensure(cluster, &new, &changing).await?;
    tracing::info!(cluster = %cluster.id, old = %old.id, new = %new.id, "an HSM was exchanged");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::Ipv4Addr;

    use super::*;
    use crate::ids::{ClusterId, InterfaceId, RealmId};

    fn hour(hours: i64) -> Timestamp {
        Timestamp::from_millis(0).plus_seconds(hours * 3600)
    }

    fn cluster(hsm_type: &str) -> Cluster {
        let hsm = Hsm {
            id: HsmId::random(),
            hsm_type: hsm_type.into(),
            zone: "us-east-1a".to_owned(),
            interface: InterfaceId::random(),
            address: Ipv4Addr::LOCALHOST,
            busy_until: hour(0),
        };
        Cluster {
            realm: RealmId {
                account: "111122223333".parse().unwrap(),
                region: "us-east-1".parse().unwrap(),
            },
            id: ClusterId::random(),
            created: hour(0),
            hsm_type: hsm_type.into(),
            exchange: None,
            subnets: Arc::default(),
            backup_retention_days: 90,
            tags: Arc::default(),
            stage: ClusterStage::Active,
            busy_until: hour(0),
            certificates: None,
            claim: None,
            source_backup: None,
            hsms: Arc::new(BTreeMap::from([(hsm.id.clone(), hsm)])),
        }
    }

    /// As `replace_next` leaves it.
    fn finish(cluster: &mut Cluster) {
        let wanted = Arc::clone(&cluster.hsm_type);
        for hsm in Arc::make_mut(&mut cluster.hsms).values_mut() {
            hsm.hsm_type = Arc::clone(&wanted);
        }
    }

    #[test]
    fn hardware_goes_forward_and_back_within_a_day() {
        let [old, new] = HSM_TYPES;
        let mut cluster = cluster(old);
        begin(&mut cluster, old, hour(1)).unwrap();
        assert!(!is_under_way(&cluster) && cluster.exchange.is_none());
        begin(&mut cluster, new, hour(1)).unwrap();
        assert!(is_under_way(&cluster));
        assert_eq!(rollback_until(&cluster), Some(hour(25)));
        // On the way back already before it has arrived.
        begin(&mut cluster, old, hour(2)).unwrap();
        assert!(!is_under_way(&cluster));
        assert_eq!(rollback_until(&cluster), None);

        begin(&mut cluster, new, hour(3)).unwrap();
        finish(&mut cluster);
        assert!(begin(&mut cluster, old, hour(27)).is_err(), "too late");
        begin(&mut cluster, old, hour(26)).unwrap();
        assert!(is_under_way(&cluster) && cluster.exchange.as_ref().unwrap().is_rollback);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let [old, new] = HSM_TYPES;
        assert!(begin(&mut cluster(old), "hsm3.large", hour(1)).is_err());
        assert!(begin(&mut cluster(new), old, hour(1)).is_err(), "it never was of that type");
        let mut young = cluster(old);
        young.stage = ClusterStage::Initialized;
        assert!(begin(&mut young, new, hour(1)).is_err());
        let mut returning = cluster(old);
        begin(&mut returning, new, hour(1)).unwrap();
        finish(&mut returning);
        begin(&mut returning, old, hour(2)).unwrap();
        assert!(begin(&mut returning, new, hour(2)).is_err(), "it is on its way back");
    }
}
