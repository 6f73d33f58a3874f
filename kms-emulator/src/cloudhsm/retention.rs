//! `BackupRetentionPolicy`: for how long the backups of a cluster are kept.

use std::ops::RangeInclusive;

use super::shapes::invalid_request;
use crate::protocol::{EnumValues, Fault, Members, StringLimits};

/// Days for which backups are kept: bounds and default of the user guide.
const DAYS: RangeInclusive<u32> = 7..=379;
pub(super) const DAYS_DEFAULT: u32 = 90;

const VALUE: StringLimits = StringLimits::length(1, 3)
    .pattern("[0-9]+", |text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));

/// `BackupRetentionType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RetentionType {
    Days,
}

impl EnumValues for RetentionType {
    const VALUES: &'static [(&'static str, Self)] = &[("DAYS", Self::Days)];
}

/// `BackupRetentionPolicy`.
#[derive(Debug)]
pub(super) struct RetentionPolicy {
    kind: Option<RetentionType>,
    value: Option<String>,
}

impl RetentionPolicy {
    /// Reads a policy that may be absent.
    pub(super) fn read(members: &mut Members) -> Result<Option<Self>, Fault> {
        members.optional_structure("BackupRetentionPolicy", |policy| {
            Ok(Self {
                kind: policy.optional_enum("Type")?,
                value: policy.optional_string("Value", &VALUE)?,
            })
        })
    }

    /// The days for which backups are kept.
    ///
    /// # Errors
    ///
    /// `CloudHsmInvalidRequestException` for a policy that is not whole, or a number out of bounds.
    pub(super) fn days(&self) -> Result<u32, Fault> {
        let value = self.value.as_deref().filter(|_| self.kind.is_some());
        let days = value.and_then(|value| value.parse().ok()).filter(|days| DAYS.contains(days));
        days.ok_or_else(|| {
            invalid_request(format!(
                "The backup retention is a number of DAYS from {} to {}.",
                DAYS.start(),
                DAYS.end()
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backups_are_kept_for_seven_to_379_days() {
        let policy = |value: &str| RetentionPolicy {
            kind: Some(RetentionType::Days),
            value: Some(value.to_owned()),
        };
        assert_eq!(policy("7").days().unwrap(), 7);
        assert_eq!(policy("379").days().unwrap(), 379);
        assert!(policy("6").days().is_err());
        assert!(policy("380").days().is_err());
        let halves = [
            RetentionPolicy { kind: None, value: Some("9".into()) },
            RetentionPolicy { kind: Some(RetentionType::Days), value: None },
        ];
        assert!(halves.iter().all(|policy| policy.days().is_err()));
    }
}
