//! Policy documents: strict parsing into statements.

use serde_json::{Map, Value};

use super::condition::Condition;
use super::glob;
use crate::ids::AccountId;

/// Statements of one policy; a quota of ours, as AWS bounds only the document's bytes.
const STATEMENT_COUNT_MAX: usize = 512;

/// Why a document is not a policy; the text is for its author.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct MalformedPolicy(String);

impl MalformedPolicy {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// A key's policy: its text as it was put, and its statements.
#[derive(Debug)]
pub(crate) struct KeyPolicy {
    text: Box<str>,
    pub(super) statements: Vec<Statement>,
}

impl KeyPolicy {
    /// Reads a key policy: every statement names principals.
    pub(crate) fn parse(text: &str) -> Result<Self, MalformedPolicy> {
        let statements = parse_document(text, PrincipalRule::Required)?;
        Ok(Self { text: text.into(), statements })
    }

    /// The text as it was put.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

/// A policy attached to a user: no statement names principals.
#[derive(Debug)]
pub(crate) struct IdentityPolicy {
    pub(super) statements: Vec<Statement>,
}

impl IdentityPolicy {
    /// Reads an identity policy.
    pub(crate) fn parse(text: &str) -> Result<Self, MalformedPolicy> {
        Ok(Self { statements: parse_document(text, PrincipalRule::Forbidden)? })
    }
}

/// Who may take a role on: every statement names principals, and none a resource, which is the role.
#[derive(Debug)]
pub(crate) struct TrustPolicy(KeyPolicy);

impl TrustPolicy {
    /// Reads a trust policy.
    pub(crate) fn parse(text: &str) -> Result<Self, MalformedPolicy> {
        let statements = parse_document(text, PrincipalRule::RequiredWithoutResource)?;
        Ok(Self(KeyPolicy { text: text.into(), statements }))
    }

    /// The policy as that of a resource; it decides with identity policies as a key's does.
    pub(crate) fn as_resource_policy(&self) -> &KeyPolicy {
        &self.0
    }
}

/// Whether statements name principals.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PrincipalRule {
    Required,
    RequiredWithoutResource,
    Forbidden,
}

/// What a statement does to the requests that it fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Allow,
    Deny,
}

/// A statement.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) effect: Effect,
    pub(super) principals: Option<Listed<PrincipalPattern>>,
    actions: Listed<String>,
    resources: Listed<String>,
    pub(super) conditions: Vec<Condition>,
}

/// An element and its `Not…` form.
#[derive(Debug)]
pub(super) enum Listed<T> {
    Only(Vec<T>),
    AllBut(Vec<T>),
}

impl<T> Listed<T> {
    fn fits(&self, matches: impl Fn(&T) -> bool) -> bool {
        match self {
            Self::Only(patterns) => patterns.iter().any(matches),
            Self::AllBut(patterns) => !patterns.iter().any(matches),
        }
    }
}

/// One entry of a `Principal` element.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PrincipalPattern {
    /// `*`.
    Anyone,
    /// The account: a twelve-digit id, or the ARN of its root.
    Account(AccountId),
    /// A user or role, by its ARN.
    Arn(String),
    /// A service or a federated provider: none of our callers.
    Elsewhere,
}

impl Statement {
    /// Whether the statement speaks of that action on that resource.
    pub(super) fn covers(&self, action: &str, resource: &str) -> bool {
        self.actions.fits(|pattern| glob::matches_ignoring_case(pattern, action))
            && self.resources.fits(|pattern| glob::matches(pattern, resource))
    }
}

