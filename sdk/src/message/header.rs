//! The message header, from bytes that nobody vouches for to one that its tag vouches for.
//!
//! [`Header<Unverified>`] comes from [`Header::parse`]. Only its `verify` (in [`crate::engine`]), which
//! checks the key commitment and the header tag, makes a [`Header<Verified>`]; and only that has a key
//! for the body.
//!
//! Source: `data-format/message-header.md`.

use super::codec::{Reader, length_u16, put_field};
use super::encrypted_data_key::EncryptedDataKey;
use super::encryption_context::EncryptionContext;
use super::limits::{Limits, within};
use super::suite::{AlgorithmSuite, COMMITMENT_BYTES, IV_BYTES, MessageVersion, TAG_BYTES};
use crate::engine::{BodyKey, SignatureCheck};
use crate::error::{Error, Fault, Region, Result};

/// The type byte of a version 1 header: customer authenticated encrypted data.
const MESSAGE_TYPE_V1: u8 = 0x80;
const CONTENT_SINGLE_BLOCK: u8 = 1;
const CONTENT_FRAMED: u8 = 2;

/// The random name of a message, bound into its keys and into every frame: 16 bytes in version 1, 32
/// in version 2.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageId {
    bytes: [u8; 32],
    version: MessageVersion,
}

impl MessageId {
    /// The id that `fill` writes: 16 or 32 random bytes.
    pub(crate) fn fill_with(
        version: MessageVersion,
        fill: impl FnOnce(&mut [u8]) -> Result<()>,
    ) -> Result<Self> {
        let mut bytes = [0; 32];
        let (used, _) = bytes.split_at_mut(version.message_id_bytes());
        fill(used)?;
        Ok(Self { bytes, version })
    }

    /// The bytes as the header carries them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.split_at(self.version.message_id_bytes()).0
    }
}

impl std::fmt::Debug for MessageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// How the body is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Content {
    /// One block of any length.
    SingleBlock,
    /// Frames of this many bytes of plaintext, the last one possibly shorter; at least 1.
    Framed(u32),
}

/// What a header says.
#[derive(Debug, Clone)]
pub(crate) struct Fields {
    pub(crate) suite: AlgorithmSuite,
    pub(crate) message_id: MessageId,
    pub(crate) encryption_context: EncryptionContext,
    pub(crate) encrypted_data_keys: Vec<EncryptedDataKey>,
    pub(crate) content: Content,
    /// Of a suite that commits, otherwise absent.
    pub(crate) commitment: Option<[u8; COMMITMENT_BYTES]>,
}

/// State of a header whose tag has not been checked: nothing in it may be relied on.
#[derive(Debug)]
pub struct Unverified {
    /// Everything before the IV and the tag: what the tag authenticates.
    pub(crate) body: Vec<u8>,
    pub(crate) authentication: Authentication,
}

/// State of a header whose commitment and tag are right.
pub struct Verified {
    pub(crate) body_key: BodyKey,
    /// Bytes of the whole header.
    pub(crate) length: usize,
    /// Of signed suites: has taken the header, waits for the body.
    pub(crate) signature_check: Option<SignatureCheck>,
}

/// The end of a header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Authentication {
    pub(crate) iv: [u8; IV_BYTES],
    pub(crate) tag: [u8; TAG_BYTES],
}

/// A message header in one of its two states, [`Unverified`] and [`Verified`].
pub struct Header<State> {
    pub(crate) fields: Fields,
    pub(crate) state: State,
}

/// A header found at the start of some bytes.
pub struct Parsed {
    /// The header, not verified.
    pub header: Header<Unverified>,
    /// How many bytes it takes; the body begins there.
    pub length: usize,
}

impl<State> Header<State> {
    /// The algorithm suite.
    #[must_use]
    pub fn suite(&self) -> AlgorithmSuite {
        self.fields.suite
    }

    /// How the body is divided.
    #[must_use]
    pub fn content(&self) -> Content {
        self.fields.content
    }

    /// The message id.
    #[must_use]
    pub fn message_id(&self) -> MessageId {
        self.fields.message_id
    }

    /// The wrapped copies of the data key.
    #[must_use]
    pub fn encrypted_data_keys(&self) -> &[EncryptedDataKey] {
        &self.fields.encrypted_data_keys
    }

