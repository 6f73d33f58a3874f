//! ListTags.

use std::ops::Bound;
use std::sync::Arc;

use serde::Serialize;

use super::lookup::{find, find_backup};
use super::shapes;
use super::tags::{self, TAG_COUNT_MAX, Tag};
use crate::kms::{Call, Operation};
use crate::protocol::{Fault, IntegerLimits, Members, Request};

pub(super) struct ListTags;

pub(super) struct Input {
    resource: String,
    next_token: Option<String>,
    max_results: usize,
}

/// The reply.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    tag_list: Vec<Tag>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        const PAGE: IntegerLimits = IntegerLimits { min: 1, max: 100 };
        let max_results = members.optional_integer("MaxResults", &PAGE)?;
        Ok(Self {
            resource: members.string("ResourceId", &shapes::TAGGED_ID)?,
            next_token: members.optional_string("NextToken", &shapes::TOKEN)?,
            max_results: max_results.map_or(TAG_COUNT_MAX, |max| max as usize),
        })
    }
}

impl Operation for ListTags {
    const NAME: &'static str = "ListTags";
    type Input = Input;
    type Output = Output;

    /// A page ends with the key that its token names.
    async fn run(call: &Call, input: Input) -> Result<Output, Fault> {
        let all = match input.resource.starts_with("backup-") {
            true => Arc::clone(&find_backup(call, &input.resource)?.tags),
            false => Arc::clone(&find(call, &input.resource)?.tags),
        };
        let from = input.next_token.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = all.range((from, Bound::Unbounded));
        let page = rest.by_ref().take(input.max_results);
        let page = page.map(|(key, value)| (key.clone(), value.clone())).collect();
        let next_token = rest.next().and_then(|_| last_key(&page));
        Ok(Output { tag_list: tags::shown(&page), next_token })
    }
}

fn last_key(page: &std::collections::BTreeMap<String, String>) -> Option<String> {
    page.keys().next_back().cloned()
}
