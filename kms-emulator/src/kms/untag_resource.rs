//! UntagResource.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::access::Naming;
use super::tags::TAG_KEY;
use super::{Call, Operation, shapes};
use crate::policy::RequestFacts;
use crate::protocol::{Fault, ListLimits, Members, Request};

pub(super) struct UntagResource;

pub(super) struct Input {
    key_id: String,
    tag_keys: Vec<String>,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        let key_id = members.string("KeyId", &shapes::KEY_ID)?;
        let tag_keys = members.optional_strings("TagKeys", &ListLimits::ANY, &TAG_KEY)?;
        Ok(Self { key_id, tag_keys: members.require("TagKeys", tag_keys) })
    }
}

impl Operation for UntagResource {
    const NAME: &'static str = "UntagResource";
    type Input = Input;
    type Output = ();

    async fn run(call: &Call, input: Input) -> Result<(), Fault> {
        let found = call.find_key(&input.key_id, Naming::KeyOnly)?;
        call.check_own(found.key())?;
        let named = input.tag_keys.iter().map(|name| (name.clone(), String::new())).collect();
        let facts = RequestFacts { request_tags: Some(&named), ..RequestFacts::default() };
        let key = found.authorize(call, facts)?;
        key.change(call, move |key| {
            let mut tags = BTreeMap::clone(&key.tags);
            tags.retain(|name, _| !input.tag_keys.contains(name));
            key.tags = Arc::new(tags);
            Ok(())
        })
        .await
    }
}
