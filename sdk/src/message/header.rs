//! The message header, from bytes that nobody vouches for to one that its tag vouches for.
//!
//! [`Header<Unverified>`] comes from [`Header::parse`]. Only its `verify` (in [`crate::engine`]), which
//! checks the key commitment and the header tag, makes a [`Header<Verified>`]; and only that has a key
//! for the body.
//!
//! Source: `data-format/message-header.md`.

use super::codec::Reader;
use super::encrypted_data_key::EncryptedDataKey;
use super::encryption_context::EncryptionContext;
use super::limits::Limits;
use super::suite::{AlgorithmSuite, COMMITMENT_BYTES, IV_BYTES, MessageVersion, TAG_BYTES};
use crate::engine::{BodyKey, SignatureCheck};
use crate::error::{Error, Region, Result};

mod parse;
mod serialize;

pub(crate) use serialize::{push_authentication, serialize_body};

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
///
/// Where it comes from a message that was opened, a tag vouches for all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeaderFields {
    /// The algorithm suite.
    pub suite: AlgorithmSuite,
    /// The message id.
    pub message_id: MessageId,
    /// The encryption context. Of a message that was opened, or is being written, all of it: also pairs
    /// that are authenticated and not in the header.
    pub encryption_context: EncryptionContext,
    /// The wrapped copies of the data key.
    pub encrypted_data_keys: Vec<EncryptedDataKey>,
    /// How the body is divided.
    pub content: Content,
    /// The key commitment, 32 bytes; `None` for a suite that does not commit.
    pub key_commitment: Option<[u8; COMMITMENT_BYTES]>,
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
    pub(crate) fields: HeaderFields,
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
        self.fields.key_commitment.as_ref()
    }
}

impl Header<Verified> {
    /// All that the header says.
    #[must_use]
    pub fn fields(&self) -> &HeaderFields {
        &self.fields
    }

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
    /// All that the header says, which anybody may have written.
    #[must_use]
    pub fn unverified_fields(&self) -> &HeaderFields {
        &self.fields
    }

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
        parse::header(&mut reader, bounded, limits).map_err(|error| match error {
            Error::Truncated { .. } if bounded.len() < bytes.len() => Error::LimitExceeded {
                quantity: "header bytes",
                value: bytes.len() as u64,
                max: limits.header_bytes_max as u64,
            },
            other => other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Fault;

    fn fields(suite: AlgorithmSuite, keys: usize) -> HeaderFields {
        let key = EncryptedDataKey {
            provider_id: "ns".into(),
            provider_info: vec![1, 2],
            ciphertext: vec![3; 5],
        };
        HeaderFields {
            suite,
            message_id: MessageId::fill_with(suite.version(), |id| {
                id.fill(9);
                Ok(())
            })
            .unwrap(),
            encryption_context: EncryptionContext::from_pairs([("a", "1")]).unwrap(),
            encrypted_data_keys: vec![key; keys],
            content: Content::Framed(4096),
            key_commitment: suite.commits().then_some([5; COMMITMENT_BYTES]),
        }
    }

    fn bytes(fields: &HeaderFields) -> Vec<u8> {
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
