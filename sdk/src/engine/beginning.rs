//! What every message begins with: its header, and the keys for what follows.
//!
//! Source: `client-apis/encrypt.md#construct-the-header`.

use super::BodyKey;
use super::key_schedule::{self, Dialect};
use super::signature::Signer;
use crate::error::{Error, Fault, KeyringFault, Region, Result};
use crate::materials::EncryptionMaterials;
use crate::message::header::{self, Content, HeaderFields, MessageId};
use crate::message::limits::within;

/// A message whose header has been written, and nothing else.
pub(super) struct Beginning {
    /// The serialised header with its tag.
    pub(super) header: Vec<u8>,
    /// What it says, with the pairs that are authenticated and not in it.
    pub(super) fields: HeaderFields,
    pub(super) body_key: BodyKey,
    /// Of signed suites: has taken the header, waits for the body.
    pub(super) signer: Option<Signer>,
    pub(super) bound: PlaintextBound,
}

impl Beginning {
    /// Begins a message; `materials` are used up by it.
    pub(super) fn new(mut materials: EncryptionMaterials, content: Content) -> Result<Self> {
        //= client-apis/encrypt.md#frame-length
        //# This value MUST be greater than 0 and MUST NOT exceed the value 2^32 - 1.
        if content == Content::Framed(0) {
            return Err(malformed_header(Fault::FrameLength(0)));
        }
        //= client-apis/encrypt.md#get-the-encryption-materials
        //# Note that the algorithm suite in the retrieved encryption materials MAY be different
        //# from the input algorithm suite.
        let suite = materials.suite();
        let provider = materials.provider().clone();
        //= data-format/message-header.md#message-id
        //# A Message ID MUST uniquely identify the message.
        //= data-format/message-header.md#message-id
        //# While implementations cannot guarantee complete uniqueness, implementations MUST use a
        //# good source of randomness when generating messages IDs in order to make the chance of
        //# duplicate IDs negligible.
        //= client-apis/encrypt.md#construct-the-header
        //# Message ID: The process used to generate this identifier MUST use a good source of
        //# randomness to make the chance of duplicate identifiers negligible.
        let message_id = MessageId::fill_with(suite.version(), |id| provider.fill_random(id))?;
        //= client-apis/encrypt.md#get-the-encryption-materials
        //# To construct the encrypted message, some fields MUST be constructed using information
        //# obtained from a set of valid encryption materials.
        let data_key = materials.data_key().ok_or(KeyringFault::DataKeyState("missing"))?;
        let keys =
            key_schedule::derive(&*provider, suite, &message_id, data_key, Dialect::Specified)?;
        //= client-apis/encrypt.md#get-the-encryption-materials
        //# The algorithm used to derive a data key from the plaintext data key MUST be the key
        //# derivation algorithm included in the algorithm suite defined above.
        let body_key = BodyKey::new(&*provider, suite, message_id, &keys.cipher_key)?;
        let mut fields = HeaderFields {
            suite,
            message_id,
            encryption_context: materials.header_context(),
            encrypted_data_keys: materials.take_encrypted_data_keys()?,
            content,
            key_commitment: keys.commitment,
        };
        //= client-apis/encrypt.md#construct-the-header
        //# Before encrypting input plaintext, this operation MUST serialize the message header
        //# body.
        //= client-apis/encrypt.md#construct-the-header
        //# The encrypted message output by this operation MUST have a message header equal to the
        //# message header calculated in this step.
        let header = authenticated_header(&fields, &materials, &body_key)?;
        if !materials.required_context_keys().is_empty() {
            fields.encryption_context = materials.encryption_context().clone();
        }
        //= data-format/message-footer.md#overview
        //# When an algorithm suite includes a signature algorithm, the message MUST contain a
        //# footer.
        //= data-format/message.md#structure
        //# If the message header contains an algorithm suite in the algorithm suite ID field that
        //# contains a signature algorithm, the message MUST also contain a message footer,
        //# serialized after the message body.
        //= client-apis/encrypt.md#behavior
        //# If the encryption materials gathered has a algorithm suite including a signature
        //# algorithm, the encrypt operation MUST perform this step.
        let mut signer = match (suite.signature(), materials.take_signing_key()) {
            (Some(algorithm), Some(key)) => Some(Signer::new(&*provider, algorithm, key)),
            //= client-apis/encrypt.md#behavior
            //# Otherwise the encrypt operation MUST NOT perform this step.
            (None, None) => None,
            _ => return Err(malformed_header(Fault::VerificationKey)),
        };
        if let Some(signer) = &mut signer {
            //= client-apis/encrypt.md#construct-the-header
            //# If the algorithm suite contains a signature algorithm and this operation is
            //# streaming the encrypted message output to the caller, this operation MUST input the
            //# serialized header to the signature algorithm as soon as it is serialized, such that
            //# the serialized header isn't required to remain in memory to construct the signature.
            signer.update(&header);
        }
        let bound = PlaintextBound { max: materials.plaintext_length_max(), taken: 0 };
        Ok(Self { header, fields, body_key, signer, bound })
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
        //= client-apis/encrypt.md#plaintext-length-bound
        //# If this input is provided, this operation MUST NOT encrypt a plaintext with length
        //# greater than this value.
        //= client-apis/encrypt.md#construct-the-body
        //# If Plaintext Length Bound was specified on input and this operation determines at any
        //# time that the plaintext being encrypted has a length greater than this value, this
        //# operation MUST immediately fail.
        within("plaintext bytes", taken, self.max.unwrap_or(u64::MAX))?;
        self.taken = taken;
        Ok(())
    }
}

fn malformed_header(fault: Fault) -> Error {
    Error::Malformed { region: Region::Header, fault }
}

fn authenticated_header(
    fields: &HeaderFields,
    materials: &EncryptionMaterials,
    body_key: &BodyKey,
) -> Result<Vec<u8>> {
    let mut bytes = header::serialize_body(fields)?;
    let body_bytes = bytes.len();
    //= client-apis/encrypt.md#construct-the-header
    //# The AAD MUST be the concatenation of the serialized message header body and the
    //# serialization of encryption context to only authenticate.
    bytes.extend_from_slice(&materials.required_context().serialize()?);
    //= client-apis/encrypt.md#construct-the-header
    //# After serializing the message header body, this operation MUST calculate an authentication
    //# tag over the message header body.
    let end = body_key.authenticate_header(&bytes)?;
    bytes.truncate(body_bytes);
    header::push_authentication(&mut bytes, fields.suite.version(), end);
    Ok(bytes)
}
