//! GetKeyPolicy.

use serde::Serialize;

use super::access::Naming;
use super::key_policy::{self, POLICY_NAME};
use super::{Call, Operation, shapes};
use crate::policy::RequestFacts;
use crate::protocol::{Fault, Members, Request};

pub(super) struct GetKeyPolicy;

pub(super) struct Input {
    key_id: String,
    policy_name: Option<String>,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        Ok(Self {
            key_id: members.string("KeyId", &shapes::KEY_ID)?,
            policy_name: members.optional_string("PolicyName", &POLICY_NAME)?,
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    policy: String,
    policy_name: &'static str,
}

impl Operation for GetKeyPolicy {
    const NAME: &'static str = "GetKeyPolicy";
    type Input = Input;
    type Output = Output;

    async fn run(call: &Call, input: Input) -> Result<Output, Fault> {
        let found = call.find_key(&input.key_id, Naming::KeyOnly)?;
        call.check_own(found.key())?;
        let key = found.authorize(call, RequestFacts::default())?;
        let policy_name = key_policy::check_name(input.policy_name.as_deref())?;
        Ok(Output { policy: key.key().policy.text().to_owned(), policy_name })
    }
}
