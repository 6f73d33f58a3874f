//! DeleteImportedKeyMaterial.

use serde::Serialize;

use super::access::Naming;
use super::import::{self, MATERIAL_ID};
use super::{Call, Operation, shapes};
use crate::ids::KeyArn;
use crate::policy::RequestFacts;
use crate::protocol::{Fault, Members, Request};
use crate::records::{Key, KeySpec, Material, MaterialId};

pub(super) struct DeleteImportedKeyMaterial;

pub(super) struct Input {
    key_id: String,
    material_id: Option<String>,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        Ok(Self {
            key_id: members.string("KeyId", &shapes::KEY_ID)?,
            material_id: members.optional_string("KeyMaterialId", &MATERIAL_ID)?,
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    key_id: KeyArn,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_material_id: Option<MaterialId>,
}

impl Operation for DeleteImportedKeyMaterial {
    const NAME: &'static str = "DeleteImportedKeyMaterial";
    type Input = Input;
    type Output = Output;

    /// The key stays, and remembers which material it had: only the same brings it back. A key without
    /// material is left as it is. Material that awaits its rotation is not the key's yet and leaves nothing
    /// behind.
    async fn run(call: &Call, input: Input) -> Result<Output, Fault> {
        let found = call.find_key(&input.key_id, Naming::KeyOnly)?;
        call.check_own(found.key())?;
        let key = found.authorize(call, RequestFacts::default())?;
        import::check_origin(key.key())?;
        let named = input.material_id;
        key.change(call, move |key| {
            let named = named.clone().unwrap_or_else(|| key.material.id.to_string());
            let deleted = delete(key, &named).ok_or_else(|| {
                Fault::not_found(format!("{} has no key material of that ID.", key.arn()))
            })?;
            let is_shown = key.material.is_settled() && key.spec == KeySpec::SymmetricDefault;
            Ok(Output { key_id: key.arn(), key_material_id: Some(deleted).filter(|_| is_shown) })
        })
        .await
    }
}

/// Removes material and says which it was.
fn delete(key: &mut Key, named: &str) -> Option<MaterialId> {
    let is_named = |material: &Material| material.id.to_string() == named;
    if let Some(pending) = key.pending.as_deref().filter(|pending| is_named(pending)) {
        let id = pending.id;
        key.forget_pending();
        return Some(id);
    }
    let id = key.materials().find(|material| is_named(material))?.id;
    key.map_materials(|material| match material.id == id {
        true => material.forgotten(),
        false => material.clone(),
    });
    Some(id)
}
