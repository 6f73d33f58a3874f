//! The constraints of the API model, worded as AWS words their breach.
//!
//! A breach says `Value <shown> at '<path>' failed to satisfy constraint: Member must <rule>`.

use std::fmt;

/// Longest value that a message repeats, in characters; the caller knows what it sent.
const SHOWN_CHARACTERS_MAX: usize = 256;

/// Constraints of a string member; lengths count characters, as the model does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StringLimits {
    pub(crate) characters_min: usize,
    pub(crate) characters_max: usize,
    pub(crate) pattern: Option<Pattern>,
    /// Whether no message repeats the value.
    pub(crate) is_sensitive: bool,
}

/// The model's regular expression, for the message, and the predicate that decides it.
pub(crate) type Pattern = (&'static str, fn(&str) -> bool);

impl StringLimits {
    /// A length alone.
    pub(crate) const fn length(characters_min: usize, characters_max: usize) -> Self {
        Self { characters_min, characters_max, pattern: None, is_sensitive: false }
    }

    /// A length and a pattern.
    pub(crate) const fn pattern(self, expression: &'static str, holds: fn(&str) -> bool) -> Self {
        Self { pattern: Some((expression, holds)), ..self }
    }

    /// The same for a secret.
    pub(crate) const fn sensitive(self) -> Self {
        Self { is_sensitive: true, ..self }
    }

    /// Appends a sentence for every constraint that `value` at `path` breaks.
    pub(crate) fn check(&self, path: &str, value: &str, violations: &mut Vec<String>) {
        let shown = (!self.is_sensitive).then(|| show(value));
        let broken = self.rules().filter(|rule| !rule.holds(value));
        violations.extend(broken.map(|rule| breach(shown.as_deref(), path, &rule.to_string())));
    }

    /// The constraints, in the order in which AWS lists those of an item.
    fn rules(&self) -> impl Iterator<Item = StringRule> {
        let (min, max) = (self.characters_min, self.characters_max);
        let pattern = self.pattern.map(StringRule::Pattern);
        [
            (max < usize::MAX).then_some(StringRule::AtMost(max)),
            (min > 0).then_some(StringRule::AtLeast(min)),
            pattern,
        ]
        .into_iter()
        .flatten()
    }
}

/// One constraint of a string.
enum StringRule {
    AtMost(usize),
    AtLeast(usize),
    Pattern(Pattern),
}

impl StringRule {
    fn holds(&self, value: &str) -> bool {
        match self {
            Self::AtMost(max) => value.len() <= *max || value.chars().count() <= *max,
            Self::AtLeast(min) => value.chars().count() >= *min,
            Self::Pattern((_, holds)) => holds(value),
        }
    }
}

impl fmt::Display for StringRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(max) => f.write_str(&at_most("length", max)),
            Self::AtLeast(min) => f.write_str(&at_least("length", min)),
            Self::Pattern((expression, _)) => {
                write!(f, "satisfy regular expression pattern: {expression}")
            }
        }
    }
}

/// What the items of a list are held to. A list is told all rules of its items once one of them breaks any.
pub(crate) trait ItemRules {
    /// Whether an item keeps them.
    fn hold(&self, item: &str) -> bool;
    /// All of them, each as a sentence with `Member must` before it.
    fn sentences(&self) -> Vec<String>;
}

impl ItemRules for StringLimits {
    fn hold(&self, item: &str) -> bool {
        self.rules().all(|rule| rule.holds(item))
    }

    fn sentences(&self) -> Vec<String> {
        self.rules().map(|rule| format!("Member must {rule}")).collect()
    }
}

/// Constraints of a blob; the value, which may be secret, is never shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlobLimits {
    pub(crate) bytes_min: usize,
    pub(crate) bytes_max: usize,
}

impl BlobLimits {
    /// Appends a sentence for every constraint that a blob of `length` bytes at `path` breaks.
    pub(crate) fn check(&self, path: &str, length: usize, violations: &mut Vec<String>) {
        if length < self.bytes_min {
            violations.push(breach(None, path, &at_least("length", self.bytes_min)));
        }
        if length > self.bytes_max {
            violations.push(breach(None, path, &at_most("length", self.bytes_max)));
        }
    }
}

