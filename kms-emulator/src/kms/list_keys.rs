//! ListKeys.

use serde::Serialize;

use super::pagination::Page;
use super::{Call, Operation};
use crate::ids::{KeyArn, KeyId};
use crate::policy::RequestFacts;
use crate::protocol::{Fault, Members, Request};

/// Keys of a page for which no `Limit` is given.
const DEFAULT_LIMIT: u32 = 100;

pub(super) struct ListKeys;

pub(super) struct Input(Page);

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        Page::read(members, DEFAULT_LIMIT).map(Self)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    key_id: KeyId,
    key_arn: KeyArn,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    keys: Vec<Entry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
    truncated: bool,
}

impl Operation for ListKeys {
    const NAME: &'static str = "ListKeys";
    type Input = Input;
    type Output = Output;

    async fn run(call: &Call, Input(page): Input) -> Result<Output, Fault> {
        call.authorize_without_key("*", &RequestFacts::default())?;
        let after: Option<KeyId> = page.after(|name| name.parse().ok())?;
        let keys = call
            .state
            .realm(&call.realm)
            .into_iter()
            .flat_map(|realm| realm.keys_after(after))
            .filter(|key| !key.is_expired(call.now))
            .map(|key| Entry { key_id: key.id, key_arn: key.arn() });
        let listed = page.take(keys, |entry| entry.key_id.to_string());
        Ok(Output {
            truncated: listed.next_marker.is_some(),
            keys: listed.items,
            next_marker: listed.next_marker,
        })
    }
}