    /// The key commitment, 32 bytes; `None` for a suite that does not commit.
    #[must_use]
    pub fn key_commitment(&self) -> Option<&[u8; COMMITMENT_BYTES]> {
        self.fields.commitment.as_ref()
    }
}

impl Header<Verified> {
    /// The encryption context: the header's own pairs and those that the reader reproduced.
    #[must_use]
    pub fn encryption_context(&self) -> &EncryptionContext {
        &self.fields.encryption_context
    }

    /// Bytes that the header takes, with its tag; the body begins there.
    #[must_use]
    pub fn length(&self) -> usize {
        self.state.length
    }
}

impl Header<Unverified> {
    /// The header's encryption context, which anybody may have written.
    #[must_use]
    pub fn unverified_encryption_context(&self) -> &EncryptionContext {
        &self.fields.encryption_context
    }

    /// The IV of the header tag, 12 bytes; a version 2 header does not carry it, it is all zeros.
    #[must_use]
    pub fn authentication_iv(&self) -> &[u8; IV_BYTES] {
        &self.state.authentication.iv
    }

    /// The header tag, 16 bytes, which has not been checked.
    #[must_use]
    pub fn authentication_tag(&self) -> &[u8; TAG_BYTES] {
        &self.state.authentication.tag
    }

    /// Reads the header at the start of `bytes`, of either version.
    ///
    /// # Errors
    /// [`Error::Truncated`] when `bytes` ends inside the header: with more bytes it may succeed;
    /// [`Error::LimitExceeded`] when the header asks for more than `limits` allows, which is noticed
    /// before anything of that size is allocated; [`Error::Malformed`] otherwise.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Parsed> {
        let bounded = bytes.split_at_checked(limits.header_bytes_max).map_or(bytes, |(max, _)| max);
        let mut reader = Reader::new(bounded, Region::Header);
        //= client-apis/decrypt.md#encrypted-message
        //# The input encrypted message MUST be a sequence of bytes in the message format specified
        //# by the AWS Encryption SDK.
        parse_header(&mut reader, bounded, limits).map_err(|error| match error {
            Error::Truncated { .. } if bounded.len() < bytes.len() => Error::LimitExceeded {
                quantity: "header bytes",
                value: bytes.len() as u64,
                max: limits.header_bytes_max as u64,
            },
            other => other,
        })
    }
}

fn parse_header(reader: &mut Reader<'_>, bytes: &[u8], limits: &Limits) -> Result<Parsed> {
    //= client-apis/decrypt.md#parse-the-header
    //# Given encrypted message bytes, this operation MUST process those bytes sequentially,
    //# deserializing those bytes according to the message format.
    let version = parse_version(reader, bytes)?;
    let suite = parse_suite(reader, version)?;
    let id_bytes = reader.take(version.message_id_bytes())?;
    let message_id = MessageId::fill_with(version, |id| {
        id.copy_from_slice(id_bytes);
        Ok(())
    })?;
    let encryption_context = EncryptionContext::parse(reader.field()?)?;
    let encrypted_data_keys = parse_encrypted_data_keys(reader, limits)?;
    let content_type = reader.u8()?;
    if version == MessageVersion::V1 {
        parse_v1_reserved(reader)?;
    }
    let content = parse_content(reader, content_type, limits)?;
    //= data-format/message-header.md#algorithm-suite-data
    //# The length of the suite data field MUST be equal to the Algorithm Suite Data Length value of
    //# the algorithm suite specified by the Algorithm Suite ID field.
    let commitment = match version {
        MessageVersion::V1 => None,
        MessageVersion::V2 => {
            reader.enter(Region::Commitment);
            Some(reader.array()?)
        }
    };
    let body = bytes.split_at_checked(reader.position()).map_or(bytes, |(body, _)| body).to_vec();
    let authentication = parse_authentication(reader, version)?;
    let fields =
        Fields { suite, message_id, encryption_context, encrypted_data_keys, content, commitment };
    let header = Header { fields, state: Unverified { body, authentication } };
    Ok(Parsed { header, length: reader.position() })
}