/// Constraints of an integer member.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IntegerLimits {
    pub(crate) min: u32,
    pub(crate) max: u32,
}

impl IntegerLimits {
    /// The value as it may be used, or a sentence for the constraint that it breaks.
    pub(crate) fn check(&self, path: &str, value: i64, violations: &mut Vec<String>) -> u32 {
        let shown = format!("'{value}'");
        match u32::try_from(value) {
            Ok(fitting) if fitting >= self.min && fitting <= self.max => return fitting,
            Ok(large) if large > self.max => {
                violations.push(breach(Some(&shown), path, &at_most("value", self.max)));
            }
            Err(_) if value > 0 => {
                violations.push(breach(Some(&shown), path, &at_most("value", self.max)));
            }
            _ => violations.push(breach(Some(&shown), path, &at_least("value", self.min))),
        }
        self.min
    }
}

/// Constraints of a list's length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListLimits {
    pub(crate) items_min: usize,
    pub(crate) items_max: usize,
}

impl ListLimits {
    /// A list that only the length of the body bounds.
    pub(crate) const ANY: Self = Self::of(0, usize::MAX);

    /// From `items_min` to `items_max` items.
    pub(crate) const fn of(items_min: usize, items_max: usize) -> Self {
        Self { items_min, items_max }
    }

    /// Appends a sentence for every constraint that a list of structures at `path` breaks.
    pub(crate) fn check(&self, path: &str, length: usize, violations: &mut Vec<String>) {
        self.check_shown(path, length, None, violations);
    }

    /// The same for a list of strings, and what their own rules say of them.
    pub(crate) fn check_items(
        &self,
        path: &str,
        items: &[String],
        rules: &impl ItemRules,
        violations: &mut Vec<String>,
    ) {
        let is_kept = items.iter().all(|item| rules.hold(item));
        if is_kept && (self.items_min..=self.items_max).contains(&items.len()) {
            return;
        }
        let shown = show(&format!("[{}]", items.join(", ")));
        self.check_shown(path, items.len(), Some(&shown), violations);
        if !is_kept {
            let rule = format!("satisfy constraint: [{}]", rules.sentences().join(", "));
            violations.push(breach(Some(&shown), path, &rule));
        }
    }

    fn check_shown(
        &self,
        path: &str,
        length: usize,
        shown: Option<&str>,
        violations: &mut Vec<String>,
    ) {
        if length < self.items_min {
            violations.push(breach(shown, path, &at_least("length", self.items_min)));
        }
        if length > self.items_max {
            violations.push(breach(shown, path, &at_most("length", self.items_max)));
        }
    }
}

/// A string member that takes one of a set of values.
pub(crate) trait EnumValues: Copy + Sized + 'static {
    /// Every value of the model, by its name on the wire, in the model's order.
    const VALUES: &'static [(&'static str, Self)];

    /// The value of that name.
    fn from_wire(name: &str) -> Option<Self> {
        Self::VALUES.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// The name on the wire.
    fn as_str(self) -> &'static str
    where
        Self: PartialEq,
    {
        Self::VALUES.iter().find(|(_, value)| *value == self).map_or("", |(name, _)| name)
    }

    /// The rule, as a sentence goes on.
    fn rule() -> String {
        let names: Vec<&str> = Self::VALUES.iter().map(|(known, _)| *known).collect();
        format!("satisfy enum value set: [{}]", names.join(", "))
    }

    /// The sentence for a value that is none of the set.
    fn breach(path: &str, name: &str) -> String {
        breach(Some(&show(name)), path, &Self::rule())
    }
}

/// The values of a set, as what the items of a list are held to.
pub(crate) struct OneOf<E>(pub(crate) std::marker::PhantomData<E>);

impl<E: EnumValues> ItemRules for OneOf<E> {
    fn hold(&self, item: &str) -> bool {
        E::from_wire(item).is_some()
    }

    fn sentences(&self) -> Vec<String> {
        vec![format!("Member must {}", E::rule())]
    }
}

