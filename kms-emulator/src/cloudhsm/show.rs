//! Clusters and HSMs as replies show them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::Serialize;

use super::control_plane::{ControlPlane, Health};
use super::exchange;
use super::network::VPC;
use super::tags::{self, Tag};
use crate::clock::Timestamp;
use crate::ids::{BackupId, ClusterId, HsmId, InterfaceId};
use crate::records::{Cluster, ClusterStage, Hsm};

/// The state of a cluster that was told to be initialised.
pub(super) const INITIALIZING: &str =
    "Cluster is initializing. State will change to INITIALIZED upon completion.";

/// `Cluster`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ShownCluster {
    backup_policy: &'static str,
    backup_retention_policy: BackupRetentionPolicy,
    cluster_id: ClusterId,
    create_timestamp: Timestamp,
    hsms: Vec<ShownHsm>,
    hsm_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hsm_type_rollback_expiration: Option<Timestamp>,
    security_group: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_backup_id: Option<BackupId>,
    pub(super) state: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    state_message: &'static str,
    subnet_mapping: BTreeMap<String, String>,
    vpc_id: &'static str,
    network_type: &'static str,
    certificates: Certificates,
    tag_list: Vec<Tag>,
    mode: &'static str,
}

/// `BackupRetentionPolicy`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct BackupRetentionPolicy {
    r#type: &'static str,
    value: String,
}

/// `Certificates`: each as it comes into being.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Certificates {
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster_csr: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hsm_certificate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aws_hardware_certificate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    manufacturer_hardware_certificate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster_certificate: Option<String>,
}

/// `Hsm`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ShownHsm {
    availability_zone: String,
    cluster_id: ClusterId,
    subnet_id: Option<String>,
    eni_id: InterfaceId,
    eni_ip: Ipv4Addr,
    hsm_id: HsmId,
    hsm_type: String,
    state: &'static str,
    state_message: &'static str,
}

/// A reply that is a cluster.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ClusterReply {
    pub(super) cluster: ShownCluster,
}

impl ShownCluster {
    /// A cluster as it is at `now`.
    pub(super) async fn now(plane: &ControlPlane, cluster: &Cluster, now: Timestamp) -> Self {
        let mut hsms = Vec::with_capacity(cluster.hsms.len());
        for hsm in cluster.hsms.values() {
            hsms.push(ShownHsm::now(plane, cluster, hsm, now).await);
        }
        let (state, state_message) = state_of(cluster, now);
        Self::of(cluster, state, state_message, hsms)
    }

    /// A cluster in a state that is told, not looked up.
    pub(super) fn of(
        cluster: &Cluster,
        state: &'static str,
        state_message: &'static str,
        hsms: Vec<ShownHsm>,
    ) -> Self {
        Self {
            backup_policy: "DEFAULT",
            backup_retention_policy: BackupRetentionPolicy {
                r#type: "DAYS",
                value: cluster.backup_retention_days.to_string(),
            },
            cluster_id: cluster.id.clone(),
            create_timestamp: cluster.created,
            hsms,
            hsm_type: cluster.hsm_type.to_string(),
            hsm_type_rollback_expiration: exchange::rollback_until(cluster),
            security_group: cluster.security_group(),
            source_backup_id: cluster.source_backup.clone(),
            state,
            state_message,
            subnet_mapping: BTreeMap::clone(&cluster.subnets),
            vpc_id: VPC,
            network_type: "IPV4",
            certificates: Certificates::of(cluster),
            tag_list: tags::shown(&cluster.tags),
            mode: "FIPS",
        }
    }
}

impl Certificates {
    fn of(cluster: &Cluster) -> Self {
        let claim = cluster.claim.as_ref();
        let made = cluster.certificates.as_ref();
        Self {
            cluster_csr: made.map(|made| made.csr.clone()),
            hsm_certificate: made.map(|made| made.hsm.clone()),
            aws_hardware_certificate: made.map(|made| made.aws_hardware.clone()),
            manufacturer_hardware_certificate: made.map(|made| made.manufacturer_hardware.clone()),
            cluster_certificate: claim.map(|claim| claim.certificate.clone()),
        }
    }
}

impl ShownHsm {
    /// An HSM as it is at `now`.
    pub(super) async fn now(
        plane: &ControlPlane,
        cluster: &Cluster,
        hsm: &Hsm,
        now: Timestamp,
    ) -> Self {
        if now < hsm.busy_until {
            return Self::of(cluster, hsm, "CREATE_IN_PROGRESS", "HSM is being created.");
        }
        match plane.health(&hsm.id).await {
            Health::Active { .. } => Self::of(cluster, hsm, "ACTIVE", "HSM created."),
            Health::Degraded => Self::of(cluster, hsm, "DEGRADED", "HSM does not answer."),
        }
    }

    /// An HSM in a state that is told, not looked up.
    pub(super) fn of(
        cluster: &Cluster,
        hsm: &Hsm,
        state: &'static str,
        state_message: &'static str,
    ) -> Self {
        Self {
            availability_zone: hsm.zone.clone(),
            cluster_id: cluster.id.clone(),
            subnet_id: cluster.subnets.get(&hsm.zone).cloned(),
            eni_id: hsm.interface.clone(),
            eni_ip: hsm.address,
            hsm_id: hsm.id.clone(),
            hsm_type: hsm.hsm_type.to_string(),
            state,
            state_message,
        }
    }
}

/// The state of a cluster and the sentence that goes with it.
pub(super) fn state_of(cluster: &Cluster, now: Timestamp) -> (&'static str, &'static str) {
    let is_busy = now < cluster.busy_until;
    match cluster.stage {
        // A cluster that is made from a backup begins where the backup was taken.
        ClusterStage::Uninitialized | ClusterStage::Active if is_busy => {
            ("CREATE_IN_PROGRESS", "Cluster is being created.")
        }
        ClusterStage::Active if exchange::is_under_way(cluster) => {
            match cluster.exchange.as_ref().is_some_and(|exchange| exchange.is_rollback) {
                false => ("MODIFY_IN_PROGRESS", "Cluster is being modified."),
                true => ("ROLLBACK_IN_PROGRESS", "Cluster is being rolled back."),
            }
        }
        ClusterStage::Uninitialized => ("UNINITIALIZED", ""),
        ClusterStage::Initialized if is_busy => ("INITIALIZE_IN_PROGRESS", INITIALIZING),
        stage @ (ClusterStage::Initialized | ClusterStage::Active) => (stage.as_str(), ""),
    }
}
