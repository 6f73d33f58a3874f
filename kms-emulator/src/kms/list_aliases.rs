//! ListAliases.

use serde::Serialize;

use super::access::Naming;
use super::pagination::Page;
use super::{Call, Operation, shapes};
use crate::clock::Timestamp;
use crate::ids::{AliasArn, AliasName, KeyId};
use crate::policy::RequestFacts;
use crate::protocol::{Fault, Members, Request};

/// Aliases of a page for which no `Limit` is given.
const DEFAULT_LIMIT: u32 = 50;

pub(super) struct ListAliases;

pub(super) struct Input {
    key_id: Option<String>,
    page: Page,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        Ok(Self {
            key_id: members.optional_string("KeyId", &shapes::KEY_ID)?,
            page: Page::read(members, DEFAULT_LIMIT)?,
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    alias_name: AliasName,
    alias_arn: AliasArn,
    target_key_id: KeyId,
    creation_date: Timestamp,
    last_updated_date: Timestamp,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    aliases: Vec<Entry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
    truncated: bool,
}

impl Operation for ListAliases {
    const NAME: &'static str = "ListAliases";
    type Input = Input;
    type Output = Output;

    async fn run(call: &Call, input: Input) -> Result<Output, Fault> {
        call.authorize_without_key("*", &RequestFacts::default())?;
        let target = match &input.key_id {
            None => None,
            Some(name) => {
                let found = call.find_key(name, Naming::KeyOnly)?;
                call.check_own(found.key())?;
                Some(found.key().id)
            }
        };
        let after: Option<AliasName> = input.page.after(|name| name.parse().ok())?;
        let aliases = call
            .state
            .realm(&call.realm)
            .into_iter()
            .flat_map(|realm| realm.aliases_after(after.clone()))
            .filter(|alias| target.is_none_or(|target| alias.target == target))
            .map(|alias| Entry {
                alias_name: alias.name.clone(),
                alias_arn: alias.realm.alias_arn(&alias.name),
                target_key_id: alias.target,
                creation_date: alias.created,
                last_updated_date: alias.updated,
            });
        let listed = input.page.take(aliases, |entry| entry.alias_name.to_string());
        Ok(Output {
            truncated: listed.next_marker.is_some(),
            aliases: listed.items,
            next_marker: listed.next_marker,
        })
    }
}
