//! ListKeyPolicies: every key has the one policy, `default`.

use serde::Serialize;

use super::access::Naming;
use super::pagination::Page;
use super::{Call, Operation, key_policy, shapes};
use crate::policy::RequestFacts;
use crate::protocol::{Fault, Members, Request};

/// Policies of a page for which no `Limit` is given.
const DEFAULT_LIMIT: u32 = 100;

pub(super) struct ListKeyPolicies;

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
pub(super) struct Output {
    policy_names: Vec<&'static str>,
    truncated: bool,
}

impl Operation for ListKeyPolicies {
    const NAME: &'static str = "ListKeyPolicies";
    type Input = Input;
    type Output = Output;

    async fn run(call: &Call, input: Input) -> Result<Output, Fault> {
        let found = call.find_key(&input.key_id, Naming::KeyOnly)?;
        call.check_own(found.key())?;
        found.authorize(call, RequestFacts::default())?;
        // No page was ever cut short, so that no marker was ever given.
        input.page.after(|_| None::<()>)?;
        Ok(Output { policy_names: vec![key_policy::check_name(None)?], truncated: false })
    }
}
