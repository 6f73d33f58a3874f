//! DeleteImportedKeyMaterial.

use serde::Serialize;

use super::access::Naming;
use super::import::{self, MATERIAL_ID};
use super::{Call, Operation, cryptography, shapes};
use crate::ids::KeyArn;
use crate::policy::RequestFacts;
use crate::protocol::{Fault, Members, Request};
use crate::records::MaterialId;

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
    /// material is left as it is.
    async fn run(call: &Call, input: Input) -> Result<Output, Fault> {
        let found = call.find_key(&input.key_id, Naming::KeyOnly)?;
        call.check_own(found.key())?;
        let key = found.authorize(call, RequestFacts::default())?;
        import::check_origin(key.key())?;
        let named = input.material_id;
        key.change(call, move |key| {
            if named.as_ref().is_some_and(|named| *named != key.material.id.to_string()) {
                return Err(Fault::not_found(format!(
                    "{} has no key material of that ID.",
                    key.arn()
                )));
            }
            key.material = key.material.forgotten().into();
            let deleted = cryptography::current_material(key).filter(|_| key.material.is_settled());
            Ok(Output { key_id: key.arn(), key_material_id: deleted })
        })
        .await
    }
}
