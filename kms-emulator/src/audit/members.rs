//! Which members of requests and replies a record shows, and how CloudTrail writes them.
//!
//! Shown is what a list names, nothing else: a member that some later operation brings is hidden until
//! somebody decides that it is no secret. Members that are not shown are not even copied.

use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::clock::Timestamp;

/// Members of requests that are shown. Left out are plaintexts, ciphertexts, messages, signatures, MACs,
/// public keys, import material, tokens, passwords, and DryRun, which the samples do not show either.
const SHOWN_OF_REQUESTS: &[&str] = &[
    "AliasName",
    "AvailabilityZone",
    "BackupId",
    "BackupRetentionPolicy",
    "BypassPolicyLockoutSafetyCheck",
    "CloudHsmClusterId",
    "ClusterId",
    "Constraints",
    "CustomKeyStoreId",
    "CustomKeyStoreName",
    "CustomKeyStoreType",
    "CustomerMasterKeySpec",
    "Description",
    "DestinationEncryptionAlgorithm",
    "DestinationEncryptionContext",
    "DestinationKeyId",
    "DestinationRegion",
    "DurationSeconds",
    "EncryptionAlgorithm",
    "EncryptionContext",
    "EniId",
    "EniIp",
    "ExpirationModel",
    "ExternalId",
    "Filters",
    "GrantId",
    "GranteePrincipal",
    "HsmId",
    "HsmType",
    "ImportType",
    "IncludeKeyMaterial",
    "IpAddress",
    "KeyAgreementAlgorithm",
    "KeyId",
    "KeyMaterialDescription",
    "KeyMaterialId",
    "KeyPairSpec",
    "KeySpec",
    "KeyUsage",
    "Limit",
    "MacAlgorithm",
    "Marker",
    "MaxResults",
    "MessageType",
    "Mode",
    "MultiRegion",
    "Name",
    "NetworkType",
    "NeverExpires",
    "NewCustomKeyStoreName",
    "NextToken",
    "Operations",
    "Origin",
    "PendingWindowInDays",
    "Policy",
    "PolicyName",
    "PrimaryRegion",
    "ReplicaRegion",
    "ResourceArn",
    "ResourceId",
    "RetiringPrincipal",
    "RoleArn",
    "RoleSessionName",
    "RotationPeriodInDays",
    "Shared",
    "SigningAlgorithm",
    "SortAscending",
    "SourceBackupId",
    "SourceEncryptionAlgorithm",
    "SourceEncryptionContext",
    "SourceKeyId",
    "SubnetIds",
    "TagKeyList",
    "TagKeys",
    "TagList",
    "Tags",
    "TargetKeyId",
    "ValidTo",
    "WrappingAlgorithm",
    "WrappingKeySpec",
];
/// The same of replies of operations that change something.
const SHOWN_OF_REPLIES: &[&str] = &[
    "Backup",
    "Cluster",
    "CustomKeyStoreId",
    "DeletionDate",
    "DestinationBackup",
    "GrantId",
    "Hsm",
    "HsmId",
    "KeyId",
    "KeyMaterialId",
    "KeyMetadata",
    "KeyState",
    "PendingWindowInDays",
    "ReplicaKeyMetadata",
    "ReplicaPolicy",
    "ReplicaTags",
    "ResourceArn",
    "State",
    "StateMessage",
];
/// Members of the replies of all operations that `additionalEventData` shows.
const SHOWN_BESIDE: &[&str] = &["DestinationKeyMaterialId", "KeyMaterialId", "SourceKeyMaterialId"];
/// Members that are hidden wherever they stand.
const HIDDEN_WITHIN: &[&str] = &["PreCoPassword", "KeyStorePassword"];
/// Members that map names of the caller's, which stay as they are.
const MAPS: &[&str] = &[
    "DestinationEncryptionContext",
    "EncryptionContext",
    "EncryptionContextEquals",
    "EncryptionContextSubset",
    "Filters",
    "SourceEncryptionContext",
    "SubnetMapping",
];
/// Members that are instants.
const INSTANTS: &[&str] = &[
    "CopyTimestamp",
    "CreateTimestamp",
    "CreationDate",
    "DeleteTimestamp",
    "DeletionDate",
    "ValidTo",
];
/// Operations whose encryption algorithm is shown even where the request leaves it out.
const DEFAULT_ALGORITHMS: &[(&str, &str)] = &[
    ("Encrypt", "encryptionAlgorithm"),
    ("Decrypt", "encryptionAlgorithm"),
    ("ReEncrypt", "sourceEncryptionAlgorithm"),
    ("ReEncrypt", "destinationEncryptionAlgorithm"),
];

/// What a record shows of a request's body; none if nothing, or if it is no JSON object.
pub(super) fn of_request(operation: &str, body: &[u8]) -> Option<Map<String, Value>> {
    let mut shown = read(SHOWN_OF_REQUESTS, body)?;
    for (_, member) in DEFAULT_ALGORITHMS.iter().filter(|(name, _)| *name == operation) {
        shown.entry(*member).or_insert_with(|| "SYMMETRIC_DEFAULT".into());
    }
    (!shown.is_empty()).then_some(shown)
}

