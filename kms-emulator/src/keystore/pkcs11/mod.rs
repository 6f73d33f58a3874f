//! A PKCS #11 device as the ground of a custom key store: not in the server yet, but proof, on a real token
//! (SoftHSM 2), that the seam of custom key stores fits such devices.
//!
//! PKCS #11 is OASIS's; the mechanisms are those of version 2.40. A token has one user, whose PIN takes the place of
//! `kmsuser`'s password, and one login per program, which all its sessions share. A key is an AES-256 key on the token
//! that is sensitive, cannot be extracted and does nothing but derive: each message has its own key, derived from 32 random
//! bytes by `CKM_AES_CBC_ENCRYPT_DATA`, so that no nonce of GCM is ever used twice under one key.

mod error;
#[cfg(test)]
mod tests;
mod token;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use async_trait::async_trait;
use cryptoki::session::Session;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use self::error::{connection_error, is_session_lost, key_store_error};
use self::token::Token;
use super::{Connection, DataKey, KeyStore, KeyStoreError, label};
use crate::ids::KeyArn;
use crate::records::{ConnectionError, KeyStorePassword, Material, Passwords};

/// Sessions that requests share; each does one thing after the other.
const SESSIONS_MAX: usize = 4;

/// A connection to one token.
struct Device(Arc<Shared>);

struct Shared {
    token: Token,
    pin: RwLock<Arc<KeyStorePassword>>,
    /// Sessions that nobody uses now. Opened as they are needed, closed one after the other: tokens do not
    /// all bear it otherwise.
    idle: Mutex<Vec<Session>>,
    permits: Semaphore,
    /// Labels that the token did not know when it was asked last.
    missing: RwLock<BTreeSet<String>>,
    is_closed: AtomicBool,
}

impl Device {
    /// Finds the token, logs in with whichever password it has, and gives it the next one if there is one.
    ///
    /// # Errors
    /// The `ConnectionErrorCode` that the store shows.
    async fn connect(
        module: &Path,
        label: &str,
        passwords: &Passwords,
    ) -> Result<Self, ConnectionError> {
        let (module, label, passwords) = (module.to_owned(), label.to_owned(), passwords.clone());
        let connect = move || {
            let token = Token::find(&module, &label).map_err(|e| connection_error(&e))?;
            let session = token.ok_or(ConnectionError::ClusterNotFound)?;
            Shared::log_in(session, &passwords).map_err(|e| connection_error(&e))
        };
        let shared = tokio::task::spawn_blocking(connect).await;
        Ok(Self(Arc::new(shared.map_err(|_| ConnectionError::InternalError)??)))
    }

    /// Does something that blocks in a session of its own; once more if the session, or the login, was lost meanwhile.
    async fn work<T, F>(&self, work: F) -> Result<T, KeyStoreError>
    where
        T: Send + 'static,
        F: Fn(&Token, &Session) -> Result<T, KeyStoreError> + Send + 'static,
    {
        let shared = Arc::clone(&self.0);
        let blocking = move || {
            let again = shared.once(&work);
            match again {
                Err(KeyStoreError::Device(error)) if is_session_lost(&*error) => shared.once(&work),
                done => done,
            }
        };
        let _permit = self.0.permits.acquire().await.map_err(|_| closed())?;
        tokio::task::spawn_blocking(blocking)
            .await
            .map_err(|error| KeyStoreError::Device(Box::new(error)))?
    }

    /// The same with a key.
    async fn work_with<T, F>(&self, material: &Material, work: F) -> Result<T, KeyStoreError>
    where
        T: Send + 'static,
        F: Fn(&Token, &Session, &str) -> Result<T, KeyStoreError> + Send + 'static,
    {
        let label = label::of(material)?.to_owned();
        let asked = label.clone();
        let done = self.work(move |token, session| work(token, session, &asked)).await;
        let mut missing = self.0.missing.write().unwrap_or_else(PoisonError::into_inner);
        if matches!(done, Err(KeyStoreError::MaterialMissing)) {
            missing.insert(label);
        } else if done.is_ok() {
            missing.remove(&label);
        }
        done
    }
}

impl Shared {
    /// Logs in with the one of the passwords that the token has, and leaves it with the newest.
    fn log_in(token: Token, passwords: &Passwords) -> Result<Self, cryptoki::error::Error> {
        let session = token.open_session()?;
        let pin = match &passwords.next {
            None => {
                token.log_in(&session, &passwords.current)?;
                &passwords.current
            }
            Some(next) => {
                if token.log_in(&session, next).is_err() {
                    token.log_in(&session, &passwords.current)?;
                    token.set_pin(&session, &passwords.current, next)?;
                }
                next
            }
        };
        Ok(Self {
            pin: RwLock::new(Arc::clone(pin)),
            token,
            idle: Mutex::new(vec![session]),
            permits: Semaphore::new(SESSIONS_MAX),
            missing: RwLock::default(),
            is_closed: AtomicBool::new(false),
        })
    }

