//! CancelKeyDeletion.

use serde::Serialize;

use super::access::Naming;
use super::{Call, Operation, shapes};
use crate::ids::KeyArn;
use crate::policy::RequestFacts;
use crate::protocol::{Fault, Members, Request};
use crate::records::Lifecycle;

pub(super) struct CancelKeyDeletion;

pub(super) struct Input {
    key_id: String,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        Ok(Self { key_id: members.string("KeyId", &shapes::KEY_ID)? })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    key_id: KeyArn,
}

impl Operation for CancelKeyDeletion {
    const NAME: &'static str = "CancelKeyDeletion";
    type Input = Input;
    type Output = Output;

    async fn run(call: &Call, input: Input) -> Result<Output, Fault> {
        let found = call.find_key(&input.key_id, Naming::KeyOnly)?;
        let key = found.authorize(call, RequestFacts::default())?;
        let key_id = key.key().arn();
        key.change(call, |key| {
            // The key comes back disabled: its owner decides anew to enable it.
            key.lifecycle = Lifecycle::Disabled;
            Ok(())
        })
        .await?;
        Ok(Output { key_id })
    }
}
