//! The one table of the KMS's operations. What is not in it does not exist.

use super::cancel_key_deletion::CancelKeyDeletion;
use super::connect_custom_key_store::ConnectCustomKeyStore;
use super::create_alias::CreateAlias;
use super::create_custom_key_store::CreateCustomKeyStore;
use super::create_grant::CreateGrant;
use super::create_key::CreateKey;
use super::decrypt::Decrypt;
use super::delete_alias::DeleteAlias;
use super::delete_custom_key_store::DeleteCustomKeyStore;
use super::delete_imported_key_material::DeleteImportedKeyMaterial;
use super::derive_shared_secret::DeriveSharedSecret;
use super::describe_custom_key_stores::DescribeCustomKeyStores;
use super::describe_key::DescribeKey;
use super::disconnect_custom_key_store::DisconnectCustomKeyStore;
use super::enable_key::{DisableKey, EnableKey};
use super::encapsulate::{Decapsulate, Encapsulate};
use super::encrypt::Encrypt;
use super::generate_data_key::{GenerateDataKey, GenerateDataKeyWithoutPlaintext};
use super::generate_data_key_pair::{GenerateDataKeyPair, GenerateDataKeyPairWithoutPlaintext};
use super::generate_mac::{GenerateMac, VerifyMac};
use super::generate_random::GenerateRandom;
use super::get_key_last_usage::GetKeyLastUsage;
use super::get_key_policy::GetKeyPolicy;
use super::get_parameters_for_import::GetParametersForImport;
use super::get_public_key::GetPublicKey;
use super::import_key_material::ImportKeyMaterial;
use super::key_rotation::{DisableKeyRotation, EnableKeyRotation, GetKeyRotationStatus};
use super::list_aliases::ListAliases;
use super::list_grants::{ListGrants, ListRetirableGrants};
use super::list_key_policies::ListKeyPolicies;
use super::list_keys::ListKeys;
use super::list_resource_tags::ListResourceTags;
use super::put_key_policy::PutKeyPolicy;
use super::re_encrypt::ReEncrypt;
use super::replicate_key::ReplicateKey;
use super::revoke_grant::{RetireGrant, RevokeGrant};
use super::rotate_key_on_demand::{ListKeyRotations, RotateKeyOnDemand};
use super::schedule_key_deletion::ScheduleKeyDeletion;
use super::sign::{Sign, Verify};
use super::tag_resource::TagResource;
use super::untag_resource::UntagResource;
use super::update_alias::UpdateAlias;
use super::update_custom_key_store::UpdateCustomKeyStore;
use super::update_key_description::UpdateKeyDescription;
use super::update_primary_region::UpdatePrimaryRegion;
use super::{Registration, register};

/// Longest body of a request that names things or carries at most 6 KiB and a context, in bytes.
const NAMES_BYTES: usize = 128 * 1024;
/// Longest body of a request that may carry an attestation document of 256 KiB, in bytes.
const ATTESTED_BYTES: usize = 512 * 1024;
/// Longest body of a request with a policy of 32 KiB, every character of which JSON may write as six.
const POLICY_BYTES: usize = 1024 * 1024;

/// Every operation of the API model.
pub(crate) static OPERATIONS: &[Registration] = &[
    register::<CancelKeyDeletion>(NAMES_BYTES),
    register::<ConnectCustomKeyStore>(NAMES_BYTES),
    register::<CreateAlias>(NAMES_BYTES),
    register::<CreateCustomKeyStore>(NAMES_BYTES),
    register::<CreateGrant>(NAMES_BYTES),
    register::<CreateKey>(POLICY_BYTES),
    register::<Decapsulate>(NAMES_BYTES),
    register::<Decrypt>(ATTESTED_BYTES),
    register::<DeleteAlias>(NAMES_BYTES),
    register::<DeleteCustomKeyStore>(NAMES_BYTES),
    register::<DeleteImportedKeyMaterial>(NAMES_BYTES),
    register::<DeriveSharedSecret>(ATTESTED_BYTES),
    register::<DescribeCustomKeyStores>(NAMES_BYTES),
    register::<DescribeKey>(NAMES_BYTES),
    register::<DisableKey>(NAMES_BYTES),
    register::<DisableKeyRotation>(NAMES_BYTES),
    register::<DisconnectCustomKeyStore>(NAMES_BYTES),
    register::<EnableKey>(NAMES_BYTES),
    register::<EnableKeyRotation>(NAMES_BYTES),
    register::<Encapsulate>(NAMES_BYTES),
    register::<Encrypt>(NAMES_BYTES),
    register::<GenerateDataKey>(ATTESTED_BYTES),
    register::<GenerateDataKeyPair>(ATTESTED_BYTES),
    register::<GenerateDataKeyPairWithoutPlaintext>(NAMES_BYTES),
    register::<GenerateDataKeyWithoutPlaintext>(NAMES_BYTES),
    register::<GenerateMac>(NAMES_BYTES),
    register::<GenerateRandom>(ATTESTED_BYTES),
    register::<GetKeyLastUsage>(NAMES_BYTES),
    register::<GetKeyPolicy>(NAMES_BYTES),
    register::<GetKeyRotationStatus>(NAMES_BYTES),
    register::<GetParametersForImport>(NAMES_BYTES),
    register::<GetPublicKey>(NAMES_BYTES),
    register::<ImportKeyMaterial>(NAMES_BYTES),
    register::<ListAliases>(NAMES_BYTES),
    register::<ListGrants>(NAMES_BYTES),
    register::<ListKeyPolicies>(NAMES_BYTES),
    register::<ListKeyRotations>(NAMES_BYTES),
    register::<ListKeys>(NAMES_BYTES),
    register::<ListResourceTags>(NAMES_BYTES),
    register::<ListRetirableGrants>(NAMES_BYTES),
    register::<PutKeyPolicy>(POLICY_BYTES),
    register::<ReEncrypt>(NAMES_BYTES),
    register::<ReplicateKey>(POLICY_BYTES),
    register::<RetireGrant>(NAMES_BYTES),
    register::<RevokeGrant>(NAMES_BYTES),
    register::<RotateKeyOnDemand>(NAMES_BYTES),
    register::<ScheduleKeyDeletion>(NAMES_BYTES),
    register::<Sign>(NAMES_BYTES),
    register::<TagResource>(NAMES_BYTES),
    register::<UntagResource>(NAMES_BYTES),
    register::<UpdateAlias>(NAMES_BYTES),
    register::<UpdateCustomKeyStore>(NAMES_BYTES),
    register::<UpdateKeyDescription>(NAMES_BYTES),
    register::<UpdatePrimaryRegion>(NAMES_BYTES),
    register::<Verify>(NAMES_BYTES),
    register::<VerifyMac>(NAMES_BYTES),
];
