//! What a key store stores for one version of a branch key.
//!
//! A record is a set of attributes of text and the wrapped branch key. The attributes are what the KMS
//! authenticates when it unwraps: nobody can change one, or move a record to another branch key, version
//! or store.
//!
//! Source: `framework/branch-key-store.md#record-format`, `framework/branch-key-store.md#encryption-context`.

use std::collections::BTreeMap;

use super::{BranchKeyId, BranchKeyVersion};
use crate::error::{BranchKeyFault, Result};
use crate::kms::arn::KmsArn;
use crate::message::encryption_context::EncryptionContext;

/// The attributes' names, which every implementation shares.
pub mod attribute {
    /// The branch key's identifier.
    pub const BRANCH_KEY_ID: &str = "branch-key-id";
    /// [`TYPE_ACTIVE`], or [`VERSION_PREFIX`] and a version.
    pub const TYPE: &str = "type";
    /// In the active record: [`VERSION_PREFIX`] and the version that is active.
    pub const VERSION: &str = "version";
    /// The wrapped branch key, the one attribute that is not text.
    pub const ENC: &str = "enc";
    /// ARN of the KMS key that the branch key is under.
    pub const KMS_ARN: &str = "kms-arn";
    /// When the version was made: ISO 8601, UTC, microseconds.
    pub const CREATE_TIME: &str = "create-time";
    /// [`HIERARCHY_VERSION_1`].
    pub const HIERARCHY_VERSION: &str = "hierarchy-version";
    /// Before each key of the branch key's own encryption context.
    pub const CONTEXT_PREFIX: &str = "aws-crypto-ec:";

    /// The type of the active record.
    pub const TYPE_ACTIVE: &str = "branch:ACTIVE";
    /// Before a version.
    pub const VERSION_PREFIX: &str = "branch:version:";
    /// The only version of the hierarchy that there is.
    pub const HIERARCHY_VERSION_1: &str = "1";
    /// Authenticated with the record and not stored in it: the store's logical name.
    pub const TABLE_NAME: &str = "tablename";
}
use attribute::{
    BRANCH_KEY_ID, CONTEXT_PREFIX, CREATE_TIME, ENC, HIERARCHY_VERSION, HIERARCHY_VERSION_1,
    KMS_ARN, TABLE_NAME, TYPE, TYPE_ACTIVE, VERSION, VERSION_PREFIX,
};

/// Whether a record is the active one, or the one of its version for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The version that wraps now.
    Active,
    /// The version, to unwrap with.
    DecryptOnly,
}

/// What a record says, all but the wrapped key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    attributes: BTreeMap<String, String>,
    id: BranchKeyId,
    kind: Kind,
    version: BranchKeyVersion,
    kms_arn: KmsArn,
}

impl Description {
    /// What there is to say of a new version.
    ///
    /// `create_time` is ISO 8601 in UTC with microseconds.
    ///
    /// # Errors
    /// [`BranchKeyFault::Record`] when one of the texts cannot stand there.
    pub fn new(
        id: &BranchKeyId,
        kind: Kind,
        version: BranchKeyVersion,
        kms_arn: &KmsArn,
        create_time: &str,
        context: &EncryptionContext,
    ) -> Result<Self> {
        let versioned = format!("{VERSION_PREFIX}{version}");
        let mut attributes = BTreeMap::from([
            (BRANCH_KEY_ID.to_owned(), id.to_string()),
            (KMS_ARN.to_owned(), kms_arn.to_string()),
            (CREATE_TIME.to_owned(), create_time.to_owned()),
            (HIERARCHY_VERSION.to_owned(), HIERARCHY_VERSION_1.to_owned()),
        ]);
        //= framework/branch-key-store.md#active-encryption-context
        //# The ACTIVE encryption context MUST have a `version` attribute.
        //= framework/branch-key-store.md#decrypt_only-encryption-context
        //# The DECRYPT_ONLY encryption context MUST NOT have a `version` attribute.
        match kind {
            Kind::Active => {
                attributes.insert(TYPE.to_owned(), TYPE_ACTIVE.to_owned());
                attributes.insert(VERSION.to_owned(), versioned);
            }
            Kind::DecryptOnly => {
                attributes.insert(TYPE.to_owned(), versioned);
            }
        }
        //= framework/branch-key-store.md#custom-encryption-context
        //# To avoid name collisions each added attribute from the custom encryption context
        //# MUST be prefixed with `aws-crypto-ec:`.
        for (key, value) in context.iter() {
            attributes.insert(format!("{CONTEXT_PREFIX}{key}"), value.to_owned());
        }
        Self::from_attributes(attributes)
    }

