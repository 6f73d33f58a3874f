//! UpdateAlias.

use super::access::{FoundKey, Naming, alias_not_found, key_not_found, live_key};
use super::aliases::{self, ALIAS_NAME};
use super::{Call, Operation, shapes};
use crate::policy::RequestFacts;
use crate::protocol::{Fault, Members, Request};
use crate::records::Alias;

pub(super) struct UpdateAlias;

pub(super) struct Input {
    alias_name: String,
    target_key_id: String,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        Ok(Self {
            alias_name: members.string("AliasName", &ALIAS_NAME)?,
            target_key_id: members.string("TargetKeyId", &shapes::KEY_ID)?,
        })
    }
}

impl Operation for UpdateAlias {
    const NAME: &'static str = "UpdateAlias";
    type Input = Input;
    type Output = ();

    async fn run(call: &Call, input: Input) -> Result<(), Fault> {
        let name = aliases::parse_existing(call, &input.alias_name)?;
        let found = call.find_key(&input.target_key_id, Naming::KeyOnly)?;
        call.check_own(found.key())?;
        // Permission on three things: the alias, the key that it leaves and the key that it goes to.
        if let Some(former) = call
            .state
            .alias(&call.realm, &name)
            .and_then(|alias| live_key(&call.state, &call.realm, alias.target, call.now))
        {
            FoundKey::of(former).authorize(call, RequestFacts::default())?;
        }
        let target = aliases::authorize_both(call, &name, found)?;
        // Footnote 10 of the key-state table: the key that the alias leaves may be in any state, the one
        // that it goes to must not be pending deletion.
        target.refuse_pending_deletion(call)?;
        let (realm, target, now) = (call.realm.clone(), target.key().id, call.now);
        call.update(move |draft| {
            let state = draft.state();
            let Some(former) = state.alias(&realm, &name) else {
                return Err(alias_not_found(&realm.alias_arn(&name).to_string()));
            };
            if live_key(state, &realm, target, now).is_none() {
                return Err(key_not_found(&realm.key_arn(target).to_string()));
            }
            let alias = Alias { target, updated: now, ..Alias::clone(former) };
            draft.put_alias(alias);
            Ok(())
        })
        .await
    }
}
