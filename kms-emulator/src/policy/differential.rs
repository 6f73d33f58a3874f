//! K6: decisions against a naive model, over random policies and requests.
//!
//! The model works on the values from which the policies' JSON is made, and follows the guide's text
//! step by step: denies first, then who is named how.

use std::net::IpAddr;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    Environment, Identity, IdentityPolicy, KeyPolicy, Principal, Query, RequestFacts, decide,
};
use crate::clock::Timestamp;
use crate::ids::AccountId;

/// Random policies with a request each.
const CASES: u32 = 6_000;
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

/// Networks of conditions, and the addresses of requests that lie in each.
const NETWORKS: [(&str, &[&str]); 4] = [
    ("192.0.2.0/24", &["192.0.2.1", "192.0.2.200"]),
    ("192.0.2.128/25", &["192.0.2.200"]),
    ("192.0.2.1", &["192.0.2.1"]),
    ("2001:db8::/32", &["2001:db8::1"]),
];
const ADDRESSES: [&str; 4] = ["192.0.2.1", "192.0.2.200", "198.51.100.1", "2001:db8::1"];
/// Keys that an encryption context may have, and that a condition may name.
const CONTEXT_KEYS: [&str; 3] = ["k", "l", "m"];

/// A condition on something else than the value of `k`.
#[derive(Clone, Debug)]
enum Extra {
    /// The hour of the request lies before, at or behind this one.
    Hour(&'static str, u32),
    Address {
        network: usize,
        negated: bool,
    },
    /// Of the context's keys any is, or all are, one of these.
    Keys {
        all: bool,
        of: Vec<&'static str>,
    },
}

const HOURS: [&str; 6] = [
    "DateEquals",
    "DateNotEquals",
    "DateLessThan",
    "DateLessThanEquals",
    "DateGreaterThan",
    "DateGreaterThanEquals",
];

impl Extra {
    fn json(&self) -> Value {
        match self {
            Self::Hour(operator, hour) => {
                json!({*operator: {"aws:CurrentTime": format!("2026-01-01T{hour:02}:00:00Z")}})
            }
            Self::Address { network, negated } => {
                let operator = if *negated { "NotIpAddress" } else { "IpAddress" };
                json!({operator: {"aws:SourceIp": NETWORKS[*network].0}})
            }
            Self::Keys { all, of } => {
                let operator = if *all { "ForAllValues" } else { "ForAnyValue" };
                json!({format!("{operator}:StringEquals"): {"kms:EncryptionContextKeys": of}})
            }
        }
    }

    fn holds(&self, asked: &Asked) -> bool {
        match self {
            Self::Hour("DateEquals", hour) => asked.hour == *hour,
            Self::Hour("DateNotEquals", hour) => asked.hour != *hour,
            Self::Hour("DateLessThan", hour) => asked.hour < *hour,
            Self::Hour("DateLessThanEquals", hour) => asked.hour <= *hour,
            Self::Hour("DateGreaterThan", hour) => asked.hour > *hour,
            Self::Hour(_, hour) => asked.hour >= *hour,
            Self::Address { network, negated } => match asked.address {
                Some(address) => NETWORKS[*network].1.contains(&address) != *negated,
                None => *negated,
            },
            Self::Keys { all: true, of } => asked.keys().all(|key| of.contains(&key)),
            Self::Keys { all: false, of } => asked.keys().any(|key| of.contains(&key)),
        }
    }
}

/// A request.
#[derive(Clone, Debug)]
struct Asked {
    who: Who,
    action: &'static str,
    /// Values by key.
    context: Vec<(&'static str, &'static str)>,
    hour: u32,
    address: Option<&'static str>,
}

impl Asked {
    fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.context.iter().map(|(key, _)| *key)
    }

