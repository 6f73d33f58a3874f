//! CreateKey.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::key_metadata::{KeyMetadata, KeyMetadataReply};
use super::key_state::KeyState;
use super::shapes::{self, KeySpec, KeyUsage, OriginName};
use super::{Call, Operation, custom_key_store, key_policy, tags};
use crate::ids::KeyId;
use crate::keystore::KeyStoreError;
use crate::policy::{RequestFacts, default_key_policy};
use crate::protocol::{Fault, Members, Request, StringLimits};
use crate::records::{Key, Lifecycle, Origin};

pub(super) struct CreateKey;

pub(super) struct Input {
    policy: Option<String>,
    description: Option<String>,
    key_usage: Option<KeyUsage>,
    key_spec: Option<KeySpec>,
    origin: Option<OriginName>,
    custom_key_store_id: Option<String>,
    bypass_policy_lockout: bool,
    tags: BTreeMap<String, String>,
    multi_region: bool,
    xks_key_id: Option<String>,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        const XKS_KEY_ID: StringLimits = StringLimits::length(1, 128);
        let old_spec = members.optional_enum("CustomerMasterKeySpec")?;
        let key_spec = members.optional_enum("KeySpec")?;
        if old_spec.is_some() && key_spec.is_some() {
            return Err(Fault::validation(
                "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. \
                 CustomerMasterKeySpec is deprecated.",
            ));
        }
        Ok(Self {
            policy: members.optional_string("Policy", &shapes::POLICY)?,
            description: members.optional_string("Description", &shapes::DESCRIPTION)?,
            key_usage: members.optional_enum("KeyUsage")?,
            key_spec: key_spec.or(old_spec),
            origin: members.optional_enum("Origin")?,
            custom_key_store_id: members
                .optional_string("CustomKeyStoreId", &shapes::CUSTOM_KEY_STORE_ID)?,
            bypass_policy_lockout: members
                .optional_boolean("BypassPolicyLockoutSafetyCheck")?
                .unwrap_or(false),
            tags: tags::optional_tags(members)?.unwrap_or_default(),
            multi_region: members.optional_boolean("MultiRegion")?.unwrap_or(false),
            xks_key_id: members.optional_string("XksKeyId", &XKS_KEY_ID)?,
        })
    }
}

impl Operation for CreateKey {
    const NAME: &'static str = "CreateKey";
    type Input = Input;
    type Output = KeyMetadataReply;

    async fn run(call: &Call, input: Input) -> Result<KeyMetadataReply, Fault> {
        let origin = check_kind(&input)?;
        call.authorize_without_key(
            "*",
            &RequestFacts {
                request_tags: Some(&input.tags),
                bypass_policy_lockout: Some(input.bypass_policy_lockout),
                key_origin: Some(origin.as_str()),
                ..RequestFacts::default()
            },
        )?;
        tags::check(&input.tags)?;
        let key = make(call, &input, origin).await?;
        let state = KeyState::of(&key, call.kms.key_stores.is_available(&key));
        let key_metadata = KeyMetadata::of(call, &key, state);
        call.update(move |draft| {
            draft.put_key(key.clone());
            Ok(())
        })
        .await?;
        Ok(KeyMetadataReply { key_metadata })
    }
}

/// Refuses the kinds of keys that are not provided; returns where the material is to be made.
fn check_kind(input: &Input) -> Result<Origin, Fault> {
    if !matches!(input.key_spec, None | Some(KeySpec::SymmetricDefault)) {
        return Err(Fault::unsupported("The only key spec provided here is SYMMETRIC_DEFAULT."));
    }
    if !matches!(input.key_usage, None | Some(KeyUsage::EncryptDecrypt)) {
        return Err(Fault::validation(
            "The key usage of a SYMMETRIC_DEFAULT key can only be ENCRYPT_DECRYPT.",
        ));
    }
    if input.multi_region {
        return Err(Fault::unsupported("Multi-Region keys are not provided here."));
    }
    if input.xks_key_id.is_some() {
        return Err(Fault::unsupported("External key stores are not provided here."));
    }
    match (input.origin, &input.custom_key_store_id) {
        (None | Some(OriginName::AwsKms), None) => Ok(Origin::AwsKms),
        (Some(OriginName::AwsCloudHsm), Some(_)) => Ok(Origin::AwsCloudHsm),
        (Some(OriginName::AwsCloudHsm), None) => {
            Err(Fault::validation("Origin AWS_CLOUDHSM needs a CustomKeyStoreId."))
        }
        (None | Some(OriginName::AwsKms), Some(_)) => {
            Err(Fault::validation("A CustomKeyStoreId needs the Origin AWS_CLOUDHSM."))
        }
        (Some(OriginName::External), _) => {
            Err(Fault::unsupported("Imported key material is not provided here."))
        }
        (Some(OriginName::ExternalKeyStore), _) => {
            Err(Fault::unsupported("External key stores are not provided here."))
        }
    }
}

/// Makes the material and, around it, the key.
async fn make(call: &Call, input: &Input, origin: Origin) -> Result<Key, Fault> {
    let policy = match &input.policy {
        Some(text) => key_policy::parse(text)?,
        None => key_policy::parse(&default_key_policy(call.realm.account))?,
    };
    let id = KeyId::random();
    let arn = call.realm.key_arn(id);
    // Before any material exists, so that a refusal leaves none behind.
    if !input.bypass_policy_lockout {
        key_policy::check_lockout(call, &policy, &arn)?;
    }
    let store = match &input.custom_key_store_id {
        None => Arc::clone(call.kms.key_stores.default_store()),
        Some(id) => custom_key_store::connected(call, id)?,
    };
    let material = store.create(&arn).await.map_err(KeyStoreError::into_creation_fault)?;
    Ok(Key {
        realm: call.realm.clone(),
        id,
        created: call.now,
        description: input.description.as_deref().unwrap_or_default().into(),
        lifecycle: Lifecycle::Enabled,
        origin,
        custom_key_store: input.custom_key_store_id.as_deref().map(Into::into),
        policy,
        tags: Arc::new(input.tags.clone()),
        material: Arc::new(material),
    })
}
