//! ListGrants and ListRetirableGrants.

use super::access::Naming;
use super::grants::{self, Entry, GRANT_ID, Listing, PRINCIPAL};
use super::pagination::{Listed, Page};
use super::{Call, Operation, shapes};
use crate::ids::GrantId;
use crate::ids::KeyId;
use crate::policy::RequestFacts;
use crate::protocol::{Fault, Members, Request};
use crate::registry::Realm;

/// Grants of a page for which no `Limit` is given.
const DEFAULT_LIMIT: u32 = 50;

pub(super) struct ListGrants;

pub(super) struct Input {
    key_id: String,
    grant_id: Option<String>,
    grantee: Option<String>,
    page: Page,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        grants::refuse_service_principals(members, &["GranteeServicePrincipal"])?;
        Ok(Self {
            page: Page::read(members, DEFAULT_LIMIT)?,
            key_id: members.string("KeyId", &shapes::KEY_ID)?,
            grant_id: members.optional_string("GrantId", &GRANT_ID)?,
            grantee: members.optional_string("GranteePrincipal", &PRINCIPAL)?,
        })
    }
}

impl Operation for ListGrants {
    const NAME: &'static str = "ListGrants";
    type Input = Input;
    type Output = Listing;

    async fn run(call: &Call, input: Input) -> Result<Listing, Fault> {
        let found = call.find_key(&input.key_id, Naming::KeyOnly)?;
        let key = found.authorize(call, RequestFacts::default())?;
        let key = key.key();
        let after: Option<GrantId> = input.page.after(|id| id.parse().ok())?;
        let realm = call.state.realm(&key.realm).into_iter();
        let entries = realm
            .flat_map(|realm| realm.grants_of(key.id))
            .filter(|grant| after.is_none_or(|after| grant.id > after))
            .filter(|grant| input.grant_id.as_ref().is_none_or(|id| *id == grant.id.to_string()))
            .filter(|grant| input.grantee.as_ref().is_none_or(|arn| **arn == *grant.terms.grantee))
            .map(|grant| Entry::of(grant));
        Ok(listing(input.page.take(entries, |entry| entry.grant_id.to_string())))
    }
}

pub(super) struct ListRetirableGrants;

pub(super) struct RetirableInput {
    retiring: Option<String>,
    page: Page,
}

impl Request for RetirableInput {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        grants::refuse_service_principals(members, &["RetiringServicePrincipal"])?;
        Ok(Self {
            page: Page::read(members, DEFAULT_LIMIT)?,
            retiring: members.optional_string("RetiringPrincipal", &PRINCIPAL)?,
        })
    }
}

impl Operation for ListRetirableGrants {
    const NAME: &'static str = "ListRetirableGrants";
    type Input = RetirableInput;
    type Output = Listing;

    async fn run(call: &Call, input: RetirableInput) -> Result<Listing, Fault> {
        call.authorize_without_key("*", &RequestFacts::default())?;
        let retiring =
            input.retiring.ok_or_else(|| Fault::validation("RetiringPrincipal is required."))?;
        grants::check_principal(&retiring)?;
        let after = input.page.after(|name| {
            let (key, grant) = name.split_once('/')?;
            Some((key.parse::<KeyId>().ok()?, grant.parse::<GrantId>().ok()?))
        })?;
        let realm = call.state.realm(&call.realm).into_iter();
        let entries = realm
            .flat_map(Realm::grants)
            .filter(|grant| after.is_none_or(|after| (grant.key, grant.id) > after))
            .filter(|grant| grant.terms.retiring.as_deref() == Some(&*retiring))
            .map(|grant| (grant.key, Entry::of(grant)));
        let listed = input.page.take(entries, |(key, entry)| format!("{key}/{}", entry.grant_id));
        Ok(listing(Listed {
            items: listed.items.into_iter().map(|(_, entry)| entry).collect(),
            next_marker: listed.next_marker,
        }))
    }
}

fn listing(listed: Listed<Entry>) -> Listing {
    Listing {
        truncated: listed.next_marker.is_some(),
        grants: listed.items,
        next_marker: listed.next_marker,
    }
}
