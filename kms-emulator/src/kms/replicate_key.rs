//! ReplicateKey.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::access::{Naming, key_not_found, live_key};
use super::key_metadata::KeyMetadata;
use super::key_state::KeyState;
use super::multi_region::{self, REGION};
use super::{Call, Operation, key_policy, shapes, tags};
use crate::ids::{RealmId, Region};
use crate::policy::{RequestFacts, default_key_policy};
use crate::protocol::{Fault, FaultCode, Members, Request};
use crate::records::{Key, Lifecycle, Material, Origin};

pub(super) struct ReplicateKey;

pub(super) struct Input {
    key_id: String,
    region: String,
    policy: Option<String>,
    bypass_policy_lockout: bool,
    description: Option<String>,
    tags: BTreeMap<String, String>,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        Ok(Self {
            key_id: members.string("KeyId", &shapes::KEY_ID)?,
            region: members.string("ReplicaRegion", &REGION)?,
            policy: members.optional_string("Policy", &shapes::POLICY)?,
            bypass_policy_lockout: members
                .optional_boolean("BypassPolicyLockoutSafetyCheck")?
                .unwrap_or(false),
            description: members.optional_string("Description", &shapes::DESCRIPTION)?,
            tags: tags::optional_tags(members)?.unwrap_or_default(),
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    tag_key: String,
    tag_value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    replica_key_metadata: KeyMetadata,
    replica_policy: String,
    replica_tags: Vec<Tag>,
}

impl Operation for ReplicateKey {
    const NAME: &'static str = "ReplicateKey";
    type Input = Input;
    type Output = Output;

    /// The replica has the same materials: what one key encrypted the other decrypts. Imported material
    /// is imported into it anew. Policy, tags,
    /// description, aliases and grants are its own.
    async fn run(call: &Call, input: Input) -> Result<Output, Fault> {
        let region: Region = input
            .region
            .parse()
            .map_err(|_| Fault::validation(format!("Invalid Region {}", input.region)))?;
        let found = call.find_key(&input.key_id, Naming::KeyOnly)?;
        call.check_own(found.key())?;
        let facts = RequestFacts {
            more: &[("replicaregion", region.as_str())],
            request_tags: Some(&input.tags),
            ..RequestFacts::default()
        };
        let key = found.authorize(call, facts)?;
        let create = RequestFacts {
            request_tags: Some(&input.tags),
            key_origin: Some(key.key().origin.as_str()),
            key_spec: Some(key.key().spec),
            key_usage: Some(key.key().usage),
            ..RequestFacts::default()
        };
        call.authorize_action("kms:CreateKey", "*", &create)?;
        multi_region::check_primary(key.key())?;
        tags::check(&input.tags)?;
        let key = key.in_state(call)?;
        let (primary, id, now) = (key.key().realm.clone(), key.key().id, call.now);
        let replica = replica(call, key.key(), &input, region)?;
        let made = call
            .update(move |draft| {
                let newest = live_key(draft.state(), &primary, id, now)
                    .ok_or_else(|| key_not_found(&primary.key_arn(id).to_string()))?;
                multi_region::check_primary(newest)?;
                if draft.state().key(&replica.realm, id).is_some() {
                    return Err(Fault::new(
                        FaultCode::AlreadyExistsException,
                        format!("{} already exists.", replica.arn()),
                    ));
                }
                let mut replica = replica.clone();
                replica.share_properties_of(newest);
                draft.put_key(replica.clone());
                Ok(replica)
            })
            .await?;
        let tags = made.tags.iter();
        Ok(Output {
            replica_key_metadata: KeyMetadata::of(call, &made, KeyState::of(&made, true, call.now)),
            replica_policy: made.policy.text().to_owned(),
            replica_tags: tags
                .map(|(name, value)| Tag { tag_key: name.clone(), tag_value: value.clone() })
                .collect(),
        })
    }
}

fn replica(call: &Call, primary: &Key, input: &Input, region: Region) -> Result<Key, Fault> {
    let realm = RealmId { account: primary.realm.account, region };
    let policy = match &input.policy {
        Some(text) => key_policy::parse(text)?,
        None => key_policy::parse(&default_key_policy(realm.account))?,
    };
    if !input.bypass_policy_lockout {
        key_policy::check_lockout(call, &policy, &realm.key_arn(primary.id))?;
    }
    Ok(Key {
        realm,
        created: call.now,
        description: input.description.as_deref().unwrap_or_default().into(),
        lifecycle: Lifecycle::Enabled,
        policy,
        tags: Arc::new(input.tags.clone()),
        last_usage: Arc::default(),
        ..without_imports(primary)
    })
}

/// The key as it is before its owner has imported material into it.
fn without_imports(primary: &Key) -> Key {
    let mut key = Key::clone(primary);
    if key.origin == Origin::External {
        key.map_materials(Material::forgotten);
        key.pending = None;
    }
    key
}
