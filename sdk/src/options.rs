//! What callers choose about writing and reading messages.

use crate::error::{Error, Result};
use crate::message::encryption_context::EncryptionContext;
use crate::message::limits::{FRAME_LENGTH_DEFAULT, Limits};
use crate::message::suite::AlgorithmSuite;
use crate::policy::CommitmentPolicy;

/// How a message is laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptOptions {
    /// Bytes of plaintext in each frame, at least 1. Readers hold one frame in memory, and random access
    /// reads whole frames.
    //= data-format/message-body.md#framed-data
    //# The total bytes allowed in a single frame MUST be less than or equal to 2^32 - 1.
    pub frame_length: u32,
}

impl Default for EncryptOptions {
    fn default() -> Self {
        Self { frame_length: FRAME_LENGTH_DEFAULT }
    }
}

/// What a reader demands of a message.
#[derive(Debug, Clone, Default)]
pub struct DecryptOptions {
    /// Which suites are accepted.
    //= client-apis/client.md#initialization
    //# On client initialization, the caller MUST have the option to provide a:
    pub commitment_policy: CommitmentPolicy,
    /// Bounds on the header, checked before it is authenticated.
    pub limits: Limits,
    /// Pairs that the message's header must have, with these values.
    pub expected_context: EncryptionContext,
    /// Pairs that the writer authenticated and may have left out of the header; those that the header
    /// does have must be equal.
    //= client-apis/decrypt.md#input
    //# The following inputs to this behavior MUST be OPTIONAL:
    pub reproduced_context: EncryptionContext,
    /// Whether signed messages are read at all.
    pub signed_messages: SignedMessages,
    /// Whether messages are read that break the specification the way .NET 4.0.0 did.
    pub net_v4_0_0: NetV4_0_0,
}

/// Whether messages of the AWS Encryption SDK for .NET, version 4.0.0, are read.
///
/// That version, and no other, left the message id out of the key derivation of version 1 messages, and
/// authenticated two bytes more after the header. Its messages are as authentic as any, but no other
/// implementation reads them: write them anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NetV4_0_0 {
    /// No: their header tag does not verify.
    #[default]
    Refuse,
    /// Yes: a header whose tag does not verify is tried once more, the way that version wrote it.
    Retry,
}

/// Whether signed messages are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SignedMessages {
    /// Yes. A stream releases regular frames before the signature can be verified, and withholds the
    /// final frame until it has been.
    #[default]
    Accept,
    /// No: they are refused once the header is read. For streams whose consumer cannot take back what it
    /// has done when the end turns out to be forged.
    Refuse,
}

impl SignedMessages {
    pub(crate) fn check(self, suite: AlgorithmSuite) -> Result<()> {
        //= client-apis/decrypt.md#behavior
        //# The ESDK MUST provide a configuration option that causes the decryption operation
        //# to fail immediately after parsing the header if a signed algorithm suite is used.
        match (self, suite.signature()) {
            (Self::Refuse, Some(_)) => Err(Error::SignedSuiteRefused { suite }),
            _ => Ok(()),
        }
    }
}
