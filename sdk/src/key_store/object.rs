//! Branch keys as objects of an object store: made once, never overwritten, never deleted.
//!
//! ```text
//! PREFIX/ID/version/VERSION.json    the record of one version
//! PREFIX/ID/active/NUMBER.json      the record of the version that became active as the NUMBERth, from 1
//! ```
//! `ID` is the identifier, in which every byte but letters, digits, `-` and `_` is written as `=` and two
//! hexadecimal digits. A record is a JSON object of the attributes in [`attribute`], all text; the wrapped
//! key is Base64.
//!
//! The active record with the highest number counts. A new version is first stored and then made active,
//! by creating the next number: of two who do so at the same time, one finds the number taken. A crash in
//! between leaves a version that nothing refers to, and nothing else. Whoever owns the store can hide
//! records, and so bring back an earlier version, but can neither change nor make one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::macros::format_description;

use super::record::{BranchKeyRecord, Description, Kind, attribute};
use super::{BranchKey, BranchKeyId, BranchKeyStore, BranchKeyVersion, BranchKeyWrapping};
use crate::clock::Clock;
use crate::crypto::CryptoProvider;
use crate::error::{BranchKeyFault, Result};
use crate::message::encryption_context::EncryptionContext;
use crate::message::limits::within;
use crate::range::object::store_error;

/// Longest record, in bytes.
pub const RECORD_BYTES_MAX: u64 = 128 * 1024;
/// Digits in the number of an active record.
const NUMBER_DIGITS: usize = 10;

/// A key store in an object store.
pub struct ObjectKeyStore {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    wrapping: BranchKeyWrapping,
    clock: Arc<dyn Clock>,
    provider: Arc<dyn CryptoProvider>,
}

impl ObjectKeyStore {
    /// The key store below `prefix` of `store`; an empty one needs no preparation.
    ///
    /// Two key stores with the logical name of `wrapping` must not exist, here or elsewhere.
    #[must_use]
    pub fn new(
        store: Arc<dyn ObjectStore>,
        prefix: Path,
        wrapping: BranchKeyWrapping,
        clock: Arc<dyn Clock>,
        provider: Arc<dyn CryptoProvider>,
    ) -> Self {
        Self { store, prefix, wrapping, clock, provider }
    }

    /// Makes a branch key with `context` bound to it; without an `id`, it gets a random one.
    ///
    /// # Errors
    /// [`BranchKeyFault::NoContext`], [`BranchKeyFault::Exists`], as [`BranchKeyWrapping::new_version`],
    /// [`Error::Io`](crate::Error::Io) from the store.
    pub async fn create(
        &self,
        id: Option<BranchKeyId>,
        context: &EncryptionContext,
    ) -> Result<BranchKeyId> {
        let id = match id {
            //= framework/branch-key-store.md#createkey
            //# If an optional branch key id is provided
            //# and no encryption context is provided this operation MUST fail.
            Some(id) if context.is_empty() => return Err(id.error(BranchKeyFault::NoContext)),
            Some(id) => id,
            //= framework/branch-key-store.md#createkey
            //# If no branch key id is provided,
            //# then this operation MUST create a version 4 UUID
            //# to be used as the branch key id.
            None => BranchKeyId::new(BranchKeyVersion::random(&*self.provider)?.to_string())?,
        };
        if self.newest_active(&id).await?.is_some() {
            return Err(id.error(BranchKeyFault::Exists));
        }
        let kms_arn = self.wrapping.own_key(&id)?;
        self.add_version(&id, 1, kms_arn, context, BranchKeyFault::Exists).await?;
        Ok(id)
    }

    /// Makes a new version of the branch key `id`, and makes it the active one.
    ///
    /// `VersionKey` in the specification. Messages written with earlier versions stay readable.
    ///
    /// # Errors
    /// [`BranchKeyFault::NotFound`], [`BranchKeyFault::Raced`] when somebody else did the same at the same
    /// time, as [`BranchKeyWrapping::new_version`], [`Error::Io`](crate::Error::Io) from the store.
    pub async fn rotate(&self, id: &BranchKeyId) -> Result<BranchKeyVersion> {
        self.wrapping.own_key(id)?;
        let (number, active) = self.active_record(id).await?;
        //= framework/branch-key-store.md#versionkey
        //# If the item fails to authenticate this operation MUST fail.
        self.wrapping.authenticate(&active).await?;
        let next = number.checked_add(1).ok_or_else(|| id.error(BranchKeyFault::Raced))?;
        let description = active.description;
        //= framework/branch-key-store.md#versionkey
        //# The `kms-arn` stored in the DDB table MUST NOT change as a result of this operation,
        //# even if the KeyStore is configured with a KMS MRKey ARN
        //# that does not exactly match the stored ARN.
        let (kms_arn, context) = (description.kms_arn(), description.encryption_context()?);
        self.add_version(id, next, kms_arn, &context, BranchKeyFault::Raced).await
    }

