//! GenerateDataKey and GenerateDataKeyWithoutPlaintext.

use serde::Serialize;

use super::access::{Naming, UsableKey};
use super::algorithms::{self, EncryptionAlgorithm};
use super::cryptography;
use super::encryption_context::EncryptionContext;
use super::{Call, Operation, shapes};
use crate::ids::KeyArn;
use crate::protocol::{Base64, EnumValues, Fault, IntegerLimits, Members, Request};
use crate::records::{KeyUsage, MaterialId};

const NUMBER_OF_BYTES: IntegerLimits = IntegerLimits { min: 1, max: 1024 };

pub(super) struct GenerateDataKey;
pub(super) struct GenerateDataKeyWithoutPlaintext;

/// `DataKeySpec`.
#[derive(Clone, Copy)]
enum DataKeySpec {
    Aes256,
    Aes128,
}

impl EnumValues for DataKeySpec {
    const VALUES: &'static [(&'static str, Self)] =
        &[("AES_256", Self::Aes256), ("AES_128", Self::Aes128)];
}

/// The members that both operations have.
pub(super) struct Input {
    key_id: String,
    context: EncryptionContext,
    spec: Option<DataKeySpec>,
    number_of_bytes: Option<u32>,
    dry_run: bool,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        shapes::grant_tokens(members)?;
        shapes::refuse_recipient(members)?;
        Ok(Self {
            key_id: members.string("KeyId", &shapes::KEY_ID)?,
            context: EncryptionContext::read(members, "EncryptionContext")?,
            spec: members.optional_enum("KeySpec")?,
            number_of_bytes: members.optional_integer("NumberOfBytes", &NUMBER_OF_BYTES)?,
            dry_run: members.optional_boolean("DryRun")?.unwrap_or(false),
        })
    }
}

impl Input {
    /// Bytes of the data key.
    fn length(&self) -> Result<usize, Fault> {
        match (self.spec, self.number_of_bytes) {
            (Some(DataKeySpec::Aes256), None) => Ok(32),
            (Some(DataKeySpec::Aes128), None) => Ok(16),
            (None, Some(bytes)) => Ok(bytes as usize),
            _ => Err(Fault::validation(
                "Please specify either number of bytes or key spec, but not both.",
            )),
        }
    }
}

/// The key under which the caller may have a data key made, and the data key's length.
fn usable_key(call: &Call, input: &Input) -> Result<(UsableKey, usize), Fault> {
    let length = input.length()?;
    let found = call.find_key(&input.key_id, Naming::KeyOrAlias)?;
    let facts = cryptography::facts(&input.context, EncryptionAlgorithm::SymmetricDefault);
    let key = found.authorize(call, facts)?.in_state(call)?;
    algorithms::check_usage(key.key(), KeyUsage::EncryptDecrypt, call.operation)?;
    cryptography::check_symmetric(key.key())?;
    cryptography::end_dry_run(input.dry_run)?;
    Ok((key, length))
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    ciphertext_blob: Base64,
    plaintext: Base64,
    key_id: KeyArn,
    key_material_id: MaterialId,
}

impl Operation for GenerateDataKey {
    const NAME: &'static str = "GenerateDataKey";
    type Input = Input;
    type Output = Output;

    async fn run(call: &Call, input: Input) -> Result<Output, Fault> {
        let (key, length) = usable_key(call, &input)?;
        let made = cryptography::generate_data_key(call, &key, &input.context, length).await?;
        Ok(Output {
            ciphertext_blob: made.blob,
            plaintext: Base64::secret(made.plaintext),
            key_id: key.key().arn(),
            key_material_id: key.key().material.id,
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OutputWithoutPlaintext {
    ciphertext_blob: Base64,
    key_id: KeyArn,
    key_material_id: MaterialId,
}

impl Operation for GenerateDataKeyWithoutPlaintext {
    const NAME: &'static str = "GenerateDataKeyWithoutPlaintext";
    type Input = Input;
    type Output = OutputWithoutPlaintext;

    async fn run(call: &Call, input: Input) -> Result<OutputWithoutPlaintext, Fault> {
        let (key, length) = usable_key(call, &input)?;
        let context = &input.context;
        let blob = cryptography::generate_sealed_data_key(call, &key, context, length).await?;
        Ok(OutputWithoutPlaintext {
            ciphertext_blob: blob,
            key_id: key.key().arn(),
            key_material_id: key.key().material.id,
        })
    }
}
