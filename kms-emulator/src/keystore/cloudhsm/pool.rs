//! The HSMs of a connected key store, and the task that keeps sessions to those that live.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use futures::future::join_all;
use strongroom_hsm::{Client, HsmError, Refusal, TrustAnchor};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;

use super::login;
use super::node::Node;
use crate::ids::{CustomKeyStoreId, HsmId, RealmId};
use crate::records::{CustomKeyStore, Passwords};
use crate::registry::{Realm, Registry};

/// Pause between two looks for HSMs that were added, removed, or have come back, in milliseconds.
const LOOK_MILLIS: u64 = 1_000;
/// Longest that an HSM may take to log a session out, in seconds.
const LOGOUT_SECONDS_MAX: u64 = 2;
/// Longest that a request waits for a look at the HSMs, in seconds.
const LOOK_SECONDS_MAX: u64 = 5;

/// A connection of a key store to its cluster. It lasts until the store is disconnected, whatever
/// becomes of the HSMs meanwhile.
pub(crate) struct Pool {
    registry: Registry,
    realm: RealmId,
    store: CustomKeyStoreId,
    anchor: TrustAnchor,
    nodes: RwLock<Arc<[Arc<Node>]>>,
    turn: AtomicUsize,
    /// Labels of keys that no HSM has: those keys are unavailable until one has them again.
    missing: RwLock<BTreeSet<Box<str>>>,
    /// Held while nodes are looked at, so that many requests cause one look.
    looking: Mutex<()>,
    /// Set for good when the store is disconnected.
    is_closed: AtomicBool,
}

impl Pool {
    /// A connection with these HSMs; more sessions are opened by and by.
    pub(super) fn new(
        registry: Registry,
        store: &CustomKeyStore,
        anchor: TrustAnchor,
        nodes: Vec<Arc<Node>>,
    ) -> Arc<Self> {
        let pool = Arc::new(Self {
            registry,
            realm: store.realm.clone(),
            store: store.id.clone(),
            anchor,
            nodes: RwLock::new(nodes.into()),
            turn: AtomicUsize::new(0),
            missing: RwLock::default(),
            looking: Mutex::default(),
            is_closed: AtomicBool::new(false),
        });
        tokio::spawn(keep_looking(Arc::downgrade(&pool)));
        pool
    }

    /// Gives every HSM that lives the keys that it does not have.
    pub(super) async fn synchronise_all(&self) {
        for (node, client) in self.members() {
            if let Err(error) = self.synchronise(&node, &client).await {
                tracing::warn!(hsm = %node.id, %error, "an HSM did not get all keys");
            }
        }
    }

    /// Takes up a connection that an earlier run of the server had; the password stays.
    pub(crate) async fn resume(
        registry: Registry,
        store: &CustomKeyStore,
        anchor: TrustAnchor,
    ) -> Arc<Self> {
        let pool = Self::new(registry, store, anchor, Vec::new());
        pool.look_again().await;
        pool
    }

    /// Logs all sessions out; none is opened any more.
    pub(super) async fn log_out(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
        let nodes = self.nodes();
        let sessions = nodes.iter().flat_map(|node| node.take_sessions());
        join_all(sessions.map(|client| async move {
            // An HSM that does not answer ends the session when it finds that its client is gone.
            let wait = Duration::from_secs(LOGOUT_SECONDS_MAX);
            if !matches!(timeout(wait, client.logout()).await, Ok(Ok(()))) {
                tracing::debug!(hsm = client.address(), "a session was not logged out");
            }
        }))
        .await;
    }

    /// The HSMs, beginning with another one each time.
    pub(super) fn in_turn(&self) -> impl Iterator<Item = Arc<Node>> + use<> {
        let nodes = self.nodes();
        let count = nodes.len();
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        (0..count).filter_map(move |step| nodes.get(first.wrapping_add(step) % count).cloned())
    }

    /// The HSMs that live, each with a session.
    pub(super) fn members(&self) -> Vec<(Arc<Node>, Client)> {
        let nodes = self.nodes();
        let with_session = |node: &Arc<Node>| Some((Arc::clone(node), node.session()?));
        nodes.iter().filter_map(with_session).collect()
    }