fn parse_document(text: &str, rule: PrincipalRule) -> Result<Vec<Statement>, MalformedPolicy> {
    let value: Value = serde_json::from_str(text)
        .map_err(|error| MalformedPolicy::new(format!("Syntax error in policy: {error}")))?;
    let Value::Object(mut document) = value else {
        return Err(MalformedPolicy::new("A policy is a JSON object."));
    };
    match document.swap_remove("Version") {
        None => {}
        Some(Value::String(version)) if version == "2012-10-17" || version == "2008-10-17" => {}
        Some(_) => {
            return Err(MalformedPolicy::new("The policy must contain a valid version string"));
        }
    }
    document.swap_remove("Id");
    let statements = match document.swap_remove("Statement") {
        Some(Value::Array(statements)) => statements,
        Some(single @ Value::Object(_)) => vec![single],
        _ => return Err(MalformedPolicy::new("Missing required field Statement")),
    };
    refuse_rest(&document, "policy")?;
    if statements.is_empty() || statements.len() > STATEMENT_COUNT_MAX {
        return Err(MalformedPolicy::new(format!(
            "A policy has between 1 and {STATEMENT_COUNT_MAX} statements"
        )));
    }
    statements.into_iter().map(|statement| parse_statement(statement, rule)).collect()
}

fn parse_statement(value: Value, rule: PrincipalRule) -> Result<Statement, MalformedPolicy> {
    let Value::Object(mut statement) = value else {
        return Err(MalformedPolicy::new("A statement is a JSON object."));
    };
    statement.swap_remove("Sid");
    let effect = match statement.swap_remove("Effect").as_ref().and_then(Value::as_str) {
        Some("Allow") => Effect::Allow,
        Some("Deny") => Effect::Deny,
        _ => return Err(MalformedPolicy::new("Effect must be Allow or Deny")),
    };
    let principals = listed(&mut statement, "Principal", "NotPrincipal", parse_principals)?;
    match (rule, principals.is_some()) {
        (PrincipalRule::Required | PrincipalRule::RequiredWithoutResource, false) => {
            return Err(MalformedPolicy::new("Policy contains a statement with no principal"));
        }
        (PrincipalRule::Forbidden, true) => {
            return Err(MalformedPolicy::new("An identity policy must not specify a principal"));
        }
        _ => {}
    }
    let actions = listed(&mut statement, "Action", "NotAction", strings)?
        .ok_or_else(|| MalformedPolicy::new("Policy statement must contain actions."))?;
    let resources = listed(&mut statement, "Resource", "NotResource", strings)?;
    let resources = match (rule, resources) {
        (PrincipalRule::RequiredWithoutResource, None) => Listed::Only(vec!["*".to_owned()]),
        (PrincipalRule::RequiredWithoutResource, Some(_)) => {
            return Err(MalformedPolicy::new("Has prohibited field Resource"));
        }
        (_, Some(resources)) => resources,
        (_, None) => return Err(MalformedPolicy::new("Policy statement must contain resources.")),
    };
    let conditions = match statement.swap_remove("Condition") {
        None => Vec::new(),
        Some(block) => Condition::parse_block(block)?,
    };
    refuse_rest(&statement, "statement")?;
    Ok(Statement { effect, principals, actions, resources, conditions })
}

/// Takes an element or its `Not…` form; both at once are refused.
fn listed<T>(
    statement: &mut Map<String, Value>,
    name: &str,
    not_name: &str,
    parse: impl Fn(Value) -> Result<Vec<T>, MalformedPolicy>,
) -> Result<Option<Listed<T>>, MalformedPolicy> {
    match (statement.swap_remove(name), statement.swap_remove(not_name)) {
        (None, None) => Ok(None),
        (Some(value), None) => Ok(Some(Listed::Only(parse(value)?))),
        (None, Some(value)) => Ok(Some(Listed::AllBut(parse(value)?))),
        (Some(_), Some(_)) => Err(MalformedPolicy::new(format!(
            "A statement has either {name} or {not_name}, not both"
        ))),
    }
}

fn parse_principals(value: Value) -> Result<Vec<PrincipalPattern>, MalformedPolicy> {
    let invalid =
        || MalformedPolicy::new("Policy contains a statement with one or more invalid principals.");
    let by_kind = match value {
        Value::String(all) if all == "*" => return Ok(vec![PrincipalPattern::Anyone]),
        Value::Object(by_kind) if !by_kind.is_empty() => by_kind,
        _ => return Err(invalid()),
    };
    let mut patterns = Vec::new();
    for (kind, names) in by_kind {
        let names = strings(names)?;
        match kind.as_str() {
            "AWS" => {
                for name in names {
                    patterns.push(parse_aws_principal(name).ok_or_else(invalid)?);
                }
            }
            "Service" | "Federated" | "CanonicalUser" => {
                patterns.push(PrincipalPattern::Elsewhere);
            }
            _ => return Err(invalid()),
        }
    }
    Ok(patterns)
}

