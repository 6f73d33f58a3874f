//! UpdateKeyDescription.

use super::access::Naming;
use super::{Call, Operation, shapes};
use crate::policy::RequestFacts;
use crate::protocol::{Fault, Members, Request};

pub(super) struct UpdateKeyDescription;

pub(super) struct Input {
    key_id: String,
    description: String,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        Ok(Self {
            key_id: members.string("KeyId", &shapes::KEY_ID)?,
            description: members.string("Description", &shapes::DESCRIPTION)?,
        })
    }
}

impl Operation for UpdateKeyDescription {
    const NAME: &'static str = "UpdateKeyDescription";
    type Input = Input;
    type Output = ();

    async fn run(call: &Call, input: Input) -> Result<(), Fault> {
        let found = call.find_key(&input.key_id, Naming::KeyOnly)?;
        call.check_own(found.key())?;
        let key = found.authorize(call, RequestFacts::default())?;
        key.change(call, move |key| {
            key.description = input.description.as_str().into();
            Ok(())
        })
        .await
    }
}
