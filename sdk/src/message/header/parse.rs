//! From bytes to a header that nobody vouches for.

use super::{
    Authentication, CONTENT_FRAMED, CONTENT_SINGLE_BLOCK, Content, Header, HeaderFields,
    MESSAGE_TYPE_V1, MessageId, Parsed, Unverified,
};
use crate::error::{Fault, Region, Result};
use crate::message::codec::Reader;
use crate::message::encrypted_data_key::EncryptedDataKey;
use crate::message::encryption_context::EncryptionContext;
use crate::message::limits::{Limits, within};
use crate::message::suite::{AlgorithmSuite, IV_BYTES, MessageVersion};

/// Reads a header; `bytes` are all that `reader` reads.
pub(super) fn header(reader: &mut Reader<'_>, bytes: &[u8], limits: &Limits) -> Result<Parsed> {
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
    let key_commitment = match version {
        MessageVersion::V1 => None,
        MessageVersion::V2 => {
            reader.enter(Region::Commitment);
            Some(reader.array()?)
        }
    };
    let body = bytes.split_at_checked(reader.position()).map_or(bytes, |(body, _)| body).to_vec();
    let authentication = parse_authentication(reader, version)?;
    let fields = HeaderFields {
        suite,
        message_id,
        encryption_context,
        encrypted_data_keys,
        content,
        key_commitment,
    };
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
