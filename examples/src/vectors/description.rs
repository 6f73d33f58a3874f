//! Key descriptions: which keyrings and CMMs a test asks for, as a tree.
//!
//! Source: `framework/test-vectors/key-description.md` of the specification, and "AWS Encryption SDK Master
//! Key" of the test vector framework, whose older names it keeps.

use serde_json::Value;

use super::error::Result;
use super::json::{Object, same};

/// A keyring, or a CMM around one. Keys are named as in the keys manifest.
pub(super) enum KeyDescription {
    RawAes(RawKey),
    RawRsa(RawKey, Padding),
    RawEcdh(Ecdh),
    Kms {
        key: String,
    },
    KmsMrk {
        key: String,
    },
    KmsDiscovery(Discovery),
    KmsMrkDiscovery {
        region: String,
        discovery: Discovery,
    },
    KmsRsa {
        key: String,
        algorithm: String,
    },
    KmsEcdh(Ecdh),
    Hierarchy {
        key: String,
    },
    StaticMaterial {
        key: String,
    },
    Multi {
        generator: Option<Box<KeyDescription>>,
        children: Vec<KeyDescription>,
    },
    RequiredContext {
        keys: Vec<String>,
        underlying: Box<KeyDescription>,
    },
    Caching(Caching),
    /// A type that is not known here.
    Unknown {
        name: String,
    },
}

/// What every raw keyring is told.
pub(super) struct RawKey {
    pub(super) namespace: String,
    pub(super) key: String,
    /// The name of the key in messages, when it is not the one in the keys manifest.
    pub(super) key_id: Option<String>,
}

/// The padding of a raw RSA keyring, or the words of one that there is not.
pub(super) enum Padding {
    Pkcs1,
    OaepSha1,
    OaepSha256,
    OaepSha384,
    OaepSha512,
    Unknown(String),
}

/// Who agrees with whom on a key.
pub(super) struct Ecdh {
    /// `static`, `ephemeral` or `discovery`.
    pub(super) schema: String,
    pub(super) sender: String,
    pub(super) recipient: String,
}

/// Whose KMS keys a discovery keyring may use.
pub(super) struct Discovery {
    pub(super) partition: Option<String>,
    pub(super) accounts: Vec<String>,
}

/// A caching CMM, and whether its cache is to be disturbed.
pub(super) struct Caching {
    pub(super) underlying: Box<KeyDescription>,
    pub(super) seconds: u64,
    /// Whether the test replaces the identifiers of cache entries, which this library lets nobody do.
    pub(super) replaces_identifiers: bool,
}

impl KeyDescription {
    /// The descriptions in `value`: one, or a list of them. A list is a multi-keyring, the first its
    /// generator, as in the older manifests.
    pub(super) fn parse(value: &Value, place: &str, field: &str) -> Result<Self> {
        let Value::Array(elements) = value else {
            return Self::of_object(&Object::of(value, place, field)?);
        };
        let mut all: Vec<Self> =
            elements.iter().map(|one| Self::parse(one, place, field)).collect::<Result<_>>()?;
        if all.len() == 1 {
            return Ok(all.remove(0));
        }
        let children = all.split_off(all.len().min(1));
        Ok(Self::Multi { generator: all.pop().map(Box::new), children })
    }