/// What a record shows of the reply of an operation that changes something.
pub(super) fn of_reply(body: &[u8]) -> Option<Map<String, Value>> {
    read(SHOWN_OF_REPLIES, body).filter(|shown| !shown.is_empty())
}

/// What a record shows of any reply beside its elements.
pub(super) fn beside_reply(body: &[u8]) -> Map<String, Value> {
    read(SHOWN_BESIDE, body).unwrap_or_default()
}

/// The ARN of the key that a reply describes.
pub(super) fn made_key(reply: &Map<String, Value>) -> Option<&str> {
    ["keyMetadata", "replicaKeyMetadata"]
        .iter()
        .find_map(|member| reply.get(*member)?.get("arn")?.as_str())
}

fn read(shown: &[&str], body: &[u8]) -> Option<Map<String, Value>> {
    let mut input = serde_json::Deserializer::from_slice(body);
    Shown(shown).deserialize(&mut input).ok()
}

/// Reads the members of an object that a list names, and skips the others.
struct Shown<'a>(&'a [&'a str]);

impl<'de> DeserializeSeed<'de> for Shown<'_> {
    type Value = Map<String, Value>;

    fn deserialize<D: serde::Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Shown<'_> {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = Map::new();
        while let Some(name) = members.next_key::<std::borrow::Cow<'de, str>>()? {
            if self.0.binary_search(&name.as_ref()).is_err() {
                members.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = members.next_value()?;
            if !matches!(value, Value::Null) {
                found.insert(lower_first(&name), written(&name, value));
            }
        }
        Ok(found)
    }
}

/// A member's value as CloudTrail writes it.
fn written(name: &str, value: Value) -> Value {
    match value {
        Value::Object(_) if MAPS.contains(&name) => value,
        Value::Object(members) => members
            .into_iter()
            .filter(|(name, value)| !value.is_null() && !HIDDEN_WITHIN.contains(&name.as_str()))
            .map(|(name, value)| (lower_first(&name), written(&name, value)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.into_iter().map(|item| written(name, item)).collect(),
        Value::Number(seconds) if INSTANTS.contains(&name) => match seconds.as_f64() {
            Some(seconds) => Timestamp::from_seconds(seconds).to_cloudtrail_date().into(),
            None => Value::Null,
        },
        other => other,
    }
}

fn lower_first(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_searched_is_sorted() {
        for list in [SHOWN_OF_REQUESTS, SHOWN_OF_REPLIES, SHOWN_BESIDE] {
            assert!(list.is_sorted());
        }
    }

    #[test]
    fn requests() {
        let shown = |operation: &str, body: Value| {
            Value::from(of_request(operation, body.to_string().as_bytes()))
        };
        assert_eq!(
            shown(
                "Encrypt",
                json!({"KeyId": "k", "Plaintext": "c2VjcmV0", "EncryptionContext": {"Dept": "It"},
                       "GrantTokens": ["t"], "Later": 1})
            ),
            json!({"keyId": "k", "encryptionContext": {"Dept": "It"},
                   "encryptionAlgorithm": "SYMMETRIC_DEFAULT"})
        );
        assert_eq!(
            shown("TagResource", json!({"Tags": [{"TagKey": "Dept", "TagValue": "IT"}]})),
            json!({"tags": [{"tagKey": "Dept", "tagValue": "IT"}]})
        );
        assert_eq!(
            shown("CreateGrant", json!({"Constraints": {"EncryptionContextSubset": {"A": "b"}}})),
            json!({"constraints": {"encryptionContextSubset": {"A": "b"}}})
        );
        assert_eq!(
            shown("ImportKeyMaterial", json!({"ValidTo": 1_609_531_200, "ImportToken": "dA=="})),
            json!({"validTo": "Jan 1, 2021, 8:00:00 PM"})
        );
        assert_eq!(shown("GenerateRandom", json!({"NumberOfBytes": 32})), Value::Null);
        assert_eq!(Value::from(of_request("Encrypt", b"[1]")), Value::Null);
    }

    #[test]
    fn replies() {
        let cluster = json!({"Cluster": {"ClusterId": "c", "PreCoPassword": "secret", "Hsms": []}});
        assert_eq!(
            Value::from(of_reply(cluster.to_string().as_bytes())),
            json!({"cluster": {"clusterId": "c", "hsms": []}})
        );
        let key = json!({"KeyMetadata": {"AWSAccountId": "1", "Arn": "a", "CreationDate": 0.5}});
        let shown = of_reply(key.to_string().as_bytes()).unwrap();
        assert_eq!(made_key(&shown), Some("a"));
        assert_eq!(
            Value::from(shown),
            json!({"keyMetadata": {"aWSAccountId": "1", "arn": "a",
                                   "creationDate": "Jan 1, 1970, 12:00:00 AM"}})
        );
        let data_key = br#"{"Plaintext":"c2VjcmV0","KeyMaterialId":"m"}"#;
        assert_eq!(Value::from(beside_reply(data_key)), json!({"keyMaterialId": "m"}));
    }
}
