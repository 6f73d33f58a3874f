//! Tags: their shape and their rules, for every operation that takes some.

use std::collections::BTreeMap;

use crate::protocol::{Fault, FaultCode, ListLimits, Members, StringLimits};

/// Tags of one key (quota of KMS).
const TAG_COUNT_MAX: usize = 50;
pub(super) const TAG_KEY: StringLimits = StringLimits::length(1, 128);
const TAG_VALUE: StringLimits = StringLimits::length(0, 256);

/// Reads a `Tags` member.
pub(super) fn optional_tags(
    members: &mut Members,
) -> Result<Option<BTreeMap<String, String>>, Fault> {
    let pairs = members.optional_structures("Tags", &ListLimits::ANY, |tag| {
        Ok((tag.string("TagKey", &TAG_KEY)?, tag.string("TagValue", &TAG_VALUE)?))
    })?;
    let Some(pairs) = pairs else { return Ok(None) };
    let count = pairs.len();
    let tags: BTreeMap<_, _> = pairs.into_iter().collect();
    if tags.len() != count {
        members.refuse(tag_fault("Duplicate tag keys"));
    }
    Ok(Some(tags))
}

/// Checks the rules for the names and number of a key's tags.
pub(super) fn check(tags: &BTreeMap<String, String>) -> Result<(), Fault> {
    if tags.keys().any(|name| name.to_ascii_lowercase().starts_with("aws:")) {
        return Err(tag_fault("Tag keys that begin with aws: are reserved"));
    }
    let allowed = |c: char| c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-@".contains(c);
    if tags.iter().flat_map(|(name, value)| [name, value]).any(|text| !text.chars().all(allowed)) {
        return Err(tag_fault("A tag has a character that is not allowed"));
    }
    if tags.len() > TAG_COUNT_MAX {
        return Err(Fault::new(
            FaultCode::LimitExceededException,
            format!("A key has at most {TAG_COUNT_MAX} tags"),
        ));
    }
    Ok(())
}

fn tag_fault(message: &str) -> Fault {
    Fault::new(FaultCode::TagException, message)
}