fn parse_version(reader: &mut Reader<'_>, bytes: &[u8]) -> Result<MessageVersion> {
    //= client-apis/decrypt.md#encrypted-message-format
    //# To make diagnosing this mistake easier, implementations SHOULD detect the first two bytes of
    //# the Base64 encoding of any supported message versions and types and fail with a more
    //# specific error message.
    if matches!(bytes, [b'A', b'Y' | b'g', ..]) {
        return Err(reader.fault(Fault::Base64));
    }
    match reader.u8()? {
        //= data-format/message-header.md#type
        //# The type (hex) of this field MUST be a value that exists in the following table:
        1 => match reader.u8()? {
            MESSAGE_TYPE_V1 => Ok(MessageVersion::V1),
            other => Err(reader.fault(Fault::MessageType(other))),
        },
        2 => Ok(MessageVersion::V2),
        //= data-format/message-header.md#version-1
        //# The version (hex) of this field MUST be a value that exists in the following table:
        other => Err(reader.fault(Fault::Version(other))),
    }
}

fn parse_suite(reader: &mut Reader<'_>, version: MessageVersion) -> Result<AlgorithmSuite> {
    //= data-format/message-header.md#algorithm-suite-id
    //# The value (hex) of this field MUST be a value that exists in the Supported Algorithm Suites
    //# table.
    let suite = AlgorithmSuite::from_id(reader.u16()?)?;
    if suite.version() == version {
        return Ok(suite);
    }
    Err(reader.fault(Fault::SuiteOfOtherVersion { suite, version: version.byte() }))
}

fn parse_encrypted_data_keys(
    reader: &mut Reader<'_>,
    limits: &Limits,
) -> Result<Vec<EncryptedDataKey>> {
    reader.enter(Region::EncryptedDataKeys);
    let count = reader.u16()?;
    //= data-format/message-header.md#encrypted-data-key-count
    //# This value MUST be greater than 0.
    if count == 0 {
        return Err(reader.fault(Fault::NoEncryptedDataKeys));
    }
    //= client-apis/decrypt.md#parse-the-header
    //# If the number of encrypted data keys deserialized from the message header is greater than
    //# the maximum number of encrypted data keys configured in the client, then as soon as that can
    //# be determined during deserializing decrypt MUST process no more bytes and yield an error.
    let max = limits.encrypted_data_keys_max as u64;
    within("encrypted data keys", u64::from(count), max)?;
    let keys = (0..count).map(|_| EncryptedDataKey::parse(reader)).collect::<Result<_>>()?;
    reader.enter(Region::Header);
    Ok(keys)
}

fn parse_v1_reserved(reader: &mut Reader<'_>) -> Result<()> {
    //= data-format/message-header.md#reserved
    //# A reserved sequence of 4 bytes that MUST have the value (hex) of 00 00 00 00.
    if reader.u32()? != 0 {
        return Err(reader.fault(Fault::Reserved));
    }
    match reader.u8()? {
        //= data-format/message-header.md#iv-length
        //# This value MUST be equal to the IV length value of the algorithm suite specified by the
        //# Algorithm Suite ID field.
        12 => Ok(()),
        other => Err(reader.fault(Fault::IvLength(other))),
    }
}

fn parse_content(reader: &mut Reader<'_>, content_type: u8, limits: &Limits) -> Result<Content> {
    let frame_length = reader.u32()?;
    //= data-format/message-header.md#content-type
    //# The value (hex) of this field MUST be a value that exists in the following table:
    match (content_type, frame_length) {
        //= data-format/message-header.md#frame-length
        //# When the content type is non-framed, the value of this field MUST be 0.
        (CONTENT_SINGLE_BLOCK, 0) => Ok(Content::SingleBlock),
        (CONTENT_FRAMED, length) if length > 0 => {
            within("frame bytes", u64::from(length), u64::from(limits.frame_bytes_max))?;
            Ok(Content::Framed(length))
        }
        (CONTENT_SINGLE_BLOCK | CONTENT_FRAMED, length) => {
            Err(reader.fault(Fault::FrameLength(length)))
        }
        (other, _) => Err(reader.fault(Fault::ContentType(other))),
    }
}

