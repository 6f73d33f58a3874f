//! What can go wrong, grouped by who is at fault.

use std::path::PathBuf;

use crate::certificates::CertificateFault;
use crate::codec::{Malformed, wire_enum};
use crate::key::KeyHandle;
use crate::limits::QUORUM_TOKEN_SECONDS_MAX;
use crate::user::{Role, UserId, UserName};

wire_enum! {
    /// Why an HSM refused a command: the caller's fault or the device's state.
    ///
    /// Refusals travel over the wire as they are; [`Refusal::code`] gives the numeric return code of
    /// the audit log and of the tools.
    #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
    #[non_exhaustive]
    pub enum Refusal as "refusal" {
        /// The command did not decode.
        #[error("HSM Error: malformed command")]
        MalformedCommand = 1,
        /// No user has that name and type on this HSM.
        #[error("HSM Error: user isn't initialized or user with this name doesn't exist")]
        UserNotFound = 2 {
            /// The name given.
            name: UserName,
        },
        /// The password (or the second factor) is wrong.
        #[error("HSM Error: RET_USER_LOGIN_FAILURE")]
        WrongPassword = 3 {
            /// The user who tried.
            name: UserName,
        },
        /// Too many failed logins on this HSM; a CO must set a new password.
        #[error("HSM Error: user {name} is locked out after too many failed logins")]
        UserLockedOut = 4 {
            /// The user who tried.
            name: UserName,
        },
        /// The user is logged in through another client, so it cannot be changed or deleted.
        #[error("HSM Error: user {name} is logged in elsewhere")]
        UserLoggedIn = 5 {
            /// The user.
            name: UserName,
        },
        /// The user has a second factor and the login did not bring it.
        #[error("HSM Error: user {name} requires a second factor")]
        SecondFactorRequired = 6 {
            /// The user who tried.
            name: UserName,
        },
        /// The session has already logged in.
        #[error("HSM Error: session is already logged in")]
        AlreadyLoggedIn = 7,
        /// The command needs a login.
        #[error("HSM Error: not logged in")]
        NotLoggedIn = 8,
        /// The role of the logged-in user may not do this.
        #[error("HSM Error: Invalid User Type.")]
        RoleNotAllowed = 9 {
            /// The role of the session.
            role: Role,
        },
        /// A user of that name exists already.
        #[error("HSM Error: user {name} already exists")]
        UserExists = 10 {
            /// The name given.
            name: UserName,
        },
        /// A user who owns keys cannot be deleted.
        #[error("HSM Error: user {name} owns keys")]
        UserOwnsKeys = 11 {
            /// The user.
            name: UserName,
        },
        /// The user name is empty, longer than 31 bytes, or has a character outside `[A-Za-z0-9_]`.
        #[error("HSM Error: user name must be 1 to 31 letters, digits or underscores")]
        InvalidUserName = 12,
        /// A new password is not 7 to 32 letters and digits.
        #[error("HSM Error: password must be 7 to 32 letters and digits")]
        InvalidPassword = 13,
        /// No such key on this HSM.
        #[error("HSM Error: Invalid object handle is passed to this operation")]
        KeyNotFound = 14 {
            /// The handle given.
            handle: KeyHandle,
        },
        /// The key belongs to another user.
        #[error("HSM Error: Key Access is denied")]
        KeyAccessDenied = 15 {
            /// The handle given.
            handle: KeyHandle,
        },
        /// An attribute of the key, or the device's policy, forbids the operation.
        #[error("HSM Error: This operation violates the current configured/FIPS policies")]
        PolicyViolation = 16,
        /// A ciphertext, masked object, token or backup does not authenticate.
        #[error("HSM Error: authentication of the input failed")]
        NotAuthentic = 17,
        /// An input is longer than its limit.
        #[error("HSM Error: input is too long")]
        TooLong = 18,
        /// No user slot or key slot is left.
        #[error("HSM Error: no room for another object")]
        CapacityExhausted = 19,
        /// No session is left.
        #[error("HSM Error: no session is left")]
        SessionsExhausted = 20,
        /// The session has been closed, by the client or by the device.
        #[error("HSM Error: session does not exist")]
        SessionClosed = 21,
        /// The device has zeroised itself.
        #[error("HSM Error: device was tampered with and is zeroized")]
        Tampered = 22,
        /// The device has not been initialised.
        #[error("HSM Error: device is not initialized")]
        NotInitialized = 23,
        /// The device has been initialised before.
        #[error("HSM Error: device is already initialized")]
        AlreadyInitialized = 24,
        /// The device could not store its state; nothing was changed.
        #[error("HSM Error: non-volatile memory failure")]
        StorageFailed = 25,
        /// A primitive or the random source failed.
        #[error("HSM Error: cryptographic module failure")]
        ModuleFailed = 26,
        /// The object's origin is another cluster.
        #[error("HSM Error: object belongs to another cluster")]
        OtherCluster = 27,
        /// The owner of a masked key does not exist on this HSM.
        #[error("HSM Error: owner of the object does not exist on this HSM")]
        OwnerMissing = 28,
        /// A certificate that was handed to the device is not acceptable.
        #[error("HSM Error: {fault}")]
        CertificateRefused = 29 {
            /// What is wrong with it.
            fault: CertificateFault,
        },
        /// Cluster certificates can be made only before the device is initialised.
        #[error("HSM Error: no certificate signing request has been made")]
        NoRequest = 30,
        /// The key's kind does not do this.
        #[error("HSM Error: key type is inconsistent with the mechanism")]
        KeyKindMismatch = 31,
        /// Bytes that are not a key of the kind that is wanted.
        #[error("HSM Error: template or encoding of the key is not valid")]
        InvalidKey = 32,
        /// A digest or message representative does not have the length that the mechanism takes.
        #[error("HSM Error: data length is out of range")]
        DataLengthOutOfRange = 33,
        /// A signature or tag is not the key's over that input.
        #[error("HSM Error: signature is not valid")]
        SignatureInvalid = 34,
        /// The operation needs a token that enough officers have approved.
        #[error("HSM Error: RET_MXN_AUTH_FAILED")]
        QuorumRequired = 35,
        /// A quorum is of 1 to 8 officers, and of no more than there are.
        #[error("HSM Error: a quorum is of 1 to 8 officers, and of no more than there are")]
        QuorumOutOfRange = 36,
        /// The approver has registered no key.
        #[error("HSM Error: the approver has no quorum key")]
        NoQuorumKey = 37,
        /// None of the tokens in the file is one of this HSM's.
        #[error("HSM Error: no such token")]
        NoSuchToken = 38,
        /// No user has that number on this HSM.
        #[error("HSM Error: there is no user {user}")]
        NoSuchUserId = 39 {
            /// The number given.
            user: UserId,
        },
        /// The time for which tokens are to be good is out of range.
        #[error("HSM Error: a token timeout is of 1 to {QUORUM_TOKEN_SECONDS_MAX} seconds")]
        TokenTimeoutOutOfRange = 40,
    }
}

