//! Typed names: accounts, Regions, keys, aliases and the ARNs made of them.
//!
//! Each parses strictly and prints canonically, so that two spellings never name one thing and a
//! name never becomes a path or a query.

mod cluster;
mod grant;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Serialize, Serializer};

pub use cluster::{BackupId, ClusterId, CustomKeyStoreId, HsmId, InterfaceId};
pub(crate) use grant::GrantId;

/// Longest name of a Region, in bytes (API model: `RegionType`).
const REGION_BYTES_MAX: usize = 32;
/// Longest alias name with its prefix, in bytes (API model: `AliasNameType`).
pub(crate) const ALIAS_BYTES_MAX: usize = 256;
/// What every alias name begins with.
pub(crate) const ALIAS_PREFIX: &str = "alias/";

/// Text that is not the name it was taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a well-formed {0}")]
pub struct MalformedId(&'static str);

macro_rules! serialize_as_display {
    ($($name:ty),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}
serialize_as_display!(AccountId, Region, KeyId, AliasName, KeyArn, AliasArn);

/// An AWS account: twelve decimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(u64);

impl AccountId {
    /// The account as a number below 10^12, as it is written into ciphertext.
    pub(crate) fn as_u64(self) -> u64 {
        self.0
    }

    /// The account of that number, if it has at most twelve digits.
    pub(crate) fn from_u64(number: u64) -> Option<Self> {
        (number < 1_000_000_000_000).then_some(Self(number))
    }
}

impl FromStr for AccountId {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        if text.len() != 12 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(MalformedId("account id (twelve digits)"));
        }
        text.parse().map(Self).map_err(|_| MalformedId("account id"))
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012}", self.0)
    }
}

/// A Region, for example `eu-central-1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region(Arc<str>);

impl Region {
    /// The Region's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Region {
    type Err = MalformedId;

    /// Accepts what the API model's `RegionType` accepts: `^([a-z]+-){2,3}\d+$`.
    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let malformed = MalformedId("Region");
        let (words, number) = text.rsplit_once('-').ok_or(malformed)?;
        let count = words.split('-').count();
        let well_formed = text.len() <= REGION_BYTES_MAX
            && (2..=3).contains(&count)
            && words.split('-').all(|w| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase()))
            && !number.is_empty()
            && number.bytes().all(|b| b.is_ascii_digit());
        if well_formed { Ok(Self(text.into())) } else { Err(malformed) }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A KMS key's id: a UUID, or `mrk-` and 32 hexadecimal digits for a multi-Region key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId {
    bytes: [u8; 16],
    multi_region: bool,
}

impl KeyId {
    /// A new random id of a single-Region key.
    #[must_use]
    pub fn random() -> Self {
        Self { bytes: *uuid::Uuid::new_v4().as_bytes(), multi_region: false }
    }

    /// A new random id of a multi-Region key.
    #[must_use]
    pub fn random_multi_region() -> Self {
        Self { multi_region: true, ..Self::random() }
    }

    /// The id's sixteen bytes, and whether it is a multi-Region key's.
    pub(crate) fn to_parts(self) -> ([u8; 16], bool) {
        (self.bytes, self.multi_region)
    }

    /// The inverse of `to_parts`.
    pub(crate) fn from_parts(bytes: [u8; 16], multi_region: bool) -> Self {
        Self { bytes, multi_region }
    }
}

impl FromStr for KeyId {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let malformed = MalformedId("key id");
        let (digits, multi_region) = match text.strip_prefix("mrk-") {
            Some(digits) if digits.len() == 32 => (digits, true),
            None if text.len() == 36 => (text, false),
            _ => return Err(malformed),
        };
        let id = uuid::Uuid::try_parse(digits).map_err(|_| malformed)?;
        let id = Self { bytes: *id.as_bytes(), multi_region };
        // One spelling each: AWS's ids are lower case.
        let is_lower_case = !digits.bytes().any(|byte| byte.is_ascii_uppercase());
        if is_lower_case { Ok(id) } else { Err(malformed) }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uuid = uuid::Uuid::from_bytes(self.bytes);
        if self.multi_region {
            write!(f, "mrk-{}", uuid.simple())
        } else {
            write!(f, "{}", uuid.hyphenated())
        }
    }
}

/// An alias with its prefix, for example `alias/archive`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AliasName(Arc<str>);

impl AliasName {
    /// The name, which begins with `alias/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name lies in the part that AWS keeps for its own keys.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with("alias/aws/")
    }
}

