//! The protocol between a client and an HSM: commands, responses, frames.
//!
//! A frame is a 32-bit length, a 32-bit request number and that many bytes of one encoded command
//! or response. A client may send further commands before the first is answered; the HSM answers
//! in order. What does not decode is refused, never guessed at.

use crate::codec::{Blob, List, Text, decode, encode, wire_enum, wire_struct};
use crate::device::{QuorumService, TokenStage};
use crate::error::{HsmError, Refusal};
use crate::key::{Attribute, AttributeValue, KeyHandle, KeyInfo, Label, Possession};
use crate::limits::{
    AAD_BYTES_MAX, CLUSTER_MEMBERS_MAX, KEYS_MAX, MASKED_BYTES_MAX, MESSAGE_BYTES_MAX,
    QUORUM_APPROVALS_MAX, QUORUM_FILE_BYTES_MAX, QUORUM_TOKEN_BYTES_MAX, QUORUM_TOKENS_LISTED_MAX,
    REGISTRATION_TOKEN_BYTES_MAX, SIGNATURE_BYTES_MAX, TEXT_BYTES_MAX,
};
use crate::secret::{Password, Plaintext, SecretBuffer};
use crate::state::Pem;
use crate::user::{Role, SecondFactorKey, UserId, UserList, UserName};

/// Authenticated, not encrypted data.
pub type Aad = Blob<AAD_BYTES_MAX>;

/// Nonce, IV, ciphertext and tag of a message sealed under a key derived for it alone.
pub type SealedMessage = Blob<MESSAGE_BYTES_MAX>;

/// A key encrypted for the other HSMs of the same cluster.
pub type MaskedObject = Blob<MASKED_BYTES_MAX>;

/// A signature by a key of a user.
pub type Signature = Blob<SIGNATURE_BYTES_MAX>;

/// What one HSM gives an officer who asks for a quorum.
pub type QuorumToken = Blob<QUORUM_TOKEN_BYTES_MAX>;

/// The encoded list of the tokens of all HSMs: what officers sign.
pub type QuorumTokenFile = Blob<QUORUM_FILE_BYTES_MAX>;

/// Random bytes that an officer has signed to show that a key is its own.
pub type RegistrationToken = Blob<REGISTRATION_TOKEN_BYTES_MAX>;

/// The newest quorum tokens of an HSM.
pub type QuorumTokenList = List<QuorumTokenInfo, QUORUM_TOKENS_LISTED_MAX>;

/// The file that holds the tokens of all HSMs, as officers sign it.
#[must_use]
pub fn token_file(tokens: &List<QuorumToken, CLUSTER_MEMBERS_MAX>) -> Vec<u8> {
    encode(tokens).to_vec()
}

/// A short text.
pub type ShortText = Text<TEXT_BYTES_MAX>;

/// Addresses of the HSMs of a cluster.
pub type Members = List<ShortText, CLUSTER_MEMBERS_MAX>;

