//! CreateGrant.

use std::sync::Arc;

use serde::Serialize;

use super::access::{AuthorizedKey, Naming};
use super::grants::{self, GrantOperation, PRINCIPAL};
use super::{Call, Operation, cryptography, shapes};
use crate::ids::{GrantId, KeyId, RealmId};
use crate::policy::RequestFacts;
use crate::protocol::{EnumValues, Fault, FaultCode, ListLimits, Members, Request, StringLimits};
use crate::records::{Grant, GrantConstraints, GrantTerms, Key, KeySpec};
use crate::registry::State;

/// Grants on one key (quota of KMS).
const GRANT_COUNT_MAX: usize = 50_000;
const NAME: StringLimits = StringLimits::length(1, 256).pattern("^[a-zA-Z0-9:/_-]+$", |text| {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b":/_-".contains(&b))
});

pub(super) struct CreateGrant;

pub(super) struct Input {
    key_id: String,
    grantee: String,
    retiring: Option<String>,
    operations: Vec<GrantOperation>,
    constraints: GrantConstraints,
    name: Option<String>,
    dry_run: bool,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        shapes::grant_tokens(members)?;
        grants::refuse_service_principals(
            members,
            &["GranteeServicePrincipal", "RetiringServicePrincipal"],
        )?;
        let operations = members.optional_enums("Operations", &ListLimits::ANY)?;
        let grantee = members.optional_string("GranteePrincipal", &PRINCIPAL)?;
        if grantee.is_none() {
            members.refuse(Fault::validation("A GranteePrincipal is required."));
        }
        Ok(Self {
            key_id: members.string("KeyId", &shapes::KEY_ID)?,
            grantee: grantee.unwrap_or_default(),
            retiring: members.optional_string("RetiringPrincipal", &PRINCIPAL)?,
            operations: members.require("Operations", operations),
            constraints: grants::read_constraints(members)?,
            name: members.optional_string("Name", &NAME)?,
            dry_run: members.optional_boolean("DryRun")?.unwrap_or(false),
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    grant_token: String,
    grant_id: GrantId,
}

impl Operation for CreateGrant {
    const NAME: &'static str = "CreateGrant";
    type Input = Input;
    type Output = Output;

    async fn run(call: &Call, input: Input) -> Result<Output, Fault> {
        let found = call.find_key(&input.key_id, Naming::KeyOnly)?;
        let key = found
            .authorize(call, RequestFacts { more: &facts(&input), ..RequestFacts::default() })?;
        check_principals(&input)?;
        let terms = terms(call, key.key(), &input)?;
        check_delegation(call, &key, &terms)?;
        let key = key.in_state(call)?;
        cryptography::end_dry_run(input.dry_run)?;
        let key = key.key();
        let (realm, id, arn, now) = (key.realm.clone(), key.id, key.arn(), call.now);
        let new = new_id()?;
        let grant_id = call
            .update(move |draft| {
                if let Some(same) = same_as(draft.state(), &realm, id, &terms) {
                    return Ok(same);
                }
                let count = draft.state().realm(&realm).map_or(0, |r| r.grants_of(id).count());
                if count >= GRANT_COUNT_MAX {
                    return Err(Fault::new(
                        FaultCode::LimitExceededException,
                        format!("A key has at most {GRANT_COUNT_MAX} grants"),
                    ));
                }
                let terms = terms.clone();
                draft.put_grant(Grant {
                    realm: realm.clone(),
                    key: id,
                    id: new,
                    created: now,
                    terms,
                });
                Ok(new)
            })
            .await?;
        Ok(Output { grant_token: grants::token(&arn, grant_id), grant_id })
    }
}

/// What conditions on the making of grants look at.
fn facts(input: &Input) -> Vec<(&'static str, &str)> {
    let mut facts = vec![("granteeprincipal", input.grantee.as_str())];
    facts.extend(input.retiring.as_deref().map(|arn| ("retiringprincipal", arn)));
    facts.extend(input.operations.iter().map(|operation| ("grantoperations", operation.as_str())));
    facts.push(("grantisforawsresource", "false"));
    for (kind, constraint) in [
        ("EncryptionContextEquals", &input.constraints.equals),
        ("EncryptionContextSubset", &input.constraints.subset),
    ] {
        facts.extend(constraint.as_ref().map(|_| ("grantconstrainttype", kind)));
    }
    facts
}

fn check_principals(input: &Input) -> Result<(), Fault> {
    grants::check_principal(&input.grantee)?;
    input.retiring.as_deref().map_or(Ok(()), grants::check_principal)
}

/// What the grant says, if the key does what it is for.
fn terms(call: &Call, key: &Key, input: &Input) -> Result<GrantTerms, Fault> {
    let unfit = input.operations.iter().find(|operation| !grants::fits(operation.as_str(), key));
    if let Some(operation) = unfit {
        return Err(Fault::validation(format!(
            "Grant operation {} is not supported for key spec {} with key usage {}.",
            operation.as_str(),
            key.spec.as_str(),
            key.usage.as_str()
        )));
    }
    if input.operations.is_empty() {
        return Err(Fault::validation("A grant has at least one operation."));
    }
    if key.spec != KeySpec::SymmetricDefault && !input.constraints.is_empty() {
        return Err(Fault::validation(
            "Grants on asymmetric and HMAC keys cannot have encryption context constraints.",
        ));
    }
    Ok(GrantTerms {
        name: input.name.as_deref().map(Into::into),
        issuing_account: call.principal().account,
        grantee: input.grantee.as_str().into(),
        retiring: input.retiring.as_deref().map(Into::into),
        operations: input.operations.iter().map(|name| name.as_str().to_owned()).collect(),
        constraints: input.constraints.clone(),
    })
}

/// Who may make grants by a grant alone makes none that are wider than it.
fn check_delegation(call: &Call, key: &AuthorizedKey, terms: &GrantTerms) -> Result<(), Fault> {
    if !key.is_by_grant() {
        return Ok(());
    }
    let is_within = |parent: &Grant| {
        terms.operations.iter().all(|operation| parent.terms.allow(operation))
            && terms.constraints.are_within(&parent.terms.constraints)
    };
    let mut parents =
        grants::allowing(&call.state, key.key(), call.principal(), CreateGrant::NAME, None);
    if parents.any(is_within) {
        return Ok(());
    }
    Err(Fault::new(
        FaultCode::AccessDeniedException,
        format!(
            "User: {} is not authorized to perform: kms:CreateGrant on resource: {} because the grant \
             would allow more than the grant by which it is made",
            call.principal().arn,
            key.key().arn()
        ),
    ))
}

/// The grant of that name and those terms: the same request sent again.
fn same_as(state: &State, realm: &RealmId, key: KeyId, terms: &GrantTerms) -> Option<GrantId> {
    terms.name.as_ref()?;
    let mut grants = state.realm(realm)?.grants_of(key);
    grants.find(|grant| grant.terms == *terms).map(|grant: &Arc<Grant>| grant.id)
}

fn new_id() -> Result<GrantId, Fault> {
    let mut id = [0; 32];
    aws_lc_rs::rand::fill(&mut id).map_err(|_| Fault::internal("no randomness"))?;
    Ok(GrantId(id))
}
