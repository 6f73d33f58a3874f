//! DeleteAlias.

use super::access::{FoundKey, alias_not_found};
use super::aliases::{self, ALIAS_NAME};
use super::{Call, Operation};
use crate::protocol::{Fault, Members, Request};

pub(super) struct DeleteAlias;

pub(super) struct Input {
    alias_name: String,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        Ok(Self { alias_name: members.string("AliasName", &ALIAS_NAME)? })
    }
}

impl Operation for DeleteAlias {
    const NAME: &'static str = "DeleteAlias";
    type Input = Input;
    type Output = ();

    async fn run(call: &Call, input: Input) -> Result<(), Fault> {
        let name = aliases::parse_existing(call, &input.alias_name)?;
        let target = call
            .state
            .alias(&call.realm, &name)
            .and_then(|alias| call.state.key(&call.realm, alias.target));
        if let Some(key) = target {
            aliases::authorize_both(call, &name, FoundKey::of(key))?;
        } else {
            aliases::authorize_alias(call, &name)?;
        }
        let realm = call.realm.clone();
        call.update(move |draft| {
            if draft.state().alias(&realm, &name).is_none() {
                return Err(alias_not_found(&realm.alias_arn(&name).to_string()));
            }
            draft.delete_alias(&realm, &name);
            Ok(())
        })
        .await
    }
}
