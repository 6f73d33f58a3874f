//! Names of KMS keys: ARNs, key ids and aliases, taken apart once.
//!
//! A multi-Region key is one whose key id begins with `mrk-`; its copies in several Regions have the
//! same id and the same material. An alias may begin so too and says nothing.
//!
//! Source: `framework/aws-kms/aws-kms-key-arn.md`.

use std::fmt;

use crate::error::{KeyringFault, Result};

/// What the key ids of multi-Region keys begin with.
const MULTI_REGION_PREFIX: &str = "mrk-";
const ALIAS_PREFIX: &str = "alias/";
const ARN_PREFIX: &str = "arn:";

/// `arn:partition:kms:region:account:key/id`, or `alias/id` at its end; no part is empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KmsArn {
    partition: String,
    region: String,
    account: String,
    resource: Resource,
    id: String,
}

/// What kind of thing an ARN of the KMS names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Resource {
    Key,
    Alias,
}

impl KmsArn {
    /// Takes `text` apart.
    ///
    /// # Errors
    /// [`Error::Keyring`](crate::Error::Keyring) when it is not the ARN of a KMS key or alias.
    pub fn parse(text: &str) -> Result<Self> {
        Self::parts(text).ok_or_else(|| KeyringFault::KeyIdentifier(text.to_owned()).into())
    }

    /// As [`parse`](Self::parse), and the ARN names a key, not an alias.
    ///
    /// # Errors
    /// [`Error::Keyring`](crate::Error::Keyring) otherwise.
    pub fn parse_key(text: &str) -> Result<Self> {
        let key = Self::parts(text).filter(Self::is_key);
        key.ok_or_else(|| KeyringFault::KeyIdentifier(text.to_owned()).into())
    }

    fn parts(text: &str) -> Option<Self> {
        //= framework/aws-kms/aws-kms-key-arn.md#a-valid-aws-kms-arn
        //# MUST start with string `arn`
        //= framework/aws-kms/aws-kms-key-arn.md#a-valid-aws-kms-arn
        //# The service MUST be the string `kms`
        let mut parts = text.splitn(6, ':');
        let ("arn", partition, "kms", region, account, resource) = (
            parts.next()?,
            parts.next()?,
            parts.next()?,
            parts.next()?,
            parts.next()?,
            parts.next()?,
        ) else {
            return None;
        };
        //= framework/aws-kms/aws-kms-key-arn.md#a-valid-aws-kms-arn
        //# The resource type MUST be either `alias` or `key`
        let (resource, id) = match resource.split_once('/')? {
            ("key", id) => (Resource::Key, id),
            ("alias", id) => (Resource::Alias, id),
            _ => return None,
        };
        if [partition, region, account, id].iter().any(|part| part.is_empty()) {
            return None;
        }
        let [partition, region, account, id] = [partition, region, account, id].map(str::to_owned);
        Some(Self { partition, region, account, resource, id })
    }

    /// The partition, e.g. `aws`.
    #[must_use]
    pub fn partition(&self) -> &str {
        &self.partition
    }

    /// The Region, e.g. `eu-central-1`.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The account, twelve digits.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    /// Whether this names a key, not an alias.
    #[must_use]
    pub fn is_key(&self) -> bool {
        self.resource == Resource::Key
    }

    /// The id of the multi-Region key that this names, if it names one.
    #[must_use]
    pub fn multi_region_key_id(&self) -> Option<&str> {
        //= framework/aws-kms/aws-kms-key-arn.md#identifying-an-an-aws-kms-multi-region-arn
        //# If resource type is “alias”,
        //# this is an AWS KMS alias ARN and MUST return false.
        (self.is_key() && self.id.starts_with(MULTI_REGION_PREFIX)).then_some(&self.id)
    }

    /// The copy of this multi-Region key in `region`; any other key as it is.
    #[must_use]
    pub fn in_region(&self, region: &str) -> Self {
        let mut copy = self.clone();
        if self.multi_region_key_id().is_some() {
            region.clone_into(&mut copy.region);
        }
        copy
    }

