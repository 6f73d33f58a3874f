//! GetPublicKey.

use serde::Serialize;

use super::access::Naming;
use super::algorithms;
use super::{Call, Operation, shapes};
use crate::ids::KeyArn;
use crate::policy::RequestFacts;
use crate::protocol::{Base64, Fault, Members, Request};

pub(super) struct GetPublicKey;

pub(super) struct Input {
    key_id: String,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        shapes::grant_tokens(members)?;
        Ok(Self { key_id: members.string("KeyId", &shapes::KEY_ID)? })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    key_id: KeyArn,
    public_key: Base64,
    customer_master_key_spec: &'static str,
    key_spec: &'static str,
    key_usage: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    encryption_algorithms: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    signing_algorithms: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    key_agreement_algorithms: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    encapsulation_algorithms: Vec<&'static str>,
}

impl Operation for GetPublicKey {
    const NAME: &'static str = "GetPublicKey";
    type Input = Input;
    type Output = Output;

    async fn run(call: &Call, input: Input) -> Result<Output, Fault> {
        let found = call.find_key(&input.key_id, Naming::KeyOrAlias)?;
        let key = found.authorize(call, RequestFacts::default())?.in_state(call)?;
        let key = key.key();
        if !key.spec.is_asymmetric() {
            return Err(Fault::unsupported(format!(
                "{} key spec is {} which is not valid for GetPublicKey.",
                key.arn(),
                key.spec.as_str()
            )));
        }
        let public_key = call.kms.key_stores.fleet().public_key(&key.material);
        Ok(Output {
            key_id: key.arn(),
            public_key: Base64::public(public_key.map_err(|error| error.into_fault(key))?),
            customer_master_key_spec: key.spec.as_str(),
            key_spec: key.spec.as_str(),
            key_usage: key.usage.as_str(),
            encryption_algorithms: algorithms::encryption_names(key),
            signing_algorithms: algorithms::signing_names(key),
            key_agreement_algorithms: algorithms::agreement_names(key),
            encapsulation_algorithms: algorithms::encapsulation_names(key),
        })
    }
}
