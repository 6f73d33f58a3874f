//! DeriveSharedSecret.

use serde::Serialize;
use zeroize::Zeroizing;

use super::access::Naming;
use super::shapes::KeyAgreementAlgorithm;
use super::{Call, Operation, algorithms, cryptography, shapes};
use crate::ids::KeyArn;
use crate::policy::RequestFacts;
use crate::protocol::{Base64, EnumValues, Fault, Members, Request};
use crate::records::KeyUsage;

pub(super) struct DeriveSharedSecret;

pub(super) struct Input {
    key_id: String,
    algorithm: KeyAgreementAlgorithm,
    public_key: Zeroizing<Vec<u8>>,
    dry_run: bool,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        shapes::grant_tokens(members)?;
        shapes::refuse_recipient(members)?;
        Ok(Self {
            key_id: members.string("KeyId", &shapes::KEY_ID)?,
            algorithm: members.required_enum("KeyAgreementAlgorithm")?,
            public_key: members.blob("PublicKey", &shapes::PUBLIC_KEY)?,
            dry_run: members.optional_boolean("DryRun")?.unwrap_or(false),
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    key_id: KeyArn,
    shared_secret: Base64,
    key_agreement_algorithm: &'static str,
    key_origin: &'static str,
}

impl Operation for DeriveSharedSecret {
    const NAME: &'static str = "DeriveSharedSecret";
    type Input = Input;
    type Output = Output;

    async fn run(call: &Call, input: Input) -> Result<Output, Fault> {
        let found = call.find_key(&input.key_id, Naming::KeyOrAlias)?;
        let facts = RequestFacts {
            more: &[("keyagreementalgorithm", input.algorithm.as_str())],
            ..RequestFacts::default()
        };
        let key = found.authorize(call, facts)?;
        algorithms::check_usage(key.key(), KeyUsage::KeyAgreement, call.operation)?;
        let key = key.in_state(call)?;
        cryptography::end_dry_run(input.dry_run)?;
        let key = key.key();
        let secret = call.kms.key_stores.fleet().agree(&key.material, &input.public_key);
        Ok(Output {
            key_id: key.arn(),
            shared_secret: Base64::secret(secret.map_err(|error| error.into_fault(key))?),
            key_agreement_algorithm: input.algorithm.as_str(),
            key_origin: key.origin.as_str(),
        })
    }
}
