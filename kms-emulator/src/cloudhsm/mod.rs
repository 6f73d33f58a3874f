//! The CloudHSM v2 control plane.

use crate::kms::Registration;

/// Every operation that is provided.
pub(crate) static OPERATIONS: &[Registration] = &[];

/// Every other operation of the API model.
pub(crate) static UNSUPPORTED: &[&str] = &[
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
