//! Every encrypted object of a location: one message of the AWS Encryption SDK format, bound to
//! its place.
//!
//! The encryption context names the location, the kind and the object itself, and is checked
//! before a key is asked for: an object that was copied, renamed or passed off as another kind
//! does not open. It is also what key policies grant roles by.

use std::sync::Arc;

use bytes::Bytes;
use strongroom_sdk::cmm::MaterialsManager;
use strongroom_sdk::engine::FrameOpener;
use strongroom_sdk::materials::{DecryptionRequest, EncryptionMaterials, EncryptionRequest};
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

/// Seals and opens the objects of one location.
pub struct Envelope {
    location: ObjectId,
    materials: Arc<dyn MaterialsManager>,
}

impl Envelope {
    /// The envelope of location `location`, with keys from `materials`.
    #[must_use]
    pub fn new(location: ObjectId, materials: Arc<dyn MaterialsManager>) -> Self {
        Self { location, materials }
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
        let fail = |source| Error::Encrypt { object: name, source: Box::new(source) };
        let request = EncryptionRequest {
            encryption_context: self.context(name).map_err(fail)?,
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
        let materials = self.encryption_materials(name).await?;
        oneshot::seal(plain, materials, &encrypt_options())
            .map(Bytes::from)
            .map_err(|source| Error::Encrypt { object: name, source: Box::new(source) })
    }

    /// Opens an object that was sealed whole under `name`.
    ///
    /// # Errors
    /// [`Error::Decrypt`] when no key opens it or it is damaged, [`Error::Damaged`] when it is not
    /// signed although its kind is.
    pub async fn open(&self, name: ObjectName, message: &[u8]) -> Result<Vec<u8>> {
        let fail = |source| Error::Decrypt { object: name, source: Box::new(source) };
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
    /// [`Error::Decrypt`].
    pub async fn frame_opener(&self, name: ObjectName, header: &[u8]) -> Result<FrameOpener> {
        self.try_frame_opener(name, header)
            .await
            .map_err(|source| Error::Decrypt { object: name, source: Box::new(source) })
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
        let expected_context = self.context(name)?;
        Ok(DecryptOptions { expected_context, ..DecryptOptions::default() })
    }

    fn context(&self, name: ObjectName) -> strongroom_sdk::Result<EncryptionContext> {
        let kind = name.kind().map_or("", Kind::as_str);
        EncryptionContext::from_pairs([
            (CONTEXT_LOCATION, self.location.to_string()),
            (CONTEXT_KIND, kind.to_owned()),
            (CONTEXT_OBJECT, name.to_string()),
        ])
    }
}

/// How every object is laid out.
pub(crate) fn encrypt_options() -> EncryptOptions {
    EncryptOptions { frame_length: FRAME_BYTES }
}

/// The location that the message under `name` claims to belong to, not authenticated yet.
pub(crate) fn claimed_location(message: &[u8]) -> Option<ObjectId> {
    let parsed = Header::parse(message, &Limits::default()).ok()?;
    ObjectId::from_hex(parsed.header.unverified_encryption_context().get(CONTEXT_LOCATION)?)
}

/// Commits are signed, so that not even a reader of the location can have forged one.
fn suite(name: ObjectName) -> AlgorithmSuite {
    match name {
        ObjectName::Snapshot(_) => AlgorithmSuite::Aes256GcmHkdfSha512CommitKeyEcdsaP384,
        _ => AlgorithmSuite::Aes256GcmHkdfSha512CommitKey,
    }
}