    fn of_object(object: &Object<'_>) -> Result<Self> {
        let name = object.required_text("type")?;
        let key = || Ok(object.required_text("key")?.to_owned());
        Ok(match name {
            "raw" => return Self::raw(object),
            "raw-ecdh" => Self::RawEcdh(Ecdh::of(object)?),
            "aws-kms" => Self::Kms { key: key()? },
            "aws-kms-mrk-aware" => Self::KmsMrk { key: key()? },
            "aws-kms-discovery" => Self::KmsDiscovery(Discovery::of(object)?),
            "aws-kms-mrk-aware-discovery" => {
                let region = object.required_text("default-mrk-region")?.to_owned();
                Self::KmsMrkDiscovery { region, discovery: Discovery::of(object)? }
            }
            "aws-kms-rsa" => {
                let algorithm = object.text("encryption-algorithm")?;
                let algorithm = algorithm.unwrap_or("RSAES_OAEP_SHA_256").to_owned();
                Self::KmsRsa { key: key()?, algorithm }
            }
            "aws-kms-ecdh" => Self::KmsEcdh(Ecdh::of(object)?),
            "aws-kms-hierarchy" => Self::Hierarchy { key: key()? },
            "static-material-keyring" => Self::StaticMaterial { key: key()? },
            "multi-keyring" => return Self::multi(object),
            "required-encryption-context-cmm" => Self::RequiredContext {
                keys: object.texts("requiredEncryptionContextKeys")?,
                underlying: Self::underlying(object)?,
            },
            "caching-cmm" => Self::Caching(Caching {
                underlying: Self::underlying(object)?,
                seconds: object.number("cacheLimitTtlSeconds")?.unwrap_or(60),
                replaces_identifiers: object
                    .first(&["getEntryIdentifier", "putEntryIdentifier"])
                    .is_some_and(|(_, identifier)| identifier != ""),
            }),
            _ => Self::Unknown { name: name.to_owned() },
        })
    }

    fn raw(object: &Object<'_>) -> Result<Self> {
        let raw = RawKey {
            namespace: object.required_text("provider-id")?.to_owned(),
            key: object.required_text("key")?.to_owned(),
            key_id: object.text("key-id")?.map(str::to_owned),
        };
        Ok(match object.required_text("encryption-algorithm")? {
            "aes" => Self::RawAes(raw),
            "rsa" => Self::RawRsa(raw, Padding::of(object)?),
            other => Self::Unknown { name: format!("raw {other}") },
        })
    }

    fn multi(object: &Object<'_>) -> Result<Self> {
        let one = |value: &Value, field| Self::parse(value, object.place(), field);
        let generator = object.get("generator").map(|value| one(value, "generator")).transpose()?;
        let children = object.list("childKeyrings")?.iter();
        let children = children.map(|child| one(child, "childKeyrings")).collect::<Result<_>>()?;
        Ok(Self::Multi { generator: generator.map(Box::new), children })
    }

    fn underlying(object: &Object<'_>) -> Result<Box<Self>> {
        const NAME: &str = "underlying";
        let value = object.get(NAME).ok_or_else(|| object.error(NAME, "is missing"))?;
        Self::parse(value, object.place(), NAME).map(Box::new)
    }
}

impl Padding {
    fn of(object: &Object<'_>) -> Result<Self> {
        let algorithm = object.required_text("padding-algorithm")?;
        let hash = object.text("padding-hash")?.unwrap_or("none");
        let is_oaep = same(algorithm, "oaep-mgf1") || same(algorithm, "oaep");
        Ok(match hash {
            _ if same(algorithm, "pkcs1") => Self::Pkcs1,
            "sha1" | "sha-1" if is_oaep => Self::OaepSha1,
            "sha256" | "sha-256" if is_oaep => Self::OaepSha256,
            "sha384" | "sha-384" if is_oaep => Self::OaepSha384,
            "sha512" | "sha-512" if is_oaep => Self::OaepSha512,
            _ => Self::Unknown(format!("{algorithm} with {hash}")),
        })
    }
}

impl Ecdh {
    fn of(object: &Object<'_>) -> Result<Self> {
        let text = |name| Ok(object.required_text(name)?.to_owned());
        Ok(Self {
            schema: text("schema")?,
            sender: object.text("sender")?.unwrap_or_default().to_owned(),
            recipient: text("recipient")?,
        })
    }
}

impl Discovery {
    fn of(object: &Object<'_>) -> Result<Self> {
        let Some(filter) = object.object("aws-kms-discovery-filter")? else {
            return Ok(Self { partition: None, accounts: Vec::new() });
        };
        Ok(Self {
            partition: Some(filter.required_text("partition")?.to_owned()),
            accounts: filter.texts("account-ids")?,
        })
    }
}
