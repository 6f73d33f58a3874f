//! Condition blocks: operators, their qualifiers, and whether a request fulfils them.

use serde_json::Value;

use super::document::{MalformedPolicy, strings};
use super::facts::Facts;
use super::glob;

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
    NumericEquals,
    NumericLessThan,
    NumericLessThanEquals,
    NumericGreaterThan,
    NumericGreaterThanEquals,
    Null,
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
            Operator::NumericEquals
            | Operator::NumericLessThan
            | Operator::NumericLessThanEquals
            | Operator::NumericGreaterThan
            | Operator::NumericGreaterThanEquals => value.parse::<f64>().is_ok(),
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
            "NumericEquals" => (Self::NumericEquals, false),
            "NumericNotEquals" => (Self::NumericEquals, true),
            "NumericLessThan" => (Self::NumericLessThan, false),
            "NumericLessThanEquals" => (Self::NumericLessThanEquals, false),
            "NumericGreaterThan" => (Self::NumericGreaterThan, false),
            "NumericGreaterThanEquals" => (Self::NumericGreaterThanEquals, false),
            "Null" => (Self::Null, false),
            _ => return None,
        })
    }

    fn fits(self, wanted: &str, found: &str) -> bool {
        let numeric = |holds: fn(&f64, &f64) -> bool| match (found.parse(), wanted.parse()) {
            (Ok(found), Ok(wanted)) => holds(&found, &wanted),
            _ => false,
        };
        match self {
            Self::StringEquals => wanted == found,
            Self::StringEqualsIgnoreCase | Self::Bool => wanted.eq_ignore_ascii_case(found),
            Self::StringLike => glob::matches(wanted, found),
            Self::ArnLike => arn_like(wanted, found),
            Self::NumericEquals => numeric(|found, wanted| found == wanted),
            Self::NumericLessThan => numeric(|found, wanted| found < wanted),
            Self::NumericLessThanEquals => numeric(|found, wanted| found <= wanted),
            Self::NumericGreaterThan => numeric(|found, wanted| found > wanted),
            Self::NumericGreaterThanEquals => numeric(|found, wanted| found >= wanted),
            // Decided before any value is compared.
            Self::Null => false,
        }
    }
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
