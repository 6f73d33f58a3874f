//! One HSM of a cluster, as its client sees it.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

use strongroom_hsm::server::CLIENT_PORT;
use strongroom_hsm::{Client, HsmError, KeyHandle, Refusal};
use tokio::time::Instant;

use crate::ids::HsmId;
use crate::records::Hsm;

/// Sessions that requests share on one HSM: each executes one command after the other.
pub(super) const SESSIONS_MAX: usize = 4;

/// Pause before an HSM that did not answer is looked at again, in milliseconds; it doubles each time.
const SILENCE_MILLIS_MIN: u64 = 1_000;
/// Longest such pause, in milliseconds.
const SILENCE_MILLIS_MAX: u64 = 16_000;

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
    /// Set while the HSM has no session for anybody.
    is_exhausted: AtomicBool,
    /// Whether `silence` says anything: requests look here, and take no lock.
    was_silent: AtomicBool,
    silence: Mutex<Silence>,
}

/// How often an HSM has not answered in time, and how long it is left alone therefore: each try costs
/// somebody the whole wait.
#[derive(Default)]
struct Silence {
    times: u32,
    until: Option<Instant>,
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
            is_exhausted: AtomicBool::new(false),
            was_silent: AtomicBool::new(false),
            silence: Mutex::default(),
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

    /// Takes note that the HSM did not answer in time: its sessions are given up, all of them, for the
    /// next request would wait as long.
    pub(super) fn give_up(&self) {
        drop(self.take_sessions());
        self.was_silent.store(true, Ordering::Relaxed);
        let mut silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        let doubled = SILENCE_MILLIS_MIN.saturating_mul(1_u64 << silence.times.min(8));
        silence.times = silence.times.saturating_add(1);
        silence.until =
            Instant::now().checked_add(Duration::from_millis(doubled.min(SILENCE_MILLIS_MAX)));
    }

    /// Takes note that the HSM answered.
    pub(super) fn hear(&self) {
        if self.was_silent.load(Ordering::Relaxed) && self.was_silent.swap(false, Ordering::Relaxed)
        {
            *self.silence.lock().unwrap_or_else(PoisonError::into_inner) = Silence::default();
        }
    }

    /// Whether the HSM is left alone for now.
    pub(super) fn is_given_up(&self) -> bool {
        let silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        silence.until.is_some_and(|until| Instant::now() < until)
    }

    /// Whether the HSM has a session for anybody, as far as is known.
    pub(super) fn is_exhausted(&self) -> bool {
        self.is_exhausted.load(Ordering::Relaxed)
    }

    /// Remembers whether it has.
    pub(super) fn set_exhausted(&self, is_exhausted: bool) {
        self.is_exhausted.store(is_exhausted, Ordering::Relaxed);
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