    /// The identifiers of all branch keys, sorted.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) from the store.
    pub async fn list(&self) -> Result<Vec<BranchKeyId>> {
        let listed = self.store.list_with_delimiter(Some(&self.prefix)).await;
        let folders = listed.map_err(store_error("listing branch keys"))?.common_prefixes;
        let names = folders.iter().filter_map(|folder| unescape(folder.filename()?));
        let mut ids = names.map(BranchKeyId::new).collect::<Result<Vec<_>>>()?;
        ids.sort();
        Ok(ids)
    }

    /// Every version of the branch key `id` that has been active, the active one last.
    ///
    /// What the records say is not authenticated here, as it is when they are used.
    ///
    /// # Errors
    /// [`BranchKeyFault::NotFound`], [`BranchKeyFault::Record`], [`Error::Io`](crate::Error::Io) from the store.
    pub async fn versions(&self, id: &BranchKeyId) -> Result<Vec<Description>> {
        let mut numbers = self.active_numbers(id).await?;
        if numbers.is_empty() {
            return Err(id.error(BranchKeyFault::NotFound));
        }
        numbers.sort_unstable();
        let mut versions = Vec::with_capacity(numbers.len());
        for number in numbers {
            versions.push(self.read(id, &self.active_path(id, number)).await?.description);
        }
        Ok(versions)
    }

    /// Stores a new version, then makes it active as the `number`th; `taken` says that it is not the first
    /// to do so.
    async fn add_version(
        &self,
        id: &BranchKeyId,
        number: u32,
        kms_arn: &crate::kms::arn::KmsArn,
        context: &EncryptionContext,
        taken: BranchKeyFault,
    ) -> Result<BranchKeyVersion> {
        let version = BranchKeyVersion::random(&*self.provider)?;
        let created = timestamp(self.clock.since_epoch());
        let new = self.wrapping.new_version(id, version, kms_arn, &created, context).await?;
        self.put(id, &self.version_path(id, version), &new.decrypt_only, taken.clone()).await?;
        self.put(id, &self.active_path(id, number), &new.active, taken).await?;
        Ok(version)
    }

    /// Creates an object with `record`; `taken` when there is another one.
    async fn put(
        &self,
        id: &BranchKeyId,
        path: &Path,
        record: &BranchKeyRecord,
        taken: BranchKeyFault,
    ) -> Result<()> {
        let bytes = Bytes::from(to_json(record));
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let payload = PutPayload::from_bytes(bytes.clone());
        match self.store.put_opts(path, payload, options).await {
            Ok(_) => Ok(()),
            // Ours, if it has these bytes: an earlier attempt whose reply got lost.
            Err(object_store::Error::AlreadyExists { .. }) => match self.get(path).await? {
                Some(present) if present == bytes => Ok(()),
                _ => Err(id.error(taken)),
            },
            Err(error) => Err(store_error("storing a branch key")(error)),
        }
    }

    /// The record that counts, and its number.
    async fn active_record(&self, id: &BranchKeyId) -> Result<(u32, BranchKeyRecord)> {
        let number = self.newest_active(id).await?;
        let number = number.ok_or_else(|| id.error(BranchKeyFault::NotFound))?;
        let record = self.read(id, &self.active_path(id, number)).await?;
        if record.description.kind() != Kind::Active {
            return Err(id.error(BranchKeyFault::Record(attribute::TYPE)));
        }
        Ok((number, record))
    }

    async fn newest_active(&self, id: &BranchKeyId) -> Result<Option<u32>> {
        Ok(self.active_numbers(id).await?.into_iter().max())
    }

    async fn active_numbers(&self, id: &BranchKeyId) -> Result<Vec<u32>> {
        let listed = self.store.list(Some(&self.folder(id).join("active")));
        let numbers = listed.try_filter_map(async |object| Ok(number_of(&object.location)));
        numbers.try_collect().await.map_err(store_error("listing versions of a branch key"))
    }

    /// The record at `path`, which must be one of `id`.
    async fn read(&self, id: &BranchKeyId, path: &Path) -> Result<BranchKeyRecord> {
        let bytes = self.get(path).await?.ok_or_else(|| id.error(BranchKeyFault::NotFound))?;
        let record = from_json(&bytes).map_err(|fault| id.error(fault))??;
        if record.description.id() != id {
            return Err(id.error(BranchKeyFault::Record(attribute::BRANCH_KEY_ID)));
        }
        Ok(record)
    }