    /// The same if they live in at least `zones` availability zones.
    pub(super) fn members_in_zones(&self, zones: usize) -> Option<Vec<(Arc<Node>, Client)>> {
        let members = self.members();
        let alive: BTreeSet<_> = members.iter().map(|(node, _)| node.zone.as_str()).collect();
        if alive.len() < zones {
            return None;
        }
        Some(members)
    }

    /// How many HSMs of the cluster do not live.
    pub(super) fn absent(&self) -> usize {
        self.nodes().iter().filter(|node| node.session().is_none()).count()
    }

    /// Whether a label is one of a key that no HSM has.
    pub(super) fn is_missing(&self, label: &str) -> bool {
        self.missing.read().unwrap_or_else(PoisonError::into_inner).contains(label)
    }

    /// Remembers that no HSM has the key with that label.
    pub(super) fn note_missing(&self, label: &str) {
        self.missing.write().unwrap_or_else(PoisonError::into_inner).insert(label.into());
    }

    /// Looks for the keys that no HSM had: one may have been copied back.
    async fn look_for_missing(&self) {
        let missing: Vec<_> = {
            let missing = self.missing.read().unwrap_or_else(PoisonError::into_inner);
            missing.iter().cloned().collect()
        };
        for label in missing {
            for (node, client) in self.members() {
                node.forget_key(&label);
                if node.find_key(&client, &label).await.is_ok() {
                    let mut missing = self.missing.write().unwrap_or_else(PoisonError::into_inner);
                    missing.remove(&label);
                    break;
                }
            }
        }
    }

    /// Takes up HSMs that were added, forgets those that were removed, and opens a session to each
    /// that has none, for a request that waits: an HSM that was given up is asked too if no other is
    /// left.
    pub(super) async fn look_for_request(&self) {
        let wait = Duration::from_secs(LOOK_SECONDS_MAX);
        if timeout(wait, self.look_again()).await.is_err() {
            tracing::debug!("a request did not wait for all HSMs");
        }
    }

    /// The same with all the time that it takes.
    async fn look_again(&self) {
        let _looking = self.looking.lock().await;
        let Some(passwords) = self.refresh() else { return };
        let nodes = self.nodes();
        let is_last_hope = nodes.iter().all(|node| node.session().is_none());
        let lost = nodes.iter().filter(|node| {
            node.session().is_none()
                && node.sessions_wanted() > 0
                && (is_last_hope || !node.is_given_up())
        });
        // All at once: one that hangs holds up none of the others.
        join_all(lost.map(|node| self.revive(node, &passwords))).await;
    }

    /// Opens one more session to each HSM that has some but not all: the more, the more requests it
    /// serves at once.
    async fn widen(&self) {
        let _looking = self.looking.lock().await;
        let Some(passwords) = self.refresh() else { return };
        for node in self.nodes().iter().filter(|node| node.session().is_some()) {
            if node.sessions_wanted() > 0
                && let Err(error) = self.add_session(node, &passwords).await
            {
                tracing::debug!(hsm = %node.id, %error, "no further session was opened");
            }
        }
    }

    /// Brings the list of HSMs up to date; returns the passwords, unless the store is gone or disconnected.
    fn refresh(&self) -> Option<Passwords> {
        if self.is_closed.load(Ordering::SeqCst) {
            return None;
        }
        let state = self.registry.state();
        let store = state.custom_key_store(&self.realm, &self.store)?;
        let hsms = state.cluster(&self.realm, &store.cluster).map(|cluster| &cluster.hsms);
        let old = self.nodes();
        let known = |id: &HsmId| old.iter().find(|node| node.id == *id).cloned();
        let nodes: Vec<Arc<Node>> = hsms
            .into_iter()
            .flat_map(|hsms| hsms.values())
            .map(|hsm| known(&hsm.id).unwrap_or_else(|| Arc::new(Node::new(hsm))))
            .collect();
        let is_same = nodes.len() == old.len()
            && nodes.iter().zip(old.iter()).all(|(new, old)| Arc::ptr_eq(new, old));
        if !is_same {
            *self.nodes.write().unwrap_or_else(PoisonError::into_inner) = nodes.into();
        }
        Some(store.passwords.clone())
    }

