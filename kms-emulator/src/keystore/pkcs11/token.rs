//! What is asked of the token itself, each in a session that is logged in.

use std::path::Path;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::mechanism::ekdf::AesCbcDeriveParams;
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use zeroize::Zeroizing;

use super::error::{key_store_error, opening_error};
use crate::keystore::KeyStoreError;
use crate::records::KeyStorePassword;

/// Random bytes from which a message's key is derived: two blocks of AES, as many as the key has.
const SALT_BYTES: usize = 32;
/// Bytes of AES-256 keys.
const KEY_BYTES: u64 = 32;
const TAG_BITS: u64 = 128;
/// Bytes of `CKA_ID`, which tells keys with one label apart.
const ID_BYTES: usize = 16;

/// A token in its slot.
pub(super) struct Token {
    library: Pkcs11,
    slot: Slot,
}

impl Token {
    /// The token with that label; none if no slot has it.
    pub(super) fn find(module: &Path, label: &str) -> Result<Option<Self>, Error> {
        let library = load(module)?;
        for slot in library.get_slots_with_initialized_token()? {
            if library.get_token_info(slot)?.label() == label {
                return Ok(Some(Self { library, slot }));
            }
        }
        Ok(None)
    }

    pub(super) fn open_session(&self) -> Result<Session, Error> {
        self.library.open_rw_session(self.slot)
    }

    pub(super) fn log_in(&self, session: &Session, pin: &KeyStorePassword) -> Result<(), Error> {
        session.login(UserType::User, Some(&secret(pin)))
    }

    /// Logs in again if the login of the program was lost.
    pub(super) fn stay_logged_in(
        &self,
        session: &Session,
        pin: &KeyStorePassword,
    ) -> Result<(), Error> {
        if session.get_session_info()?.session_state() == SessionState::RwUser {
            return Ok(());
        }
        match self.log_in(session, pin) {
            // Another session was faster.
            Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
            outcome => outcome,
        }
    }

    pub(super) fn set_pin(
        &self,
        session: &Session,
        old: &KeyStorePassword,
        new: &KeyStorePassword,
    ) -> Result<(), Error> {
        session.set_pin(&secret(old), &secret(new))
    }

    /// Makes a key that never leaves the token; returns its `CKA_ID`.
    pub(super) fn generate_key(
        &self,
        session: &Session,
        label: &str,
    ) -> Result<Vec<u8>, KeyStoreError> {
        let id = self.random(session, ID_BYTES)?.to_vec();
        let template = [
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Encrypt(false),
            Attribute::Decrypt(false),
            Attribute::Derive(true),
            Attribute::ValueLen(KEY_BYTES.into()),
            Attribute::Label(label.as_bytes().to_vec()),
            Attribute::Id(id.clone()),
        ];
        session.generate_key(&Mechanism::AesKeyGen, &template).map_err(key_store_error)?;
        Ok(id)
    }

    /// Encrypts under a key of this message alone: salt, ciphertext, tag.
    pub(super) fn seal(
        &self,
        session: &Session,
        label: &str,
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, KeyStoreError> {
        let mut sealed = self.random(session, SALT_BYTES)?.to_vec();
        let encrypted = with_message_key(session, label, &sealed, |key| {
            let mut nonce = [0; 12];
            let gcm = GcmParams::new(&mut nonce, aad, TAG_BITS.into())?;
            session.encrypt(&Mechanism::AesGcm(gcm), key, plaintext)
        })?;
        sealed.extend_from_slice(&encrypted.map_err(key_store_error)?);
        Ok(sealed)
    }

    /// Decrypts what `seal` returned.
    pub(super) fn open(
        &self,
        session: &Session,
        label: &str,
        aad: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyStoreError> {
        let (salt, encrypted) =
            sealed.split_at_checked(SALT_BYTES).ok_or(KeyStoreError::NotAuthentic)?;
        let opened = with_message_key(session, label, salt, |key| {
            let mut nonce = [0; 12];
            let gcm = GcmParams::new(&mut nonce, aad, TAG_BITS.into())?;
            session.decrypt(&Mechanism::AesGcm(gcm), key, encrypted)
        })?;
        opened.map(Zeroizing::new).map_err(opening_error)
    }

    /// Draws bytes from the token's generator.
    pub(super) fn random(
        &self,
        session: &Session,
        bytes: usize,
    ) -> Result<Zeroizing<Vec<u8>>, KeyStoreError> {
        let mut drawn = Zeroizing::new(vec![0; bytes]);
        session.generate_random_slice(&mut drawn).map_err(key_store_error)?;
        Ok(drawn)
    }

    /// Destroys every key with that label; none counts as destroyed.
    pub(super) fn destroy(&self, session: &Session, label: &str) -> Result<(), KeyStoreError> {
        for key in find(session, label)? {
            session.destroy_object(key).map_err(key_store_error)?;
        }
        Ok(())
    }
}

/// Loads a module, and initialises it unless another key store of this program has.
pub(super) fn load(module: &Path) -> Result<Pkcs11, Error> {
    let library = Pkcs11::new(module)?;
    match library.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(library),
        Err(error) => Err(error),
    }
}

/// Derives a message's key from its salt, uses it, and has the token forget it.
fn with_message_key<T>(
    session: &Session,
    label: &str,
    salt: &[u8],
    use_it: impl FnOnce(ObjectHandle) -> Result<T, Error>,
) -> Result<Result<T, Error>, KeyStoreError> {
    let key = find(session, label)?.into_iter().next().ok_or(KeyStoreError::MaterialMissing)?;
    let template = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::Token(false),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Encrypt(true),
        Attribute::Decrypt(true),
        Attribute::ValueLen(KEY_BYTES.into()),
    ];
    let mechanism = Mechanism::AesCbcEncryptData(AesCbcDeriveParams::new([0; 16], salt));
    let derived = session.derive_key(&mechanism, key, &template).map_err(key_store_error)?;
    let used = use_it(derived);
    session.destroy_object(derived).map_err(key_store_error)?;
    Ok(used)
}

fn find(session: &Session, label: &str) -> Result<Vec<ObjectHandle>, KeyStoreError> {
    let template = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::Token(true),
        Attribute::Label(label.as_bytes().to_vec()),
    ];
    session.find_objects(&template).map_err(key_store_error)
}

fn secret(pin: &KeyStorePassword) -> AuthPin {
    AuthPin::new(pin.expose().into())
}
