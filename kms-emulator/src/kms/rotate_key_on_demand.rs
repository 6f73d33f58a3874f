//! RotateKeyOnDemand and ListKeyRotations.

use serde::Serialize;

use super::access::Naming;
use super::key_rotation::KeyInput;
use super::pagination::Page;
use super::shapes::names;
use super::{Call, Operation, multi_region, rotation, shapes};
use crate::clock::Timestamp;
use crate::ids::KeyArn;
use crate::keystore::KeyStoreError;
use crate::policy::RequestFacts;
use crate::protocol::{EnumValues, Fault, FaultCode, Members, Request};
use crate::records::{Key, Material, MaterialId, Rotated, RotationKind};

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
        rotation::check(key.key())?;
        multi_region::refuse_replica(key.key())?;
        check_count(key.key())?;
        let key_id = key.key().arn();
        let rotated = Rotated { at: call.now, kind: RotationKind::OnDemand };
        let new = rotation::material(&call.kms, key.key(), rotated)
            .await
            .map_err(KeyStoreError::into_creation_fault)?;
        key.change(call, move |key| {
            check_count(key)?;
            key.rotate(new.clone());
            Ok(())
        })
        .await?;
        Ok(RotateOutput { key_id })
    }
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
        rotation::check(key.key())?;
        let key = key.in_state(call)?;
        let key = key.key();
        let include_all = input.include == IncludeKeyMaterial::AllKeyMaterial;
        // A key has few materials and only gets more: the number of one is its name.
        let after: Option<usize> = input.page.after(|number| number.parse().ok())?;
        let entries = key
            .materials()
            .enumerate()
            .filter(|(number, _)| after.is_none_or(|after| *number > after))
            .filter(|(_, material)| include_all || material.rotated.is_some())
            .map(|(number, material)| (number, entry(key, material)));
        let listed = input.page.take(entries, |(number, _)| number.to_string());
        Ok(ListOutput {
            truncated: listed.next_marker.is_some(),
            next_marker: listed.next_marker,
            rotations: listed.items.into_iter().map(|(_, entry)| entry).collect(),
        })
    }
}

fn entry(key: &Key, material: &Material) -> Entry {
    let is_current = material.id == key.material.id;
    Entry {
        key_id: key.arn(),
        key_material_id: material.id,
        key_material_state: if is_current { "CURRENT" } else { "NON_CURRENT" },
        rotation_date: material.rotated.map(|rotated| rotated.at),
        rotation_type: material.rotated.map(|rotated| rotated.kind.as_str()),
    }
}