    /// Brings an HSM back that had no session: with a login, and with the keys that it missed.
    async fn revive(&self, node: &Node, passwords: &Passwords) {
        node.forget_keys();
        match self.log_in(node, passwords).await {
            Ok(client) => {
                tracing::info!(hsm = %node.id, "an HSM is connected");
                node.set_exhausted(false);
                // Before requests are sent there.
                if let Err(error) = self.synchronise(node, &client).await {
                    tracing::warn!(hsm = %node.id, %error, "an HSM did not get all keys");
                }
                self.put_to_use(node, client);
            }
            Err(HsmError::Refused(Refusal::SessionsExhausted)) => node.set_exhausted(true),
            Err(error @ HsmError::Refused(_)) => {
                node.refuse();
                tracing::warn!(hsm = %node.id, %error, "an HSM refuses kmsuser; reconnect the store");
            }
            Err(error) => {
                node.set_exhausted(false);
                if error.is_silence() {
                    node.give_up();
                }
                tracing::debug!(hsm = %node.id, %error, "an HSM is away");
            }
        }
    }

    async fn add_session(&self, node: &Node, passwords: &Passwords) -> Result<(), HsmError> {
        let client = self.log_in(node, passwords).await?;
        self.put_to_use(node, client);
        Ok(())
    }

    async fn log_in(&self, node: &Node, passwords: &Passwords) -> Result<Client, HsmError> {
        let client = login::open_session(node.address, &self.anchor).await?;
        login::login(&client, passwords).await?;
        Ok(client)
    }

    /// Gives requests a session, unless the store was disconnected while it was opened.
    fn put_to_use(&self, node: &Node, client: Client) {
        node.add_session(client);
        if self.is_closed.load(Ordering::SeqCst) {
            drop(node.take_sessions());
        }
    }

    /// Copies to an HSM the material of every key of the store that it does not have: it was away when the
    /// key was made, or somebody deleted it there.
    async fn synchronise(&self, node: &Node, client: &Client) -> Result<(), HsmError> {
        for label in self.labels() {
            if client.find_keys(&label).await?.is_empty() {
                for (_, source) in self.members().iter().filter(|(other, _)| other.id != node.id) {
                    if copy_key(source, client, &label).await.unwrap_or(false) {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// The labels of the material of every key of the store.
    fn labels(&self) -> Vec<String> {
        let state = self.registry.state();
        let keys = state.realm(&self.realm).into_iter().flat_map(Realm::keys);
        keys.filter(|key| key.custom_key_store.as_deref() == Some(self.store.as_str()))
            .filter_map(|key| String::from_utf8(key.material.reference.to_vec()).ok())
            .collect()
    }

    /// While this is held no HSM is taken up: those that are known get what is made.
    pub(super) async fn stand_still(&self) -> MutexGuard<'_, ()> {
        self.looking.lock().await
    }

    pub(super) fn nodes(&self) -> Arc<[Arc<Node>]> {
        Arc::clone(&self.nodes.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Copies the key of a label from one HSM to another; returns whether there was one.
async fn copy_key(from: &Client, to: &Client, label: &str) -> Result<bool, HsmError> {
    let Some(handle) = from.find_keys(label).await?.into_iter().next() else { return Ok(false) };
    to.insert_masked(from.extract_masked(handle).await?).await?;
    Ok(true)
}

/// Looks after the pool until it is gone.
async fn keep_looking(pool: Weak<Pool>) {
    loop {
        let Some(pool) = pool.upgrade() else { return };
        pool.look_again().await;
        pool.widen().await;
        pool.look_for_missing().await;
        drop(pool);
        tokio::time::sleep(Duration::from_millis(LOOK_MILLIS)).await;
    }
}
