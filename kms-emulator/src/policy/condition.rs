//! Condition blocks: operators, their qualifiers, and whether a request fulfils them.

use std::cmp::Ordering;
use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use super::document::{MalformedPolicy, strings};
use super::facts::Facts;
use super::glob;
use crate::clock::Timestamp;

/// One operator applied to one condition key; a block's entries must all hold.
#[derive(Debug)]
pub(super) struct Condition {
    operator: Operator,
    negated: bool,
    quantifier: Quantifier,
    if_exists: bool,
    key: String,
    values: Vec<String>,
}

/// How one value of the request is compared with one value of the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    StringEquals,
    StringEqualsIgnoreCase,
    StringLike,
    ArnLike,
    Bool,
    Numeric(Comparison),
    Date(Comparison),
    IpAddress,
    Null,
}

/// How a number or an instant of the request lies to that of the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equals,
    LessThan,
    LessThanEquals,
    GreaterThan,
    GreaterThanEquals,
}

/// How many of the request's values must match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantifier {
    /// Any of them; the operator without a prefix.
    Single,
    ForAnyValue,
    ForAllValues,
}

impl Condition {
    /// Reads a `Condition` element: operator -> condition key -> value or values.
    pub(super) fn parse_block(block: Value) -> Result<Vec<Self>, MalformedPolicy> {
        let Value::Object(by_operator) = block else {
            return Err(MalformedPolicy::new("Condition must be an object"));
        };
        let mut conditions = Vec::new();
        for (operator, by_key) in by_operator {
            let Value::Object(by_key) = by_key else {
                return Err(MalformedPolicy::new("A condition operator holds an object"));
            };
            for (key, values) in by_key {
                conditions.push(Self::parse(&operator, key, strings(values)?)?);
            }
        }
        Ok(conditions)
    }

    fn parse(text: &str, key: String, values: Vec<String>) -> Result<Self, MalformedPolicy> {
        let (quantifier, rest) = match text.split_once(':') {
            None => (Quantifier::Single, text),
            Some(("ForAnyValue", rest)) => (Quantifier::ForAnyValue, rest),
            Some(("ForAllValues", rest)) => (Quantifier::ForAllValues, rest),
            Some(_) => return Err(unknown(text)),
        };
        let (name, if_exists) =
            rest.strip_suffix("IfExists").map_or((rest, false), |name| (name, true));
        let (operator, negated) = Operator::parse(name).ok_or_else(|| unknown(text))?;
        if operator == Operator::Null && (if_exists || quantifier != Quantifier::Single) {
            return Err(unknown(text));
        }
        let condition = Self { operator, negated, quantifier, if_exists, key, values };
        condition.check_values()?;
        Ok(condition)
    }

    fn check_values(&self) -> Result<(), MalformedPolicy> {
        let well_formed = |value: &String| match self.operator {
            Operator::Bool | Operator::Null => matches!(value.as_str(), "true" | "false"),
            Operator::Numeric(_) => value.parse::<f64>().is_ok(),
            Operator::Date(_) => Timestamp::parse_iso8601_or_epoch(value).is_some(),
            Operator::IpAddress => parse_network(value).is_some(),
            _ => true,
        };
        match self.values.iter().find(|value| !well_formed(value)) {
            None => Ok(()),
            Some(value) => Err(MalformedPolicy::new(format!(
                "Invalid value {value:?} for the condition key {:?}",
                self.key
            ))),
        }
    }

    /// Whether a request of which `facts` are true fulfils this condition.
    pub(super) fn holds(&self, facts: &dyn Facts) -> bool {
        let found = facts.values(&self.key);
        if self.operator == Operator::Null {
            let absent = if found.is_empty() { "true" } else { "false" };
            return self.values.iter().any(|value| value == absent);
        }
        if found.is_empty() {
            // A negated operator holds for what is not there, as does a condition on all of nothing.
            return self.if_exists || self.negated || self.quantifier == Quantifier::ForAllValues;
        }
        // A negated operator holds for a value that equals none of the policy's.
        let fits = |value: &String| {
            self.values.iter().any(|wanted| self.operator.fits(wanted, value)) != self.negated
        };
        match (self.quantifier, self.negated) {
            (Quantifier::ForAllValues, _) | (Quantifier::Single, true) => found.iter().all(fits),
            (Quantifier::ForAnyValue, _) | (Quantifier::Single, false) => found.iter().any(fits),
        }
    }
}

