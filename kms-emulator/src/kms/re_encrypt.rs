//! ReEncrypt: decrypts and encrypts inside; the plaintext leaves for nobody.

use serde::Serialize;
use zeroize::Zeroizing;

use super::access::Naming;
use super::algorithms::{EncryptionAlgorithm, read_encryption_algorithm};
use super::cryptography;
use super::encryption_context::EncryptionContext;
use super::{Call, Operation, shapes};
use crate::ids::KeyArn;
use crate::policy::RequestFacts;
use crate::protocol::{Base64, Fault, Members, Request};
use crate::records::MaterialId;

pub(super) struct ReEncrypt;

pub(super) struct Input {
    /// None if a dry run leaves it out.
    blob: Option<Zeroizing<Vec<u8>>>,
    source_key_id: Option<String>,
    source_context: EncryptionContext,
    source_algorithm: EncryptionAlgorithm,
    destination_key_id: String,
    destination_context: EncryptionContext,
    destination_algorithm: EncryptionAlgorithm,
    dry_run: bool,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        shapes::grant_tokens(members)?;
        let dry_run = shapes::dry_run(members)?;
        Ok(Self {
            blob: shapes::ciphertext(members, dry_run)?,
            source_key_id: members.optional_string("SourceKeyId", &shapes::KEY_ID)?,
            source_context: EncryptionContext::read(members, "SourceEncryptionContext")?,
            source_algorithm: read_encryption_algorithm(members, "SourceEncryptionAlgorithm")?,
            destination_key_id: members.string("DestinationKeyId", &shapes::KEY_ID)?,
            destination_context: EncryptionContext::read(members, "DestinationEncryptionContext")?,
            destination_algorithm: read_encryption_algorithm(
                members,
                "DestinationEncryptionAlgorithm",
            )?,
            dry_run,
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    ciphertext_blob: Base64,
    source_key_id: KeyArn,
    key_id: KeyArn,
    source_encryption_algorithm: &'static str,
    destination_encryption_algorithm: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_key_material_id: Option<MaterialId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_key_material_id: Option<MaterialId>,
}

impl Operation for ReEncrypt {
    const NAME: &'static str = "ReEncrypt";
    type Input = Input;
    type Output = Output;

    async fn run(call: &Call, input: Input) -> Result<Output, Fault> {
        let (blob, named) = (input.blob.as_deref(), input.source_key_id.as_deref());
        let blob = blob.map(Vec::as_slice);
        let located = cryptography::locate(call, blob, named, input.source_algorithm)?;
        let destination = call.find_key(&input.destination_key_id, Naming::KeyOrAlias)?;
        input.destination_algorithm.check(destination.key())?;
        let (source, sealed) = located.into_parts();
        let on_same_key = Some(source.key().arn() == destination.key().arn());

        // Two permissions, each on its own key with its own context.
        let from = RequestFacts {
            reencrypt_on_same_key: on_same_key,
            ..cryptography::facts(&input.source_context, input.source_algorithm)
        };
        let to = RequestFacts {
            reencrypt_on_same_key: on_same_key,
            ..cryptography::facts(&input.destination_context, input.destination_algorithm)
        };
        let source = source.authorize_action(call, "kms:ReEncryptFrom", from)?.in_state(call)?;
        let destination =
            destination.authorize_action(call, "kms:ReEncryptTo", to)?.in_state(call)?;
        cryptography::check_context(input.source_algorithm, &input.source_context)?;
        cryptography::check_context(input.destination_algorithm, &input.destination_context)?;
        cryptography::end_dry_run(input.dry_run)?;

        let opened = sealed.open(call, &source, &input.source_context).await?;
        let blob = cryptography::encrypt(
            call,
            &destination,
            input.destination_algorithm,
            &input.destination_context,
            &opened.plaintext,
        )
        .await?;
        Ok(Output {
            ciphertext_blob: blob,
            source_key_id: source.key().arn(),
            key_id: destination.key().arn(),
            source_encryption_algorithm: input.source_algorithm.as_str(),
            destination_encryption_algorithm: input.destination_algorithm.as_str(),
            source_key_material_id: opened.material,
            destination_key_material_id: cryptography::current_material(destination.key()),
        })
    }
}
