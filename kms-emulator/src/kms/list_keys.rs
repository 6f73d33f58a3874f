//! ListKeys.

use serde::Serialize;

use super::pagination::Page;
use super::shapes::names;
use super::{Call, Operation};
use crate::ids::{KeyArn, KeyId};
use crate::policy::RequestFacts;
use crate::protocol::{EnumValues, Fault, ListLimits, Members, Request};

/// Keys of a page for which no `Limit` is given.
const DEFAULT_LIMIT: u32 = 100;

pub(super) struct ListKeys;

names! {
    /// `ResourceOwnerType`.
    ResourceOwner {
        Own = "SELF",
        OtherAccountsViaRam = "OTHER_ACCOUNTS_VIA_RAM",
    }
}

pub(super) struct Input {
    page: Page,
    /// Whether the caller's own keys are asked for; nobody shares keys by RAM here.
    lists_own: bool,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        const OWNERS: ListLimits = ListLimits::of(1, 2);
        let page = Page::read(members, DEFAULT_LIMIT)?;
        let owners = members.optional_enums("ResourceOwners", &OWNERS)?;
        let lists_own = owners.is_none_or(|owners| owners.contains(&ResourceOwner::Own));
        Ok(Self { page, lists_own })
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

    async fn run(call: &Call, Input { page, lists_own }: Input) -> Result<Output, Fault> {
        call.authorize_without_key("*", &RequestFacts::default())?;
        let after: Option<KeyId> = page.after(|name| name.parse().ok())?;
        let keys = call
            .state
            .realm(&call.realm)
            .filter(|_| lists_own)
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