impl Operator {
    /// The operator of that name, and whether it is its negation.
    fn parse(name: &str) -> Option<(Self, bool)> {
        Some(match name {
            "StringEquals" => (Self::StringEquals, false),
            "StringNotEquals" => (Self::StringEquals, true),
            "StringEqualsIgnoreCase" => (Self::StringEqualsIgnoreCase, false),
            "StringNotEqualsIgnoreCase" => (Self::StringEqualsIgnoreCase, true),
            "StringLike" => (Self::StringLike, false),
            "StringNotLike" => (Self::StringLike, true),
            // IAM gives both the meaning of Like.
            "ArnEquals" | "ArnLike" => (Self::ArnLike, false),
            "ArnNotEquals" | "ArnNotLike" => (Self::ArnLike, true),
            "Bool" => (Self::Bool, false),
            "IpAddress" => (Self::IpAddress, false),
            "NotIpAddress" => (Self::IpAddress, true),
            "Null" => (Self::Null, false),
            _ => return Self::parse_comparison(name),
        })
    }

    fn parse_comparison(name: &str) -> Option<(Self, bool)> {
        let (of, name): (fn(Comparison) -> Self, &str) = match name.strip_prefix("Numeric") {
            Some(rest) => (Self::Numeric, rest),
            None => (Self::Date, name.strip_prefix("Date")?),
        };
        Some(match name {
            "Equals" => (of(Comparison::Equals), false),
            "NotEquals" => (of(Comparison::Equals), true),
            "LessThan" => (of(Comparison::LessThan), false),
            "LessThanEquals" => (of(Comparison::LessThanEquals), false),
            "GreaterThan" => (of(Comparison::GreaterThan), false),
            "GreaterThanEquals" => (of(Comparison::GreaterThanEquals), false),
            _ => return None,
        })
    }

    fn fits(self, wanted: &str, found: &str) -> bool {
        match self {
            Self::StringEquals => wanted == found,
            Self::StringEqualsIgnoreCase | Self::Bool => wanted.eq_ignore_ascii_case(found),
            Self::StringLike => glob::matches(wanted, found),
            Self::ArnLike => arn_like(wanted, found),
            Self::Numeric(comparison) => {
                let (found, wanted) = (found.parse::<f64>().ok(), wanted.parse::<f64>().ok());
                comparison.holds(found.zip(wanted).and_then(|(f, w)| f.partial_cmp(&w)))
            }
            Self::Date(comparison) => {
                let found = Timestamp::parse_iso8601_or_epoch(found);
                let wanted = Timestamp::parse_iso8601_or_epoch(wanted);
                comparison.holds(found.zip(wanted).map(|(found, wanted)| found.cmp(&wanted)))
            }
            Self::IpAddress => match (parse_network(wanted), found.parse::<IpAddr>()) {
                (Some(network), Ok(address)) => network.contains(&address.to_canonical()),
                _ => false,
            },
            // Decided before any value is compared.
            Self::Null => false,
        }
    }
}

impl Comparison {
    /// Whether a value of the request that compares so with the policy's fits; what cannot be compared
    /// does not.
    fn holds(self, order: Option<Ordering>) -> bool {
        order.is_some_and(|order| match self {
            Self::Equals => order.is_eq(),
            Self::LessThan => order.is_lt(),
            Self::LessThanEquals => order.is_le(),
            Self::GreaterThan => order.is_gt(),
            Self::GreaterThanEquals => order.is_ge(),
        })
    }
}

/// A network in CIDR form (RFC 4632), or one address.
fn parse_network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// Compares part by part, so that no wildcard reaches across a colon of the first five.
fn arn_like(wanted: &str, found: &str) -> bool {
    let mut found_parts = found.splitn(6, ':');
    let mut wanted_parts = wanted.splitn(6, ':');
    loop {
        match (wanted_parts.next(), found_parts.next()) {
            (None, None) => return true,
            (Some(wanted), Some(found)) if glob::matches(wanted, found) => {}
            _ => return false,
        }
    }
}

