//! CloudHSM clusters and their HSMs, as the control plane remembers them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::ids::{BackupId, ClusterId, HsmId, InterfaceId, RealmId};

/// How far the life of a cluster has come. States that only say that something takes a while follow
/// from `Cluster::busy_until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClusterStage {
    /// No certificate yet.
    Uninitialized,
    /// The certificate is in place; the PRECO has its first password.
    Initialized,
    /// The PRECO has become a crypto officer.
    Active,
}

impl ClusterStage {
    /// The name in the database, which is also that of the state on the wire.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Uninitialized => "UNINITIALIZED",
            Self::Initialized => "INITIALIZED",
            Self::Active => "ACTIVE",
        }
    }

    /// The inverse of `as_str`.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Uninitialized, Self::Initialized, Self::Active]
            .into_iter()
            .find(|stage| stage.as_str() == name)
    }
}

/// The certificates of a cluster that its first HSM made, each in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClusterCertificates {
    pub(crate) csr: String,
    pub(crate) hsm: String,
    pub(crate) aws_hardware: String,
    pub(crate) manufacturer_hardware: String,
}

/// What the customer handed over to initialise a cluster, each in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClusterClaim {
    pub(crate) certificate: String,
    pub(crate) trust_anchor: String,
}

/// A CloudHSM cluster.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    pub(crate) realm: RealmId,
    pub(crate) id: ClusterId,
    pub(crate) created: Timestamp,
    /// The type that its HSMs are to have.
    pub(crate) hsm_type: Arc<str>,
    /// The last exchange of its hardware, if there was one.
    pub(crate) exchange: Option<HardwareExchange>,
    /// The subnet of each availability zone, by the zone's name.
    pub(crate) subnets: Arc<BTreeMap<String, String>>,
    pub(crate) backup_retention_days: u32,
    pub(crate) tags: Arc<BTreeMap<String, String>>,
    pub(crate) stage: ClusterStage,
    /// Until then the cluster shows that its last change is still under way.
    pub(crate) busy_until: Timestamp,
    /// There once the first HSM was made.
    pub(crate) certificates: Option<Arc<ClusterCertificates>>,
    /// There once the cluster was initialised.
    pub(crate) claim: Option<Arc<ClusterClaim>>,
    /// The backup that the cluster was made from, if it was.
    pub(crate) source_backup: Option<BackupId>,
    /// By id.
    pub(crate) hsms: Arc<BTreeMap<HsmId, Hsm>>,
}

/// An exchange of a cluster's hardware for another type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HardwareExchange {
    /// The type that it had.
    pub(crate) from: Arc<str>,
    pub(crate) began: Timestamp,
    /// Whether it was taken back.
    pub(crate) is_rollback: bool,
}

/// One HSM of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hsm {
    pub(crate) id: HsmId,
    pub(crate) hsm_type: Arc<str>,
    pub(crate) zone: String,
    pub(crate) interface: InterfaceId,
    pub(crate) address: Ipv4Addr,
    /// Until then the HSM shows that it is being created.
    pub(crate) busy_until: Timestamp,
}

impl Cluster {
    /// The security group that CloudHSM makes with a cluster: `sg-` and digits that follow from its id.
    pub(crate) fn security_group(&self) -> String {
        let digest =
            aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.id.as_str().as_bytes());
        let digits = hex::encode(digest.as_ref());
        format!("sg-{}", digits.get(..17).unwrap_or("00000000"))
    }
}
