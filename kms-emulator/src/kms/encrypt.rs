//! Encrypt.

use serde::Serialize;
use zeroize::Zeroizing;

use super::access::Naming;
use super::algorithms::{self, EncryptionAlgorithm, read_encryption_algorithm};
use super::cryptography;
use super::encryption_context::EncryptionContext;
use super::{Call, Operation, shapes};
use crate::ids::KeyArn;
use crate::protocol::{Base64, Fault, Members, Request};
use crate::records::KeyUsage;

pub(super) struct Encrypt;

pub(super) struct Input {
    key_id: String,
    plaintext: Zeroizing<Vec<u8>>,
    context: EncryptionContext,
    algorithm: EncryptionAlgorithm,
    dry_run: bool,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        shapes::grant_tokens(members)?;
        Ok(Self {
            key_id: members.string("KeyId", &shapes::KEY_ID)?,
            plaintext: members.blob("Plaintext", &shapes::MESSAGE)?,
            context: EncryptionContext::read(members, "EncryptionContext")?,
            algorithm: read_encryption_algorithm(members, "EncryptionAlgorithm")?,
            dry_run: members.optional_boolean("DryRun")?.unwrap_or(false),
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    ciphertext_blob: Base64,
    key_id: KeyArn,
    encryption_algorithm: &'static str,
}

impl Operation for Encrypt {
    const NAME: &'static str = "Encrypt";
    type Input = Input;
    type Output = Output;

    async fn run(call: &Call, input: Input) -> Result<Output, Fault> {
        let found = call.find_key(&input.key_id, Naming::KeyOrAlias)?;
        let facts = cryptography::facts(&input.context, input.algorithm);
        let key = found.authorize(call, facts)?.in_state(call)?;
        algorithms::check_usage(key.key(), KeyUsage::EncryptDecrypt, Self::NAME)?;
        input.algorithm.check(key.key())?;
        cryptography::check_context(input.algorithm, &input.context)?;
        cryptography::end_dry_run(input.dry_run)?;
        let (algorithm, context) = (input.algorithm, &input.context);
        let blob = cryptography::encrypt(call, &key, algorithm, context, &input.plaintext).await?;
        Ok(Output {
            ciphertext_blob: blob,
            key_id: key.key().arn(),
            encryption_algorithm: input.algorithm.as_str(),
        })
    }
}
