//! The HSMs of a connected key store, and the task that keeps sessions to those that live.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use strongroom_hsm::{Client, HsmError, TrustAnchor};
use tokio::sync::Mutex;

use super::login;
use super::node::Node;
use crate::ids::{CustomKeyStoreId, HsmId, RealmId};
use crate::records::{CustomKeyStore, Passwords};
use crate::registry::Registry;

/// Pause between two looks for HSMs that were added, removed, or have come back, in milliseconds.
const LOOK_MILLIS: u64 = 1_000;

/// A connection of a key store to its cluster. It lasts until the store is disconnected, whatever
/// becomes of the HSMs meanwhile.
pub(crate) struct Pool {
    registry: Registry,
    realm: RealmId,
    store: CustomKeyStoreId,
    anchor: TrustAnchor,
    nodes: RwLock<Arc<[Arc<Node>]>>,
    turn: AtomicUsize,
    /// Held while nodes are looked at, so that many requests cause one look.
    looking: Mutex<Open>,
}

/// Whether the pool still opens sessions.
struct Open(bool);

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
            looking: Mutex::new(Open(true)),
        });
        tokio::spawn(keep_looking(Arc::downgrade(&pool)));
        pool
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
    pub(crate) async fn close(&self) {
        let mut open = self.looking.lock().await;
        open.0 = false;
        for node in self.nodes().iter() {
            for client in node.take_sessions() {
                // An HSM that does not answer has no session left either.
                if let Err(error) = client.logout().await {
                    tracing::debug!(hsm = %node.id, %error, "a session was not logged out");
                }
            }
        }
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

    /// Takes up HSMs that were added, forgets those that were removed, and opens a session to each
    /// that has none.
    pub(super) async fn look_again(&self) {
        let open = self.looking.lock().await;
        if !open.0 {
            return;
        }
        let Some(passwords) = self.refresh() else { return };
        for node in self.nodes().iter().filter(|node| node.session().is_none()) {
            if node.sessions_wanted() > 0 {
                self.revive(node, &passwords).await;
            }
        }
    }

    /// Opens one more session to each HSM that has some but not all: the more, the more requests it
    /// serves at once.
    async fn widen(&self) {
        let open = self.looking.lock().await;
        if !open.0 {
            return;
        }
        let Some(passwords) = self.refresh() else { return };
        for node in self.nodes().iter().filter(|node| node.session().is_some()) {
            if node.sessions_wanted() > 0
                && let Err(error) = self.open_session(node, &passwords).await
            {
                tracing::debug!(hsm = %node.id, %error, "no further session was opened");
            }
        }
    }

    /// Brings the list of HSMs up to date; returns the passwords, unless the store is gone.
    fn refresh(&self) -> Option<Passwords> {
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
        match self.open_session(node, passwords).await {
            Ok(client) => {
                tracing::info!(hsm = %node.id, "an HSM is connected");
                if let Err(error) = self.synchronise(node, &client).await {
                    tracing::warn!(hsm = %node.id, %error, "an HSM did not get all keys");
                }
            }
            Err(error @ HsmError::Refused(_)) => {
                node.refuse();
                tracing::warn!(hsm = %node.id, %error, "an HSM refuses kmsuser; reconnect the store");
            }
            Err(error) => tracing::debug!(hsm = %node.id, %error, "an HSM is away"),
        }
    }

    async fn open_session(&self, node: &Node, passwords: &Passwords) -> Result<Client, HsmError> {
        let client = login::open_session(node.address, &self.anchor).await?;
        login::login(&client, passwords).await?;
        node.add_session(client.clone());
        Ok(client)
    }

    /// Copies to an HSM the keys that were made while it was away.
    async fn synchronise(&self, node: &Node, client: &Client) -> Result<(), HsmError> {
        let Some((_, source)) = self.members().into_iter().find(|(other, _)| other.id != node.id)
        else {
            return Ok(());
        };
        let has: BTreeSet<_> = client.find_all_keys().await?.into_iter().collect();
        for handle in source.find_all_keys().await? {
            if !has.contains(&handle) {
                client.insert_masked(source.extract_masked(handle).await?).await?;
            }
        }
        Ok(())
    }

    fn nodes(&self) -> Arc<[Arc<Node>]> {
        Arc::clone(&self.nodes.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Looks after the pool until it is gone.
async fn keep_looking(pool: Weak<Pool>) {
    loop {
        let Some(pool) = pool.upgrade() else { return };
        pool.look_again().await;
        pool.widen().await;
        drop(pool);
        tokio::time::sleep(Duration::from_millis(LOOK_MILLIS)).await;
    }
}
