//! The one table of the KMS's operations. What is not in it does not exist, what is in the second list
//! is refused.

use super::create_key::CreateKey;
use super::describe_key::DescribeKey;
use super::{Registration, register};

/// Longest body of a request that names things, in bytes.
const NAMES_BYTES: usize = 128 * 1024;
/// Longest body of a request with a policy of 32 KiB, every character of which JSON may write as six.
const POLICY_BYTES: usize = 1024 * 1024;

/// Every operation that is provided.
pub(crate) static OPERATIONS: &[Registration] =
    &[register::<CreateKey>(POLICY_BYTES), register::<DescribeKey>(NAMES_BYTES)];

/// Every other operation of the API model.
pub(crate) static UNSUPPORTED: &[&str] = &[
    "CancelKeyDeletion",
    "ConnectCustomKeyStore",
    "CreateAlias",
    "CreateCustomKeyStore",
    "CreateGrant",
    "Decrypt",
    "DeleteAlias",
    "DeleteCustomKeyStore",
    "DeleteImportedKeyMaterial",
    "DeriveSharedSecret",
    "DescribeCustomKeyStores",
    "DisableKey",
    "DisableKeyRotation",
    "DisconnectCustomKeyStore",
    "EnableKey",
    "EnableKeyRotation",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
    "GenerateDataKeyWithoutPlaintext",
    "GenerateMac",
    "GenerateRandom",
    "GetKeyLastUsage",
    "GetKeyPolicy",
    "GetKeyRotationStatus",
    "GetParametersForImport",
    "GetPublicKey",
    "ImportKeyMaterial",
    "ListAliases",
    "ListGrants",
    "ListKeyPolicies",
    "ListKeyRotations",
    "ListKeys",
    "ListResourceTags",
    "ListRetirableGrants",
    "PutKeyPolicy",
    "ReEncrypt",
    "ReplicateKey",
    "RetireGrant",
    "RevokeGrant",
    "RotateKeyOnDemand",
    "ScheduleKeyDeletion",
    "Sign",
    "TagResource",
    "UntagResource",
    "UpdateAlias",
    "UpdateCustomKeyStore",
    "UpdateKeyDescription",
    "UpdatePrimaryRegion",
    "Verify",
    "VerifyMac",
];
