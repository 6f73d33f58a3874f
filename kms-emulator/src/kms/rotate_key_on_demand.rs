//! RotateKeyOnDemand and ListKeyRotations.

use serde::Serialize;

use super::access::Naming;
use super::import::ExpirationModel;
use super::key_rotation::KeyInput;
use super::pagination::Page;
use super::rotation::PendingState;
use super::shapes::names;
use super::{Call, Operation, multi_region, rotation, shapes};
use crate::clock::Timestamp;
use crate::ids::KeyArn;
use crate::keystore::KeyStoreError;
use crate::policy::RequestFacts;
use crate::protocol::{EnumValues, Fault, FaultCode, Members, Request};
use crate::records::{Key, Material, MaterialId, Origin, Rotated, RotationKind};
use crate::registry::State;

/// Rotations on demand of one key, over all its life (quota of KMS).
const ON_DEMAND_ROTATIONS_MAX: usize = 25;
/// Rotations of a page for which no `Limit` is given.
const DEFAULT_LIMIT: u32 = 100;

pub(super) struct RotateKeyOnDemand;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RotateOutput {
    key_id: KeyArn,
}

impl Operation for RotateKeyOnDemand {
    const NAME: &'static str = "RotateKeyOnDemand";
    type Input = KeyInput;
    type Output = RotateOutput;

    /// Automatic rotation goes on as it was planned.
    async fn run(call: &Call, input: KeyInput) -> Result<RotateOutput, Fault> {
        let found = call.find_key(&input.key_id, Naming::KeyOnly)?;
        call.check_own(found.key())?;
        let key = found.authorize(call, RequestFacts::default())?;
        rotation::check_on_demand(key.key())?;
        multi_region::refuse_replica(key.key())?;
        check_count(key.key())?;
        key.check_state(call)?;
        let key_id = key.key().arn();
        let rotated = Rotated { at: call.now, kind: RotationKind::OnDemand };
        let made = match key.key().origin {
            Origin::External => None,
            _ => Some(
                rotation::material(&call.kms, key.key(), rotated)
                    .await
                    .map_err(KeyStoreError::into_creation_fault)?,
            ),
        };
        let now = call.now;
        key.change_in(call, move |draft, key| {
            check_count(key)?;
            let new = match &made {
                Some(made) => made.clone(),
                None => imported(draft.state(), key, now)?,
            };
            key.rotate(Material { rotated: Some(rotated), ..new });
            key.pending = None;
            Ok(())
        })
        .await?;
        Ok(RotateOutput { key_id })
    }
}

/// The material that was imported to be the next one, once every key of the id has it.
fn imported(state: &State, key: &Key, now: Timestamp) -> Result<Material, Fault> {
    match rotation::pending_state(state, key, now) {
        Some(PendingState::Rotation) => {}
        Some(PendingState::MultiRegionImport) => {
            return Err(Fault::invalid_state(format!(
                "{} has key material that is not imported into all of its replica keys.",
                key.arn()
            )));
        }
        None => {
            return Err(Fault::invalid_state(format!(
                "{} has no key material that is pending rotation.",
                key.arn()
            )));
        }
    }
    let pending = key.pending.as_deref().cloned();
    pending.ok_or_else(|| Fault::internal("material pending rotation is gone"))
}

fn check_count(key: &Key) -> Result<(), Fault> {
    let is_on_demand = |material: &&Material| {
        material.rotated.is_some_and(|rotated| rotated.kind == RotationKind::OnDemand)
    };
    if key.materials().filter(is_on_demand).count() < ON_DEMAND_ROTATIONS_MAX {
        return Ok(());
    }
    Err(Fault::new(
        FaultCode::LimitExceededException,
        format!("A key is rotated on demand at most {ON_DEMAND_ROTATIONS_MAX} times"),
    ))
}

names! {
    /// `IncludeKeyMaterial`.
    IncludeKeyMaterial {
        AllKeyMaterial = "ALL_KEY_MATERIAL",
        RotationsOnly = "ROTATIONS_ONLY",
    }
}

pub(super) struct ListKeyRotations;

pub(super) struct ListInput {
    key_id: String,
    include: IncludeKeyMaterial,
    page: Page,
}

impl Request for ListInput {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        Ok(Self {
            key_id: members.string("KeyId", &shapes::KEY_ID)?,
            include: members
                .optional_enum("IncludeKeyMaterial")?
                .unwrap_or(IncludeKeyMaterial::RotationsOnly),
            page: Page::read(members, DEFAULT_LIMIT)?,
        })
    }
}

/// `RotationsListEntry`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    key_id: KeyArn,
    key_material_id: MaterialId,
    key_material_state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation_date: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation_type: Option<&'static str>,
    #[serde(flatten)]
    import: Option<Import>,
}

/// What is shown of imported material.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Import {
    import_state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_material_description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration_model: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_to: Option<Timestamp>,
}

impl Import {
    fn of(material: &Material, now: Timestamp) -> Self {
        let is_present = material.is_present(now);
        let model = ExpirationModel::of(material.expires).as_str();
        Self {
            import_state: if is_present { "IMPORTED" } else { "PENDING_IMPORT" },
            key_material_description: material.description.as_deref().map(ToOwned::to_owned),
            expiration_model: is_present.then_some(model),
            valid_to: material.expires.filter(|_| is_present),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListOutput {
    rotations: Vec<Entry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
    truncated: bool,
}

impl Operation for ListKeyRotations {
    const NAME: &'static str = "ListKeyRotations";
    type Input = ListInput;
    type Output = ListOutput;

    async fn run(call: &Call, input: ListInput) -> Result<ListOutput, Fault> {
        let found = call.find_key(&input.key_id, Naming::KeyOnly)?;
        call.check_own(found.key())?;
        let key = found.authorize(call, RequestFacts::default())?;
        rotation::check_on_demand(key.key())?;
        let key = key.in_state(call)?;
        let key = key.key();
        let include_all = input.include == IncludeKeyMaterial::AllKeyMaterial;
        // A key has few materials and only gets more: the number of one is its name.
        let after: Option<usize> = input.page.after(|number| number.parse().ok())?;
        let settled = key.materials().filter(|material| material.is_settled());
        let entries = settled
            .chain(key.pending.as_deref())
            .enumerate()
            .filter(|(number, _)| after.is_none_or(|after| *number > after))
            .filter(|(_, material)| include_all || material.rotated.is_some())
            .map(|(number, material)| (number, entry(call, key, material)));
        let listed = input.page.take(entries, |(number, _)| number.to_string());
        Ok(ListOutput {
            truncated: listed.next_marker.is_some(),
            next_marker: listed.next_marker,
            rotations: listed.items.into_iter().map(|(_, entry)| entry).collect(),
        })
    }
}

fn entry(call: &Call, key: &Key, material: &Material) -> Entry {
    let is_next = key.pending.as_ref().is_some_and(|pending| pending.id == material.id);
    Entry {
        key_id: key.arn(),
        key_material_id: material.id,
        key_material_state: match rotation::pending_state(&call.state, key, call.now) {
            Some(state) if is_next => state.as_str(),
            _ if material.id == key.material.id => "CURRENT",
            _ => "NON_CURRENT",
        },
        rotation_date: material.rotated.map(|rotated| rotated.at),
        rotation_type: material.rotated.map(|rotated| rotated.kind.as_str()),
        import: (key.origin == Origin::External).then(|| Import::of(material, call.now)),
    }
}
