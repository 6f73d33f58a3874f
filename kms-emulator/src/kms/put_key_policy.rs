//! PutKeyPolicy.

use std::sync::Arc;

use super::access::Naming;
use super::key_policy::{self, POLICY_NAME};
use super::{Call, Operation, shapes};
use crate::policy::RequestFacts;
use crate::protocol::{Fault, Members, Request};

pub(super) struct PutKeyPolicy;

pub(super) struct Input {
    key_id: String,
    policy_name: Option<String>,
    policy: String,
    bypass_policy_lockout: bool,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        Ok(Self {
            key_id: members.string("KeyId", &shapes::KEY_ID)?,
            policy_name: members.optional_string("PolicyName", &POLICY_NAME)?,
            policy: members.string("Policy", &shapes::POLICY)?,
            bypass_policy_lockout: members
                .optional_boolean("BypassPolicyLockoutSafetyCheck")?
                .unwrap_or(false),
        })
    }
}

impl Operation for PutKeyPolicy {
    const NAME: &'static str = "PutKeyPolicy";
    type Input = Input;
    type Output = ();

    async fn run(call: &Call, input: Input) -> Result<(), Fault> {
        let found = call.find_key(&input.key_id, Naming::KeyOnly)?;
        call.check_own(found.key())?;
        let facts = RequestFacts {
            bypass_policy_lockout: Some(input.bypass_policy_lockout),
            ..RequestFacts::default()
        };
        let key = found.authorize(call, facts)?;
        key_policy::check_name(input.policy_name.as_deref())?;
        let policy = key_policy::parse(&input.policy)?;
        if !input.bypass_policy_lockout {
            key_policy::check_lockout(call, &policy, &key.key().arn())?;
        }
        key.change(call, move |key| {
            key.policy = Arc::clone(&policy);
            Ok(())
        })
        .await
    }
}
