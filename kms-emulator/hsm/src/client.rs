//! Typed calls of one session.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::certificates::TrustAnchor;
use crate::device::{Device, Port};
use crate::error::HsmError;
use crate::key::{Attribute, KeyHandle, KeyInfo, Label};
use crate::secret::{Password, Plaintext};
use crate::transport::{InProcess, Patience, Tls, Transport};
use crate::user::{Role, UserId, UserInfo, UserName};
use crate::wire::{
    Aad, Command, DeviceInfo, KeysOfUser, MaskedObject, NewSecondFactor, Response, SealedMessage,
    Signature,
};

/// One session of one HSM. Clones share the session; it ends when the last is dropped.
#[derive(Clone)]
pub struct Client {
    transport: Arc<dyn Transport>,
}

/// Expects one kind of answer; a refusal becomes an error, anything else a protocol error.
macro_rules! expect {
    ($client:ident, $command:expr, $pattern:pat => $value:expr) => {
        match $client.transport.call($command).await? {
            $pattern => Ok($value),
            Response::Refused { refusal } => Err(HsmError::Refused(refusal)),
            _ => Err($client.unexpected()),
        }
    };
}

mod management;

impl Client {
    /// A client over any transport.
    #[must_use]
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport }
    }

    /// Connects to an HSM over TLS, waiting at most `wait`; it has to prove that `anchor` signed its
    /// cluster's certificate.
    ///
    /// # Errors
    ///
    /// [`HsmError::Unreachable`], [`HsmError::NotTrusted`].
    pub async fn connect(
        address: SocketAddr,
        anchor: &TrustAnchor,
        wait: Duration,
    ) -> Result<Self, HsmError> {
        let patience = Patience { connect: wait, ..Patience::default() };
        Self::connect_with(address, anchor, patience).await
    }

    /// The same for a client that does not wait as long as it may for answers either: a command that
    /// is not answered in time ends in [`HsmError::Unreachable`] with
    /// [`TimedOut`](std::io::ErrorKind::TimedOut), whether or not it is executed.
    ///
    /// # Errors
    ///
    /// As [`Client::connect`].
    pub async fn connect_with(
        address: SocketAddr,
        anchor: &TrustAnchor,
        patience: Patience,
    ) -> Result<Self, HsmError> {
        Ok(Self::new(Arc::new(Tls::connect(address, anchor, patience).await?)))
    }

    /// Opens a session of a device in this process.
    ///
    /// # Errors
    ///
    /// [`HsmError::Refused`] when no session is left or the device was tampered with.
    pub fn in_process(device: Arc<Device>, port: Port) -> Result<Self, HsmError> {
        Ok(Self::new(Arc::new(InProcess::open(device, port)?)))
    }

    /// Where the device is, for messages.
    #[must_use]
    pub fn address(&self) -> &str {
        self.transport.address()
    }

    /// Whether the session still exists as far as is known here.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.transport.is_open()
    }

    /// Whether both are clones of one client, so that they share a session.
    #[must_use]
    pub fn is_same_session(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.transport, &other.transport)
    }

    /// Asks for identity, firmware, limits and members. Needs no login.
    ///
    /// # Errors
    ///
    /// Those of every call: [`HsmError::Unreachable`], [`HsmError::Protocol`],
    /// [`HsmError::Refused`] with [`Tampered`](crate::Refusal::Tampered).
    pub async fn info(&self) -> Result<DeviceInfo, HsmError> {
        expect!(self, Command::Info, Response::Info { info } => info)
    }

    /// Lists the users. Needs no login.
    ///
    /// # Errors
    ///
    /// Those of every call.
    pub async fn list_users(&self) -> Result<Vec<UserInfo>, HsmError> {
        expect!(self, Command::ListUsers, Response::Users { users } => users.into_vec())
    }

    /// Logs the session in.
    ///
    /// # Errors
    ///
    /// [`HsmError::Refused`] with [`UserNotFound`](crate::Refusal::UserNotFound),
    /// [`WrongPassword`](crate::Refusal::WrongPassword),
    /// [`UserLockedOut`](crate::Refusal::UserLockedOut),
    /// [`SecondFactorRequired`](crate::Refusal::SecondFactorRequired) or
    /// [`AlreadyLoggedIn`](crate::Refusal::AlreadyLoggedIn).
    pub async fn login(&self, role: Role, name: &str, password: Password) -> Result<(), HsmError> {
        self.login_with_factor(role, name, password, None).await
    }

    /// Logs the session in with a second factor: the user's signature with [`Client::challenge`] as the digest.
    ///
    /// # Errors
    ///
    /// As [`Client::login`].
    pub async fn login_with_factor(
        &self,
        role: Role,
        name: &str,
        password: Password,
        second_factor: Option<Signature>,
    ) -> Result<(), HsmError> {
        let name = UserName::parse(name)?;
        self.done(Command::Login { role, name, password, second_factor }).await
    }

    /// Asks for the bytes that a second factor signs for the next login of this session.
    ///
    /// # Errors
    ///
    /// Those of every call.
    pub async fn challenge(&self) -> Result<[u8; 32], HsmError> {
        expect!(self, Command::Challenge, Response::Challenge { challenge } => challenge)
    }

    /// Logs the session out.
    ///
    /// # Errors
    ///
    /// [`HsmError::Refused`] with [`NotLoggedIn`](crate::Refusal::NotLoggedIn).
    pub async fn logout(&self) -> Result<(), HsmError> {
        self.done(Command::Logout).await
    }

    /// Creates a CO or CU; the session has to be a CO's. A second factor signs [`Client::challenge`].
    ///
    /// # Errors
    ///
    /// [`HsmError::Refused`] with [`UserExists`](crate::Refusal::UserExists),
    /// [`SignatureInvalid`](crate::Refusal::SignatureInvalid),
    /// [`InvalidUserName`](crate::Refusal::InvalidUserName),
    /// [`InvalidPassword`](crate::Refusal::InvalidPassword),
    /// [`RoleNotAllowed`](crate::Refusal::RoleNotAllowed) or
    /// [`CapacityExhausted`](crate::Refusal::CapacityExhausted).
    pub async fn create_user(
        &self,
        role: Role,
        name: &str,
        password: Password,
        second_factor: Option<NewSecondFactor>,
    ) -> Result<(), HsmError> {
        let name = UserName::parse(name)?;
        self.done(Command::CreateUser { role, name, password, second_factor }).await
    }

    /// Deletes a user; the session has to be a CO's.
    ///
    /// # Errors
    ///
    /// [`HsmError::Refused`] with [`UserNotFound`](crate::Refusal::UserNotFound),
    /// [`UserLoggedIn`](crate::Refusal::UserLoggedIn) or
    /// [`UserOwnsKeys`](crate::Refusal::UserOwnsKeys).
    pub async fn delete_user(&self, role: Role, name: &str) -> Result<(), HsmError> {
        let name = UserName::parse(name)?;
        self.done(Command::DeleteUser { role, name }).await
    }

    /// Changes a password: the session's own, or anybody's if it is a CO's. Unlocks the user, and takes away
    /// a second factor, whose key approves no quorum tokens from then on.
    ///
    /// # Errors
    ///
    /// [`HsmError::Refused`] with [`UserNotFound`](crate::Refusal::UserNotFound),
    /// [`UserLoggedIn`](crate::Refusal::UserLoggedIn) when another client is logged in as that user,
    /// [`InvalidPassword`](crate::Refusal::InvalidPassword) or
    /// [`RoleNotAllowed`](crate::Refusal::RoleNotAllowed).
    pub async fn change_password(
        &self,
        role: Role,
        name: &str,
        password: Password,
    ) -> Result<(), HsmError> {
        self.change_password_and_factor(role, name, password, None).await
    }

    /// Changes a password, and the second factor: `None` takes one away. A new one signs
    /// [`Client::challenge`]; its key also approves quorum tokens.
    ///
    /// # Errors
    ///
    /// As [`Client::change_password`], and [`SignatureInvalid`](crate::Refusal::SignatureInvalid).
    pub async fn change_password_and_factor(
        &self,
        role: Role,
        name: &str,
        password: Password,
        second_factor: Option<NewSecondFactor>,
    ) -> Result<(), HsmError> {
        let name = UserName::parse(name)?;
        self.done(Command::ChangePassword { role, name, password, second_factor }).await
    }

    /// Makes an AES-256 key with a label of at most 127 bytes; the session has to be a CU's.
    ///
    /// # Errors
    ///
    /// [`HsmError::Argument`] for a longer label; [`HsmError::Refused`] with
    /// [`CapacityExhausted`](crate::Refusal::CapacityExhausted).
    pub async fn generate_key(&self, label: &str) -> Result<KeyHandle, HsmError> {
        let label = Label::new(label)?;
        expect!(self, Command::GenerateKey { label }, Response::Key { handle } => handle)
    }

    /// Finds the keys with that label which the user may use, in order of their numbers.
    ///
    /// # Errors
    ///
    /// [`HsmError::Argument`] for a label longer than 127 bytes.
    pub async fn find_keys(&self, label: &str) -> Result<Vec<KeyHandle>, HsmError> {
        let label = Some(Label::new(label)?);
        let command = Command::FindKeys { label };
        expect!(self, command, Response::Keys { handles } => handles.into_vec())
    }

    /// Finds all keys that the user may use, in order of their numbers.
    ///
    /// # Errors
    ///
    /// Those of every call.
    pub async fn find_all_keys(&self) -> Result<Vec<KeyHandle>, HsmError> {
        let command = Command::FindKeys { label: None };
        expect!(self, command, Response::Keys { handles } => handles.into_vec())
    }

    /// Asks for what users of a key may know about it.
    ///
    /// # Errors
    ///
    /// [`HsmError::Refused`] with [`KeyNotFound`](crate::Refusal::KeyNotFound) or
    /// [`KeyAccessDenied`](crate::Refusal::KeyAccessDenied).
    pub async fn key_info(&self, handle: KeyHandle) -> Result<KeyInfo, HsmError> {
        expect!(self, Command::KeyInfo { handle }, Response::KeyInfo { info } => info)
    }

    /// Asks for one attribute of a key, in its PKCS #11 encoding with numbers big-endian.
    ///
    /// # Errors
    ///
    /// As [`Client::key_info`], and [`PolicyViolation`](crate::Refusal::PolicyViolation) when the
    /// key has no such attribute.
    pub async fn key_attribute(
        &self,
        handle: KeyHandle,
        attribute: Attribute,
    ) -> Result<Vec<u8>, HsmError> {
        let command = Command::KeyAttribute { handle, attribute };
        expect!(self, command, Response::Attribute { value } => value.into_vec())
    }

    /// Lists the keys that a user owns or shares: a CO for everybody, a CU for itself.
    ///
    /// # Errors
    ///
    /// [`HsmError::Refused`] with [`RoleNotAllowed`](crate::Refusal::RoleNotAllowed).
    pub async fn keys_of_user(&self, user: UserId) -> Result<KeysOfUser, HsmError> {
        expect!(self, Command::KeysOfUser { user }, Response::KeysOfUser { keys } => keys)
    }

    /// Destroys a key that the user owns.
    ///
    /// # Errors
    ///
    /// As [`Client::key_info`].
    pub async fn delete_key(&self, handle: KeyHandle) -> Result<(), HsmError> {
        self.done(Command::DeleteKey { handle }).await
    }

    /// Encrypts with AES-256-GCM under the key itself; returns IV (12 bytes, made inside),
    /// ciphertext and tag (16).
    ///
    /// # Errors
    ///
    /// As [`Client::key_info`].
    pub async fn encrypt(
        &self,
        handle: KeyHandle,
        aad: &[u8],
        plaintext: Plaintext,
    ) -> Result<Vec<u8>, HsmError> {
        let aad = Aad::new(aad.to_vec())?;
        let command = Command::Encrypt { handle, aad, plaintext };
        expect!(self, command, Response::Sealed { message } => message.into_vec())
    }

    /// Decrypts what [`Client::encrypt`] returned.
    ///
    /// # Errors
    ///
    /// As [`Client::key_info`], and [`NotAuthentic`](crate::Refusal::NotAuthentic).
    pub async fn decrypt(
        &self,
        handle: KeyHandle,
        aad: &[u8],
        message: &[u8],
    ) -> Result<Plaintext, HsmError> {
        let (aad, message) = message_arguments(aad, message)?;
        let command = Command::Decrypt { handle, aad, message };
        expect!(self, command, Response::Opened { plaintext } => plaintext)
    }

    /// Encrypts under a key that the HSM derives for this message alone; the result is 44 bytes
    /// longer than the plaintext. `aad` is at most 64 KiB.
    ///
    /// # Errors
    ///
    /// As [`Client::key_info`].
    pub async fn seal(
        &self,
        handle: KeyHandle,
        aad: &[u8],
        plaintext: Plaintext,
    ) -> Result<Vec<u8>, HsmError> {
        let aad = Aad::new(aad.to_vec())?;
        let command = Command::Seal { handle, aad, plaintext };
        expect!(self, command, Response::Sealed { message } => message.into_vec())
    }

    /// Decrypts what [`Client::seal`] or a `generate_sealed` call returned.
    ///
    /// # Errors
    ///
    /// As [`Client::key_info`], and [`NotAuthentic`](crate::Refusal::NotAuthentic).
    pub async fn open(
        &self,
        handle: KeyHandle,
        aad: &[u8],
        message: &[u8],
    ) -> Result<Plaintext, HsmError> {
        let (aad, message) = message_arguments(aad, message)?;
        let command = Command::Open { handle, aad, message };
        expect!(self, command, Response::Opened { plaintext } => plaintext)
    }

    /// Has the HSM draw a data key of `bytes` bytes; returns it, and sealed as [`Client::seal`] does.
    ///
    /// # Errors
    ///
    /// As [`Client::key_info`], and [`TooLong`](crate::Refusal::TooLong) beyond 4,096 bytes.
    pub async fn generate_data_key(
        &self,
        handle: KeyHandle,
        aad: &[u8],
        bytes: u16,
    ) -> Result<(Plaintext, Vec<u8>), HsmError> {
        let aad = Aad::new(aad.to_vec())?;
        let command = Command::GenerateSealed { handle, aad, bytes, with_plaintext: true };
        expect!(
            self, command,
            Response::Generated { plaintext: Some(plaintext), message }
                => (plaintext, message.into_vec())
        )
    }

    /// Has the HSM draw a data key of `bytes` bytes that does not leave it in clear.
    ///
    /// # Errors
    ///
    /// As [`Client::generate_data_key`].
    pub async fn generate_sealed_data_key(
        &self,
        handle: KeyHandle,
        aad: &[u8],
        bytes: u16,
    ) -> Result<Vec<u8>, HsmError> {
        let aad = Aad::new(aad.to_vec())?;
        let command = Command::GenerateSealed { handle, aad, bytes, with_plaintext: false };
        expect!(self, command, Response::Generated { message, .. } => message.into_vec())
    }

    /// Draws random bytes; the session has to be logged in.
    ///
    /// # Errors
    ///
    /// [`HsmError::Refused`] with [`NotLoggedIn`](crate::Refusal::NotLoggedIn), or
    /// [`TooLong`](crate::Refusal::TooLong) beyond 4,096 bytes.
    pub async fn random(&self, bytes: u16) -> Result<Plaintext, HsmError> {
        expect!(self, Command::Random { bytes }, Response::Random { bytes } => bytes)
    }

    /// Has the HSM encrypt a key for the other HSMs of its cluster.
    ///
    /// # Errors
    ///
    /// As [`Client::key_info`].
    pub async fn extract_masked(&self, handle: KeyHandle) -> Result<MaskedObject, HsmError> {
        expect!(self, Command::ExtractMasked { handle }, Response::Masked { object } => object)
    }

    /// Has the HSM take in a key that another HSM of the cluster encrypted; one that it has already
    /// keeps its number.
    ///
    /// # Errors
    ///
    /// [`HsmError::Refused`] with [`OtherCluster`](crate::Refusal::OtherCluster),
    /// [`OwnerMissing`](crate::Refusal::OwnerMissing) or
    /// [`NotAuthentic`](crate::Refusal::NotAuthentic).
    pub async fn insert_masked(&self, object: MaskedObject) -> Result<KeyHandle, HsmError> {
        expect!(self, Command::InsertMasked { object }, Response::Key { handle } => handle)
    }

    async fn done(&self, command: Command) -> Result<(), HsmError> {
        expect!(self, command, Response::Done => ())
    }

    fn unexpected(&self) -> HsmError {
        HsmError::Protocol {
            address: self.address().to_owned(),
            source: crate::Malformed { what: "answer to another command" },
        }
    }
}

fn message_arguments(aad: &[u8], message: &[u8]) -> Result<(Aad, SealedMessage), HsmError> {
    Ok((Aad::new(aad.to_vec())?, SealedMessage::new(message.to_vec())?))
}