fn parse_authentication(
    reader: &mut Reader<'_>,
    version: MessageVersion,
) -> Result<Authentication> {
    reader.enter(Region::HeaderTag);
    let iv = match version {
        //= client-apis/decrypt.md#verify-the-header
        //# For message format version 1.0 the IV MUST be the value serialized in the message
        //# header's IV field.
        MessageVersion::V1 => reader.array()?,
        //= client-apis/decrypt.md#verify-the-header
        //# For message format version 2.0 the IV MUST be 0.
        MessageVersion::V2 => [0; IV_BYTES],
    };
    Ok(Authentication { iv, tag: reader.array()? })
}

/// The header body of `fields`: everything before the IV and the tag.
///
/// # Errors
/// [`Error::LimitExceeded`] when a field is longer than two bytes can say.
pub(crate) fn serialize_body(fields: &Fields) -> Result<Vec<u8>> {
    //= client-apis/encrypt.md#construct-the-header
    //# If the message format version associated with the algorithm suite is 2.0 then the message
    //# header body MUST be serialized with the following specifics:
    //= client-apis/encrypt.md#construct-the-header
    //# If the message format version associated with the algorithm suite is 1.0 then the message
    //# header body MUST be serialized with the following specifics:
    let version = fields.suite.version();
    //= client-apis/encrypt.md#construct-the-header
    //# Version: MUST have a value corresponding to 2.0
    //= client-apis/encrypt.md#construct-the-header
    //# Version: MUST have a value corresponding to 1.0
    let mut out = vec![version.byte()];
    if version == MessageVersion::V1 {
        //= client-apis/encrypt.md#construct-the-header
        //# Type: MUST have a value corresponding to Customer Authenticated Encrypted Data
        out.push(MESSAGE_TYPE_V1);
    }
    //= client-apis/encrypt.md#construct-the-header
    //# Algorithm Suite ID: MUST correspond to the algorithm suite used in this behavior
    out.extend_from_slice(&fields.suite.id().to_be_bytes());
    out.extend_from_slice(fields.message_id.as_bytes());
    let context = fields.encryption_context.serialize()?;
    //= data-format/message-header.md#key-value-pairs-length
    //# When the encryption context is empty, the value of this field MUST be 0.
    put_field(&mut out, "encryption context bytes", &context)?;
    //= client-apis/encrypt.md#construct-the-header
    //# Encrypted Data Keys: MUST be the serialization of the encrypted data keys in the encryption
    //# materials
    let count = length_u16("encrypted data keys", fields.encrypted_data_keys.len())?;
    out.extend_from_slice(&count.to_be_bytes());
    fields.encrypted_data_keys.iter().try_for_each(|key| key.serialize(&mut out))?;
    let (content_type, frame_length) = match fields.content {
        Content::SingleBlock => (CONTENT_SINGLE_BLOCK, 0),
        //= client-apis/encrypt.md#construct-the-header
        //# Content Type: MUST be 02
        Content::Framed(length) => (CONTENT_FRAMED, length),
    };
    out.push(content_type);
    if version == MessageVersion::V1 {
        //= client-apis/encrypt.md#construct-the-header
        //# IV Length: MUST match the IV length specified by the algorithm suite
        out.extend_from_slice(&[0, 0, 0, 0, 12]);
    }
    //= client-apis/encrypt.md#construct-the-header
    //# Frame Length: MUST be the value of the frame size determined above.
    out.extend_from_slice(&frame_length.to_be_bytes());
    //= client-apis/encrypt.md#construct-the-header
    //# Algorithm Suite Data: MUST be the value of the commit key derived according to the algorithm
    //# suites commit key derivation settings.
    out.extend(fields.commitment.iter().flatten());
    Ok(out)
}

