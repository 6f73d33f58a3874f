//! Everything that can go wrong, grouped by who is at fault.
//!
//! A failure of a message names the [`Region`] of the message that failed; a failure of a key names
//! the key; a failure of a peer keeps that peer's own words as its source.

use std::fmt;

use crate::crypto::ecdh::EcCurve;
use crate::kms::KmsError;
use crate::message::suite::AlgorithmSuite;
use crate::policy::CommitmentPolicy;

/// What every fallible function of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The part of a message in which a failure was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Region {
    /// The header body: version, suite, message id, encryption context, framing.
    Header,
    /// The encrypted data keys inside the header.
    EncryptedDataKeys,
    /// The key commitment inside a version 2 header.
    Commitment,
    /// The authentication tag (and IV) that ends the header.
    HeaderTag,
    /// A regular frame, by its sequence number (from 1).
    Frame(u32),
    /// The final frame, by its sequence number.
    FinalFrame(u32),
    /// The whole body of an unframed message.
    SingleBlock,
    /// The footer: the signature over header and body.
    Signature,
    /// Bytes after the end of the message.
    TrailingBytes,
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => f.write_str("header"),
            Self::EncryptedDataKeys => f.write_str("encrypted data keys"),
            Self::Commitment => f.write_str("key commitment"),
            Self::HeaderTag => f.write_str("header tag"),
            Self::Frame(n) => write!(f, "frame {n}"),
            Self::FinalFrame(n) => write!(f, "final frame {n}"),
            Self::SingleBlock => f.write_str("single-block body"),
            Self::Signature => f.write_str("signature"),
            Self::TrailingBytes => f.write_str("trailing bytes"),
        }
    }
}

/// How the bytes of a message break the format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The first byte is no version of the format.
    #[error("{0:#04x} is not a message version (1 or 2)")]
    Version(u8),
    /// The type byte of a version 1 header is not `80`.
    #[error("{0:#04x} is not the message type 0x80")]
    MessageType(u8),
    /// The message looks like the Base64 encoding of a message.
    #[error("this is the Base64 encoding of a message: decode it first")]
    Base64,
    /// The suite identifier names no algorithm suite.
    #[error("{0:#06x} is not an algorithm suite")]
    UnknownSuite(u16),
    /// The suite belongs to the other version of the format.
    #[error("suite {suite} does not belong to message version {version}")]
    SuiteOfOtherVersion {
        /// The suite that the header names.
        suite: AlgorithmSuite,
        /// The version that the header names.
        version: u8,
    },
    /// The content type is neither single block (1) nor framed (2).
    #[error("{0:#04x} is not a content type (1 or 2)")]
    ContentType(u8),
    /// A reserved field is not zero.
    #[error("a reserved field is not zero")]
    Reserved,
    /// The IV length of a version 1 header is not 12.
    #[error("IV length {0} is not the suite's 12 bytes")]
    IvLength(u8),
    /// The frame length contradicts the content type.
    #[error("frame length {0} contradicts the content type")]
    FrameLength(u32),
    /// The header lists no encrypted data key.
    #[error("there is no encrypted data key")]
    NoEncryptedDataKeys,
    /// Text is not UTF-8.
    #[error("text is not UTF-8")]
    NotUtf8,
    /// The encryption context has a key twice.
    #[error("the encryption context has the key {0:?} twice")]
    DuplicateContextKey(String),
    /// The length of the encryption context contradicts its pairs.
    #[error("the length of the encryption context contradicts its pairs")]
    ContextLength,
    /// A signed suite without its verification key, or the reverse.
    #[error("the verification key in the encryption context contradicts the suite")]
    VerificationKey,
    /// The provider information of an ECDH keyring has another version than 1.
    #[error("{0:#04x} is not the version of an ECDH keyring (1)")]
    EcdhVersion(u8),
    /// The length of the provider information contradicts what is in it.
    #[error("the length of the provider information contradicts its content")]
    ProviderInfoLength,
    /// The sequence number is not the next one.
    #[error("sequence number {found} where {expected} was due")]
    SequenceNumber {
        /// The number that was due.
        expected: u32,
        /// The number that the frame bears.
        found: u32,
    },
    /// A final frame stands where a regular one was due, or the reverse.
    #[error("regular and final frame are confused")]
    FrameKind,
    /// The content length is more than the frame length (or the format's limit) allows.
    #[error("content length {0} is more than the header allows")]
    ContentLength(u64),
    /// The final frame has another length than the length of the message leaves to it.
    #[error(
        "the final frame has {found} bytes of content where the message's length leaves {expected}"
    )]
    FinalLength {
        /// What the message's length leaves, in bytes.
        expected: u64,
        /// What the frame says, in bytes.
        found: u64,
    },
    /// No layout of frames has this message length.
    #[error("no sequence of frames is {0} bytes long")]
    MessageLength(u64),
}

