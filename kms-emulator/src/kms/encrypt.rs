//! Encrypt.

use serde::Serialize;
use zeroize::Zeroizing;

use super::access::Naming;
use super::ciphertext::{Algorithm, read_algorithm};
use super::cryptography::{self, SYMMETRIC_DEFAULT};
use super::encryption_context::EncryptionContext;
use super::{Call, Operation, shapes};
use crate::ids::KeyArn;
use crate::keystore::PLAINTEXT_BYTES_MAX;
use crate::protocol::{Base64, BlobLimits, Fault, Members, Request};

const PLAINTEXT: BlobLimits = BlobLimits { bytes_min: 1, bytes_max: PLAINTEXT_BYTES_MAX };

pub(super) struct Encrypt;

pub(super) struct Input {
    key_id: String,
    plaintext: Zeroizing<Vec<u8>>,
    context: EncryptionContext,
    algorithm: Algorithm,
    dry_run: bool,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        shapes::grant_tokens(members)?;
        Ok(Self {
            key_id: members.string("KeyId", &shapes::KEY_ID)?,
            plaintext: members.blob("Plaintext", &PLAINTEXT)?,
            context: EncryptionContext::read(members, "EncryptionContext")?,
            algorithm: read_algorithm(members, "EncryptionAlgorithm")?,
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
        let key = found.authorize(call, cryptography::facts(&input.context))?.in_state(call)?;
        input.algorithm.check(key.key())?;
        cryptography::end_dry_run(input.dry_run)?;
        let blob = cryptography::encrypt(call, &key, &input.context, &input.plaintext).await?;
        Ok(Output {
            ciphertext_blob: blob,
            key_id: key.key().arn(),
            encryption_algorithm: SYMMETRIC_DEFAULT,
        })
    }
}