    fn value(&self) -> Option<&str> {
        self.context.iter().find(|(key, _)| *key == "k").map(|(_, value)| *value)
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
    extra: Option<Extra>,
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
        let mut conditions = self.extra.as_ref().map_or_else(|| json!({}), Extra::json);
        if let Some(value) = self.context {
            conditions["StringEquals"] = json!({"kms:EncryptionContext:k": value});
        }
        entries.insert("Condition".into(), conditions);
        statement
    }

    fn is_about(&self, asked: &Asked) -> bool {
        let action = asked.action;
        let named = match self.action {
            "kms:*" => true,
            "kms:En*" => action != "kms:Decrypt",
            exact => exact == action,
        };
        named != self.not_action
            && self.context.is_none_or(|wanted| asked.value() == Some(wanted))
            && self.extra.as_ref().is_none_or(|extra| extra.holds(asked))
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

fn naive(key: &[Rule], identity: &[Rule], asked: &Asked) -> bool {
    let who = asked.who;
    let key: Vec<&Rule> = key.iter().filter(|rule| rule.is_about(asked)).collect();
    let identity: Vec<&Rule> =
        identity.iter().filter(|rule| !who.is_root() && rule.is_about(asked)).collect();
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
        prop::option::of(extra()),
    )
        .prop_map(|(allow, principals, not_principal, action, not_action, context, extra)| {
            Rule { allow, principals, not_principal, action, not_action, context, extra }
        })
}

fn extra() -> impl Strategy<Value = Extra> {
    prop_oneof![
        (prop::sample::select(HOURS.to_vec()), 9..=11_u32)
            .prop_map(|(operator, hour)| Extra::Hour(operator, hour)),
        (0..NETWORKS.len(), any::<bool>())
            .prop_map(|(network, negated)| Extra::Address { network, negated }),
        (any::<bool>(), prop::sample::subsequence(CONTEXT_KEYS.to_vec(), 1..=2))
            .prop_map(|(all, of)| Extra::Keys { all, of }),
    ]
}

fn asked() -> impl Strategy<Value = Asked> {
    (
        prop::sample::select(EVERYBODY.to_vec()),
        prop::sample::select(ACTIONS.to_vec()),
        prop::sample::subsequence(CONTEXT_KEYS.to_vec(), 0..=2),
        prop::sample::select(vec!["1", "2", "3"]),
        9..=11_u32,
        prop::option::weighted(0.9, prop::sample::select(ADDRESSES.to_vec())),
    )
        .prop_map(|(who, action, keys, value, hour, address)| Asked {
            who,
            action,
            context: keys.into_iter().map(|key| (key, value)).collect(),
            hour,
            address,
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
    #![proptest_config(ProptestConfig::with_cases(CASES))]
    #[test]
    fn decisions_agree_with_the_naive_model(
        key in prop::collection::vec(rule(), 1..5),
        identity in prop::collection::vec(rule(), 0..3),
        asked in asked(),
    ) {
        let policy = KeyPolicy::parse(&document(&key, true)).unwrap();
        let principal = principal(asked.who, &identity);
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let pairs = asked.context.iter().map(owned).collect();
        let hour = format!("2026-01-01T{:02}:00:00Z", asked.hour);
        let environment = Environment {
            now: Timestamp::parse_iso8601_or_epoch(&hour).unwrap(),
            source_ip: asked.address.map(|address| address.parse::<IpAddr>().unwrap()),
            is_secure: false,
            user_agent: None,
            region: &"us-east-1".parse().unwrap(),
        };
        let facts = RequestFacts { encryption_context: Some(&pairs), ..RequestFacts::default() };
        let decision = decide(&Query {
            principal: &principal,
            action: asked.action,
            resource: "arn:aws:kms:us-east-1:111122223333:key/k",
            key_policy: Some((&policy, HOME.parse().unwrap())),
            key: None,
            environment: &environment,
            facts: &facts,
            is_granted: None,
        });
        let wanted = naive(&key, &identity, &asked);
        prop_assert_eq!(decision.is_ok(), wanted, "{:?}", decision);
    }
}
