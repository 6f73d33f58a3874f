//! ReEncrypt: decrypts and encrypts inside; the plaintext leaves for nobody.

use serde::Serialize;
use zeroize::Zeroizing;

use super::access::Naming;
use super::ciphertext::{Algorithm, CIPHERTEXT, read_algorithm};
use super::cryptography::{self, SYMMETRIC_DEFAULT};
use super::encryption_context::EncryptionContext;
use super::{Call, Operation, shapes};
use crate::ids::KeyArn;
use crate::policy::RequestFacts;
use crate::protocol::{Base64, Fault, Members, Request};
use crate::records::MaterialId;

pub(super) struct ReEncrypt;

pub(super) struct Input {
    blob: Zeroizing<Vec<u8>>,
    source_key_id: Option<String>,
    source_context: EncryptionContext,
    source_algorithm: Algorithm,
    destination_key_id: String,
    destination_context: EncryptionContext,
    destination_algorithm: Algorithm,
    dry_run: bool,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        shapes::grant_tokens(members)?;
        shapes::refuse_dry_run_modifiers(members)?;
        Ok(Self {
            blob: members.blob("CiphertextBlob", &CIPHERTEXT)?,
            source_key_id: members.optional_string("SourceKeyId", &shapes::KEY_ID)?,
            source_context: EncryptionContext::read(members, "SourceEncryptionContext")?,
            source_algorithm: read_algorithm(members, "SourceEncryptionAlgorithm")?,
            destination_key_id: members.string("DestinationKeyId", &shapes::KEY_ID)?,
            destination_context: EncryptionContext::read(members, "DestinationEncryptionContext")?,
            destination_algorithm: read_algorithm(members, "DestinationEncryptionAlgorithm")?,
            dry_run: members.optional_boolean("DryRun")?.unwrap_or(false),
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
    source_key_material_id: MaterialId,
    destination_key_material_id: MaterialId,
}

impl Operation for ReEncrypt {
    const NAME: &'static str = "ReEncrypt";
    type Input = Input;
    type Output = Output;

    async fn run(call: &Call, input: Input) -> Result<Output, Fault> {
        let source_name = input.source_key_id.as_deref();
        let located = cryptography::locate(call, &input.blob, source_name, input.source_algorithm)?;
        let destination = call.find_key(&input.destination_key_id, Naming::KeyOrAlias)?;
        input.destination_algorithm.check(destination.key())?;
        let (source, sealed) = located.into_parts();
        let on_same_key = Some(source.key().arn() == destination.key().arn());

        // Two permissions, each on its own key with its own context.
        let facts = |context| RequestFacts {
            reencrypt_on_same_key: on_same_key,
            ..cryptography::facts(context)
        };
        let source = source
            .authorize_action(call, "kms:ReEncryptFrom", facts(&input.source_context))?
            .in_state(call)?;
        let destination = destination
            .authorize_action(call, "kms:ReEncryptTo", facts(&input.destination_context))?
            .in_state(call)?;
        cryptography::end_dry_run(input.dry_run)?;

        let plaintext = sealed.open(call, &source, &input.source_context).await?;
        let blob =
            cryptography::encrypt(call, &destination, &input.destination_context, &plaintext)
                .await?;
        Ok(Output {
            ciphertext_blob: blob,
            source_key_id: source.key().arn(),
            key_id: destination.key().arn(),
            source_encryption_algorithm: SYMMETRIC_DEFAULT,
            destination_encryption_algorithm: SYMMETRIC_DEFAULT,
            source_key_material_id: source.key().material.id,
            destination_key_material_id: destination.key().material.id,
        })
    }
}
