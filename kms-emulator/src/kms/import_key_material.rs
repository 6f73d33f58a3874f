//! ImportKeyMaterial.

use std::sync::Arc;

use serde::Serialize;
use zeroize::Zeroizing;

use super::access::{AuthorizedKey, Naming};
use super::import::{
    self, CIPHERTEXT, ExpirationModel, MATERIAL_DESCRIPTION, MATERIAL_ID, TokenHeader,
};
use super::shapes::names;
use super::{Call, Operation, cryptography, shapes};
use crate::clock::Timestamp;
use crate::ids::KeyArn;
use crate::keystore::{ImportError, WrappedMaterial};
use crate::policy::RequestFacts;
use crate::protocol::{EnumValues, Fault, FaultCode, Members, Request};
use crate::records::{Key, KeySpec, Lifecycle, Material, MaterialId};

/// Latest expiration, in days from the request.
const VALID_DAYS_MAX: u32 = 365;

names! {
    /// `ImportType`.
    ImportType {
        New = "NEW_KEY_MATERIAL",
        Existing = "EXISTING_KEY_MATERIAL",
    }
}

pub(super) struct ImportKeyMaterial;

pub(super) struct Input {
    key_id: String,
    token: Zeroizing<Vec<u8>>,
    wrapped: Zeroizing<Vec<u8>>,
    valid_to: Option<Timestamp>,
    model: ExpirationModel,
    import_type: Option<ImportType>,
    material_id: Option<String>,
    description: Option<String>,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        Ok(Self {
            key_id: members.string("KeyId", &shapes::KEY_ID)?,
            token: members.blob("ImportToken", &CIPHERTEXT)?,
            wrapped: members.blob("EncryptedKeyMaterial", &CIPHERTEXT)?,
            valid_to: members.optional_timestamp("ValidTo")?,
            model: members.optional_enum("ExpirationModel")?.unwrap_or(ExpirationModel::Expires),
            import_type: members.optional_enum("ImportType")?,
            material_id: members.optional_string("KeyMaterialId", &MATERIAL_ID)?,
            description: members
                .optional_string("KeyMaterialDescription", &MATERIAL_DESCRIPTION)?,
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

impl Operation for ImportKeyMaterial {
    const NAME: &'static str = "ImportKeyMaterial";
    type Input = Input;
    type Output = Output;

    async fn run(call: &Call, input: Input) -> Result<Output, Fault> {
        let expires = expiration(&input, call.now)?;
        let found = call.find_key(&input.key_id, Naming::KeyOnly)?;
        call.check_own(found.key())?;
        let facts = RequestFacts {
            more: &[("expirationmodel", input.model.as_str())],
            ..RequestFacts::default()
        };
        let key = found.authorize(call, facts)?;
        import::check_origin(key.key())?;
        key.check_state(call)?;
        check_symmetric_members(key.key(), &input)?;
        let description = input.description.as_deref().map(Into::into);
        let material = Material { expires, description, ..unwrap(call, &key, &input).await? };
        let now = call.now;
        let (import_type, named) = (input.import_type, input.material_id);
        key.change(call, move |key| {
            let incomplete = !key.has_material(now);
            let destination = destination(key, &material, import_type)?;
            check_named(&material, named.as_deref())?;
            put(key, destination, material.clone());
            // Material that takes the place of the same, to expire at another time, enables nothing.
            if incomplete && key.has_material(now) {
                key.lifecycle = Lifecycle::Enabled;
            }
            Ok(Output {
                key_id: key.arn(),
                key_material_id: cryptography::current_material(key).map(|_| material.id),
            })
        })
        .await
    }
}

/// When the material is to be forgotten.
fn expiration(input: &Input, now: Timestamp) -> Result<Option<Timestamp>, Fault> {
    match (input.model, input.valid_to) {
        (ExpirationModel::Expires, Some(at)) if at > now && at <= now.plus_days(VALID_DAYS_MAX) => {
            Ok(Some(at))
        }
        (ExpirationModel::Expires, Some(_)) => Err(Fault::validation(format!(
            "ValidTo must be in the future and at most {VALID_DAYS_MAX} days from now."
        ))),
        (ExpirationModel::Expires, None) => Err(Fault::validation(
            "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES",
        )),
        (ExpirationModel::DoesNotExpire, Some(_)) => Err(Fault::validation(
            "ValidTo is not valid if the ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE",
        )),
        (ExpirationModel::DoesNotExpire, None) => Ok(None),
    }
}

/// Refuses what only symmetric encryption keys have, for other keys; and what contradicts itself.
fn check_symmetric_members(key: &Key, input: &Input) -> Result<(), Fault> {
    let is_given =
        input.import_type.is_some() || input.material_id.is_some() || input.description.is_some();
    if is_given && key.spec != KeySpec::SymmetricDefault {
        return Err(Fault::unsupported(format!(
            "ImportType, KeyMaterialId and KeyMaterialDescription are not supported for key spec {}.",
            key.spec.as_str()
        )));
    }
    if input.import_type == Some(ImportType::New) && input.material_id.is_some() {
        return Err(Fault::validation(
            "A KeyMaterialId cannot be given with the ImportType NEW_KEY_MATERIAL.",
        ));
    }
    Ok(())
}

/// Has the HSM take the material in.
async fn unwrap(call: &Call, key: &AuthorizedKey, input: &Input) -> Result<Material, Fault> {
    let key = key.key();
    let (header, sealed) = TokenHeader::split(&input.token)?;
    let kind = key
        .spec
        .kind(key.usage)
        .ok_or_else(|| Fault::internal(format!("{} has no kind", key.arn())))?;
    let wrapped = WrappedMaterial {
        size: header.wrapping.size,
        binding: header.binding(&key.arn()),
        sealed_private_key: sealed.to_vec(),
        wrapping: header.wrapping.algorithm,
        wrapped: input.wrapped.to_vec(),
        kind,
        // The same for the keys of one id in all Regions.
        scope: key.id.to_string().into_bytes(),
    };
    // A token is good for nothing but an error until the HSM has opened it.
    let is_expired = header.valid_to <= call.now;
    let imported = call.kms.key_stores.fleet().import(wrapped, is_expired).await;
    imported.map_err(|error| match error {
        ImportError::Token => import::invalid_token(),
        ImportError::TokenExpired => Fault::new(FaultCode::ExpiredImportTokenException, ""),
        ImportError::Wrapped => Fault::invalid_ciphertext(),
        ImportError::Material => {
            incorrect_material("The key material is not valid for the key spec.")
        }
        ImportError::Store(error) => error.into_fault(key),
    })
}

/// Where imported material goes.
enum Destination {
    /// Into the place of the same material, or of the first that the key awaits.
    Known,
    /// To be the next one, in place of what was to be that before.
    Next,
}

/// Refuses material that the key cannot take.
fn destination(
    key: &Key,
    material: &Material,
    import_type: Option<ImportType>,
) -> Result<Destination, Fault> {
    let is_settled = key.material.is_settled();
    let is_own = key.materials().any(|own| own.id == material.id);
    let is_pending = key.pending.as_ref().is_some_and(|pending| pending.id == material.id);
    match import_type {
        None | Some(ImportType::New) if !is_settled && key.is_primary() => Ok(Destination::Known),
        _ if !is_settled => Err(match key.is_primary() {
            true => incorrect_material(
                "The key has no existing key material: ImportType must be NEW_KEY_MATERIAL.",
            ),
            false => Fault::unsupported(
                "Key material is imported into the primary Region key before it is into its replicas.",
            ),
        }),
        Some(ImportType::New) if !key.is_primary() => Err(Fault::unsupported(
            "New key material is imported into the primary Region key, not into its replicas.",
        )),
        Some(ImportType::New) if is_own => Err(incorrect_material(
            "The key material is associated with the key already: ImportType must be \
             EXISTING_KEY_MATERIAL.",
        )),
        Some(ImportType::New) => Ok(Destination::Next),
        None | Some(ImportType::Existing) if is_own || is_pending => Ok(Destination::Known),
        None | Some(ImportType::Existing) => {
            Err(incorrect_material("The key material is not one that was imported before."))
        }
    }
}

/// Refuses other material than what the caller named.
fn check_named(material: &Material, named: Option<&str>) -> Result<(), Fault> {
    if named.is_none_or(|named| named == material.id.to_string()) {
        return Ok(());
    }
    Err(incorrect_material("The key material is not the one of the KeyMaterialId."))
}

fn put(key: &mut Key, destination: Destination, material: Material) {
    match (destination, &key.pending) {
        (Destination::Next, _) => key.pending = Some(Arc::new(material)),
        (Destination::Known, Some(pending)) if pending.id == material.id => {
            key.pending = Some(Arc::new(material.again(pending)));
        }
        (Destination::Known, _) if !key.material.is_settled() => key.material = Arc::new(material),
        (Destination::Known, _) => key.map_materials(|own| match own.id == material.id {
            true => material.clone().again(own),
            false => own.clone(),
        }),
    }
}

fn incorrect_material(message: &str) -> Fault {
    Fault::new(FaultCode::IncorrectKeyMaterialException, message)
}
