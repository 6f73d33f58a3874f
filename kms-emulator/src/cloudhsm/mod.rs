//! CloudHSM v2: clusters and their HSMs.
//!
//! The control plane has the life of a cluster: create it over two or three of the built-in private
//! subnets ([`SUBNETS`], the same ids in every Region), create the first HSM, sign the request that
//! appears in its certificates, initialise, activate by changing the PRECO's password, and add HSMs,
//! each of which is cloned from a backup of those that live. What is done inside HSMs is not its
//! business: that is `strongroom-hsm`'s, over the management port.

mod backup_files;
mod backups;
mod control_plane;
mod copy_backup_to_region;
mod create_cluster;
mod create_hsm;
mod delete_backup;
mod delete_cluster;
mod delete_hsm;
mod describe_backups;
mod describe_clusters;
mod exchange;
mod faults;
mod hosting;
mod initialize_cluster;
mod list_tags;
mod lookup;
mod modify_backup_attributes;
mod modify_cluster;
mod network;
mod resource_policy;
mod restore_backup;
mod retention;
mod shapes;
mod show;
mod show_backup;
mod tag_resource;
mod tags;
mod upkeep;

use crate::kms::{Registration, register};

pub(crate) use control_plane::{ControlPlane, Health, Surroundings};
pub(crate) use faults::PORTS;
pub use faults::{HsmFaults, NetworkChange, NetworkFaults};
pub use hosting::HsmHosting;
pub(crate) use lookup::observe;
pub(crate) use network::Zone;
pub use network::{NetworkError, SUBNETS, VPC};
pub(crate) use upkeep::keep_up;

/// Longest body of a request that names things, in bytes.
const NAMES_BYTES: usize = 128 * 1024;
/// Longest body of a request with two certificates of 20,000 characters, each of which JSON may write
/// as six, in bytes.
const CERTIFICATES_BYTES: usize = 512 * 1024;

/// Every operation that is provided.
pub(crate) static OPERATIONS: &[Registration] = &[
    register::<copy_backup_to_region::CopyBackupToRegion>(NAMES_BYTES),
    register::<create_cluster::CreateCluster>(NAMES_BYTES),
    register::<create_hsm::CreateHsm>(NAMES_BYTES),
    register::<delete_backup::DeleteBackup>(NAMES_BYTES),
    register::<delete_cluster::DeleteCluster>(NAMES_BYTES),
    register::<delete_hsm::DeleteHsm>(NAMES_BYTES),
    register::<resource_policy::DeleteResourcePolicy>(NAMES_BYTES),
    register::<describe_backups::DescribeBackups>(NAMES_BYTES),
    register::<describe_clusters::DescribeClusters>(NAMES_BYTES),
    register::<resource_policy::GetResourcePolicy>(NAMES_BYTES),
    register::<initialize_cluster::InitializeCluster>(CERTIFICATES_BYTES),
    register::<list_tags::ListTags>(NAMES_BYTES),
    register::<modify_backup_attributes::ModifyBackupAttributes>(NAMES_BYTES),
    register::<modify_cluster::ModifyCluster>(NAMES_BYTES),
    register::<resource_policy::PutResourcePolicy>(NAMES_BYTES),
    register::<restore_backup::RestoreBackup>(NAMES_BYTES),
    register::<tag_resource::TagResource>(NAMES_BYTES),
    register::<tag_resource::UntagResource>(NAMES_BYTES),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_of_the_model_is_provided() {
        const MODEL: [&str; 18] = [
            "CopyBackupToRegion",
            "CreateCluster",
            "CreateHsm",
            "DeleteBackup",
            "DeleteCluster",
            "DeleteHsm",
            "DeleteResourcePolicy",
            "DescribeBackups",
            "DescribeClusters",
            "GetResourcePolicy",
            "InitializeCluster",
            "ListTags",
            "ModifyBackupAttributes",
            "ModifyCluster",
            "PutResourcePolicy",
            "RestoreBackup",
            "TagResource",
            "UntagResource",
        ];
        let mut provided: Vec<_> = OPERATIONS.iter().map(|entry| entry.name).collect();
        provided.sort_unstable();
        assert_eq!(provided, MODEL);
    }
}
