//! Logging in as `kmsuser`, and giving it a new password at each connection.
//!
//! The new password is durable before the first HSM has it, and the old one is forgotten after the
//! last one has it, so that a crash at any moment leaves a store that can be connected again. If an
//! HSM of the cluster does not answer, the password stays: the HSM could not be logged in to when it
//! comes back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;
use futures::future::join_all;
use strongroom_hsm::{Client, HsmError, Password, Patience, Refusal, Role, TrustAnchor};

use super::node::Node;
use super::pool::Pool;
use crate::records::{Cluster, ConnectionError, CustomKeyStore, KeyStorePassword, Passwords};
use crate::registry::{Registry, UpdateError};

/// The crypto user of the KMS.
pub(crate) const KMSUSER: &str = "kmsuser";
/// Letters of a password that the KMS makes: the longest that an HSM takes.
const NEW_PASSWORD_LETTERS: usize = 32;
/// Longest that one HSM may take to be connected to, in seconds.
pub(super) const CONNECT_SECONDS_MAX: u64 = 5;
/// Longest that an HSM may take to encrypt, decrypt or find something, in seconds: beyond, another is asked.
const ANSWER_SECONDS_MAX: u64 = 2;
/// Longest that an HSM may take to derive a password or to write something, in seconds.
const SLOW_ANSWER_SECONDS_MAX: u64 = 8;
/// How often a password change is tried while another session of the user is going down.
const LOGGED_IN_TRIES: u32 = 5;
/// Pause between two of these tries, in milliseconds.
const LOGGED_IN_PAUSE_MILLIS: u64 = 200;

/// One connection of a key store to its cluster, in the making.
pub(crate) struct Connect {
    pub(crate) registry: Registry,
    pub(crate) store: Arc<CustomKeyStore>,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) anchor: TrustAnchor,
}

/// A store that was disconnected or deleted while it was being connected: nobody waits for it.
struct Abandoned;

impl Connect {
    /// Logs in to every HSM that answers, rotates the password, and returns the connection.
    ///
    /// # Errors
    /// The `ConnectionErrorCode` that the store shows.
    pub(crate) async fn run(self) -> Result<Arc<Pool>, ConnectionError> {
        if self.cluster.hsms.is_empty() {
            return Err(ConnectionError::InsufficientHsms);
        }
        let members = self.open_sessions().await;
        if members.is_empty() {
            return Err(ConnectionError::NetworkErrors);
        }
        for (_, client) in &members {
            login(client, &self.store.passwords).await.map_err(|error| error_code(&error))?;
        }
        self.rotate(&members).await?;
        for (node, client) in &members {
            node.add_session(client.clone());
        }
        let nodes = members.into_iter().map(|(node, _)| node).collect();
        let pool = Pool::new(self.registry, &self.store, self.anchor, nodes);
        pool.synchronise_all().await;
        Ok(pool)
    }

    /// A session of each HSM that answers; all are asked at once.
    async fn open_sessions(&self) -> Vec<(Arc<Node>, Client)> {
        let open = self.cluster.hsms.values().map(|hsm| async {
            let node = Arc::new(Node::new(hsm));
            match open_session(node.address, &self.anchor).await {
                Ok(client) => Some((node, client)),
                Err(error) => {
                    tracing::warn!(hsm = %hsm.id, %error, "an HSM does not answer");
                    None
                }
            }
        });
        join_all(open).await.into_iter().flatten().collect()
    }

    async fn rotate(&self, members: &[(Arc<Node>, Client)]) -> Result<(), ConnectionError> {
        let is_complete = members.len() == self.cluster.hsms.len();
        let next = match &self.store.passwords.next {
            // A rotation was interrupted: it is finished first, with the password that some have.
            Some(next) => Arc::clone(next),
            None if !is_complete => return Ok(()),
            None => Arc::new(new_password()?),
        };
        let current = Arc::clone(&self.store.passwords.current);
        let passwords = Passwords { current, next: Some(Arc::clone(&next)) };
        self.remember(passwords).await?;
        for (_, client) in members {
            change_password(client, &next).await.map_err(|error| error_code(&error))?;
        }
        if !is_complete {
            return Ok(());
        }
        self.remember(Passwords { current: next, next: None }).await
    }

