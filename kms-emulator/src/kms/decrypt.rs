//! Decrypt.

use serde::Serialize;
use zeroize::Zeroizing;

use super::algorithms::{EncryptionAlgorithm, read_encryption_algorithm};
use super::cryptography;
use super::encryption_context::EncryptionContext;
use super::{Call, Operation, shapes};
use crate::ids::KeyArn;
use crate::protocol::{Base64, Fault, Members, Request};
use crate::records::MaterialId;

pub(super) struct Decrypt;

pub(super) struct Input {
    /// None if a dry run leaves it out.
    blob: Option<Zeroizing<Vec<u8>>>,
    key_id: Option<String>,
    context: EncryptionContext,
    algorithm: EncryptionAlgorithm,
    dry_run: bool,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        shapes::grant_tokens(members)?;
        shapes::refuse_recipient(members)?;
        let dry_run = shapes::dry_run(members)?;
        Ok(Self {
            blob: shapes::ciphertext(members, dry_run)?,
            key_id: members.optional_string("KeyId", &shapes::KEY_ID)?,
            context: EncryptionContext::read(members, "EncryptionContext")?,
            algorithm: read_encryption_algorithm(members, "EncryptionAlgorithm")?,
            dry_run,
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    key_id: KeyArn,
    plaintext: Base64,
    encryption_algorithm: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_material_id: Option<MaterialId>,
}

impl Operation for Decrypt {
    const NAME: &'static str = "Decrypt";
    type Input = Input;
    type Output = Output;

    async fn run(call: &Call, input: Input) -> Result<Output, Fault> {
        let (blob, named) = (input.blob.as_deref(), input.key_id.as_deref());
        let located = cryptography::locate(call, blob.map(Vec::as_slice), named, input.algorithm)?;
        let (found, sealed) = located.into_parts();
        let facts = cryptography::facts(&input.context, input.algorithm);
        let key = found.authorize(call, facts)?.in_state(call)?;
        cryptography::check_context(input.algorithm, &input.context)?;
        cryptography::end_dry_run(input.dry_run)?;
        let opened = sealed.open(call, &key, &input.context).await?;
        Ok(Output {
            key_id: key.key().arn(),
            plaintext: Base64::secret(opened.plaintext),
            encryption_algorithm: input.algorithm.as_str(),
            key_material_id: opened.material,
        })
    }
}