/// Why one encrypted data key did not give the data key, or one of several keyrings.
#[derive(Debug)]
pub struct KeyAttempt {
    /// The provider id of the encrypted data key, e.g. `aws-kms`; `keyring` when a keyring failed as a
    /// whole, whatever the encrypted data keys.
    pub provider_id: String,
    /// The wrapping key that the encrypted data key names: a key ARN, or the name of a raw key. Of a keyring
    /// its [name](crate::keyring::Keyring::name).
    pub key: String,
    /// What the keyring met; `None` when the key is not one that the keyring may use.
    pub failure: Option<Box<Error>>,
}

impl fmt::Display for KeyAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: ", self.provider_id, self.key)?;
        match &self.failure {
            None => f.write_str("not a key of this keyring"),
            Some(error) => error.fmt(f),
        }
    }
}

/// Every failure of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // The message is not what its writer made, or not made by a writer of this format.
    /// Bytes break the format.
    #[error("malformed message: {region}: {fault}")]
    Malformed {
        /// Where.
        region: Region,
        /// How.
        #[source]
        fault: Fault,
    },
    /// The message ends early.
    #[error("truncated message: it ends inside the {region}")]
    Truncated {
        /// The part that is not complete.
        region: Region,
    },
    /// An authentication tag does not verify: the bytes were altered, or belong to another message.
    #[error("altered message: the tag of the {region} does not verify")]
    TagMismatch {
        /// Which tag.
        region: Region,
    },
    /// The data key is not the one that the message commits to.
    #[error("the data key is not the one this message commits to")]
    CommitmentMismatch,
    /// The signature over header and body does not verify.
    #[error("altered message: the signature does not verify")]
    SignatureInvalid,
    /// Bytes follow the end of the message.
    #[error("bytes follow the end of the message")]
    TrailingBytes,

    // The message, or the caller, asks for more than is allowed.
    /// A quantity is above its limit.
    #[error("{quantity} is {value}, the limit is {max}")]
    LimitExceeded {
        /// Which quantity, with its unit.
        quantity: &'static str,
        /// Its value.
        value: u64,
        /// Its limit.
        max: u64,
    },
    /// The commitment policy forbids the suite.
    #[error("commitment policy {policy} forbids {operation} with suite {suite}")]
    ForbiddenByPolicy {
        /// The caller's policy.
        policy: CommitmentPolicy,
        /// The suite asked for, or found in the message.
        suite: AlgorithmSuite,
        /// `encrypting` or `decrypting`.
        operation: &'static str,
    },
    /// A signed message where plaintext would be released before its signature is verified.
    #[error(
        "suite {suite} is signed: its plaintext would be released before the signature is verified"
    )]
    SignedSuiteRefused {
        /// The suite of the message.
        suite: AlgorithmSuite,
    },
    /// The body is a single block where frames are needed.
    #[error("the message has no frames: random access needs a framed message")]
    NotFramed,
    /// The chosen provider lacks an algorithm of the suite, or of a wrapping key.
    #[error("provider {provider} does not implement {algorithm}")]
    UnsupportedAlgorithm {
        /// The provider's name.
        provider: &'static str,
        /// The algorithm that is missing.
        algorithm: &'static str,
    },

    // Keys.
    /// No encrypted data key of the message gave its data key.
    #[error("none of the message's encrypted data keys could be opened{}", list(.attempts))]
    NoDataKey {
        /// One entry for each encrypted data key and keyring that looked at it.
        attempts: Vec<KeyAttempt>,
    },
    /// Every keyring ran and none made a data key.
    #[error("no keyring generated a data key: a multi-keyring needs a generator")]
    NoGenerator,
    /// A keyring was built or used in a way that cannot work.
    #[error("keyring: {0}")]
    Keyring(#[from] KeyringFault),
    /// An RSA or elliptic-curve key that a caller gave cannot be used.
    #[error("asymmetric key: {0}")]
    Key(#[from] KeyFault),
    /// A KMS refused or could not be reached.
    #[error("KMS key {key}: {source}")]
    Kms {
        /// The key identifier that the request named.
        key: String,
        /// What the service, or the way to it, said.
        #[source]
        source: Box<KmsError>,
    },

    /// A branch key could not be got, made or used.
    #[error("branch key {id}: {fault}")]
    BranchKey {
        /// The branch key's identifier.
        id: String,
        /// What is wrong.
        #[source]
        fault: BranchKeyFault,
    },

    // The encryption context.
    /// A caller used the reserved prefix.
    #[error("encryption context key {key:?}: the prefix `aws-crypto-` is reserved")]
    ContextKeyReserved {
        /// The key.
        key: String,
    },
    /// A caller gave a key twice.
    #[error("encryption context key {key:?} is given twice")]
    ContextKeyDuplicate {
        /// The key.
        key: String,
    },
    /// A key that must be there was not given.
    #[error("encryption context key {key:?} is required, and was not given")]
    ContextKeyMissing {
        /// The key.
        key: String,
    },
    /// The message does not have the context that the caller demands.
    #[error("the message's encryption context does not have the expected value for {key:?}")]
    ContextMismatch {
        /// The first key that differs or is missing.
        key: String,
    },

    // Wrong use of this crate.
    /// A buffer has the wrong size.
    #[error("{buffer} must be {needed} bytes, not {found}")]
    BufferSize {
        /// Which buffer.
        buffer: &'static str,
        /// The size that it must have.
        needed: u64,
        /// The size that it has.
        found: u64,
    },
    /// A range of plaintext is not inside the message.
    #[error("plaintext range {start}..{end} is not inside the {length} bytes of the message")]
    RangeOutside {
        /// First byte asked for.
        start: u64,
        /// One past the last byte asked for.
        end: u64,
        /// Bytes of plaintext in the message.
        length: u64,
    },
    /// A cache that would never have anything.
    #[error("the greatest age of what a cache keeps must be more than zero")]
    CacheAgeZero,
    /// A step was taken out of order: a frame after the final one, or no final frame.
    #[error("{0}")]
    OutOfOrder(&'static str),

    // The machine.
    /// A cryptographic operation failed for a reason that is not the input's.
    #[error("cryptographic provider: {operation} failed")]
    Provider {
        /// What failed.
        operation: &'static str,
    },
    /// Reading or writing failed.
    #[error("{operation}: {source}")]
    Io {
        /// What was being done.
        operation: &'static str,
        /// The operating system's answer.
        #[source]
        source: std::io::Error,
    },
}

/// How a keyring was built or used in a way that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringFault {
    /// A multi-keyring with neither generator nor children.
    #[error("it has neither a generator nor another key")]
    Empty,
    /// A raw key of the wrong length.
    #[error("wrapping key {name:?} must be {allowed} bytes, not {found}")]
    WrappingKeyLength {
        /// The key's name.
        name: String,
        /// The lengths that are allowed.
        allowed: &'static str,
        /// The length that was given.
        found: usize,
    },
    /// A data key of the wrong length for the suite.
    #[error("the data key must be {needed} bytes, not {found}")]
    DataKeyLength {
        /// What the suite needs.
        needed: usize,
        /// What the keyring gave.
        found: usize,
    },
    /// The raw keyring's namespace is that of AWS KMS.
    #[error("a raw keyring must not use the namespace `aws-kms`")]
    ReservedNamespace,
    /// An identifier of a KMS key that is none.
    #[error("{0:?} is not an identifier of a KMS key")]
    KeyIdentifier(String),
    /// The KMS answered with another key than the one asked for.
    #[error("the KMS answered with key {found:?} where {expected:?} was asked for")]
    OtherKey {
        /// The key of the request.
        expected: String,
        /// The key of the response.
        found: String,
    },
    /// The keyring has only what it takes to read.
    #[error("it cannot wrap data keys: {0}")]
    CannotWrap(&'static str),
    /// The keyring has only what it takes to write.
    #[error("it cannot unwrap data keys: {0}")]
    CannotUnwrap(&'static str),
    /// The wrapped data key does not open with the keyring's key; no more is told of RSA, on purpose.
    #[error("the wrapped data key does not open with this key")]
    NotUnwrapped,
    /// The digest that came with a data key is of another encryption context.
    #[error("the wrapped data key belongs to another encryption context")]
    ContextDigest,
    /// A keyring to which everybody can write was asked to handle a signed suite.
    #[error("suite {0} is signed, which proves nothing where everybody can wrap data keys")]
    SignedSuite(AlgorithmSuite),
    /// A KMS key is for something else.
    #[error("KMS key {key:?} is for {usage}")]
    KeyUsage {
        /// The key identifier of the request.
        key: String,
        /// What the key is for, in the service's words.
        usage: String,
    },
    /// A shared secret gives another wrapping key than the one that the encrypted data key commits to.
    #[error("the wrapping key is not the one that the encrypted data key commits to")]
    WrappingKeyCommitment,
    /// Copies of one multi-Region key, where each key may be named once.
    #[error("these are copies of one multi-Region key: {}", .0.join(", "))]
    MultiRegionKeyTwice(Vec<String>),
    /// A discovery keyring was asked to encrypt.
    #[error("a discovery keyring cannot encrypt: it names no key")]
    DiscoveryEncrypts,
    /// A discovery filter without a partition or without accounts.
    #[error("a discovery filter needs a partition and at least one account")]
    DiscoveryFilter,
    /// No Region, or one without a name.
    #[error("it needs at least one Region, each with a name")]
    Region,
    /// The materials have no data key, or already have one.
    #[error("the data key is {0}")]
    DataKeyState(&'static str),
}

/// Why an RSA or elliptic-curve key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFault {
    /// Neither PEM nor DER of what is read.
    #[error("it is not PEM or DER of {expected}")]
    Encoding {
        /// What is read.
        expected: &'static str,
    },
    /// The private key is under a password.
    #[error("it is encrypted: decrypt it first")]
    Encrypted,
    /// A key of another algorithm.
    #[error("its algorithm is {found}; what is needed is {expected}")]
    Algorithm {
        /// The algorithm that is needed.
        expected: &'static str,
        /// The object identifier of the algorithm that it is for.
        found: String,
    },
    /// An RSA modulus that is too short to be safe or too long to be worked with.
    #[error("its modulus has {bits} bits; allowed are {min} to {max}")]
    ModulusBits {
        /// Bits in the modulus.
        bits: usize,
        /// The fewest that are allowed.
        min: usize,
        /// The most that are allowed.
        max: usize,
    },
    /// A curve, by its object identifier, that is not one of [`EcCurve`].
    #[error("its curve is {0}, not P-256, P-384 or P-521")]
    Curve(String),
    /// A key on another curve than its partner.
    #[error("it is on {found}, its partner on {expected}")]
    OtherCurve {
        /// The curve that is needed.
        expected: EcCurve,
        /// The curve of the key.
        found: EcCurve,
    },
    /// A public key that is no point of its curve, or the point at infinity.
    #[error("its point is not one of {0}")]
    Point(EcCurve),
    /// A private scalar that is zero or not below the order of its curve.
    #[error("its scalar is not one of {0}")]
    Scalar(EcCurve),
    /// A private key with a public key, or a curve, that is not its own.
    #[error("its private and its public half do not belong together")]
    Halves,
}

/// Why a branch key could not be got, made or used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BranchKeyFault {
    /// The identifier is empty or too long.
    #[error("an identifier must be 1 to {bytes_max} bytes long")]
    Identifier {
        /// The longest that is allowed, in bytes.
        bytes_max: usize,
    },
    /// Text that names no version.
    #[error("{0:?} is not a version: a UUID")]
    Version(String),
    /// The key store has no such branch key, or no such version of it.
    #[error("the key store has no such branch key, or not this version of it")]
    NotFound,
    /// A branch key of this identifier exists already.
    #[error("it exists already")]
    Exists,
    /// Another version was made at the same time.
    #[error("another version has been made meanwhile: look at it before making one more")]
    Raced,
    /// A record lacks an attribute, or has one that cannot be.
    #[error("its record has no attribute {0:?}, or one that cannot be")]
    Record(&'static str),
    /// The record names a KMS key that the key store is not configured for.
    #[error("its record names the KMS key {0}, which this key store may not use")]
    OtherKmsKey(String),
    /// A key store that discovers its KMS keys makes no branch keys.
    #[error("a key store without a KMS key of its own makes no branch keys")]
    NoKmsKey,
    /// A branch key of the caller's naming needs an encryption context.
    #[error("a branch key that is given an identifier needs an encryption context too")]
    NoContext,
    /// The branch key has another length than 32 bytes.
    #[error("it is {0} bytes long, not 32")]
    Length(usize),
}

impl Error {
    /// The part of the message that failed, when a message failed.
    #[must_use]
    pub fn region(&self) -> Option<Region> {
        match self {
            Self::Malformed { region, .. }
            | Self::Truncated { region }
            | Self::TagMismatch { region } => Some(*region),
            Self::CommitmentMismatch => Some(Region::Commitment),
            Self::SignatureInvalid => Some(Region::Signature),
            Self::TrailingBytes => Some(Region::TrailingBytes),
            Self::NoDataKey { .. } => Some(Region::EncryptedDataKeys),
            _ => None,
        }
    }

    /// Every answer of a KMS inside this error, with the key that it was about.
    ///
    /// For callers that turn `AccessDeniedException` and its like into advice.
    #[must_use]
    pub fn kms_errors(&self) -> Vec<(&str, &KmsError)> {
        match self {
            Self::Kms { key, source } => vec![(key.as_str(), &**source)],
            Self::NoDataKey { attempts } => attempts
                .iter()
                .filter_map(|attempt| attempt.failure.as_deref())
                .flat_map(Self::kms_errors)
                .collect(),
            _ => Vec::new(),
        }
    }

    pub(crate) fn io(operation: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { operation, source }
    }
}

/// An [`Error`] inside an [`std::io::Error`], for the stream surfaces.
impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Io { source, .. } => source,
            Error::Truncated { .. } => Self::new(std::io::ErrorKind::UnexpectedEof, error),
            _ => Self::new(std::io::ErrorKind::InvalidData, error),
        }
    }
}

/// `: first; second`, or nothing.
fn list(attempts: &[KeyAttempt]) -> String {
    let parts: Vec<String> = attempts.iter().map(ToString::to_string).collect();
    if parts.is_empty() { String::new() } else { format!(": {}", parts.join("; ")) }
}