    /// Reads stored attributes, all but [`ENC`].
    ///
    /// # Errors
    /// [`BranchKeyFault::Record`] with the first that is missing or cannot be.
    pub fn from_attributes(attributes: BTreeMap<String, String>) -> Result<Self> {
        let text = |name: &'static str| {
            let found = attributes.get(name).filter(|text| !text.is_empty());
            found.ok_or(BranchKeyFault::Record(name))
        };
        let id = BranchKeyId::new(attributes.get(BRANCH_KEY_ID).map_or("", String::as_str))?;
        let parse = || {
            let (kind, versioned) = match text(TYPE)?.as_str() {
                TYPE_ACTIVE => (Kind::Active, text(VERSION)?),
                _ if attributes.contains_key(VERSION) => {
                    return Err(BranchKeyFault::Record(VERSION));
                }
                _ => (Kind::DecryptOnly, text(TYPE)?),
            };
            //= framework/branch-key-store.md#branch-key-materials-from-authenticated-encryption-context
            //# Branch Key Version The version string MUST start with `branch:version:`.
            let version = versioned.strip_prefix(VERSION_PREFIX);
            let version = BranchKeyVersion::parse(version.ok_or(BranchKeyFault::Record(TYPE))?)?;
            text(CREATE_TIME)?;
            if text(HIERARCHY_VERSION)? != HIERARCHY_VERSION_1 {
                return Err(BranchKeyFault::Record(HIERARCHY_VERSION));
            }
            //= framework/branch-key-store.md#encryption-context
            //# MUST NOT have a `enc` attribute
            if let Some(reserved) =
                [ENC, TABLE_NAME].into_iter().find(|a| attributes.contains_key(*a))
            {
                return Err(BranchKeyFault::Record(reserved));
            }
            let kms_arn = KmsArn::parse_key(text(KMS_ARN)?);
            Ok((kind, version, kms_arn.map_err(|_| BranchKeyFault::Record(KMS_ARN))?))
        };
        let (kind, version, kms_arn) = parse().map_err(|fault| id.error(fault))?;
        Ok(Self { id, kind, version, kms_arn, attributes })
    }

    /// The attributes to store, all but [`ENC`].
    #[must_use]
    pub fn attributes(&self) -> &BTreeMap<String, String> {
        &self.attributes
    }

    /// The branch key.
    #[must_use]
    pub fn id(&self) -> &BranchKeyId {
        &self.id
    }

    /// Whether this is the active record.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The version.
    #[must_use]
    pub fn version(&self) -> BranchKeyVersion {
        self.version
    }

    /// The KMS key that the branch key is under.
    #[must_use]
    pub fn kms_arn(&self) -> &KmsArn {
        &self.kms_arn
    }

    /// What its maker bound to the branch key.
    ///
    /// # Errors
    /// As [`EncryptionContext::insert`].
    pub fn encryption_context(&self) -> Result<EncryptionContext> {
        let own = self.attributes.iter().filter_map(|(name, value)| {
            Some((name.strip_prefix(CONTEXT_PREFIX)?.to_owned(), value.clone()))
        });
        EncryptionContext::from_pairs(own)
    }

    /// What the KMS authenticates: every attribute, and the store's logical name.
    pub(super) fn kms_context(&self, logical_name: &str) -> Result<EncryptionContext> {
        let mut context = EncryptionContext::new();
        for (name, value) in &self.attributes {
            context.insert_any(name.clone(), value.clone())?;
        }
        context.insert_any(TABLE_NAME.to_owned(), logical_name.to_owned())?;
        Ok(context)
    }
}

/// One stored record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchKeyRecord {
    /// What it says.
    pub description: Description,
    /// The branch key under the KMS key: [`ENC`].
    pub wrapped: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn description(kind: Kind) -> Description {
        let id = BranchKeyId::new("tenant-1").unwrap();
        let version = BranchKeyVersion::from_bytes([9; 16]);
        let arn = KmsArn::parse("arn:aws:kms:eu-central-1:111122223333:key/1234").unwrap();
        let context = EncryptionContext::from_pairs([("department", "admin")]).unwrap();
        Description::new(&id, kind, version, &arn, "2023-06-03T19:03:29.358000Z", &context).unwrap()
    }

    #[test]
    fn the_kms_authenticates_what_the_specification_names() {
        let pairs = |kind| -> Vec<(String, String)> {
            let context = description(kind).kms_context("logical").unwrap();
            context.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
        };
        let version = "branch:version:09090909-0909-0909-0909-090909090909";
        let common = [
            ("aws-crypto-ec:department", "admin"),
            ("branch-key-id", "tenant-1"),
            ("create-time", "2023-06-03T19:03:29.358000Z"),
            ("hierarchy-version", "1"),
            ("kms-arn", "arn:aws:kms:eu-central-1:111122223333:key/1234"),
            ("tablename", "logical"),
        ];
        let with = |more: &[(&str, &str)]| -> Vec<(String, String)> {
            let all = common.iter().chain(more);
            all.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let active = [("type", "branch:ACTIVE"), ("version", version)];
        assert_eq!(pairs(Kind::Active), with(&active));
        assert_eq!(pairs(Kind::DecryptOnly), with(&[("type", version)]));
    }

    #[test]
    fn stored_attributes_are_read_back() {
        for kind in [Kind::Active, Kind::DecryptOnly] {
            let written = description(kind);
            let read = Description::from_attributes(written.attributes().clone()).unwrap();
            assert_eq!(read, written);
            assert_eq!(read.encryption_context().unwrap().get("department"), Some("admin"));
        }
    }

    #[test]
    fn a_record_that_lacks_or_contradicts_something_is_refused() {
        let changes: [(&str, Option<&str>); 12] = [
            (BRANCH_KEY_ID, None),
            (TYPE, None),
            (TYPE, Some("beacon:ACTIVE")),
            (TYPE, Some("branch:version:09090909-0909-0909-0909-090909090909")),
            (VERSION, None),
            (VERSION, Some("09090909-0909-0909-0909-090909090909")),
            (KMS_ARN, Some("arn:aws:kms:eu-central-1:111122223333:alias/x")),
            (CREATE_TIME, None),
            (HIERARCHY_VERSION, Some("2")),
            (HIERARCHY_VERSION, None),
            (ENC, Some("x")),
            (TABLE_NAME, Some("other")),
        ];
        for (name, value) in changes {
            let mut attributes = description(Kind::Active).attributes().clone();
            attributes.remove(name);
            if let Some(value) = value {
                attributes.insert(name.to_owned(), value.to_owned());
            }
            let error = Description::from_attributes(attributes).unwrap_err();
            assert!(matches!(error, Error::BranchKey { .. }), "{name} {value:?}: {error}");
        }
    }
}
