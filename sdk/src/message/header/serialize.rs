//! From a header to its bytes.

use super::{
    Authentication, CONTENT_FRAMED, CONTENT_SINGLE_BLOCK, Content, HeaderFields, MESSAGE_TYPE_V1,
};
use crate::error::Result;
use crate::message::codec::{length_u16, put_field};
use crate::message::suite::MessageVersion;

/// The header body of `fields`: everything before the IV and the tag.
///
/// # Errors
/// [`Error::LimitExceeded`] when a field is longer than two bytes can say.
pub(crate) fn serialize_body(fields: &HeaderFields) -> Result<Vec<u8>> {
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
    out.extend(fields.key_commitment.iter().flatten());
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
