//! DescribeKey.

use super::key_metadata::{KeyMetadata, KeyMetadataReply};
use super::{Call, Operation, aws_managed, shapes};
use crate::policy::RequestFacts;
use crate::protocol::{Fault, Members, Request};

pub(super) struct DescribeKey;

pub(super) struct Input {
    key_id: String,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        shapes::unchecked_grant_tokens(members)?;
        Ok(Self { key_id: members.string("KeyId", &shapes::KEY_ID)? })
    }
}

impl Operation for DescribeKey {
    const NAME: &'static str = "DescribeKey";
    type Input = Input;
    type Output = KeyMetadataReply;

    async fn run(call: &Call, input: Input) -> Result<KeyMetadataReply, Fault> {
        let found = aws_managed::find_or_make(call, &input.key_id).await?;
        let key = found.authorize(call, RequestFacts::default())?;
        let state = key.state(call);
        Ok(KeyMetadataReply { key_metadata: KeyMetadata::of(call, key.key(), state) })
    }
}
