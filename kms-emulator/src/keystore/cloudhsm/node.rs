//! One HSM of a cluster, as its client sees it.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use strongroom_hsm::server::CLIENT_PORT;
use strongroom_hsm::{Client, HsmError, KeyHandle, Refusal};

use crate::ids::HsmId;
use crate::records::Hsm;

/// Sessions that requests share on one HSM: each executes one command after the other.
pub(super) const SESSIONS_MAX: usize = 4;

/// An HSM and the sessions that are logged in to it.
pub(crate) struct Node {
    pub(super) id: HsmId,
    pub(super) zone: String,
    pub(super) address: SocketAddr,
    sessions: RwLock<Vec<Client>>,
    turn: AtomicUsize,
    /// The number of each key that was looked for, by its label.
    keys: RwLock<HashMap<Box<str>, KeyHandle>>,
    /// Set when the HSM refused the login: trying again would only lock the user out.
    is_refused: AtomicBool,
}

impl Node {
    /// An HSM without a session.
    pub(super) fn new(hsm: &Hsm) -> Self {
        Self {
            id: hsm.id.clone(),
            zone: hsm.zone.clone(),
            address: SocketAddr::new(IpAddr::V4(hsm.address), CLIENT_PORT),
            sessions: RwLock::default(),
            turn: AtomicUsize::new(0),
            keys: RwLock::default(),
            is_refused: AtomicBool::new(false),
        }
    }

    /// A session that is logged in, taken in turn; none if the HSM does not live.
    pub(super) fn session(&self) -> Option<Client> {
        let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let count = sessions.len();
        (0..count)
            .filter_map(|step| sessions.get(turn.wrapping_add(step) % count))
            .find(|client| client.is_open())
            .cloned()
    }

    /// Adds a session that is logged in.
    pub(super) fn add_session(&self, client: Client) {
        let mut sessions = self.sessions.write().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(Client::is_open);
        sessions.push(client);
    }

    /// How many more sessions it should have; none while it has refused a login.
    pub(super) fn sessions_wanted(&self) -> usize {
        if self.is_refused.load(Ordering::Relaxed) {
            return 0;
        }
        let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
        SESSIONS_MAX.saturating_sub(sessions.iter().filter(|client| client.is_open()).count())
    }

    /// Forgets a session that failed.
    pub(super) fn drop_session(&self, failed: &Client) {
        let mut sessions = self.sessions.write().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|client| client.is_open() && !client.is_same_session(failed));
    }

    /// Takes all sessions away, to log them out.
    pub(super) fn take_sessions(&self) -> Vec<Client> {
        std::mem::take(&mut *self.sessions.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Remembers that the HSM refused the login.
    pub(super) fn refuse(&self) {
        self.is_refused.store(true, Ordering::Relaxed);
    }

    /// The number of the key with that label.
    ///
    /// # Errors
    /// `KeyNotFound` if the HSM has none, and those of every call.
    pub(super) async fn find_key(
        &self,
        client: &Client,
        label: &str,
    ) -> Result<KeyHandle, HsmError> {
        let known = self.keys.read().unwrap_or_else(PoisonError::into_inner).get(label).copied();
        if let Some(handle) = known {
            return Ok(handle);
        }
        let found = client.find_keys(label).await?.into_iter().next();
        let missing = || HsmError::Refused(Refusal::KeyNotFound { handle: KeyHandle(0) });
        let handle = found.ok_or_else(missing)?;
        self.keys.write().unwrap_or_else(PoisonError::into_inner).insert(label.into(), handle);
        Ok(handle)
    }

    /// Forgets the number of a key, which may have another one now.
    pub(super) fn forget_key(&self, label: &str) {
        self.keys.write().unwrap_or_else(PoisonError::into_inner).remove(label);
    }

    /// Forgets the numbers of all keys: the HSM was away, and may have been restored.
    pub(super) fn forget_keys(&self) {
        self.keys.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
