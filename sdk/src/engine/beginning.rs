//! What every message begins with: its header, and the keys for what follows.
//!
//! Source: `client-apis/encrypt.md#construct-the-header`.

use super::BodyKey;
use super::key_schedule::{self, Dialect};
use super::signature::Signer;
use crate::error::{Error, Fault, KeyringFault, Region, Result};
use crate::materials::EncryptionMaterials;
use crate::message::encrypted_data_key::EncryptedDataKey;
use crate::message::header::{self, Content, Fields, MessageId};
use crate::message::limits::within;

/// A message whose header has been written, and nothing else.
pub(super) struct Beginning {
    /// The serialised header with its tag.
    pub(super) header: Vec<u8>,
    pub(super) body_key: BodyKey,
    /// Of signed suites: has taken the header, waits for the body.
    pub(super) signer: Option<Signer>,
    pub(super) bound: PlaintextBound,
}

impl Beginning {
    /// Begins a message; `materials` are used up by it.
    pub(super) fn new(mut materials: EncryptionMaterials, content: Content) -> Result<Self> {
        if content == Content::Framed(0) {
            return Err(malformed_header(Fault::FrameLength(0)));
        }
        let suite = materials.suite();
        let provider = materials.provider().clone();
        let message_id = MessageId::fill_with(suite.version(), |id| provider.fill_random(id))?;
        let data_key = materials.data_key().ok_or(KeyringFault::DataKeyState("missing"))?;
        let keys =
            key_schedule::derive(&*provider, suite, &message_id, data_key, Dialect::Specified)?;
        let body_key = BodyKey::new(&*provider, suite, message_id, &keys.cipher_key)?;
        let fields = Fields {
            suite,
            message_id,
            encryption_context: materials.header_context(),
            encrypted_data_keys: wrapped_keys(&mut materials)?,
            content,
            commitment: keys.commitment,
        };
        let header = authenticated_header(&fields, &materials, &body_key)?;
        let mut signer = match (suite.signature(), materials.take_signing_key()) {
            (Some(algorithm), Some(key)) => Some(Signer::new(&*provider, algorithm, key)),
            (None, None) => None,
            _ => return Err(malformed_header(Fault::VerificationKey)),
        };
        if let Some(signer) = &mut signer {
            signer.update(&header);
        }
        let bound = PlaintextBound { max: materials.plaintext_length_max(), taken: 0 };
        Ok(Self { header, body_key, signer, bound })
    }
}

/// How much plaintext a message may take: as much as its materials were asked for.
pub(super) struct PlaintextBound {
    max: Option<u64>,
    taken: u64,
}

impl PlaintextBound {
    /// Takes `bytes` more of plaintext.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] above the bound; nothing has been taken then.
    pub(super) fn take(&mut self, bytes: u64) -> Result<()> {
        //= client-apis/encrypt.md#construct-the-body
        //# If [Plaintext Length Bound](#plaintext-length-bound) was specified on input
        //# and this operation determines at any time that the plaintext being encrypted
        //# has a length greater than this value,
        //# this operation MUST immediately fail.
        let taken = self.taken.saturating_add(bytes);
        within("plaintext bytes", taken, self.max.unwrap_or(u64::MAX))?;
        self.taken = taken;
        Ok(())
    }
}

fn malformed_header(fault: Fault) -> Error {
    Error::Malformed { region: Region::Header, fault }
}

fn wrapped_keys(materials: &mut EncryptionMaterials) -> Result<Vec<EncryptedDataKey>> {
    let keys = materials.take_encrypted_data_keys();
    if keys.is_empty() {
        return Err(KeyringFault::DataKeyState("wrapped by no key").into());
    }
    Ok(keys)
}

fn authenticated_header(
    fields: &Fields,
    materials: &EncryptionMaterials,
    body_key: &BodyKey,
) -> Result<Vec<u8>> {
    let mut bytes = header::serialize_body(fields)?;
    let body_bytes = bytes.len();
    bytes.extend_from_slice(&materials.required_context().serialize()?);
    let end = body_key.authenticate_header(&bytes)?;
    bytes.truncate(body_bytes);
    header::push_authentication(&mut bytes, fields.suite.version(), end);
    Ok(bytes)
}
