//! TagResource.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::access::Naming;
use super::{Call, Operation, shapes, tags};
use crate::policy::RequestFacts;
use crate::protocol::{Fault, Members, Request};

pub(super) struct TagResource;

pub(super) struct Input {
    key_id: String,
    tags: BTreeMap<String, String>,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        let key_id = members.string("KeyId", &shapes::KEY_ID)?;
        let tags = tags::optional_tags(members)?;
        Ok(Self { key_id, tags: members.require("Tags", tags) })
    }
}

impl Operation for TagResource {
    const NAME: &'static str = "TagResource";
    type Input = Input;
    type Output = ();

    async fn run(call: &Call, input: Input) -> Result<(), Fault> {
        let found = call.find_key(&input.key_id, Naming::KeyOnly)?;
        call.check_own(found.key())?;
        let facts = RequestFacts { request_tags: Some(&input.tags), ..RequestFacts::default() };
        let key = found.authorize(call, facts)?;
        key.change(call, move |key| {
            let mut tags = BTreeMap::clone(&key.tags);
            tags.extend(input.tags.clone());
            tags::check(&tags)?;
            key.tags = Arc::new(tags);
            Ok(())
        })
        .await
    }
}