wire_enum! {
    /// What a client asks of an HSM.
    pub enum Command as "command" {
        /// Asks for identity, firmware, limits and members. Needs no login.
        Info = 0x01,
        /// Creates a user. CO only.
        CreateUser = 0x03 {
            /// The type of the new user: CO or CU.
            role: Role,
            /// The name.
            name: UserName,
            /// The password.
            password: Password,
            /// A second factor, if one shall be required at login.
            second_factor: Option<NewSecondFactor>,
        },
        /// Deletes a user who owns no keys and is not logged in. CO only.
        DeleteUser = 0x04 {
            /// The user's type.
            role: Role,
            /// The name.
            name: UserName,
        },
        /// Changes a password: anybody their own, a CO everybody's. A PRECO becomes a CO.
        ChangePassword = 0x09 {
            /// The user's type.
            role: Role,
            /// The name.
            name: UserName,
            /// The new password.
            password: Password,
            /// The second factor from now on; none takes one away.
            second_factor: Option<NewSecondFactor>,
        },
        /// Lists the users. Needs no login.
        ListUsers = 0x0a,
        /// Asks for the bytes that a second factor has to sign in this session.
        Challenge = 0x0c,
        /// Logs the session in.
        Login = 0x0d {
            /// The user's type.
            role: Role,
            /// The name.
            name: UserName,
            /// The password.
            password: Password,
            /// RSASSA-PKCS1-v1_5 with the session's challenge as the SHA-256 digest.
            second_factor: Option<Signature>,
        },
        /// Logs the session out.
        Logout = 0x0e,
        /// Destroys a key that the user owns.
        DeleteKey = 0x11 {
            /// The key.
            handle: KeyHandle,
        },
        /// Makes an AES-256 key inside the HSM. CU only.
        GenerateKey = 0x17 {
            /// Its label.
            label: Label,
        },
        /// Lists the keys that the user may use, by label if one is given.
        FindKeys = 0x20 {
            /// The exact label.
            label: Option<Label>,
        },
        /// Asks for what users of a key may know about it.
        KeyInfo = 0x21 {
            /// The key.
            handle: KeyHandle,
        },
        /// Asks for one attribute.
        KeyAttribute = 0x22 {
            /// The key.
            handle: KeyHandle,
            /// The attribute.
            attribute: Attribute,
        },
        /// Lists the keys that some user owns or shares. CO, and the user itself.
        KeysOfUser = 0x23 {
            /// The user.
            user: UserId,
        },
        /// AES-256-GCM encryption under the key itself, with the IV made inside.
        Encrypt = 0x30 {
            /// The key.
            handle: KeyHandle,
            /// Authenticated data.
            aad: Aad,
            /// What to encrypt.
            plaintext: Plaintext,
        },
        /// AES-256-GCM decryption under the key itself.
        Decrypt = 0x31 {
            /// The key.
            handle: KeyHandle,
            /// Authenticated data.
            aad: Aad,
            /// IV (12 bytes), ciphertext, tag (16 bytes), as `Encrypt` returned them.
            message: SealedMessage,
        },
        /// Encrypts under a key that is derived inside for this message alone.
        Seal = 0x32 {
            /// The key from which the message's key is derived.
            handle: KeyHandle,
            /// Authenticated data.
            aad: Aad,
            /// What to encrypt.
            plaintext: Plaintext,
        },
        /// Decrypts what `Seal` or `GenerateSealed` made.
        Open = 0x33 {
            /// The key from which the message's key is derived.
            handle: KeyHandle,
            /// Authenticated data.
            aad: Aad,
            /// What they returned.
            message: SealedMessage,
        },
        /// Draws random bytes and seals them: a data key in one round trip.
        GenerateSealed = 0x34 {
            /// The key from which the message's key is derived.
            handle: KeyHandle,
            /// Authenticated data.
            aad: Aad,
            /// How many bytes to draw.
            bytes: u16,
            /// Whether the bytes are also returned in clear.
            with_plaintext: bool,
        },
        /// Draws random bytes.
        Random = 0x35 {
            /// How many.
            bytes: u16,
        },
        /// Shares a key that the user owns with another CU, or shares it no more.
        ShareKey = 0x12 {
            /// The key.
            handle: KeyHandle,
            /// The other user.
            user: UserId,
            /// Whether to share it.
            share: bool,
        },
        /// Changes the label of a key that the user owns, or whether it encrypts or decrypts.
        SetAttribute = 0x13 {
            /// The key.
            handle: KeyHandle,
            /// What to change.
            attribute: Attribute,
            /// The label, or one byte that is 0 or 1.
            value: AttributeValue,
        },
        /// Registers the key by which the officer of the session approves quorum tokens.
        RegisterQuorumKey = 0x40 {
            /// The officer.
            name: UserName,
            /// What the officer has signed.
            token: RegistrationToken,
            /// RSASSA-PKCS1-v1_5 with SHA-256 over it.
            signature: Signature,
            /// The public key.
            key: SecondFactorKey,
        },
        /// Sets how many officers a service needs. CO only.
        SetQuorumValue = 0x41 {
            /// The service.
            service: QuorumService,
            /// From 1, which is no quorum, to 8.
            value: u8,
        },
        /// Asks how many officers a service needs.
        QuorumValue = 0x42 {
            /// The service.
            service: QuorumService,
        },
        /// Asks for a token to be approved. CO only.
        GetToken = 0x43 {
            /// What it is for.
            service: QuorumService,
        },
        /// Brings an officer's approval. CO only.
        ApproveToken = 0x44 {
            /// What the approver has signed.
            file: QuorumTokenFile,
            /// The approver.
            approver: UserName,
            /// RSASSA-PKCS1-v1_5 with SHA-256 over the file.
            signature: Signature,
        },
        /// Lists the tokens. CO only.
        ListTokens = 0x45,
        /// Forgets the tokens of the officer of the session, or everybody's. CO only.
        DeleteTokens = 0x46 {
            /// Everybody's.
            all: bool,
        },
        /// Sets for how long tokens are good. CO only.
        SetTokenTimeout = 0x47 {
            /// Of which tokens.
            stage: TokenStage,
            /// Their time, in seconds.
            seconds: u32,
        },
        /// Asks for how long tokens are good. Needs no login.
        TokenTimeouts = 0x48,
        /// Asks for one of the certificates. Needs no login.
        Certificate = 0x50 {
            /// Which one.
            kind: CertificateKind,
        },
        /// Encrypts a user for another HSM of the cluster. CO only.
        ExtractUser = 0xf2 {
            /// The user.
            user: UserId,
        },
        /// Takes in a user that another HSM of the cluster encrypted. CO only.
        InsertUser = 0xf3 {
            /// What `ExtractUser` returned there.
            object: MaskedObject,
        },
        /// Encrypts a key for the other HSMs of the cluster.
        ExtractMasked = 0xf0 {
            /// The key.
            handle: KeyHandle,
        },
        /// Takes in a key that another HSM of the cluster encrypted.
        InsertMasked = 0xf1 {
            /// What `ExtractMasked` returned there.
            object: MaskedObject,
        },
    }
}

