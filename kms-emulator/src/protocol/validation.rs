//! The constraints of the API model, worded as AWS words their breach.
//!
//! A breach says `Value <shown> at '<path>' failed to satisfy constraint: Member must <rule>`.

/// Longest value that a message repeats, in characters; the caller knows what it sent.
const SHOWN_CHARACTERS_MAX: usize = 256;

/// Constraints of a string member; lengths count characters, as the model does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StringLimits {
    pub(crate) characters_min: usize,
    pub(crate) characters_max: usize,
    pub(crate) pattern: Option<Pattern>,
}

/// The model's regular expression, for the message, and the predicate that decides it.
pub(crate) type Pattern = (&'static str, fn(&str) -> bool);

impl StringLimits {
    /// A length alone.
    pub(crate) const fn length(characters_min: usize, characters_max: usize) -> Self {
        Self { characters_min, characters_max, pattern: None }
    }

    /// A length and a pattern.
    pub(crate) const fn pattern(self, expression: &'static str, holds: fn(&str) -> bool) -> Self {
        Self { pattern: Some((expression, holds)), ..self }
    }

    /// Appends a sentence for every constraint that `value` at `path` breaks.
    pub(crate) fn check(&self, path: &str, value: &str, violations: &mut Vec<String>) {
        let characters = value.chars().count();
        let shown = show(value);
        if characters < self.characters_min {
            violations.push(breach(&shown, path, &at_least("length", self.characters_min)));
        }
        if characters > self.characters_max {
            violations.push(breach(&shown, path, &at_most("length", self.characters_max)));
        }
        if let Some((expression, holds)) = self.pattern
            && !holds(value)
        {
            let rule = format!("satisfy regular expression pattern: {expression}");
            violations.push(breach(&shown, path, &rule));
        }
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
            violations.push(unseen_breach(path, &at_least("length", self.bytes_min)));
        }
        if length > self.bytes_max {
            violations.push(unseen_breach(path, &at_most("length", self.bytes_max)));
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
                violations.push(breach(&shown, path, &at_most("value", self.max)));
            }
            Err(_) if value > 0 => {
                violations.push(breach(&shown, path, &at_most("value", self.max)));
            }
            _ => violations.push(breach(&shown, path, &at_least("value", self.min))),
        }
        self.min
    }
}

/// Constraints of a list's length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListLimits {
    pub(crate) items_max: usize,
}

impl ListLimits {
    /// Appends a sentence if a list of `length` items at `path` is too long.
    pub(crate) fn check(&self, path: &str, length: usize, violations: &mut Vec<String>) {
        if length > self.items_max {
            violations.push(unseen_breach(path, &at_most("length", self.items_max)));
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

    /// The sentence for a value that is none of the set.
    fn breach(path: &str, name: &str) -> String {
        let names: Vec<&str> = Self::VALUES.iter().map(|(known, _)| *known).collect();
        breach(&show(name), path, &format!("satisfy enum value set: [{}]", names.join(", ")))
    }
}

/// The sentence for a required member that is absent.
pub(crate) fn absent(path: &str) -> String {
    breach("null", path, "not be null")
}

/// All sentences in the one message of a `ValidationException`.
pub(crate) fn summary(violations: &[String]) -> String {
    let plural = if violations.len() == 1 { "error" } else { "errors" };
    format!("{} validation {plural} detected: {}", violations.len(), violations.join("; "))
}

fn breach(shown: &str, path: &str, rule: &str) -> String {
    format!("Value {shown} at '{path}' failed to satisfy constraint: Member must {rule}")
}

fn unseen_breach(path: &str, rule: &str) -> String {
    format!("Value at '{path}' failed to satisfy constraint: Member must {rule}")
}

fn at_least(what: &str, bound: impl std::fmt::Display) -> String {
    format!("have {what} greater than or equal to {bound}")
}

fn at_most(what: &str, bound: impl std::fmt::Display) -> String {
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
    fn a_blob_is_never_shown() {
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
