//! Records of branch keys, which lie in a store that nobody trusts.

use std::collections::BTreeMap;

use strongroom_sdk::key_store::record::Description;

/// Reads the lines of `input`, each `name=value`, as the attributes of a record: what is accepted is kept
/// as it is.
pub fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let attributes: BTreeMap<String, String> =
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let Ok(description) = Description::from_attributes(attributes.clone()) else { return };
    assert_eq!(description.attributes(), &attributes);
    assert_eq!(
        attributes.get("branch-key-id").map(String::as_str),
        Some(description.id().as_str())
    );
    assert!(attributes.values().any(|value| value.ends_with(&description.version().to_string())));
    assert!(attributes.values().any(|value| *value == description.kms_arn().to_string()));
}

/// An active record, and one of a version.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let common = "branch-key-id=tenant\nhierarchy-version=1\ncreate-time=2026-01-02T03:04:05.678901Z\n\
                  kms-arn=arn:aws:kms:eu-central-1:111122223333:key/1234\naws-crypto-ec:department=admin\n";
    let version = "branch:version:e9ce18a3-edb5-4272-9f86-1cacb7997ff6";
    let active = format!("{common}type=branch:ACTIVE\nversion={version}\n");
    let decrypt_only = format!("{common}type={version}\n");
    vec![active.into_bytes(), decrypt_only.into_bytes()]
}