wire_enum! {
    /// What an HSM answers.
    pub enum Response as "response" {
        /// It refused.
        Refused = 0 {
            /// Why.
            refusal: Refusal,
        },
        /// Done; there is nothing to tell.
        Done = 1,
        /// Identity, firmware, limits and members.
        Info = 2 {
            /// All of that.
            info: DeviceInfo,
        },
        /// The users.
        Users = 3 {
            /// In order of their numbers.
            users: UserList,
        },
        /// The bytes that a second factor has to sign.
        Challenge = 4 {
            /// Random, valid for this session until the next login attempt.
            challenge: [u8; 32],
        },
        /// A key was made or taken in.
        Key = 5 {
            /// Its number.
            handle: KeyHandle,
        },
        /// The keys found.
        Keys = 6 {
            /// In order of their numbers.
            handles: List<KeyHandle, KEYS_MAX>,
        },
        /// What users of a key may know about it.
        KeyInfo = 7 {
            /// All of that.
            info: KeyInfo,
        },
        /// An attribute.
        Attribute = 8 {
            /// Its value.
            value: AttributeValue,
        },
        /// The keys of a user.
        KeysOfUser = 9 {
            /// All of them.
            keys: KeysOfUser,
        },
        /// A message.
        Sealed = 10 {
            /// Nonce, IV, ciphertext, tag (after `Encrypt`: IV, ciphertext, tag).
            message: SealedMessage,
        },
        /// A decrypted message.
        Opened = 11 {
            /// The plaintext.
            plaintext: Plaintext,
        },
        /// A data key.
        Generated = 12 {
            /// The bytes in clear, if they were asked for.
            plaintext: Option<Plaintext>,
            /// The bytes sealed.
            message: SealedMessage,
        },
        /// Random bytes.
        Random = 13 {
            /// As many as were asked for.
            bytes: Plaintext,
        },
        /// A key encrypted for the other HSMs of the cluster.
        Masked = 14 {
            /// The object.
            object: MaskedObject,
        },
        /// A quorum token.
        QuorumToken = 15 {
            /// Its number on the HSM.
            id: u32,
            /// What is to be signed, with those of the other HSMs.
            token: QuorumToken,
        },
        /// The quorum tokens.
        QuorumTokens = 16 {
            /// In the order in which they were given out.
            tokens: QuorumTokenList,
        },
        /// How many officers a service needs.
        QuorumValue = 17 {
            /// From 1, which is no quorum.
            value: u8,
        },
        /// A certificate.
        Certificate = 18 {
            /// In PEM.
            certificate: Pem,
        },
        /// For how long tokens are good.
        TokenTimeouts = 19 {
            /// To be approved, in seconds.
            generated: u32,
            /// To be used once approved, in seconds.
            approved: u32,
        },
    }
}

wire_enum! {
    /// A certificate that an HSM shows.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum CertificateKind as "kind of certificate" {
        /// Of the hardware's key, by the manufacturer.
        ManufacturerHardware = 2,
        /// The trust anchor of the cluster's owner.
        CustomerRoot = 4,
        /// Of the cluster's key, by the cluster's owner.
        Cluster = 8,
        /// Of the cluster's key, by the hardware.
        Hsm = 16,
    }
}