    fn once<T>(
        &self,
        work: &impl Fn(&Token, &Session) -> Result<T, KeyStoreError>,
    ) -> Result<T, KeyStoreError> {
        if self.is_closed.load(Ordering::SeqCst) {
            return Err(closed());
        }
        let session = self.session()?;
        let done = work(&self.token, &session);
        // One that failed may be in the middle of an operation: it is closed.
        let mut idle = self.idle();
        if done.is_ok() {
            idle.push(session);
        } else {
            drop(session);
        }
        done
    }

    /// A session that nobody uses, or a new one; the login is the program's, and made again if it was lost.
    fn session(&self) -> Result<Session, KeyStoreError> {
        let known = self.idle().pop();
        let session = match known {
            Some(session) => session,
            None => self.token.open_session().map_err(key_store_error)?,
        };
        let pin = Arc::clone(&self.pin.read().unwrap_or_else(PoisonError::into_inner));
        self.token.stay_logged_in(&session, &pin).map_err(key_store_error)?;
        Ok(session)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closed() -> KeyStoreError {
    KeyStoreError::Unreachable("the key store is disconnected".to_owned())
}

#[async_trait]
impl KeyStore for Device {
    async fn create(&self, key: &KeyArn) -> Result<Material, KeyStoreError> {
        let label = key.to_string();
        self.work(move |token, session| {
            let made = token.generate_key(session, &label)?;
            Ok(label::material(&label, &made))
        })
        .await
    }

    async fn seal(
        &self,
        material: &Material,
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, KeyStoreError> {
        let (aad, plaintext) = (aad.to_vec(), Zeroizing::new(plaintext.to_vec()));
        self.work_with(material, move |token, session, label| {
            token.seal(session, label, &aad, &plaintext)
        })
        .await
    }

    async fn open(
        &self,
        material: &Material,
        aad: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyStoreError> {
        let (aad, sealed) = (aad.to_vec(), sealed.to_vec());
        self.work_with(material, move |token, session, label| {
            token.open(session, label, &aad, &sealed)
        })
        .await
    }

    async fn generate_data_key(
        &self,
        material: &Material,
        aad: &[u8],
        bytes: usize,
    ) -> Result<DataKey, KeyStoreError> {
        let aad = aad.to_vec();
        self.work_with(material, move |token, session, label| {
            let plaintext = token.random(session, bytes)?;
            let sealed = token.seal(session, label, &aad, &plaintext)?;
            Ok(DataKey { plaintext, sealed })
        })
        .await
    }

    async fn generate_sealed_data_key(
        &self,
        material: &Material,
        aad: &[u8],
        bytes: usize,
    ) -> Result<Vec<u8>, KeyStoreError> {
        Ok(self.generate_data_key(material, aad, bytes).await?.sealed)
    }

    async fn random(&self, bytes: usize) -> Result<Zeroizing<Vec<u8>>, KeyStoreError> {
        self.work(move |token, session| token.random(session, bytes)).await
    }

    async fn delete(&self, material: &Material) -> Result<(), KeyStoreError> {
        let label = label::of(material)?.to_owned();
        self.work(move |token, session| token.destroy(session, &label)).await
    }

    fn is_available(&self, material: &Material) -> bool {
        let missing = self.0.missing.read().unwrap_or_else(PoisonError::into_inner);
        label::of(material).is_ok_and(|label| !missing.contains(label))
    }
}

#[async_trait]
impl Connection for Device {
    async fn clear(&self, key: &KeyArn) -> Result<(), KeyStoreError> {
        let label = key.to_string();
        self.work(move |token, session| token.destroy(session, &label)).await
    }

    async fn close(&self) {
        self.0.is_closed.store(true, Ordering::SeqCst);
        let shared = Arc::clone(&self.0);
        let closing = move || {
            let sessions = std::mem::take(&mut *shared.idle());
            if let Some(session) = sessions.first()
                && let Err(error) = session.logout()
            {
                tracing::debug!(%error, "the token was not logged out");
            }
            drop(sessions);
        };
        if let Err(error) = tokio::task::spawn_blocking(closing).await {
            tracing::warn!(%error, "the token was not logged out");
        }
    }
}