/// Appends the end of a header to its body.
pub(crate) fn push_authentication(out: &mut Vec<u8>, version: MessageVersion, end: Authentication) {
    if version == MessageVersion::V1 {
        //= client-apis/encrypt.md#construct-the-header
        //# If the message format version associated with the algorithm suite is 1.0 this operation
        //# MUST serialize the message header authentication with the following specifics:
        //= client-apis/encrypt.md#construct-the-header
        //# IV: MUST have the value of the IV used in the calculation above, padded to the IV length
        //# with 0.
        out.extend_from_slice(&end.iv);
    }
    //= client-apis/encrypt.md#construct-the-header
    //# With the authentication tag calculated, if the message format version associated with the
    //# algorithm suite is 2.0, this operation MUST serialize the message header authentication with
    //# the following specifics:
    //= client-apis/encrypt.md#construct-the-header
    //# Authentication Tag: MUST have the value of the authentication tag calculated above.
    out.extend_from_slice(&end.tag);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(suite: AlgorithmSuite, keys: usize) -> Fields {
        let key = EncryptedDataKey {
            provider_id: "ns".into(),
            provider_info: vec![1, 2],
            ciphertext: vec![3; 5],
        };
        Fields {
            suite,
            message_id: MessageId::fill_with(suite.version(), |id| {
                id.fill(9);
                Ok(())
            })
            .unwrap(),
            encryption_context: EncryptionContext::from_pairs([("a", "1")]).unwrap(),
            encrypted_data_keys: vec![key; keys],
            content: Content::Framed(4096),
            commitment: suite.commits().then_some([5; COMMITMENT_BYTES]),
        }
    }

    fn bytes(fields: &Fields) -> Vec<u8> {
        let mut out = serialize_body(fields).unwrap();
        let end = Authentication { iv: [0; IV_BYTES], tag: [8; TAG_BYTES] };
        push_authentication(&mut out, fields.suite.version(), end);
        out
    }

    //= client-apis/decrypt.md#encrypted-message
    //= type=test
    //# The input encrypted message MUST be a sequence of bytes in the message format specified by
    //# the AWS Encryption SDK.
    #[test]
    fn both_versions_round_trip() {
        for suite in AlgorithmSuite::ALL {
            let written = bytes(&fields(suite, 2));
            let parsed = Header::parse(&written, &Limits::default()).unwrap();
            assert_eq!(parsed.length, written.len());
            assert_eq!(parsed.header.key_commitment().is_some(), suite.commits());
            assert_eq!(parsed.header.authentication_iv(), &[0; IV_BYTES]);
            assert_eq!(parsed.header.authentication_tag(), &[8; TAG_BYTES]);
            assert_eq!(bytes(&parsed.header.fields), written);
        }
    }

    #[test]
    fn every_truncation_is_truncated() {
        let written = bytes(&fields(AlgorithmSuite::Aes256GcmHkdfSha512CommitKey, 1));
        for end in 0..written.len() {
            let error = Header::parse(&written[..end], &Limits::default()).err().unwrap();
            assert!(matches!(error, Error::Truncated { .. }), "{end}: {error}");
        }
    }

    //= client-apis/decrypt.md#parse-the-header
    //= type=test
    //# If the number of encrypted data keys deserialized from the message header is greater than
    //# the maximum number of encrypted data keys configured in the client, then as soon as that can
    //# be determined during deserializing decrypt MUST process no more bytes and yield an error.
    #[test]
    fn limits_hold_at_max_and_not_beyond() {
        let suite = AlgorithmSuite::Aes256GcmHkdfSha512CommitKey;
        let written = bytes(&fields(suite, 3));
        let exact = Limits {
            header_bytes_max: written.len(),
            encrypted_data_keys_max: 3,
            frame_bytes_max: 4096,
        };
        // The body follows, so that there are more bytes than the limit allows to be looked at.
        let mut message = written.clone();
        message.extend_from_slice(&[0; 64]);
        Header::parse(&message, &exact).unwrap();
        for beyond in [
            Limits { header_bytes_max: written.len() - 1, ..exact.clone() },
            Limits { encrypted_data_keys_max: 2, ..exact.clone() },
            Limits { frame_bytes_max: 4095, ..exact.clone() },
        ] {
            let error = Header::parse(&message, &beyond).err().unwrap();
            assert!(matches!(error, Error::LimitExceeded { .. }), "{error}");
        }
    }

    //= client-apis/decrypt.md#encrypted-message-format
    //= type=test
    //# To make diagnosing this mistake easier, implementations SHOULD detect the first two bytes of
    //# the Base64 encoding of any supported message versions and types and fail with a more
    //# specific error message.
    #[test]
    fn base64_of_a_message_is_recognised() {
        for text in [&b"AYABeA=="[..], b"AgR4"] {
            let error = Header::parse(text, &Limits::default()).err().unwrap();
            assert!(matches!(error, Error::Malformed { fault: Fault::Base64, .. }), "{error}");
        }
    }
}
