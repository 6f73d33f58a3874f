//! ListResourceTags.

use serde::Serialize;

use super::access::Naming;
use super::pagination::Page;
use super::{Call, Operation, shapes};
use crate::policy::RequestFacts;
use crate::protocol::{Fault, Members, Request};

/// Tags of a page for which no `Limit` is given: all that a key can have.
const DEFAULT_LIMIT: u32 = 50;

pub(super) struct ListResourceTags;

pub(super) struct Input {
    key_id: String,
    page: Page,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        Ok(Self {
            key_id: members.string("KeyId", &shapes::KEY_ID)?,
            page: Page::read(members, DEFAULT_LIMIT)?,
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    tag_key: String,
    tag_value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    tags: Vec<Entry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
    truncated: bool,
}

impl Operation for ListResourceTags {
    const NAME: &'static str = "ListResourceTags";
    type Input = Input;
    type Output = Output;

    async fn run(call: &Call, input: Input) -> Result<Output, Fault> {
        let found = call.find_key(&input.key_id, Naming::KeyOnly)?;
        call.check_own(found.key())?;
        let key = found.authorize(call, RequestFacts::default())?;
        let after = input.page.after(|name| Some(name.to_owned()))?;
        let tags = key
            .key()
            .tags
            .iter()
            .filter(|(name, _)| after.as_ref().is_none_or(|after| *name > after))
            .map(|(name, value)| Entry { tag_key: name.clone(), tag_value: value.clone() });
        let listed = input.page.take(tags, |entry| entry.tag_key.clone());
        Ok(Output {
            truncated: listed.next_marker.is_some(),
            tags: listed.items,
            next_marker: listed.next_marker,
        })
    }
}