fn unknown(operator: &str) -> MalformedPolicy {
    MalformedPolicy::new(format!("The condition operator {operator:?} is not supported"))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Given(Vec<&'static str>);

    impl Facts for Given {
        fn values(&self, key: &str) -> Vec<String> {
            assert_eq!(key, "k");
            self.0.iter().map(|value| (*value).to_owned()).collect()
        }
    }

    fn holds(operator: &str, policy: &[&str], request: &[&'static str]) -> bool {
        let values = policy.iter().map(|value| (*value).to_owned()).collect();
        let condition = Condition::parse(operator, "k".into(), values).unwrap();
        condition.holds(&Given(request.to_vec()))
    }

    #[test]
    fn operators_on_one_value() {
        for (operator, policy, request, wanted) in [
            ("StringEquals", "a", "a", true),
            ("StringEquals", "a*", "ab", false),
            ("StringNotEquals", "a", "b", true),
            ("StringNotEquals", "a", "a", false),
            ("StringEqualsIgnoreCase", "A", "a", true),
            ("StringLike", "a*", "ab", true),
            ("StringNotLike", "a*", "ab", false),
            ("ArnLike", "arn:aws:iam::*:user/x", "arn:aws:iam::1:user/x", true),
            ("ArnLike", "arn:*:user/x", "arn:aws:iam::1:user/x", false),
            ("Bool", "true", "true", true),
            ("NumericLessThanEquals", "30", "30", true),
            ("NumericLessThan", "30", "30", false),
            ("NumericGreaterThan", "7", "30", true),
            ("DateLessThan", "2026-01-01T00:00:00Z", "2025-12-31T23:59:59Z", true),
            ("DateLessThan", "2026-01-01", "2026-01-01T00:00:00Z", false),
            ("DateLessThanEquals", "2026-01-01", "2026-01-01T00:00:00Z", true),
            ("DateGreaterThan", "2026-01-01T01:00:00+01:00", "2026-01-01T00:00:01Z", true),
            ("DateGreaterThanEquals", "1767225600", "2026-01-01T00:00:00Z", true),
            ("DateNotEquals", "2026-01-01", "1767225600", false),
            ("IpAddress", "203.0.113.0/24", "203.0.113.7", true),
            ("IpAddress", "203.0.113.0/24", "203.0.114.7", false),
            ("IpAddress", "203.0.113.7", "::ffff:203.0.113.7", true),
            ("NotIpAddress", "2001:db8::/32", "2001:db8::1", false),
            ("NotIpAddress", "2001:db8::/32", "192.0.2.1", true),
            ("Null", "true", "x", false),
            ("Null", "false", "x", true),
        ] {
            assert_eq!(
                holds(operator, &[policy], &[request]),
                wanted,
                "{operator} {policy} {request}"
            );
        }
    }

    #[test]
    fn values_that_an_operator_cannot_compare_are_refused() {
        for (operator, value) in [
            ("DateLessThan", "tomorrow"),
            ("DateLessThan", "2026-13-01"),
            ("IpAddress", "203.0.113.0/33"),
            ("IpAddress", "*"),
            ("NumericEquals", "many"),
            ("Bool", "yes"),
        ] {
            assert!(Condition::parse(operator, "k".into(), vec![value.into()]).is_err(), "{value}");
        }
    }

    #[test]
    fn what_is_absent() {
        assert!(!holds("StringEquals", &["a"], &[]));
        assert!(holds("StringEqualsIfExists", &["a"], &[]));
        assert!(holds("StringNotEquals", &["a"], &[]));
        assert!(holds("Null", &["true"], &[]));
        assert!(holds("ForAllValues:StringEquals", &["a"], &[]));
        assert!(!holds("ForAnyValue:StringEquals", &["a"], &[]));
    }

    #[test]
    fn several_values() {
        assert!(holds("ForAllValues:StringEquals", &["a", "b"], &["a", "b"]));
        assert!(!holds("ForAllValues:StringEquals", &["a", "b"], &["a", "c"]));
        assert!(holds("ForAnyValue:StringEquals", &["a", "b"], &["c", "b"]));
        assert!(!holds("ForAnyValue:StringEquals", &["a", "b"], &["c", "d"]));
        // A negated operator must not be satisfied by one harmless value beside a forbidden one.
        assert!(!holds("StringNotEquals", &["a"], &["a", "c"]));
    }
}
