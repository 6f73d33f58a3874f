//! CreateAlias.

use super::access::{Naming, key_not_found, live_key};
use super::aliases::{self, ALIAS_NAME};
use super::{Call, Operation, shapes};
use crate::protocol::{Fault, FaultCode, Members, Request};
use crate::records::Alias;

/// Aliases of one key (quota of KMS).
const ALIASES_PER_KEY_MAX: usize = 50;

pub(super) struct CreateAlias;

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

impl Operation for CreateAlias {
    const NAME: &'static str = "CreateAlias";
    type Input = Input;
    type Output = ();

    async fn run(call: &Call, input: Input) -> Result<(), Fault> {
        let name = aliases::parse(&input.alias_name)?;
        let found = call.find_key(&input.target_key_id, Naming::KeyOnly)?;
        call.check_own(found.key())?;
        let key = aliases::authorize_both(call, &name, found)?.in_state(call)?;
        let alias = Alias {
            realm: call.realm.clone(),
            name,
            target: key.key().id,
            created: call.now,
            updated: call.now,
        };
        let now = call.now;
        call.update(move |draft| {
            let state = draft.state();
            let arn = alias.realm.alias_arn(&alias.name);
            if live_key(state, &alias.realm, alias.target, now).is_none() {
                return Err(key_not_found(&alias.realm.key_arn(alias.target).to_string()));
            }
            if state.alias(&alias.realm, &alias.name).is_some() {
                return Err(Fault::new(
                    FaultCode::AlreadyExistsException,
                    format!("An alias with the name {arn} already exists"),
                ));
            }
            let realm = state.realm(&alias.realm);
            if realm.is_some_and(|r| r.aliases_of(alias.target).count() >= ALIASES_PER_KEY_MAX) {
                return Err(Fault::new(
                    FaultCode::LimitExceededException,
                    format!("A key has at most {ALIASES_PER_KEY_MAX} aliases"),
                ));
            }
            draft.put_alias(alias.clone());
            Ok(())
        })
        .await
    }
}
