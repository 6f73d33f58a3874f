//! CloudHSM v2: clusters and their HSMs.
//!
//! The control plane has the life of a cluster: create it over two or three of the built-in private
//! subnets ([`SUBNETS`], the same ids in every Region), create the first HSM, sign the request that
//! appears in its certificates, initialise, activate by changing the PRECO's password, and add HSMs,
//! each of which is cloned from a backup of those that live. What is done inside HSMs is not its
//! business: that is `strongroom-hsm`'s, over the management port.

mod control_plane;
mod create_cluster;
mod create_hsm;
mod delete_cluster;
mod delete_hsm;
mod describe_clusters;
mod hosting;
mod initialize_cluster;
mod lookup;
mod network;
mod shapes;
mod show;

use crate::kms::{Registration, register};

pub(crate) use control_plane::{ControlPlane, Health};
pub use hosting::HsmHosting;
pub(crate) use lookup::observe;
pub(crate) use network::Zone;
pub use network::{NetworkError, SUBNETS, VPC};

/// Longest body of a request that names things, in bytes.
const NAMES_BYTES: usize = 128 * 1024;
/// Longest body of a request with two certificates of 20,000 characters, each of which JSON may write
/// as six, in bytes.
const CERTIFICATES_BYTES: usize = 512 * 1024;

/// Every operation that is provided.
pub(crate) static OPERATIONS: &[Registration] = &[
    register::<create_cluster::CreateCluster>(NAMES_BYTES),
    register::<create_hsm::CreateHsm>(NAMES_BYTES),
    register::<delete_cluster::DeleteCluster>(NAMES_BYTES),
    register::<delete_hsm::DeleteHsm>(NAMES_BYTES),
    register::<describe_clusters::DescribeClusters>(NAMES_BYTES),
    register::<initialize_cluster::InitializeCluster>(CERTIFICATES_BYTES),
];

/// Every other operation of the API model.
pub(crate) static UNSUPPORTED: &[&str] = &[
    "CopyBackupToRegion",
    "DeleteBackup",
    "DeleteResourcePolicy",
    "DescribeBackups",
    "GetResourcePolicy",
    "ListTags",
    "ModifyBackupAttributes",
    "ModifyCluster",
    "PutResourcePolicy",
    "RestoreBackup",
    "TagResource",
    "UntagResource",
];