    async fn get(&self, path: &Path) -> Result<Option<Bytes>> {
        const OPERATION: &str = "reading a branch key";
        let found = match self.store.get(path).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(store_error(OPERATION)(error)),
        };
        within("branch key record bytes", found.meta.size, RECORD_BYTES_MAX)?;
        found.bytes().await.map(Some).map_err(store_error(OPERATION))
    }

    fn folder(&self, id: &BranchKeyId) -> Path {
        self.prefix.clone().join(escape(id.as_str()))
    }

    fn version_path(&self, id: &BranchKeyId, version: BranchKeyVersion) -> Path {
        self.folder(id).join("version").join(format!("{version}.json"))
    }

    fn active_path(&self, id: &BranchKeyId, number: u32) -> Path {
        self.folder(id).join("active").join(format!("{number:0NUMBER_DIGITS$}.json"))
    }
}

#[async_trait]
impl BranchKeyStore for ObjectKeyStore {
    fn logical_name(&self) -> &str {
        self.wrapping.logical_name()
    }

    async fn active_branch_key(&self, id: &BranchKeyId) -> Result<BranchKey> {
        let (_, record) = self.active_record(id).await?;
        self.wrapping.unwrap(&record).await
    }

    async fn branch_key_version(
        &self,
        id: &BranchKeyId,
        version: BranchKeyVersion,
    ) -> Result<BranchKey> {
        let record = self.read(id, &self.version_path(id, version)).await?;
        let description = &record.description;
        if description.kind() != Kind::DecryptOnly || description.version() != version {
            return Err(id.error(BranchKeyFault::Record(attribute::TYPE)));
        }
        self.wrapping.unwrap(&record).await
    }
}

/// The number in the name of an active record; `None` for a name that is none of ours.
fn number_of(path: &Path) -> Option<u32> {
    let digits = path.filename()?.strip_suffix(".json")?;
    let number = digits.parse().ok()?;
    (digits == format!("{number:0NUMBER_DIGITS$}")).then_some(number)
}

/// `id` as one part of a path, told apart from every other by no more than its letters.
fn escape(id: &str) -> String {
    let mut name = String::with_capacity(id.len());
    for byte in id.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            _ => name.push_str(&format!("={byte:02x}")),
        }
    }
    name
}

/// What [`escape`] made `name` of; `None` for a name that it does not make.
fn unescape(name: &str) -> Option<String> {
    let mut parts = name.split('=');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok().filter(|id| escape(id) == name)
}

fn to_json(record: &BranchKeyRecord) -> String {
    let attributes = record.description.attributes().iter();
    let mut object: Map<String, Value> =
        attributes.map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    object.insert(attribute::ENC.to_owned(), BASE64_STANDARD.encode(&record.wrapped).into());
    Value::Object(object).to_string()
}

/// The record that `bytes` are; all its attributes are text.
fn from_json(bytes: &[u8]) -> Result<Result<BranchKeyRecord>, BranchKeyFault> {
    let malformed = || BranchKeyFault::Record(attribute::TYPE);
    let mut attributes: BTreeMap<String, String> =
        serde_json::from_slice(bytes).map_err(|_| malformed())?;
    let wrapped =
        attributes.remove(attribute::ENC).and_then(|enc| BASE64_STANDARD.decode(enc).ok());
    let wrapped = wrapped.ok_or(BranchKeyFault::Record(attribute::ENC))?;
    let description = Description::from_attributes(attributes);
    Ok(description.map(|description| BranchKeyRecord { description, wrapped }))
}

/// ISO 8601 in UTC with microseconds.
fn timestamp(since_epoch: Duration) -> String {
    let format =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
    let nanoseconds = i128::try_from(since_epoch.as_nanos()).unwrap_or(i128::MAX);
    let time = OffsetDateTime::from_unix_timestamp_nanos(nanoseconds);
    let time = time.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    // A year of more than four digits is the only thing that has no such form.
    time.format(format).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_become_names_and_back() {
        for (id, name) in [
            ("tenant-1_A", "tenant-1_A"),
            ("..", "=2e=2e"),
            ("a/b", "a=2fb"),
            ("a=2fb", "a=3d2fb"),
            ("é", "=c3=a9"),
        ] {
            assert_eq!(escape(id), name);
            assert_eq!(unescape(name).as_deref(), Some(id));
            assert_eq!(Path::default().join(name).filename(), Some(name), "the store adds nothing");
        }
        for none in ["=", "=4", "=zz", "=2F", "=61", "a.b", "=c3"] {
            assert_eq!(unescape(none), None, "{none}");
        }
    }

    #[test]
    fn times_have_microseconds() {
        let time = timestamp(Duration::new(1_685_819_009, 358_000_999));
        assert_eq!(time, "2023-06-03T19:03:29.358000Z");
    }

    #[test]
    fn only_names_of_our_own_are_numbers() {
        let number = |name: &str| number_of(&Path::from(format!("p/active/{name}")));
        assert_eq!(number("0000000012.json"), Some(12));
        assert_eq!(number("4294967295.json"), Some(u32::MAX));
        for none in ["12.json", "0000000012", "000000001x.json", "+000000012.json"] {
            assert_eq!(number(none), None, "{none}");
        }
    }
}
