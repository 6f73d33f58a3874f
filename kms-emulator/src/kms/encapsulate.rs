//! Encapsulate and Decapsulate.

use serde::Serialize;
use zeroize::Zeroizing;

use super::access::{Naming, UsableKey};
use super::ciphertext::CIPHERTEXT;
use super::shapes::EncapsulationAlgorithm;
use super::{Call, Operation, algorithms, cryptography, shapes};
use crate::ids::KeyArn;
use crate::policy::RequestFacts;
use crate::protocol::{Base64, EnumValues, Fault, Members, Request};
use crate::records::KeyUsage;

pub(super) struct Encapsulate;
pub(super) struct Decapsulate;

/// The members that both operations have.
pub(super) struct Common {
    key_id: String,
    algorithm: EncapsulationAlgorithm,
    dry_run: bool,
}

impl Request for Common {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        shapes::grant_tokens(members)?;
        Ok(Self {
            key_id: members.string("KeyId", &shapes::KEY_ID)?,
            algorithm: members.required_enum("EncapsulationAlgorithm")?,
            dry_run: shapes::dry_run(members)?,
        })
    }
}

impl Common {
    /// The way to the key. The algorithm is that of every key with this usage.
    fn usable(&self, call: &Call) -> Result<UsableKey, Fault> {
        let found = call.find_key(&self.key_id, Naming::KeyOrAlias)?;
        let facts = RequestFacts {
            more: &[("encapsulationalgorithm", self.algorithm.as_str())],
            ..RequestFacts::default()
        };
        let key = found.authorize(call, facts)?;
        algorithms::check_usage(key.key(), KeyUsage::EncapsulateDecapsulate, call.operation)?;
        let key = key.in_state(call)?;
        cryptography::end_dry_run(self.dry_run)?;
        Ok(key)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct EncapsulateOutput {
    key_id: KeyArn,
    shared_secret: Base64,
    shared_secret_ciphertext_blob: Base64,
    encapsulation_algorithm: &'static str,
}

impl Operation for Encapsulate {
    const NAME: &'static str = "Encapsulate";
    type Input = Common;
    type Output = EncapsulateOutput;

    async fn run(call: &Call, input: Common) -> Result<EncapsulateOutput, Fault> {
        let key = input.usable(call)?;
        let key = key.key();
        let made = call.kms.key_stores.fleet().encapsulate(&key.material);
        let (secret, ciphertext) = made.map_err(|error| error.into_fault(key))?;
        Ok(EncapsulateOutput {
            key_id: key.arn(),
            shared_secret: Base64::secret(secret),
            shared_secret_ciphertext_blob: Base64::public(ciphertext),
            encapsulation_algorithm: input.algorithm.as_str(),
        })
    }
}

pub(super) struct DecapsulateInput {
    common: Common,
    ciphertext: Zeroizing<Vec<u8>>,
}

impl Request for DecapsulateInput {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        let common = Common::read(members)?;
        Ok(Self { common, ciphertext: members.blob("SharedSecretCiphertextBlob", &CIPHERTEXT)? })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DecapsulateOutput {
    key_id: KeyArn,
    shared_secret: Base64,
    encapsulation_algorithm: &'static str,
}

impl Operation for Decapsulate {
    const NAME: &'static str = "Decapsulate";
    type Input = DecapsulateInput;
    type Output = DecapsulateOutput;

    /// Only a ciphertext of another length is refused: one that is not the key's gives another secret.
    async fn run(call: &Call, input: DecapsulateInput) -> Result<DecapsulateOutput, Fault> {
        let key = input.common.usable(call)?;
        let key = key.key();
        let secret = call.kms.key_stores.fleet().decapsulate(&key.material, &input.ciphertext);
        Ok(DecapsulateOutput {
            key_id: key.arn(),
            shared_secret: Base64::secret(secret.map_err(|error| error.into_fault(key))?),
            encapsulation_algorithm: input.common.algorithm.as_str(),
        })
    }
}