    /// Whether both name the same key, or copies of one multi-Region key in any Regions.
    ///
    /// Source: `framework/aws-kms/aws-kms-mrk-match-for-decrypt.md`.
    #[must_use]
    pub fn matches_for_decrypt(&self, other: &Self) -> bool {
        //= framework/aws-kms/aws-kms-mrk-match-for-decrypt.md#implementation
        //# Otherwise if both inputs are identified as a multi-Region keys,
        //# this function MUST return the result of comparing
        //# the `partition`, `service`, `accountId`, `resourceType`, and `resource` parts of both ARN inputs.
        self.in_region(&other.region) == *other
    }
}

impl fmt::Display for KmsArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, region, account, resource, id } = self;
        let kind = match resource {
            Resource::Key => "key",
            Resource::Alias => "alias",
        };
        write!(f, "arn:{partition}:kms:{region}:{account}:{kind}/{id}")
    }
}

/// What a request may name a KMS key by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyIdentifier {
    text: String,
    arn: Option<KmsArn>,
}

impl KeyIdentifier {
    /// A key ARN, alias ARN, key id or alias (`alias/…`).
    ///
    /// # Errors
    /// [`Error::Keyring`](crate::Error::Keyring) for empty text, and for an ARN that names no KMS key or
    /// alias.
    pub fn parse(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        let arn = match text.starts_with(ARN_PREFIX) {
            true => Some(KmsArn::parse(&text)?),
            false => None,
        };
        if text.is_empty() || text == ALIAS_PREFIX {
            return Err(KeyringFault::KeyIdentifier(text).into());
        }
        Ok(Self { text, arn })
    }

    /// The identifier as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The key ARN that this is, if it is one: only that names exactly one key, for ever.
    #[must_use]
    pub fn key_arn(&self) -> Option<&KmsArn> {
        self.arn.as_ref().filter(|arn| arn.is_key())
    }

    /// The id of the multi-Region key that this names, if it names one.
    #[must_use]
    pub fn multi_region_key_id(&self) -> Option<&str> {
        //= framework/aws-kms/aws-kms-key-arn.md#identifying-an-an-aws-kms-multi-region-identifier
        //# If the input starts with “mrk-“,
        //# this is a multi-Region key id and MUST return true.
        match &self.arn {
            Some(arn) => arn.multi_region_key_id(),
            None => self.text.starts_with(MULTI_REGION_PREFIX).then_some(&self.text),
        }
    }
}

