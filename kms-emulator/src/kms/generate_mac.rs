//! GenerateMac and VerifyMac.

use serde::Serialize;
use zeroize::Zeroizing;

use super::access::{Naming, UsableKey};
use super::ciphertext::CIPHERTEXT;
use super::shapes::MacAlgorithmName;
use super::{Call, Operation, algorithms, cryptography, shapes};
use crate::ids::KeyArn;
use crate::keystore::KeyStoreError;
use crate::policy::RequestFacts;
use crate::protocol::{Base64, EnumValues, Fault, FaultCode, Members, Request};
use crate::records::KeyUsage;

pub(super) struct GenerateMac;
pub(super) struct VerifyMac;

/// The members that both operations have.
struct Common {
    key_id: String,
    message: Zeroizing<Vec<u8>>,
    algorithm: MacAlgorithmName,
    dry_run: bool,
}

impl Common {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        shapes::grant_tokens(members)?;
        Ok(Self {
            message: members.blob("Message", &shapes::MESSAGE)?,
            key_id: members.string("KeyId", &shapes::KEY_ID)?,
            algorithm: members.required_enum("MacAlgorithm")?,
            dry_run: members.optional_boolean("DryRun")?.unwrap_or(false),
        })
    }

    fn usable(&self, call: &Call) -> Result<UsableKey, Fault> {
        let found = call.find_key(&self.key_id, Naming::KeyOrAlias)?;
        let facts = RequestFacts {
            more: &[("macalgorithm", self.algorithm.as_str())],
            ..RequestFacts::default()
        };
        let key = found.authorize(call, facts)?;
        algorithms::check_usage(key.key(), KeyUsage::GenerateVerifyMac, call.operation)?;
        let key = key.in_state(call)?;
        if algorithms::mac_algorithm(key.key()) != Some(self.algorithm) {
            return Err(algorithms::incompatible(self.algorithm.as_str(), key.key().spec));
        }
        cryptography::end_dry_run(self.dry_run)?;
        Ok(key)
    }
}

pub(super) struct GenerateInput(Common);

impl Request for GenerateInput {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        Common::read(members).map(Self)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GenerateOutput {
    mac: Base64,
    mac_algorithm: &'static str,
    key_id: KeyArn,
}

impl Operation for GenerateMac {
    const NAME: &'static str = "GenerateMac";
    type Input = GenerateInput;
    type Output = GenerateOutput;

    async fn run(
        call: &Call,
        GenerateInput(input): GenerateInput,
    ) -> Result<GenerateOutput, Fault> {
        let key = input.usable(call)?;
        let key = key.key();
        let mac = call.kms.key_stores.fleet().mac(&key.material, &input.message);
        Ok(GenerateOutput {
            mac: Base64::public(mac.map_err(|error| error.into_fault(key))?),
            mac_algorithm: input.algorithm.as_str(),
            key_id: key.arn(),
        })
    }
}

pub(super) struct VerifyInput {
    common: Common,
    mac: Zeroizing<Vec<u8>>,
}

impl Request for VerifyInput {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        let common = Common::read(members)?;
        Ok(Self { common, mac: members.blob("Mac", &CIPHERTEXT)? })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct VerifyOutput {
    key_id: KeyArn,
    mac_valid: bool,
    mac_algorithm: &'static str,
}

impl Operation for VerifyMac {
    const NAME: &'static str = "VerifyMac";
    type Input = VerifyInput;
    type Output = VerifyOutput;

    /// What does not verify is refused with `KMSInvalidMacException`, never answered with `false`.
    async fn run(call: &Call, input: VerifyInput) -> Result<VerifyOutput, Fault> {
        let key = input.common.usable(call)?;
        let key = key.key();
        let fleet = call.kms.key_stores.fleet();
        fleet.verify_mac(&key.material, &input.common.message, &input.mac).map_err(|error| {
            match error {
                KeyStoreError::SignatureInvalid => {
                    Fault::new(FaultCode::KMSInvalidMacException, "")
                }
                other => other.into_fault(key),
            }
        })?;
        Ok(VerifyOutput {
            key_id: key.arn(),
            mac_valid: true,
            mac_algorithm: input.common.algorithm.as_str(),
        })
    }
}
