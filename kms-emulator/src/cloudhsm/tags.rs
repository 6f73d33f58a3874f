//! Tags of clusters and backups.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::protocol::{Fault, FaultCode, ListLimits, Members, StringLimits};

/// Tags of one cluster or backup (quota of CloudHSM).
pub(super) const TAG_COUNT_MAX: usize = 50;

pub(super) const TAG_LIST: ListLimits = ListLimits::of(1, TAG_COUNT_MAX);
pub(super) const TAG_KEY: StringLimits = StringLimits::length(1, 128)
    .pattern("^([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$", has_letters_of_tags);
const TAG_VALUE: StringLimits = StringLimits::length(0, 256)
    .pattern("^([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$", has_letters_of_tags);

/// `Tag`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Tag {
    key: String,
    value: String,
}

/// Reads a `TagList` that may be absent.
///
/// A key that is given twice refuses the request with `CloudHsmTagException`.
pub(super) fn optional_tags(
    members: &mut Members,
) -> Result<Option<BTreeMap<String, String>>, Fault> {
    let pairs = members.optional_structures("TagList", &TAG_LIST, |tag| {
        Ok((tag.string("Key", &TAG_KEY)?, tag.string("Value", &TAG_VALUE)?))
    })?;
    let Some(pairs) = pairs else { return Ok(None) };
    let count = pairs.len();
    let tags: BTreeMap<_, _> = pairs.into_iter().collect();
    if tags.len() != count {
        let message = "A tag key is given twice.";
        members.refuse(Fault::new(FaultCode::CloudHsmTagException, message));
    }
    Ok(Some(tags))
}

/// Tags as replies show them.
pub(super) fn shown(tags: &BTreeMap<String, String>) -> Vec<Tag> {
    let tag = |(key, value): (&String, &String)| Tag { key: key.clone(), value: value.clone() };
    tags.iter().map(tag).collect()
}

fn has_letters_of_tags(text: &str) -> bool {
    text.chars().all(|c| {
        // Controls that separate, such as line breaks, are no separators to \p{Z}.
        let is_separator = c.is_whitespace() && !c.is_control();
        c.is_alphanumeric() || is_separator || "_.:/=+-@".contains(c)
    })
}