wire_struct! {
    /// A second factor that a user is given.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct NewSecondFactor {
        /// The public key.
        pub key: SecondFactorKey,
        /// That its owner has the private key: as a second factor at login, over the session's challenge.
        pub signature: Signature,
    }
}

wire_struct! {
    /// A quorum token of an HSM.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct QuorumTokenInfo {
        /// Its number on the HSM.
        pub id: u32,
        /// What it is for.
        pub service: QuorumService,
        /// The officer who got it.
        pub user: UserName,
        /// Time for which it is sure to be kept, in seconds.
        pub validity_seconds: u32,
        /// Approvals that it needs.
        pub required: u8,
        /// The officers who have approved it.
        pub approvers: List<UserName, QUORUM_APPROVALS_MAX>,
    }
}

wire_struct! {
    /// Identity, firmware, limits and members of an HSM: what anybody may know.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct DeviceInfo {
        /// The HSM's id, `hsm-` and eleven characters.
        pub hsm_id: ShortText,
        /// The hardware's serial number.
        pub serial: ShortText,
        /// How often the device has been switched on.
        pub reboot_counter: u32,
        /// Whether the cluster certificate is in place.
        pub initialized: bool,
        /// Whether the PRECO has become a CO: the cluster is active.
        pub activated: bool,
        /// Users on the HSM.
        pub users: u32,
        /// Keys on the HSM.
        pub keys: u32,
        /// Open sessions.
        pub sessions: u32,
        /// Addresses of all HSMs of the cluster, as far as the provider told.
        pub members: Members,
    }
}

wire_struct! {
    /// The keys that a user owns or shares, and a digest of ownership on the whole HSM.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct KeysOfUser {
        /// In order of their numbers.
        pub keys: List<OwnedKey, KEYS_MAX>,
        /// SHA-256 over owners and shares of all keys: equal on HSMs that are in step.
        pub digest: [u8; 32],
    }
}

wire_struct! {
    /// One key of a user.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct OwnedKey {
        /// The key.
        pub handle: KeyHandle,
        /// Whether owned or shared.
        pub possession: Possession,
    }
}

impl Command {
    /// Encodes the command; the buffer is zeroised when dropped, for it may hold a password.
    #[must_use]
    pub fn encode(&self) -> SecretBuffer {
        encode(self)
    }

    /// Decodes a command that is all of `bytes`.
    ///
    /// # Errors
    ///
    /// [`HsmError::Argument`] when they do not.
    pub fn decode(bytes: &[u8]) -> Result<Self, HsmError> {
        Ok(decode(bytes)?)
    }

    /// Whether the command derives a password or writes non-volatile memory: milliseconds, so a
    /// server runs it off its event loop.
    #[must_use]
    pub fn is_slow(&self) -> bool {
        matches!(
            self,
            Self::CreateUser { .. }
                | Self::DeleteUser { .. }
                | Self::ChangePassword { .. }
                | Self::Login { .. }
                | Self::Logout
                | Self::DeleteKey { .. }
                | Self::GenerateKey { .. }
                | Self::ShareKey { .. }
                | Self::SetAttribute { .. }
                | Self::RegisterQuorumKey { .. }
                | Self::SetQuorumValue { .. }
                | Self::SetTokenTimeout { .. }
                | Self::ApproveToken { .. }
                | Self::ExtractUser { .. }
                | Self::InsertUser { .. }
                | Self::ExtractMasked { .. }
                | Self::InsertMasked { .. }
        )
    }
}

impl Response {
    /// Encodes the response; the buffer is zeroised when dropped, for it may hold a data key.
    #[must_use]
    pub fn encode(&self) -> SecretBuffer {
        encode(self)
    }

    /// Decodes a response that is all of `bytes`.
    ///
    /// # Errors
    ///
    /// [`HsmError::Argument`] when they do not.
    pub fn decode(bytes: &[u8]) -> Result<Self, HsmError> {
        Ok(decode(bytes)?)
    }
}

impl From<Result<Response, Refusal>> for Response {
    fn from(result: Result<Response, Refusal>) -> Self {
        result.unwrap_or_else(|refusal| Self::Refused { refusal })
    }
}
