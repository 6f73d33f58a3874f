//! `KeyMetadata`: what CreateKey and DescribeKey show of a key.

use serde::Serialize;

use super::import::ExpirationModel;
use super::key_state::KeyState;
use super::multi_region::{self, Configuration};
use super::{Call, algorithms, cryptography};
use crate::clock::Timestamp;
use crate::ids::{AccountId, ClusterId, KeyArn, KeyId};
use crate::protocol::EnumValues;
use crate::records::{Key, Lifecycle, MaterialId, Origin};

/// The members that a key has.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct KeyMetadata {
    #[serde(rename = "AWSAccountId")]
    account: AccountId,
    key_id: KeyId,
    arn: KeyArn,
    creation_date: Timestamp,
    enabled: bool,
    description: String,
    key_usage: &'static str,
    key_state: KeyState,
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion_date: Option<Timestamp>,
    /// Only while imported material is there, as the expiration model: the earliest of all materials.
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_to: Option<Timestamp>,
    origin: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration_model: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_key_store_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cloud_hsm_cluster_id: Option<ClusterId>,
    key_manager: &'static str,
    customer_master_key_spec: &'static str,
    key_spec: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    encryption_algorithms: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    signing_algorithms: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    key_agreement_algorithms: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    encapsulation_algorithms: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mac_algorithms: Vec<&'static str>,
    multi_region: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_region_configuration: Option<Configuration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_deletion_window_in_days: Option<u32>,
    /// Only for keys whose material can be rotated: none of a custom key store.
    #[serde(skip_serializing_if = "Option::is_none")]
    current_key_material_id: Option<MaterialId>,
}

impl KeyMetadata {
    /// What is shown of `key` while it is in `state`.
    pub(super) fn of(call: &Call, key: &Key, state: KeyState) -> Self {
        let store = key.custom_key_store.as_deref().and_then(|id| id.parse().ok());
        let store = store.and_then(|id| call.state.custom_key_store(&key.realm, &id));
        let deletion_date = match key.lifecycle {
            Lifecycle::PendingDeletion { at, .. } => Some(at),
            _ => None,
        };
        let pending_deletion_window_in_days = match key.lifecycle {
            Lifecycle::PendingReplicaDeletion { window_days } => Some(window_days),
            _ => None,
        };
        let is_imported = key.origin == Origin::External && key.has_material(call.now);
        let valid_to = key.materials().filter_map(|material| material.expires).min();
        Self {
            account: key.realm.account,
            key_id: key.id,
            arn: key.arn(),
            creation_date: key.created,
            enabled: state == KeyState::Enabled,
            description: key.description.to_string(),
            key_usage: key.usage.as_str(),
            key_state: state,
            deletion_date,
            valid_to: valid_to.filter(|_| is_imported),
            origin: key.origin.as_str(),
            expiration_model: is_imported.then(|| ExpirationModel::of(valid_to).as_str()),
            custom_key_store_id: key.custom_key_store.as_ref().map(ToString::to_string),
            cloud_hsm_cluster_id: store.map(|store| store.cluster.clone()),
            key_manager: key.manager.as_str(),
            customer_master_key_spec: key.spec.as_str(),
            key_spec: key.spec.as_str(),
            encryption_algorithms: algorithms::encryption_names(key),
            signing_algorithms: algorithms::signing_names(key),
            key_agreement_algorithms: algorithms::agreement_names(key),
            encapsulation_algorithms: algorithms::encapsulation_names(key),
            mac_algorithms: algorithms::mac_names(key),
            multi_region: key.primary_region.is_some(),
            multi_region_configuration: multi_region::configuration(call, key),
            pending_deletion_window_in_days,
            current_key_material_id: cryptography::current_material(key)
                .filter(|_| key.origin != Origin::AwsCloudHsm && key.material.is_settled()),
        }
    }
}

/// A reply that is a key's metadata.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct KeyMetadataReply {
    pub(super) key_metadata: KeyMetadata,
}
