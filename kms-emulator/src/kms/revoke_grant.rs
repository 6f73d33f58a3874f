//! RevokeGrant and RetireGrant.

use super::access::{FoundKey, Naming, key_not_found, live_key};
use super::grants::{self, GRANT_ID};
use super::{Call, Operation, cryptography, shapes};
use crate::ids::{GrantId, KeyId, RealmId};
use crate::policy::RequestFacts;
use crate::protocol::{Fault, FaultCode, Members, Request};
use crate::records::Grant;

pub(super) struct RevokeGrant;

pub(super) struct RevokeInput {
    key_id: String,
    grant_id: String,
    dry_run: bool,
}

impl Request for RevokeInput {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        Ok(Self {
            key_id: members.string("KeyId", &shapes::KEY_ID)?,
            grant_id: members.string("GrantId", &GRANT_ID)?,
            dry_run: members.optional_boolean("DryRun")?.unwrap_or(false),
        })
    }
}

impl Operation for RevokeGrant {
    const NAME: &'static str = "RevokeGrant";
    type Input = RevokeInput;
    type Output = ();

    async fn run(call: &Call, input: RevokeInput) -> Result<(), Fault> {
        let found = call.find_key(&input.key_id, Naming::KeyOnly)?;
        let key = found.authorize(call, RequestFacts::default())?.in_state(call)?;
        let (realm, key) = (key.key().realm.clone(), key.key().id);
        let grant = find(call, &realm, key, grants::parse_id(&input.grant_id)?)?;
        cryptography::end_dry_run(input.dry_run)?;
        remove(call, grant).await
    }
}

pub(super) struct RetireGrant;

pub(super) struct RetireInput {
    token: Option<String>,
    key_id: Option<String>,
    grant_id: Option<String>,
    dry_run: bool,
}

impl Request for RetireInput {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        Ok(Self {
            token: members.optional_string("GrantToken", &shapes::GRANT_TOKEN)?,
            key_id: members.optional_string("KeyId", &shapes::KEY_ID)?,
            grant_id: members.optional_string("GrantId", &GRANT_ID)?,
            dry_run: members.optional_boolean("DryRun")?.unwrap_or(false),
        })
    }
}

impl Operation for RetireGrant {
    const NAME: &'static str = "RetireGrant";
    type Input = RetireInput;
    type Output = ();

    /// Permission comes from the grant itself: its retiring principal, its grantee if it is for
    /// `RetireGrant`, and the root of the account in which it was made.
    async fn run(call: &Call, input: RetireInput) -> Result<(), Fault> {
        let (realm, key, id) = named(call, &input)?;
        let grant = find(call, &realm, key, id)?;
        let principal = call.principal();
        let is_retiring =
            grant.terms.retiring.as_deref().is_some_and(|arn| principal.is_named(arn));
        let is_grantee =
            principal.is_named(&grant.terms.grantee) && grant.terms.allow(RetireGrant::NAME);
        let is_root = principal.is_root() && principal.account == grant.terms.issuing_account;
        if !(is_retiring || is_grantee || is_root) {
            return Err(Fault::new(
                FaultCode::AccessDeniedException,
                format!(
                    "User: {} is not authorized to perform: kms:RetireGrant on resource: {}",
                    principal.arn,
                    realm.key_arn(key)
                ),
            ));
        }
        cryptography::end_dry_run(input.dry_run)?;
        remove(call, grant).await
    }
}

/// The grant that a request names: by a token, or by the key and the grant's id.
fn named(call: &Call, input: &RetireInput) -> Result<(RealmId, KeyId, GrantId), Fault> {
    match (&input.token, &input.key_id, &input.grant_id) {
        (Some(token), None, None) => grants::of_token(token),
        (None, Some(key), Some(grant)) => {
            let found: FoundKey = call.find_key(key, Naming::KeyOnly)?;
            Ok((found.key().realm.clone(), found.key().id, grants::parse_id(grant)?))
        }
        _ => Err(Fault::validation(
            "Please specify either a GrantToken, or a KeyId and a GrantId, but not both.",
        )),
    }
}

fn find(call: &Call, realm: &RealmId, key: KeyId, id: GrantId) -> Result<Grant, Fault> {
    live_key(&call.state, realm, key, call.now)
        .ok_or_else(|| key_not_found(&realm.key_arn(key).to_string()))?;
    let grant = call.state.realm(realm).and_then(|realm| realm.grant(key, id));
    grant.map(|grant| Grant::clone(grant)).ok_or_else(|| grants::not_found(&id.to_string()))
}

async fn remove(call: &Call, grant: Grant) -> Result<(), Fault> {
    call.update(move |draft| {
        let state = draft.state();
        if state.realm(&grant.realm).and_then(|realm| realm.grant(grant.key, grant.id)).is_none() {
            return Err(grants::not_found(&grant.id.to_string()));
        }
        draft.delete_grant(&grant.realm, grant.key, grant.id);
        Ok(())
    })
    .await
}
