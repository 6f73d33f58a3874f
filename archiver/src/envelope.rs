//! Every encrypted object of a location: one message of the AWS Encryption SDK format, bound to
//! its place.
//!
//! The encryption context names the location, the kind and the object itself, and is checked
//! before a key is asked for: an object that was copied, renamed or passed off as another kind
//! does not open. It is also what key policies grant roles by.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use strongroom_sdk::cmm::MaterialsManager;
use strongroom_sdk::engine::FrameOpener;
use strongroom_sdk::keyring::aws_kms::PROVIDER_ID;
use strongroom_sdk::materials::{DecryptionRequest, EncryptionMaterials, EncryptionRequest};
use strongroom_sdk::message::encrypted_data_key::EncryptedDataKey;
use strongroom_sdk::message::encryption_context::EncryptionContext;
use strongroom_sdk::message::header::Header;
use strongroom_sdk::message::limits::Limits;
use strongroom_sdk::message::suite::AlgorithmSuite;
use strongroom_sdk::oneshot;
use strongroom_sdk::options::{DecryptOptions, EncryptOptions};

use crate::error::{Error, Result};
use crate::id::ObjectId;
use crate::store::{Kind, ObjectName};

/// Plaintext bytes of a frame: what one random read decrypts at least.
pub const FRAME_BYTES: u32 = 64 << 10;

pub(crate) const CONTEXT_LOCATION: &str = "strongroom-location";
pub(crate) const CONTEXT_KIND: &str = "strongroom-kind";
const CONTEXT_OBJECT: &str = "strongroom-object";
const CONTEXT_FORMAT: &str = "strongroom-format";
const CONTEXT_BRANCHES: &str = "strongroom-branches";

/// Seals and opens the objects of one location.
pub struct Envelope {
    location: ObjectId,
    materials: Arc<dyn MaterialsManager>,
    /// The only keys that open anything, if there were others that may have been given up.
    keys_left: Option<Wrapping>,
}

/// The keys that a message's data key is wrapped under, as provider and the provider's name for the key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wrapping(BTreeSet<(String, Vec<u8>)>);

impl Wrapping {
    /// What the header at the beginning of `message` says, not authenticated yet; `None` if that is no header.
    pub(crate) fn of(message: &[u8]) -> Option<Self> {
        let parsed = Header::parse(message, &Limits::default()).ok()?;
        let keys = parsed.header.encrypted_data_keys().iter();
        let named = |key: &EncryptedDataKey| {
            (key.provider_id.clone(), without_iv(&key.provider_info).to_vec())
        };
        Some(Self(keys.map(named).collect()))
    }

    /// Keys with these names.
    pub(crate) fn of_names(names: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        Self(names.into_iter().collect())
    }

    /// These keys and those.
    pub(crate) fn and(mut self, those: &Self) -> Self {
        self.0.extend(those.0.iter().cloned());
        self
    }

    /// ARNs of the CMKs among them.
    pub(crate) fn cmks(&self) -> impl Iterator<Item = String> {
        let cmks = self.0.iter().filter(|(provider, _)| provider == PROVIDER_ID);
        cmks.map(|(_, arn)| String::from_utf8_lossy(arn).into_owned())
    }
}

impl Envelope {
    /// The envelope of location `location`, with keys from `materials`.
    #[must_use]
    pub fn new(location: ObjectId, materials: Arc<dyn MaterialsManager>) -> Self {
        Self { location, materials, keys_left: None }
    }

    /// The same, for a location that has given up all other keys.
    pub(crate) fn with_only(self, keys: Wrapping) -> Self {
        Self { keys_left: Some(keys), ..self }
    }

    /// What its keys come from.
    pub(crate) fn materials(&self) -> &Arc<dyn MaterialsManager> {
        &self.materials
    }

    /// The location that it is bound to.
    #[must_use]
    pub fn location(&self) -> ObjectId {
        self.location
    }

    /// Gets what it takes to write `name`: one data key of its own.
    ///
    /// # Errors
    /// [`Error::Encrypt`].
    pub async fn encryption_materials(&self, name: ObjectName) -> Result<EncryptionMaterials> {
        self.materials_with(name, &[]).await
    }

