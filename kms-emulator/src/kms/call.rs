//! One request, as an operation sees it.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use uuid::Uuid;

use super::{Kms, last_usage};
use crate::audit::{Actor, Event, Touched};
use crate::auth::{Caller, Peer};
use crate::clock::Timestamp;
use crate::ids::RealmId;
use crate::policy::{self, Authorized, Environment, Principal, Query, RequestFacts};
use crate::protocol::Fault;
use crate::records::Key;
use crate::registry::{Draft, State, UpdateError};

/// Who asks, where, and the state of that moment.
pub(crate) struct Call {
    pub(crate) kms: Arc<Kms>,
    /// The operation's name.
    pub(crate) operation: &'static str,
    /// The caller's account in the Region of its signature.
    pub(crate) realm: RealmId,
    /// The state when the request came; an operation reads this and no newer one.
    pub(crate) state: Arc<State>,
    pub(crate) now: Timestamp,
    principal: Arc<Principal>,
    /// The keys that a cryptographic operation works with: no operation has more than two.
    used: [OnceLock<Arc<Key>>; 2],
    access_key_id: Option<Arc<str>>,
    peer: Peer,
    /// Keys and aliases on which a decision was asked for, for the audit trail.
    touched: Mutex<Vec<Touched>>,
}

impl Call {
    /// A request of `caller` at `peer` for `operation`.
    pub(crate) fn new(kms: Arc<Kms>, caller: Caller, peer: Peer, operation: &'static str) -> Self {
        let principal = Arc::clone(caller.identity.principal());
        let access_key_id = caller.access_key_id;
        let realm = RealmId { account: principal.account, region: caller.region };
        let (state, now) = (kms.registry.state(), kms.clock.now());
        let (touched, used) = Default::default();
        Self { kms, operation, realm, state, now, principal, used, access_key_id, peer, touched }
    }

    /// Who asks.
    pub(crate) fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Remembers a key with which the operation works, if that counts as a use of it.
    pub(super) fn note_key(&self, key: &Arc<Key>) {
        if last_usage::is_tracked(self.operation) {
            // A slot that is taken hands the key back, for the next one.
            let mut key = Some(Arc::clone(key));
            for slot in &self.used {
                key = key.and_then(|key| slot.set(key).err());
            }
        }
    }

    /// Notes that the operation has succeeded, as the last use of its keys.
    pub(crate) fn note_usage(&self, request_id: Uuid) {
        let keys = self.used.iter().filter_map(OnceLock::get).map(AsRef::as_ref);
        last_usage::note(self.operation, keys, self.now, request_id, None);
    }

    /// What is true of the request whatever it asks for.
    pub(crate) fn environment(&self) -> Environment<'_> {
        Environment {
            now: self.now,
            source_ip: self.peer.address,
            is_secure: self.peer.tls.is_some(),
            user_agent: self.peer.user_agent.as_deref(),
            region: &self.realm.region,
        }
    }

    /// The call's record as it begins; `service` is the signing name.
    pub(crate) fn event(&self, service: &'static str, request_id: Uuid) -> Event {
        let actor = Actor::Caller(Arc::clone(&self.principal), self.access_key_id.clone());
        let region = self.realm.region.clone();
        Event::call(self.now, service, region, actor, self.peer.clone(), request_id)
    }

    /// Remembers what the call is about.
    pub(super) fn touch(&self, touched: Touched) {
        if self.kms.audit.is_on() {
            self.touched.lock().unwrap_or_else(PoisonError::into_inner).push(touched);
        }
    }

    /// What the call was about.
    pub(crate) fn into_touched(self) -> Vec<Touched> {
        self.touched.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides an operation that has no key: identity policies alone.
    pub(crate) fn authorize_without_key(
        &self,
        resource: &str,
        facts: &RequestFacts<'_>,
    ) -> Result<Authorized, Fault> {
        self.authorize_action(&format!("kms:{}", self.operation), resource, facts)
    }

    /// The same for an action of any service.
    pub(crate) fn authorize_action(
        &self,
        action: &str,
        resource: &str,
        facts: &RequestFacts<'_>,
    ) -> Result<Authorized, Fault> {
        if let Some(alias) = Touched::alias(resource) {
            self.touch(alias);
        }
        policy::decide(&Query {
            principal: &self.principal,
            action,
            resource,
            key_policy: None,
            key: None,
            environment: &self.environment(),
            facts,
            is_granted: None,
        })
    }

    /// Changes the state; see `Registry::update`.
    pub(crate) async fn update<T, F>(&self, work: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: Fn(&mut Draft) -> Result<T, Fault> + Send + 'static,
    {
        self.kms.registry.update(work).await.map_err(|error| match error {
            UpdateError::Refused(fault) => fault,
            UpdateError::Storage(error) => Fault::internal(error),
            UpdateError::Closed => Fault::internal("the server is shutting down"),
        })
    }
}
