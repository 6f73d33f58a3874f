//! K6: decisions against a naive model, over random policies and requests.
//!
//! The model works on the values from which the policies' JSON is made, and follows the guide's text
//! step by step: denies first, then who is named how.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Identity, IdentityPolicy, KeyPolicy, Principal, Query, RequestFacts, decide};
use crate::ids::AccountId;

const HOME: &str = "111122223333";
const ABROAD: &str = "444455556666";
const ACTIONS: [&str; 3] = ["kms:Encrypt", "kms:EnableKey", "kms:Decrypt"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    HomeRoot,
    HomeUser,
    AbroadRoot,
    AbroadUser,
}

const EVERYBODY: [Who; 4] = [Who::HomeRoot, Who::HomeUser, Who::AbroadRoot, Who::AbroadUser];

impl Who {
    fn account(self) -> &'static str {
        if matches!(self, Self::HomeRoot | Self::HomeUser) { HOME } else { ABROAD }
    }

    fn is_root(self) -> bool {
        matches!(self, Self::HomeRoot | Self::AbroadRoot)
    }

    fn arn(self) -> String {
        let name = if self.is_root() { "root" } else { "user/u" };
        format!("arn:aws:iam::{}:{name}", self.account())
    }
}

#[derive(Clone, Debug)]
struct Rule {
    allow: bool,
    /// `None` is `*`; used in key policies alone.
    principals: Option<Vec<Who>>,
    not_principal: bool,
    /// Patterns of which `kms:En*` covers two actions.
    action: &'static str,
    not_action: bool,
    /// Required value of the encryption context's `k`.
    context: Option<&'static str>,
}

impl Rule {
    fn json(&self, in_key_policy: bool) -> Value {
        let mut statement = json!({
            "Effect": if self.allow { "Allow" } else { "Deny" },
            "Resource": "*",
        });
        let entries = statement.as_object_mut().unwrap();
        let action = if self.not_action { "NotAction" } else { "Action" };
        entries.insert(action.into(), json!(self.action));
        if in_key_policy {
            let named = match &self.principals {
                None => json!("*"),
                Some(named) => {
                    let arns: Vec<String> = named.iter().map(|who| who.arn()).collect();
                    json!({ "AWS": arns })
                }
            };
            let element = if self.not_principal { "NotPrincipal" } else { "Principal" };
            entries.insert(element.into(), named);
        }
        if let Some(value) = self.context {
            let condition = json!({"StringEquals": {"kms:EncryptionContext:k": value}});
            entries.insert("Condition".into(), condition);
        }
        statement
    }

    fn is_about(&self, action: &str, context: Option<&str>) -> bool {
        let named = match self.action {
            "kms:*" => true,
            "kms:En*" => action != "kms:Decrypt",
            exact => exact == action,
        };
        named != self.not_action && self.context.is_none_or(|wanted| context == Some(wanted))
    }

    /// Whether the rule names the caller itself.
    fn names(&self, who: Who) -> bool {
        let listed = self.principals.as_ref().is_none_or(|named| named.contains(&who));
        listed != self.not_principal
    }

    /// Whether the rule names the caller's account, by its root.
    fn names_account_of(&self, who: Who) -> bool {
        !self.not_principal
            && self.principals.as_ref().is_some_and(|named| {
                named.iter().any(|n| n.is_root() && n.account() == who.account())
            })
    }
}

fn naive(key: &[Rule], identity: &[Rule], who: Who, action: &str, context: Option<&str>) -> bool {
    let key: Vec<&Rule> = key.iter().filter(|rule| rule.is_about(action, context)).collect();
    let identity: Vec<&Rule> =
        identity.iter().filter(|rule| !who.is_root() && rule.is_about(action, context)).collect();
    if key.iter().any(|r| !r.allow && (r.names(who) || r.names_account_of(who))) {
        return false;
    }
    if identity.iter().any(|rule| !rule.allow) {
        return false;
    }
    let identity_allows = who.is_root() || !identity.is_empty();
    let by_name = key.iter().any(|rule| rule.allow && rule.names(who));
    let by_account = key.iter().any(|rule| rule.allow && rule.names_account_of(who));
    if who.account() == HOME {
        by_name || (by_account && identity_allows)
    } else {
        (by_name || by_account) && identity_allows
    }
}

fn rule() -> impl Strategy<Value = Rule> {
    (
        prop::bool::weighted(0.7),
        prop::option::of(prop::sample::subsequence(EVERYBODY.to_vec(), 1..=3)),
        prop::bool::weighted(0.2),
        prop::sample::select(vec!["kms:*", "kms:En*", "kms:Encrypt", "kms:Decrypt"]),
        prop::bool::weighted(0.2),
        prop::option::of(prop::sample::select(vec!["1", "2"])),
    )
        .prop_map(|(allow, principals, not_principal, action, not_action, context)| Rule {
            allow,
            principals,
            not_principal,
            action,
            not_action,
            context,
        })
}

fn document(rules: &[Rule], in_key_policy: bool) -> String {
    let statements: Vec<Value> = rules.iter().map(|rule| rule.json(in_key_policy)).collect();
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

fn principal(who: Who, rules: &[Rule]) -> Principal {
    let account: AccountId = who.account().parse().unwrap();
    if who.is_root() {
        return Principal::root(account);
    }
    let policies = match rules {
        [] => Vec::new(),
        rules => vec![Arc::new(IdentityPolicy::parse(&document(rules, false)).unwrap())],
    };
    Principal {
        account,
        arn: who.arn(),
        unique_id: "AIDA".into(),
        identity: Identity::User { name: "u".into(), policies },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]
    #[test]
    fn decisions_agree_with_the_naive_model(
        key in prop::collection::vec(rule(), 1..5),
        identity in prop::collection::vec(rule(), 0..3),
        who in prop::sample::select(EVERYBODY.to_vec()),
        action in prop::sample::select(ACTIONS.to_vec()),
        context in prop::option::of(prop::sample::select(vec!["1", "2", "3"])),
    ) {
        let policy = KeyPolicy::parse(&document(&key, true)).unwrap();
        let principal = principal(who, &identity);
        let pairs = context.map(|value| ("k".to_owned(), value.to_owned())).into_iter().collect();
        let facts = RequestFacts { encryption_context: Some(&pairs), ..RequestFacts::default() };
        let decision = decide(&Query {
            principal: &principal,
            action,
            resource: "arn:aws:kms:us-east-1:111122223333:key/k",
            key_policy: Some((&policy, HOME.parse().unwrap())),
            key: None,
            facts: &facts,
            is_granted: None,
        });
        let wanted = naive(&key, &identity, who, action, context);
        prop_assert_eq!(decision.is_ok(), wanted, "{:?}", decision);
    }
}