    /// Makes the passwords durable.
    async fn remember(&self, passwords: Passwords) -> Result<(), ConnectionError> {
        let (realm, id) = (self.store.realm.clone(), self.store.id.clone());
        let update = self.registry.update(move |draft| {
            let store = draft.state().custom_key_store(&realm, &id).ok_or(Abandoned)?;
            let mut changed = CustomKeyStore::clone(store);
            changed.passwords = passwords.clone();
            draft.put_custom_key_store(changed);
            Ok::<(), Abandoned>(())
        });
        update.await.map_err(|error| {
            if let UpdateError::Storage(error) = error {
                tracing::error!(store = %self.store.id, %error, "a password was not stored");
            }
            ConnectionError::InternalError
        })
    }
}

/// Opens a session of an HSM, not logged in.
pub(super) async fn open_session(
    address: SocketAddr,
    anchor: &TrustAnchor,
) -> Result<Client, HsmError> {
    let patience = Patience {
        connect: Duration::from_secs(CONNECT_SECONDS_MAX),
        answer: Duration::from_secs(ANSWER_SECONDS_MAX),
        slow_answer: Duration::from_secs(SLOW_ANSWER_SECONDS_MAX),
    };
    Client::connect_with(address, anchor, patience).await
}

/// Logs a session in with the one of the passwords that the HSM has.
///
/// A wrong one counts as a failed login until a right one follows; there are at most two.
pub(super) async fn login(client: &Client, passwords: &Passwords) -> Result<(), HsmError> {
    if let Some(next) = &passwords.next {
        match client.login(Role::CryptoUser, KMSUSER, password(next)?).await {
            Err(HsmError::Refused(Refusal::WrongPassword { .. })) => {}
            other => return other,
        }
    }
    client.login(Role::CryptoUser, KMSUSER, password(&passwords.current)?).await
}

async fn change_password(client: &Client, next: &KeyStorePassword) -> Result<(), HsmError> {
    for _ in 1..LOGGED_IN_TRIES {
        match client.change_password(Role::CryptoUser, KMSUSER, password(next)?).await {
            Err(HsmError::Refused(Refusal::UserLoggedIn { .. })) => {
                tokio::time::sleep(Duration::from_millis(LOGGED_IN_PAUSE_MILLIS)).await;
            }
            other => return other,
        }
    }
    client.change_password(Role::CryptoUser, KMSUSER, password(next)?).await
}

fn password(stored: &KeyStorePassword) -> Result<Password, HsmError> {
    Ok(Password::new(stored.expose())?)
}

/// 32 letters and digits: 190 random bits.
fn new_password() -> Result<KeyStorePassword, ConnectionError> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut password = String::with_capacity(NEW_PASSWORD_LETTERS);
    let mut byte = [0];
    while password.len() < NEW_PASSWORD_LETTERS {
        rand::fill(&mut byte).map_err(|_| ConnectionError::InternalError)?;
        // 62 of 64: what falls outside is drawn again, so that every letter is equally likely.
        if let Some(letter) = LETTERS.get(usize::from(byte[0] & 0x3f)) {
            password.push(char::from(*letter));
        }
    }
    Ok(KeyStorePassword::new(password))
}

/// The code that the store shows for an error of an HSM.
fn error_code(error: &HsmError) -> ConnectionError {
    tracing::warn!(%error, "kmsuser is not logged in");
    match error {
        HsmError::Unreachable { .. } | HsmError::NotTrusted { .. } | HsmError::Protocol { .. } => {
            ConnectionError::NetworkErrors
        }
        HsmError::Refused(refusal) => match refusal {
            Refusal::UserNotFound { .. } => ConnectionError::UserNotFound,
            Refusal::UserLockedOut { .. } => ConnectionError::UserLockedOut,
            Refusal::UserLoggedIn { .. } => ConnectionError::UserLoggedIn,
            // A kmsuser with a second factor cannot be logged in by the KMS with any password.
            Refusal::WrongPassword { .. } | Refusal::SecondFactorRequired { .. } => {
                ConnectionError::InvalidCredentials
            }
            Refusal::Tampered | Refusal::SessionClosed => ConnectionError::NetworkErrors,
            _ => ConnectionError::InternalError,
        },
        _ => ConnectionError::InternalError,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_passwords_fit_the_rule_of_the_hsm() {
        for _ in 0..50 {
            let made = new_password().unwrap();
            assert!(password(&made).unwrap().check_rule().is_ok());
            assert_eq!(made.expose().len(), NEW_PASSWORD_LETTERS);
        }
    }
}
