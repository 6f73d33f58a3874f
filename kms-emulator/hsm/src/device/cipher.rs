//! Cryptographic commands: encryption, decryption, data keys, random bytes.
//!
//! They read a snapshot of the state, so any number runs at the same time.

use super::Device;
use super::keys::usable_key;
use super::sessions::SessionId;
use crate::crypto;
use crate::error::Refusal;
use crate::key::{KeyHandle, KeyUsage};
use crate::limits::RANDOM_BYTES_MAX;
use crate::secret::{KeyBytes, Plaintext};
use crate::wire::{Aad, Response, SealedMessage};

impl Device {
    pub(super) fn encrypt(
        &self,
        session: SessionId,
        handle: KeyHandle,
        aad: &Aad,
        plaintext: &Plaintext,
    ) -> Result<Response, Refusal> {
        self.with_key(
            session,
            handle,
            |usage| usage.encrypt,
            |key| sealed(crypto::encrypt(key, aad.as_slice(), plaintext.expose())?),
        )
    }

    pub(super) fn decrypt(
        &self,
        session: SessionId,
        handle: KeyHandle,
        aad: &Aad,
        message: &SealedMessage,
    ) -> Result<Response, Refusal> {
        self.with_key(
            session,
            handle,
            |usage| usage.decrypt,
            |key| {
                let plaintext = crypto::decrypt(key, aad.as_slice(), message.as_slice())?;
                Ok(Response::Opened { plaintext })
            },
        )
    }

    pub(super) fn seal(
        &self,
        session: SessionId,
        handle: KeyHandle,
        aad: &Aad,
        plaintext: &Plaintext,
    ) -> Result<Response, Refusal> {
        self.with_key(
            session,
            handle,
            |usage| usage.derive && usage.encrypt,
            |key| sealed(crypto::seal(key, aad.as_slice(), plaintext.expose())?),
        )
    }

    pub(super) fn open(
        &self,
        session: SessionId,
        handle: KeyHandle,
        aad: &Aad,
        message: &SealedMessage,
    ) -> Result<Response, Refusal> {
        self.with_key(
            session,
            handle,
            |usage| usage.derive && usage.decrypt,
            |key| {
                let plaintext = crypto::open(key, aad.as_slice(), message.as_slice())?;
                Ok(Response::Opened { plaintext })
            },
        )
    }

    pub(super) fn generate_sealed(
        &self,
        session: SessionId,
        handle: KeyHandle,
        aad: &Aad,
        bytes: u16,
        with_plaintext: bool,
    ) -> Result<Response, Refusal> {
        self.with_key(
            session,
            handle,
            |usage| usage.derive && usage.encrypt,
            |key| {
                let plaintext = draw(usize::from(bytes))?;
                let message = crypto::seal(key, aad.as_slice(), plaintext.expose())?;
                let message = SealedMessage::new(message).map_err(|_| Refusal::TooLong)?;
                Ok(Response::Generated { plaintext: with_plaintext.then_some(plaintext), message })
            },
        )
    }

    pub(super) fn random(&self, session: SessionId, bytes: u16) -> Result<Response, Refusal> {
        self.logged_in(session)?;
        self.state()?;
        Ok(Response::Random { bytes: draw(usize::from(bytes))? })
    }

    /// Lends the secret of a key that the session's user may use and whose usage allows it.
    fn with_key(
        &self,
        session: SessionId,
        handle: KeyHandle,
        allows: impl FnOnce(&KeyUsage) -> bool,
        use_key: impl FnOnce(&KeyBytes) -> Result<Response, Refusal>,
    ) -> Result<Response, Refusal> {
        let user = self.crypto_user(session)?;
        let state = self.state()?;
        let key = usable_key(&state.contents, user, handle)?;
        if allows(&key.usage) { use_key(&key.secret) } else { Err(Refusal::PolicyViolation) }
    }
}

/// Draws at most [`RANDOM_BYTES_MAX`] bytes.
pub(super) fn draw(bytes: usize) -> Result<Plaintext, Refusal> {
    if bytes > RANDOM_BYTES_MAX {
        return Err(Refusal::TooLong);
    }
    crypto::random_plaintext(bytes)
}

fn sealed(message: Vec<u8>) -> Result<Response, Refusal> {
    let message = SealedMessage::new(message).map_err(|_| Refusal::TooLong)?;
    Ok(Response::Sealed { message })
}