    async fn materials_with(
        &self,
        name: ObjectName,
        further: &[(&'static str, String)],
    ) -> Result<EncryptionMaterials> {
        let fail = |source| Error::Encrypt { object: name, source: Box::new(source) };
        let request = EncryptionRequest {
            encryption_context: self.context(name, further).map_err(fail)?,
            suite: Some(suite(name)),
            ..EncryptionRequest::default()
        };
        self.materials.encryption_materials(&request).await.map_err(fail)
    }

    /// Seals a small object whole.
    ///
    /// # Errors
    /// [`Error::Encrypt`].
    pub async fn seal(&self, name: ObjectName, plain: &[u8]) -> Result<Bytes> {
        self.seal_with(name, plain, &[]).await
    }

    /// Seals the secrets of an epoch, which go with the format called `format`, where it has a name, and with the branch
    /// keys called `branches`, where there are any.
    pub(crate) async fn seal_keys(
        &self,
        name: ObjectName,
        plain: &[u8],
        format: Option<ObjectId>,
        branches: Option<ObjectId>,
    ) -> Result<Bytes> {
        let format = format.map(|id| (CONTEXT_FORMAT, id.to_string()));
        let branches = branches.map(|id| (CONTEXT_BRANCHES, id.to_string()));
        let further: Vec<_> = format.into_iter().chain(branches).collect();
        self.seal_with(name, plain, &further).await
    }

    async fn seal_with(
        &self,
        name: ObjectName,
        plain: &[u8],
        further: &[(&'static str, String)],
    ) -> Result<Bytes> {
        let materials = self.materials_with(name, further).await?;
        oneshot::seal(plain, materials, &encrypt_options())
            .map(Bytes::from)
            .map_err(|source| Error::Encrypt { object: name, source: Box::new(source) })
    }

    /// Opens an object that was sealed whole under `name`.
    ///
    /// # Errors
    /// [`Error::Decrypt`] when no key opens it or it is damaged, [`Error::Damaged`] when it is not
    /// signed although its kind is, [`Error::KeysGivenUp`].
    pub async fn open(&self, name: ObjectName, message: &[u8]) -> Result<Vec<u8>> {
        let fail = |source| self.unopened(name, message, source);
        let options = self.decrypt_options(name).map_err(fail)?;
        let opened = oneshot::decrypt(message, &*self.materials, &options).await.map_err(fail)?;
        if opened.header.suite != suite(name) {
            return Err(Error::Damaged { object: name, what: "its algorithm suite is another" });
        }
        Ok(opened.plaintext)
    }

    /// Gets what it takes to read frames of `name`, whose message begins with `header`.
    ///
    /// # Errors
    /// [`Error::Decrypt`], [`Error::KeysGivenUp`].
    pub async fn frame_opener(&self, name: ObjectName, header: &[u8]) -> Result<FrameOpener> {
        let opener = self.try_frame_opener(name, header).await;
        opener.map_err(|source| self.unopened(name, header, source))
    }

    async fn try_frame_opener(
        &self,
        name: ObjectName,
        header: &[u8],
    ) -> strongroom_sdk::Result<FrameOpener> {
        let parsed = Header::parse(header, &Limits::default())?;
        let request = DecryptionRequest::new(&parsed.header, &self.decrypt_options(name)?)?;
        let materials = self.materials.decryption_materials(&request).await?;
        FrameOpener::new(parsed.header.verify(materials)?)
    }

    fn decrypt_options(&self, name: ObjectName) -> strongroom_sdk::Result<DecryptOptions> {
        let expected_context = self.context(name, &[])?;
        Ok(DecryptOptions { expected_context, ..DecryptOptions::default() })
    }

    fn context(
        &self,
        name: ObjectName,
        further: &[(&'static str, String)],
    ) -> strongroom_sdk::Result<EncryptionContext> {
        let kind = name.kind().map_or("", Kind::as_str);
        let always = [
            (CONTEXT_LOCATION, self.location.to_string()),
            (CONTEXT_KIND, kind.to_owned()),
            (CONTEXT_OBJECT, name.to_string()),
        ];
        EncryptionContext::from_pairs(always.into_iter().chain(further.iter().cloned()))
    }

    /// Why a message does not open: it may be for none but keys that the location had once.
    fn unopened(&self, object: ObjectName, message: &[u8], source: strongroom_sdk::Error) -> Error {
        let (left, of) = (self.keys_left.as_ref(), Wrapping::of(message));
        match left.zip(of) {
            Some((left, of)) if left.0.is_disjoint(&of.0) => Error::KeysGivenUp { object },
            _ => Error::Decrypt { object, source: Box::new(source) },
        }
    }
}

/// What names the key, without the rest that a raw AES keyring writes: bits of the tag (128), bytes of the IV (12),
/// and an IV that is another one each time.
fn without_iv(provider_info: &[u8]) -> &[u8] {
    const LENGTHS: [u8; 8] = [0, 0, 0, 128, 0, 0, 0, 12];
    let cut = provider_info.len().checked_sub(LENGTHS.len() + 12);
    let split = cut.and_then(|cut| provider_info.split_at_checked(cut));
    match split {
        Some((name, rest)) if rest.starts_with(&LENGTHS) => name,
        _ => provider_info,
    }
}

/// How every object is laid out.
pub(crate) fn encrypt_options() -> EncryptOptions {
    EncryptOptions { frame_length: FRAME_BYTES }
}

/// The location that a message claims to belong to, not authenticated yet.
pub(crate) fn claimed_location(message: &[u8]) -> Option<ObjectId> {
    claimed(message, CONTEXT_LOCATION)
}

/// The format that the secrets in a message claim to go with, not authenticated yet.
pub(crate) fn claimed_format(message: &[u8]) -> Option<ObjectId> {
    claimed(message, CONTEXT_FORMAT)
}

/// The branch keys that the secrets in a message claim to go with, not authenticated yet.
pub(crate) fn claimed_branches(message: &[u8]) -> Option<ObjectId> {
    claimed(message, CONTEXT_BRANCHES)
}

fn claimed(message: &[u8], key: &str) -> Option<ObjectId> {
    let parsed = Header::parse(message, &Limits::default()).ok()?;
    ObjectId::from_hex(parsed.header.unverified_encryption_context().get(key)?)
}

/// Commits are signed, so that not even a reader of the location can have forged one.
fn suite(name: ObjectName) -> AlgorithmSuite {
    match name {
        ObjectName::Snapshot(_) | ObjectName::SnapshotCopy(..) => {
            AlgorithmSuite::Aes256GcmHkdfSha512CommitKeyEcdsaP384
        }
        _ => AlgorithmSuite::Aes256GcmHkdfSha512CommitKey,
    }
}
