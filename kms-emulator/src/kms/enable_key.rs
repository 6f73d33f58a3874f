//! EnableKey and DisableKey.

use super::access::Naming;
use super::{Call, Operation, shapes};
use crate::policy::RequestFacts;
use crate::protocol::{Fault, Members, Request};
use crate::records::Lifecycle;

pub(super) struct EnableKey;
pub(super) struct DisableKey;

/// The member that both operations have.
pub(super) struct Input {
    key_id: String,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        Ok(Self { key_id: members.string("KeyId", &shapes::KEY_ID)? })
    }
}

async fn set(call: &Call, input: &Input, lifecycle: Lifecycle) -> Result<(), Fault> {
    let found = call.find_key(&input.key_id, Naming::KeyOnly)?;
    let key = found.authorize(call, RequestFacts::default())?;
    key.change(call, move |key| {
        key.lifecycle = lifecycle;
        Ok(())
    })
    .await
}

impl Operation for EnableKey {
    const NAME: &'static str = "EnableKey";
    type Input = Input;
    type Output = ();

    async fn run(call: &Call, input: Input) -> Result<(), Fault> {
        set(call, &input, Lifecycle::Enabled).await
    }
}

impl Operation for DisableKey {
    const NAME: &'static str = "DisableKey";
    type Input = Input;
    type Output = ();

    async fn run(call: &Call, input: Input) -> Result<(), Fault> {
        set(call, &input, Lifecycle::Disabled).await
    }
}
