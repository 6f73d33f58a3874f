//! CreateKey.

use std::collections::BTreeMap;
use std::sync::Arc;

use strongroom_hsm::KeyKind;

use super::key_metadata::{KeyMetadata, KeyMetadataReply};
use super::key_state::KeyState;
use super::shapes::{self, KeySpecName, OldKeySpecName, OriginName};
use super::{Call, Operation, custom_key_store, external_key_store, key_policy, tags};
use crate::audit::Touched;
use crate::ids::KeyId;
use crate::keystore::KeyStoreError;
use crate::policy::{RequestFacts, default_key_policy};
use crate::protocol::{Fault, Members, Request, StringLimits};
use crate::records::{Key, KeyManager, KeySpec, KeyUsage, Lifecycle, Material, Origin, PlannedKey};

pub(super) struct CreateKey;

pub(super) struct Input {
    policy: Option<String>,
    description: Option<String>,
    key_usage: Option<KeyUsage>,
    key_spec: Option<KeySpecName>,
    origin: Option<OriginName>,
    custom_key_store_id: Option<String>,
    bypass_policy_lockout: bool,
    tags: BTreeMap<String, String>,
    multi_region: bool,
    xks_key_id: Option<String>,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        const XKS_KEY_ID: StringLimits =
            StringLimits::length(1, 128).pattern("^[a-zA-Z0-9-_.]+$", |text| {
                text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
                    && !text.is_empty()
            });
        let old_spec: Option<OldKeySpecName> = members.optional_enum("CustomerMasterKeySpec")?;
        let old_spec = old_spec.map(|OldKeySpecName(name)| name);
        let key_spec = members.optional_enum("KeySpec")?;
        if old_spec.is_some() && key_spec.is_some() {
            members.refuse(Fault::validation(
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
        let (spec, usage) = check_spec(&input)?;
        let origin = check_origin(&input, spec)?;
        let kind = spec.kind(usage).ok_or_else(|| not_compatible(spec, usage))?;
        call.authorize_without_key(
            "*",
            &RequestFacts {
                request_tags: Some(&input.tags),
                bypass_policy_lockout: Some(input.bypass_policy_lockout),
                key_origin: Some(origin.as_str()),
                key_spec: Some(spec),
                key_usage: Some(usage),
                more: &[("multiregion", if input.multi_region { "true" } else { "false" })],
                ..RequestFacts::default()
            },
        )?;
        tags::check(&input.tags)?;
        let draft = Draft { spec, usage, kind, origin };
        let id = if input.multi_region { KeyId::random_multi_region() } else { KeyId::random() };
        // Held until the key exists, or nobody makes it any more.
        let _request = plan(call, &input, id).await?;
        let key = make(call, &input, &draft, id).await?;
        let state = KeyState::of(&key, call.kms.key_stores.is_available(&key), call.now);
        let key_metadata = KeyMetadata::of(call, &key, state);
        let made = Arc::new(key.clone());
        call.update(move |draft| {
            if key.custom_key_store.is_some() {
                draft.delete_planned_key(&key.realm, key.id);
            }
            draft.put_key(key.clone());
            Ok(())
        })
        .await?;
        call.touch(Touched::Key(made));
        Ok(KeyMetadataReply { key_metadata })
    }
}

/// What the key will be.
struct Draft {
    spec: KeySpec,
    usage: KeyUsage,
    kind: KeyKind,
    origin: Origin,
}

/// The spec and the usage of the key. Only for one usage alone it may be left out.
fn check_spec(input: &Input) -> Result<(KeySpec, KeyUsage), Fault> {
    let spec = match input.key_spec {
        None => KeySpec::SymmetricDefault,
        Some(KeySpecName::Provided(spec)) => spec,
        Some(KeySpecName::Sm2) => {
            return Err(Fault::unsupported("KeySpec SM2 is supported only in China Regions."));
        }
    };
    match (spec, input.key_usage) {
        (KeySpec::SymmetricDefault, None) => Ok((spec, KeyUsage::EncryptDecrypt)),
        (_, Some(usage)) => Ok((spec, usage)),
        (_, None) => Err(Fault::validation(
            "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.",
        )),
    }
}

fn not_compatible(spec: KeySpec, usage: KeyUsage) -> Fault {
    Fault::validation(format!(
        "KeyUsage {} is not compatible with KeySpec {}",
        usage.as_str(),
        spec.as_str()
    ))
}

/// Refuses the origins that are not provided; returns where the material is to be made.
fn check_origin(input: &Input, spec: KeySpec) -> Result<Origin, Fault> {
    if input.multi_region && input.custom_key_store_id.is_some() {
        return Err(Fault::unsupported("Keys of a custom key store cannot be multi-Region keys."));
    }
    if input.xks_key_id.is_some() {
        return Err(external_key_store::unsupported());
    }
    match (input.origin, &input.custom_key_store_id) {
        (None | Some(OriginName::AwsKms), None) => Ok(Origin::AwsKms),
        (Some(OriginName::AwsCloudHsm), Some(_)) if spec != KeySpec::SymmetricDefault => {
            Err(Fault::unsupported(format!(
                "KeySpec {} is not supported for Origin AWS_CLOUDHSM",
                spec.as_str()
            )))
        }
        (Some(OriginName::AwsCloudHsm), Some(_)) => Ok(Origin::AwsCloudHsm),
        (Some(OriginName::AwsCloudHsm), None) => {
            Err(Fault::validation("Origin AWS_CLOUDHSM needs a CustomKeyStoreId."))
        }
        (None | Some(OriginName::AwsKms), Some(_)) => {
            Err(Fault::validation("A CustomKeyStoreId needs the Origin AWS_CLOUDHSM."))
        }
        (Some(OriginName::External), None) => Ok(Origin::External),
        (Some(OriginName::External), Some(_)) => Err(Fault::unsupported(
            "Key material cannot be imported into a key of a custom key store.",
        )),
        (Some(OriginName::ExternalKeyStore), _) => Err(external_key_store::unsupported()),
    }
}

/// Writes down that an HSM is going to make material, before it does: `leftovers` finds it if the key never
/// comes into being. Only for custom key stores; the default key store's HSM keeps no key.
async fn plan(call: &Call, input: &Input, id: KeyId) -> Result<Arc<()>, Fault> {
    let request = Arc::new(());
    let Some(store) = &input.custom_key_store_id else { return Ok(request) };
    custom_key_store::connected(call, store)?;
    custom_key_store::check_network_of(call, store)?;
    let store = custom_key_store::find(&call.kms.registry.state(), &call.realm, store)?;
    let planned = PlannedKey {
        realm: call.realm.clone(),
        id,
        custom_key_store: store.id.clone(),
        request: Arc::downgrade(&request),
    };
    call.update(move |draft| {
        draft.put_planned_key(planned.clone());
        Ok(())
    })
    .await?;
    Ok(request)
}

/// Makes the material and, around it, the key.
async fn make(call: &Call, input: &Input, draft: &Draft, id: KeyId) -> Result<Key, Fault> {
    let policy = match &input.policy {
        Some(text) => key_policy::parse(text)?,
        None => key_policy::parse(&default_key_policy(call.realm.account))?,
    };
    let arn = call.realm.key_arn(id);
    // Before any material exists, so that a refusal leaves none behind.
    if !input.bypass_policy_lockout {
        key_policy::check_lockout(call, &policy, &arn)?;
    }
    let material = match (&input.custom_key_store_id, draft.origin) {
        (None, Origin::External) => Ok(Material::awaited()),
        (None, _) => call.kms.key_stores.fleet().create_kind(draft.kind).await,
        (Some(id), _) => custom_key_store::connected(call, id)?.create(&arn).await,
    };
    let material = material.map_err(KeyStoreError::into_creation_fault)?;
    Ok(Key {
        realm: call.realm.clone(),
        id,
        created: call.now,
        description: input.description.as_deref().unwrap_or_default().into(),
        lifecycle: Lifecycle::Enabled,
        spec: draft.spec,
        usage: draft.usage,
        origin: draft.origin,
        manager: KeyManager::Customer,
        custom_key_store: input.custom_key_store_id.as_deref().map(Into::into),
        policy,
        tags: Arc::new(input.tags.clone()),
        material: Arc::new(material),
        earlier: Arc::default(),
        pending: None,
        rotation: None,
        primary_region: input.multi_region.then(|| call.realm.region.clone()),
        last_usage: Arc::default(),
    })
}