/// The sentence for a required member that is absent.
pub(crate) fn absent(path: &str) -> String {
    breach(Some("null"), path, "not be null")
}

/// All sentences in the one message of a `ValidationException`.
pub(crate) fn summary(violations: &[String]) -> String {
    let plural = if violations.len() == 1 { "error" } else { "errors" };
    format!("{} validation {plural} detected: {}", violations.len(), violations.join("; "))
}

/// `shown` is none for what no message repeats.
fn breach(shown: Option<&str>, path: &str, rule: &str) -> String {
    let value = shown.map_or(String::new(), |shown| format!(" {shown}"));
    format!("Value{value} at '{path}' failed to satisfy constraint: Member must {rule}")
}

fn at_least(what: &str, bound: impl fmt::Display) -> String {
    format!("have {what} greater than or equal to {bound}")
}

fn at_most(what: &str, bound: impl fmt::Display) -> String {
    format!("have {what} less than or equal to {bound}")
}

fn show(value: &str) -> String {
    let shown: String = value.chars().take(SHOWN_CHARACTERS_MAX).collect();
    format!("'{shown}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(check: impl FnOnce(&mut Vec<String>)) -> String {
        let mut violations = Vec::new();
        check(&mut violations);
        if violations.is_empty() { String::new() } else { summary(&violations) }
    }

    #[test]
    fn lengths_at_the_bound_and_beyond() {
        let limits = StringLimits::length(1, 4);
        assert_eq!(of(|v| limits.check("keyId", "four", v)), "");
        assert_eq!(
            of(|v| limits.check("keyId", "fives", v)),
            "1 validation error detected: Value 'fives' at 'keyId' failed to satisfy constraint: \
             Member must have length less than or equal to 4"
        );
        assert_eq!(
            of(|v| limits.check("keyId", "", v)),
            "1 validation error detected: Value '' at 'keyId' failed to satisfy constraint: \
             Member must have length greater than or equal to 1"
        );
    }

    #[test]
    fn a_list_is_told_every_rule_of_its_items_once() {
        let (list, each) = (ListLimits::of(1, 2), StringLimits::length(1, 4));
        let told = |items: &[&str]| {
            let items: Vec<String> = items.iter().map(|item| (*item).to_owned()).collect();
            of(|v| list.check_items("tagKeys", &items, &each, v))
        };
        assert_eq!(told(&["a", "four"]), "");
        assert_eq!(
            told(&["", "fives"]),
            "1 validation error detected: Value '[, fives]' at 'tagKeys' failed to satisfy constraint: \
             Member must satisfy constraint: [Member must have length less than or equal to 4, \
             Member must have length greater than or equal to 1]"
        );
        assert_eq!(
            told(&["a", "b", "c"]),
            "1 validation error detected: Value '[a, b, c]' at 'tagKeys' failed to satisfy constraint: \
             Member must have length less than or equal to 2"
        );
    }

    #[test]
    fn secrets_are_never_shown() {
        let limits = StringLimits::length(7, 32).sensitive();
        assert_eq!(
            of(|v| limits.check("keyStorePassword", "secret", v)),
            "1 validation error detected: Value at 'keyStorePassword' failed to satisfy constraint: \
             Member must have length greater than or equal to 7"
        );
        let limits = BlobLimits { bytes_min: 1, bytes_max: 4096 };
        assert_eq!(of(|v| limits.check("plaintext", 4096, v)), "");
        assert_eq!(
            of(|v| limits.check("plaintext", 4097, v)),
            "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: \
             Member must have length less than or equal to 4096"
        );
    }

    #[test]
    fn integers_of_any_size() {
        let limits = IntegerLimits { min: 1, max: 1024 };
        for (value, fits) in [
            (0, false),
            (1, true),
            (1024, true),
            (1025, false),
            (i64::MIN, false),
            (i64::MAX, false),
        ] {
            assert_eq!(
                of(|v| {
                    limits.check("numberOfBytes", value, v);
                })
                .is_empty(),
                fits
            );
        }
    }
}