impl Refusal {
    /// The numeric return code: AWS's where its documents show one, our own from `0x300` on.
    #[must_use]
    pub fn code(&self) -> u32 {
        match self {
            Self::UserNotFound { .. } => 157,
            Self::WrongPassword { .. } => 163,
            Self::KeyNotFound { .. } => 0xa8,
            Self::PolicyViolation => 0xb3,
            Self::KeyAccessDenied { .. } => 0xc6,
            Self::RoleNotAllowed { .. } => 0xdb,
            other => 0x300 | u32::from(other.tag()),
        }
    }

    fn tag(&self) -> u8 {
        crate::codec::encode(self).first().copied().unwrap_or_default()
    }
}

impl From<aws_lc_rs::error::Unspecified> for Refusal {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self::ModuleFailed
    }
}

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HsmError {
    /// The HSM answered, and refused.
    #[error(transparent)]
    Refused(#[from] Refusal),

    /// The HSM does not answer: it is off, or the network between is broken.
    #[error("HSM at {address} cannot be reached")]
    Unreachable {
        /// Where it was expected.
        address: String,
        /// What the network said.
        #[source]
        source: std::io::Error,
    },

    /// The peer's certificate is not the cluster's: it does not chain to the trust anchor.
    #[error("HSM at {address} did not prove that it belongs to the cluster")]
    NotTrusted {
        /// The peer.
        address: String,
        /// What the handshake said.
        #[source]
        source: rustls::Error,
    },

    /// The certificate given as trust anchor cannot serve as one.
    #[error("trust anchor is not usable")]
    TrustAnchor(#[source] CertificateFault),

    /// The peer sent bytes that are not an answer to what was asked.
    #[error("HSM at {address} sent an answer that cannot be understood")]
    Protocol {
        /// The peer.
        address: String,
        /// What did not decode.
        #[source]
        source: Malformed,
    },

    /// A value does not fit the command that it was meant for.
    #[error("argument does not fit the command")]
    Argument(#[from] Malformed),

    /// A file of the device or of the factory cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    Storage {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },

    /// The directory is not that of a device, or its state was altered or belongs to another.
    #[error("{} does not hold the state of this device", path.display())]
    NotADevice {
        /// The directory or file.
        path: PathBuf,
    },

    /// Another process runs the device of this directory.
    #[error("the device in {} is powered on already", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },

    /// A boot self-test failed: the device gives no service.
    #[error("self-test of {algorithm} failed")]
    SelfTest {
        /// What was tested.
        algorithm: &'static str,
    },

    /// A certificate could not be made.
    #[error("cannot make the {what} certificate")]
    Certificate {
        /// Which one.
        what: &'static str,
        /// What the library said.
        #[source]
        source: rcgen::Error,
    },

    /// TLS could not be configured with the cluster certificate.
    #[error("TLS cannot use the cluster certificate")]
    Tls(#[from] rustls::Error),

    /// The configuration of a device is outside its limits.
    #[error("{what} is outside its limits")]
    Configuration {
        /// The setting.
        what: &'static str,
    },
}

impl HsmError {
    /// The refusal, if the HSM answered with one.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// Whether the HSM may be there and does not answer, as one that hangs or that a network hides.
    #[must_use]
    pub fn is_silence(&self) -> bool {
        let timed_out = std::io::ErrorKind::TimedOut;
        matches!(self, Self::Unreachable { source, .. } if source.kind() == timed_out)
    }

    /// Whether another HSM of the same cluster may succeed where this one failed.
    #[must_use]
    pub fn another_hsm_may_succeed(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::NotTrusted { .. } | Self::Protocol { .. } => true,
            Self::Refused(refusal) => matches!(
                refusal,
                Refusal::Tampered
                    | Refusal::NotInitialized
                    | Refusal::NotLoggedIn
                    | Refusal::SessionClosed
                    | Refusal::SessionsExhausted
                    | Refusal::StorageFailed
                    | Refusal::ModuleFailed
                    | Refusal::KeyNotFound { .. }
            ),
            _ => false,
        }
    }
}
