//! GenerateDataKeyPair and GenerateDataKeyPairWithoutPlaintext.

use serde::Serialize;
use strongroom_hsm::{DataKeyPair, KeyKind};
use zeroize::Zeroizing;

use super::access::{Naming, UsableKey};
use super::algorithms::{self, EncryptionAlgorithm};
use super::ciphertext::Header;
use super::encryption_context::EncryptionContext;
use super::shapes::KeyPairSpecName;
use super::{Call, Operation, cryptography, shapes};
use crate::ids::KeyArn;
use crate::policy::RequestFacts;
use crate::protocol::{Base64, Fault, Members, Request};
use crate::records::{KeySpec, KeyUsage, MaterialId, Origin};

pub(super) struct GenerateDataKeyPair;
pub(super) struct GenerateDataKeyPairWithoutPlaintext;

/// The members that both operations have.
pub(super) struct Input {
    key_id: String,
    context: EncryptionContext,
    spec: KeyPairSpecName,
    dry_run: bool,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        shapes::grant_tokens(members)?;
        shapes::refuse_recipient(members)?;
        Ok(Self {
            context: EncryptionContext::read(members, "EncryptionContext")?,
            key_id: members.string("KeyId", &shapes::KEY_ID)?,
            spec: members.required_enum("KeyPairSpec")?,
            dry_run: members.optional_boolean("DryRun")?.unwrap_or(false),
        })
    }
}

impl Input {
    /// The spec, and the kind of pair that the HSM makes for it. What the pair will be used for is its
    /// owner's business.
    fn kind(&self) -> Result<(KeySpec, KeyKind), Fault> {
        let KeyPairSpecName::Provided(spec) = self.spec else {
            return Err(Fault::unsupported("KeyPairSpec SM2 is supported only in China Regions."));
        };
        let usages = [KeyUsage::SignVerify, KeyUsage::EncapsulateDecapsulate];
        let kind = usages.into_iter().find_map(|usage| spec.kind(usage));
        kind.map(|kind| (spec, kind)).ok_or_else(|| Fault::internal("a pair without a use"))
    }
}

/// A new pair, the private half also encrypted.
struct Made {
    key: UsableKey,
    spec: &'static str,
    pair: DataKeyPair,
    blob: Base64,
}

async fn generate(call: &Call, input: &Input) -> Result<Made, Fault> {
    let (spec, kind) = input.kind()?;
    let found = call.find_key(&input.key_id, Naming::KeyOrAlias)?;
    let algorithm = EncryptionAlgorithm::SymmetricDefault;
    let facts = RequestFacts {
        more: &[("datakeypairspec", spec.as_str())],
        ..cryptography::facts(&input.context, algorithm)
    };
    let key = found.authorize(call, facts)?.in_state(call)?;
    algorithms::check_usage(key.key(), KeyUsage::EncryptDecrypt, call.operation)?;
    let record = key.key();
    cryptography::check_symmetric(record)?;
    if record.origin == Origin::AwsCloudHsm {
        return Err(Fault::unsupported(format!(
            "{} origin is {} which is not valid for this operation.",
            record.arn(),
            record.origin.as_str()
        )));
    }
    cryptography::end_dry_run(input.dry_run)?;
    let header = Header::of(record);
    let aad = header.authenticated_data(&input.context);
    let made = call.kms.key_stores.fleet().data_key_pair(&record.material, aad, kind).await;
    let pair = made.map_err(|error| error.into_fault(record))?;
    let blob = Base64::public(header.join(&pair.sealed_private_key));
    Ok(Made { key, spec: spec.as_str(), pair, blob })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    private_key_ciphertext_blob: Base64,
    #[serde(skip_serializing_if = "Option::is_none")]
    private_key_plaintext: Option<Base64>,
    public_key: Base64,
    key_id: KeyArn,
    key_pair_spec: &'static str,
    key_material_id: MaterialId,
}

impl Made {
    fn into_output(self, with_plaintext: bool) -> Output {
        let plaintext = || Zeroizing::new(self.pair.private_key.expose().to_vec());
        Output {
            private_key_plaintext: with_plaintext.then(|| Base64::secret(plaintext())),
            private_key_ciphertext_blob: self.blob,
            public_key: Base64::public(self.pair.public_key),
            key_id: self.key.key().arn(),
            key_pair_spec: self.spec,
            key_material_id: self.key.key().material.id,
        }
    }
}

impl Operation for GenerateDataKeyPair {
    const NAME: &'static str = "GenerateDataKeyPair";
    type Input = Input;
    type Output = Output;

    async fn run(call: &Call, input: Input) -> Result<Output, Fault> {
        Ok(generate(call, &input).await?.into_output(true))
    }
}

impl Operation for GenerateDataKeyPairWithoutPlaintext {
    const NAME: &'static str = "GenerateDataKeyPairWithoutPlaintext";
    type Input = Input;
    type Output = Output;

    async fn run(call: &Call, input: Input) -> Result<Output, Fault> {
        Ok(generate(call, &input).await?.into_output(false))
    }
}
