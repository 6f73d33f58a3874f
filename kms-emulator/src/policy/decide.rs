//! The decision: key policy and identity policies together.
//!
//! Source: developer guide, "Key policies in AWS KMS" and "Policy evaluation". An explicit deny
//! anywhere wins. Otherwise, within an account, it is enough that the key policy names the caller; if
//! it names only the account, the caller's identity policies must allow as well. A caller of another
//! account needs both sides always. Where policies do not allow, a grant on the key is enough; no grant
//! overrides a deny.

use super::Principal;
use super::document::{Effect, KeyPolicy, Listed, PrincipalPattern, Statement};
use super::facts::{CallFacts, Environment, Facts, RequestFacts};
use super::principal::Identity;
use crate::ids::AccountId;
use crate::protocol::{Fault, FaultCode};
use crate::records::Key;

/// Proof that policies or a grant allow one action on one resource to one principal. Only `decide` makes
/// one.
#[derive(Debug)]
pub(crate) struct Authorized(Source);

/// What a permission rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Policies,
    Grant,
}

/// What is asked.
pub(crate) struct Query<'a> {
    pub(crate) principal: &'a Principal,
    /// For example `kms:Encrypt`.
    pub(crate) action: &'a str,
    /// The ARN, or `*` for an operation without a resource.
    pub(crate) resource: &'a str,
    /// The key policy that decides with them; none for an operation that identity policies alone decide.
    pub(crate) key_policy: Option<(&'a KeyPolicy, AccountId)>,
    /// The key, for conditions on its properties.
    pub(crate) key: Option<&'a Key>,
    pub(crate) environment: &'a Environment<'a>,
    pub(crate) facts: &'a RequestFacts<'a>,
    /// Looks for a grant that allows it; asked only if policies do not.
    pub(crate) is_granted: Option<&'a dyn Fn() -> bool>,
}

/// What a set of statements says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Silent,
    /// A key policy allows the action to the caller's account, not to the caller.
    AccountAllowed,
    Allowed,
    Denied,
}

/// Decides a query.
///
/// # Errors
/// `AccessDeniedException` worded as AWS words it: who, what, on which resource and why.
pub(crate) fn decide(query: &Query<'_>) -> Result<Authorized, Fault> {
    let facts = CallFacts {
        principal: query.principal,
        key: query.key,
        environment: query.environment,
        request: query.facts,
    };
    let identity = identity_verdict(query, &facts);
    let Some((key_policy, owner)) = query.key_policy else {
        return match identity {
            Verdict::Allowed => Ok(Authorized(Source::Policies)),
            Verdict::Denied => Err(refusal(query, EXPLICIT_IDENTITY)),
            _ => Err(refusal(query, &no_policy("identity-based", query.action))),
        };
    };
    let resource = verdict(&key_policy.statements, query, &facts);
    let same_account = owner == query.principal.account;
    match (resource, identity) {
        (Verdict::Denied, _) => Err(refusal(query, EXPLICIT_RESOURCE)),
        (_, Verdict::Denied) => Err(refusal(query, EXPLICIT_IDENTITY)),
        (Verdict::Allowed, _) if same_account => Ok(Authorized(Source::Policies)),
        (Verdict::Allowed | Verdict::AccountAllowed, Verdict::Allowed) => {
            Ok(Authorized(Source::Policies))
        }
        _ if query.is_granted.is_some_and(|is_granted| is_granted()) => {
            Ok(Authorized(Source::Grant))
        }
        (Verdict::Allowed | Verdict::AccountAllowed, _) => {
            Err(refusal(query, &no_policy("identity-based", query.action)))
        }
        (Verdict::Silent, _) if same_account => {
            Err(refusal(query, &no_policy("resource-based", query.action)))
        }
        (Verdict::Silent, _) => Err(refusal(query, ABROAD)),
    }
}

const EXPLICIT_IDENTITY: &str = "with an explicit deny in an identity-based policy";
const EXPLICIT_RESOURCE: &str = "with an explicit deny in a resource-based policy";
/// To a caller of another account AWS does not say whether the key exists.
pub(super) const ABROAD: &str = "because the resource does not exist in this Region, no \
    resource-based policies allow access, or a resource-based policy explicitly denies access";

fn no_policy(kind: &str, action: &str) -> String {
    format!("because no {kind} policy allows the {action} action")
}

fn refusal(query: &Query<'_>, reason: &str) -> Fault {
    access_denied(query.principal, query.action, query.resource, reason)
}

fn access_denied(principal: &Principal, action: &str, resource: &str, reason: &str) -> Fault {
    let arn = &principal.arn;
    let on = if resource == "*" { String::new() } else { format!(" on resource: {resource}") };
    Fault::new(
        FaultCode::AccessDeniedException,
        format!("User: {arn} is not authorized to perform: {action}{on} {reason}"),
    )
}

impl Authorized {
    /// Whether a grant alone allows it, and no policy does.
    pub(crate) fn is_by_grant(&self) -> bool {
        self.0 == Source::Grant
    }

    /// The refusal for a key of another account that does not exist: the same as for one that does and
    /// is closed.
    pub(crate) fn refusal_abroad(principal: &Principal, action: &str, resource: &str) -> Fault {
        access_denied(principal, action, resource, ABROAD)
    }
}

fn identity_verdict(query: &Query<'_>, facts: &CallFacts<'_>) -> Verdict {
    match &query.principal.identity {
        Identity::Root => Verdict::Allowed,
        Identity::User { policies, .. } | Identity::Role { policies, .. } => policies
            .iter()
            .map(|policy| verdict(&policy.statements, query, facts))
            .max()
            .unwrap_or(Verdict::Silent),
    }
}

/// The strongest thing that any fitting statement says.
fn verdict(statements: &[Statement], query: &Query<'_>, facts: &dyn Facts) -> Verdict {
    let mut strongest = Verdict::Silent;
    for statement in statements {
        if !statement.covers(query.action, query.resource) {
            continue;
        }
        let Some(named) = names(statement, query.principal) else { continue };
        if !statement.conditions.iter().all(|condition| condition.holds(facts)) {
            continue;
        }
        let says = match (statement.effect, named) {
            (Effect::Deny, _) => Verdict::Denied,
            (Effect::Allow, Named::Itself) => Verdict::Allowed,
            (Effect::Allow, Named::ByAccount) => Verdict::AccountAllowed,
        };
        strongest = strongest.max(says);
    }
    strongest
}

/// How a statement speaks of a principal.
enum Named {
    Itself,
    ByAccount,
}

fn names(statement: &Statement, principal: &Principal) -> Option<Named> {
    let itself = |pattern: &PrincipalPattern| match pattern {
        PrincipalPattern::Anyone => true,
        PrincipalPattern::Arn(arn) => principal.is_named(arn),
        PrincipalPattern::Account(account) => *account == principal.account && principal.is_root(),
        PrincipalPattern::Elsewhere => false,
    };
    match &statement.principals {
        // An identity policy speaks of the identity that it is attached to.
        None => Some(Named::Itself),
        Some(Listed::AllBut(patterns)) => (!patterns.iter().any(itself)).then_some(Named::Itself),
        Some(Listed::Only(patterns)) if patterns.iter().any(itself) => Some(Named::Itself),
        Some(Listed::Only(patterns)) => patterns
            .contains(&PrincipalPattern::Account(principal.account))
            .then_some(Named::ByAccount),
    }
}