fn parse_aws_principal(name: String) -> Option<PrincipalPattern> {
    if name == "*" {
        return Some(PrincipalPattern::Anyone);
    }
    if let Ok(account) = name.parse() {
        return Some(PrincipalPattern::Account(account));
    }
    let mut parts = name.splitn(6, ':');
    let head = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let ("arn", "aws", "iam" | "sts", "") = head else { return None };
    let account: AccountId = parts.next()?.parse().ok()?;
    match parts.next()? {
        "root" => Some(PrincipalPattern::Account(account)),
        // A wildcard would be compared as text and never match: its author must be told.
        resource if resource.is_empty() || resource.contains(['*', '?']) => None,
        _ => Some(PrincipalPattern::Arn(name)),
    }
}

/// One string or a list of at least one.
pub(super) fn strings(value: Value) -> Result<Vec<String>, MalformedPolicy> {
    let items = match value {
        Value::Array(items) if !items.is_empty() => items,
        single => vec![single],
    };
    items
        .into_iter()
        .map(|item| match item {
            Value::String(text) => Ok(text),
            // IAM takes bare booleans and numbers as condition values.
            Value::Bool(_) | Value::Number(_) => Ok(item.to_string()),
            _ => Err(MalformedPolicy::new("Syntax error in policy: expected a string")),
        })
        .collect()
}

fn refuse_rest(rest: &Map<String, Value>, place: &str) -> Result<(), MalformedPolicy> {
    match rest.keys().next() {
        None => Ok(()),
        Some(unknown) => {
            Err(MalformedPolicy::new(format!("Unknown field {unknown:?} in a {place}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_statement(statement: &str) -> Result<KeyPolicy, MalformedPolicy> {
        KeyPolicy::parse(&format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#))
    }

    #[test]
    fn the_default_policy_parses() {
        let text = super::super::default_key_policy("111122223333".parse().unwrap());
        let policy = KeyPolicy::parse(&text).unwrap();
        assert_eq!(policy.text(), text);
        assert_eq!(policy.statements.len(), 1);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for statement in [
            r#"{"Effect":"Allow","Principal":"*","Action":"kms:*"}"#,
            r#"{"Effect":"Allow","Action":"kms:*","Resource":"*"}"#,
            r#"{"Effect":"allow","Principal":"*","Action":"kms:*","Resource":"*"}"#,
            r#"{"Effect":"Allow","Principal":"bob","Action":"kms:*","Resource":"*"}"#,
            r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/*"},"Action":"kms:*","Resource":"*"}"#,
            r#"{"Effect":"Allow","Principal":{"Aws":"*"},"Action":"kms:*","Resource":"*"}"#,
            r#"{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*","Extra":1}"#,
            r#"{"Effect":"Allow","Principal":"*","NotPrincipal":"*","Action":"kms:*","Resource":"*"}"#,
            r#"{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*","Condition":{"StringSortOf":{"a":"b"}}}"#,
        ] {
            assert!(with_statement(statement).is_err(), "{statement}");
        }
        for text in ["", "[]", "{}", r#"{"Version":"2020-01-01","Statement":[]}"#] {
            assert!(KeyPolicy::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn principals_of_every_spelling() {
        let account = "111122223333".parse().unwrap();
        for (name, wanted) in [
            ("*", Some(PrincipalPattern::Anyone)),
            ("111122223333", Some(PrincipalPattern::Account(account))),
            ("arn:aws:iam::111122223333:root", Some(PrincipalPattern::Account(account))),
            (
                "arn:aws:iam::111122223333:user/a",
                Some(PrincipalPattern::Arn("arn:aws:iam::111122223333:user/a".into())),
            ),
            ("arn:aws:iam::1:user/a", None),
            ("arn:aws:s3:::bucket", None),
        ] {
            assert_eq!(parse_aws_principal(name.into()), wanted, "{name}");
        }
    }
}