impl FromStr for AliasName {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let name = text.strip_prefix(ALIAS_PREFIX).unwrap_or_default();
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-' | b':');
        if name.is_empty() || text.len() > ALIAS_BYTES_MAX || !name.bytes().all(allowed) {
            return Err(MalformedId("alias name"));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for AliasName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The place of every resource: one account in one Region. No state is shared between two of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RealmId {
    /// The account.
    pub account: AccountId,
    /// The Region.
    pub region: Region,
}

impl RealmId {
    /// The ARN of a key of this account and Region.
    #[must_use]
    pub fn key_arn(&self, key: KeyId) -> KeyArn {
        KeyArn { realm: self.clone(), key }
    }

    /// The ARN of an alias of this account and Region.
    #[must_use]
    pub fn alias_arn(&self, alias: &AliasName) -> AliasArn {
        AliasArn { realm: self.clone(), alias: alias.clone() }
    }
}

/// A key's ARN: `arn:aws:kms:<region>:<account>:key/<key id>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyArn {
    /// Account and Region.
    pub realm: RealmId,
    /// The key.
    pub key: KeyId,
}

impl fmt::Display for KeyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arn:aws:kms:{}:{}:key/{}", self.realm.region, self.realm.account, self.key)
    }
}

/// An alias's ARN: `arn:aws:kms:<region>:<account>:alias/<name>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AliasArn {
    /// Account and Region.
    pub realm: RealmId,
    /// The alias.
    pub alias: AliasName,
}

impl fmt::Display for AliasArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arn:aws:kms:{}:{}:{}", self.realm.region, self.realm.account, self.alias)
    }
}

/// The `<resource>` part of a KMS ARN and where it lies; the resource itself is not yet judged.
pub(crate) fn split_kms_arn(text: &str) -> Result<(RealmId, &str), MalformedId> {
    let malformed = MalformedId("KMS ARN");
    let mut parts = text.splitn(6, ':');
    let mut next = || parts.next().ok_or(malformed);
    let (scheme, partition, service) = (next()?, next()?, next()?);
    if (scheme, partition, service) != ("arn", "aws", "kms") {
        return Err(malformed);
    }
    let region = next()?.parse()?;
    let account = next()?.parse()?;
    Ok((RealmId { account, region }, next()?))
}

/// A random id, from a generator that makes no system call each time.
pub(crate) fn random_uuid() -> uuid::Uuid {
    let mut bytes = [0; 16];
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => uuid::Builder::from_random_bytes(bytes).into_uuid(),
        Err(_) => uuid::Uuid::new_v4(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_ids_have_one_spelling() {
        for text in ["1234abcd-12ab-34cd-56ef-1234567890ab", "mrk-1234abcd12ab34cd56ef1234567890ab"]
        {
            assert_eq!(text.parse::<KeyId>().unwrap().to_string(), text);
        }
        for text in [
            "1234ABCD-12ab-34cd-56ef-1234567890ab",
            "1234abcd12ab34cd56ef1234567890ab",
            "mrk-1234abcd-12ab-34cd-56ef-1234567890ab",
            "{1234abcd-12ab-34cd-56ef-1234567890ab}",
            "",
        ] {
            assert!(text.parse::<KeyId>().is_err(), "{text}");
        }
    }

    #[test]
    fn regions_follow_the_model() {
        for text in ["us-east-1", "us-gov-west-1", "ap-southeast-12"] {
            assert_eq!(text.parse::<Region>().unwrap().as_str(), text);
        }
        for text in ["", "us", "us-1", "us-east", "US-east-1", "us--1", "us-east-1/..", "a-b-c-d-1"]
        {
            assert!(text.parse::<Region>().is_err(), "{text}");
        }
    }

    #[test]
    fn aliases_are_bounded() {
        let longest = format!("alias/{}", "a".repeat(ALIAS_BYTES_MAX - ALIAS_PREFIX.len()));
        assert!(longest.parse::<AliasName>().is_ok());
        for text in [format!("{longest}a"), "alias/".into(), "x".into(), "alias/a b".into()] {
            assert!(text.parse::<AliasName>().is_err(), "{text}");
        }
        assert!("alias/aws/s3".parse::<AliasName>().unwrap().is_reserved());
    }

    #[test]
    fn arns_split_where_they_print() {
        let realm = RealmId {
            account: "000000000123".parse().unwrap(),
            region: "eu-central-1".parse().unwrap(),
        };
        let arn = realm.key_arn(KeyId::random());
        let text = arn.to_string();
        let (found, resource) = split_kms_arn(&text).unwrap();
        assert_eq!((found, resource), (realm, format!("key/{}", arn.key).as_str()));
        assert!(split_kms_arn("arn:aws:s3:::bucket").is_err());
    }
}