/// Refuses a list that names one multi-Region key twice: it would leave open which Region to ask.
///
/// # Errors
/// [`KeyringFault::MultiRegionKeyTwice`] with every identifier whose key comes twice.
///
/// Source: `framework/aws-kms/aws-kms-mrk-are-unique.md`.
pub(crate) fn require_unique_multi_region_keys(keys: &[KeyIdentifier]) -> Result<()> {
    //= framework/aws-kms/aws-kms-mrk-are-unique.md#implementation
    //# If any duplicate multi-region resource ids exist,
    //# this function MUST yield an error
    //# that includes all identifiers with duplicate resource ids
    //# not only the first duplicate found.
    let same = |key: &&KeyIdentifier| {
        let id = key.multi_region_key_id();
        id.is_some() && keys.iter().filter(|other| other.multi_region_key_id() == id).count() > 1
    };
    let twice: Vec<String> = keys.iter().filter(same).map(|key| key.text.clone()).collect();
    if twice.is_empty() { Ok(()) } else { Err(KeyringFault::MultiRegionKeyTwice(twice).into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd";
    const COPY_A: &str = "arn:aws:kms:eu-central-1:111122223333:key/mrk-1234";
    const COPY_B: &str = "arn:aws:kms:us-east-1:111122223333:key/mrk-1234";
    const ALIAS: &str = "arn:aws:kms:eu-central-1:111122223333:alias/mrk-1234";

    fn arn(text: &str) -> KmsArn {
        KmsArn::parse(text).unwrap()
    }

    #[test]
    fn arns_are_taken_apart_and_put_together_again() {
        for text in [KEY, COPY_A, ALIAS, "arn:aws-cn:kms:r:1:alias/a/b:c"] {
            assert_eq!(arn(text).to_string(), text);
        }
        let parts = arn(KEY);
        assert_eq!(
            (parts.partition(), parts.region(), parts.account()),
            ("aws", "eu-central-1", "111122223333")
        );
        for bad in [
            "",
            "alias/x",
            "arn",
            "arx:aws:kms:r:1:key/x",
            "arn::kms:r:1:key/x",
            "arn:aws:s3:::bucket",
            "arn:aws:kms::1:key/x",
            "arn:aws:kms:r::key/x",
            "arn:aws:kms:r:1:",
            "arn:aws:kms:r:1:key",
            "arn:aws:kms:r:1:key/",
            "arn:aws:kms:r:1:table/x",
        ] {
            assert!(KmsArn::parse(bad).is_err(), "{bad}");
        }
        assert!(KmsArn::parse_key(KEY).is_ok() && KmsArn::parse_key(ALIAS).is_err());
    }

    #[test]
    fn identifiers_are_arns_key_ids_and_aliases() {
        for good in [KEY, ALIAS, "1234abcd", "mrk-1234", "alias/backup"] {
            assert_eq!(KeyIdentifier::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "alias/", "arn:aws:s3:::bucket", "arn:aws:kms:r:1:key/"] {
            assert!(KeyIdentifier::parse(bad).is_err(), "{bad}");
        }
        let is_key_arn = |text| KeyIdentifier::parse(text).unwrap().key_arn().is_some();
        assert!(is_key_arn(KEY) && !is_key_arn(ALIAS) && !is_key_arn("1234abcd"));
    }

    #[test]
    fn only_the_id_of_a_key_tells_a_multi_region_key() {
        let id =
            |text| KeyIdentifier::parse(text).unwrap().multi_region_key_id().map(str::to_owned);
        assert_eq!(id(COPY_A).as_deref(), Some("mrk-1234"));
        assert_eq!(id("mrk-1234").as_deref(), Some("mrk-1234"));
        for other in [KEY, ALIAS, "1234abcd", "alias/mrk-1234"] {
            assert_eq!(id(other), None, "{other}");
        }
    }

    #[test]
    fn copies_of_a_multi_region_key_match_and_nothing_else_does() {
        assert!(arn(KEY).matches_for_decrypt(&arn(KEY)));
        assert!(arn(COPY_A).matches_for_decrypt(&arn(COPY_B)));
        for (one, other) in [
            (KEY, COPY_A),
            (KEY, "arn:aws:kms:us-east-1:111122223333:key/1234abcd"),
            (COPY_A, "arn:aws:kms:us-east-1:444455556666:key/mrk-1234"),
            (COPY_A, "arn:aws-cn:kms:us-east-1:111122223333:key/mrk-1234"),
            (COPY_A, "arn:aws:kms:us-east-1:111122223333:key/mrk-5678"),
            (ALIAS, "arn:aws:kms:us-east-1:111122223333:alias/mrk-1234"),
        ] {
            assert!(!arn(one).matches_for_decrypt(&arn(other)), "{one} {other}");
            assert!(!arn(other).matches_for_decrypt(&arn(one)), "{other} {one}");
        }
    }

    #[test]
    fn every_identifier_of_a_key_that_comes_twice_is_named() {
        let keys = |texts: &[&str]| -> Vec<KeyIdentifier> {
            texts.iter().map(|text| KeyIdentifier::parse(*text).unwrap()).collect()
        };
        require_unique_multi_region_keys(&keys(&[KEY, KEY, COPY_A, ALIAS])).unwrap();
        let error = require_unique_multi_region_keys(&keys(&[COPY_A, KEY, COPY_B])).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(COPY_A) && text.contains(COPY_B) && !text.contains(KEY), "{text}");
    }
}
