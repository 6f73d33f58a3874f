//! The way from a name to a key that may be used.

use std::sync::Arc;

use super::Call;
use super::grants;
use super::key_state::KeyState;
use super::multi_region;
use super::state_table::{self, StateAllows};
use crate::audit::Touched;
use crate::clock::Timestamp;
use crate::ids::{ALIAS_PREFIX, AliasName, KeyId, RealmId, split_kms_arn};
use crate::policy::{self, Authorized, Query, RequestFacts};
use crate::protocol::{Fault, FaultCode};
use crate::records::Key;
use crate::registry::{Draft, State};

/// How an operation lets its key be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    /// Key id or key ARN.
    KeyOnly,
    /// Also alias name or alias ARN.
    KeyOrAlias,
}

/// A key that exists; nothing is known about permission.
#[derive(Debug)]
pub(super) struct FoundKey {
    key: Arc<Key>,
    alias: Option<AliasName>,
}

/// A key on which policies allow the caller the operation.
#[derive(Debug)]
pub(super) struct AuthorizedKey {
    key: Arc<Key>,
    /// Kept for what it proves.
    proof: Authorized,
}

/// A key that the caller may use and that is in a state to be used.
#[derive(Debug)]
pub(super) struct UsableKey {
    key: Arc<Key>,
    /// Kept for what they prove.
    _proofs: (Authorized, StateAllows),
}

impl Call {
    /// Finds the key that a request names.
    ///
    /// # Errors
    /// `NotFoundException`, `InvalidArnException`; `AccessDeniedException` for what other accounts do
    /// not have.
    pub(super) fn find_key(&self, name: &str, naming: Naming) -> Result<FoundKey, Fault> {
        match self.parse_key_name(name, naming)? {
            KeyName::Key(realm, id) => self.find_by_id(&realm, id),
            KeyName::Alias(realm, alias) => self.find_by_alias(&realm, alias),
        }
    }

    /// Refuses a key of another account, for operations that work on one's own only.
    pub(super) fn check_own(&self, key: &Key) -> Result<(), Fault> {
        if key.realm.account == self.realm.account {
            return Ok(());
        }
        Err(Authorized::refusal_abroad(
            self.principal(),
            &format!("kms:{}", self.operation),
            &key.arn().to_string(),
        ))
    }

    /// The alias that a request names, if it names one of the caller's account.
    pub(super) fn own_alias(&self, name: &str) -> Option<AliasName> {
        match self.parse_key_name(name, Naming::KeyOrAlias).ok()? {
            KeyName::Alias(realm, alias) if realm == self.realm => Some(alias),
            _ => None,
        }
    }

    fn find_by_id(&self, realm: &RealmId, id: KeyId) -> Result<FoundKey, Fault> {
        let key = live_key(&self.state, realm, id, self.now)
            .ok_or_else(|| self.absent(realm, &realm.key_arn(id).to_string(), key_not_found))?;
        Ok(FoundKey { key: Arc::clone(key), alias: None })
    }

    fn find_by_alias(&self, realm: &RealmId, alias: AliasName) -> Result<FoundKey, Fault> {
        let key = self
            .state
            .alias(realm, &alias)
            .and_then(|found| live_key(&self.state, realm, found.target, self.now));
        match key {
            Some(key) => Ok(FoundKey { key: Arc::clone(key), alias: Some(alias) }),
            None => Err(self.absent(realm, &realm.alias_arn(&alias).to_string(), alias_not_found)),
        }
    }

    /// What does not exist in another account looks like what is closed there.
    fn absent(&self, realm: &RealmId, arn: &str, at_home: fn(&str) -> Fault) -> Fault {
        if realm.account == self.realm.account {
            return at_home(arn);
        }
        Authorized::refusal_abroad(self.principal(), &format!("kms:{}", self.operation), arn)
    }

    fn parse_key_name(&self, name: &str, naming: Naming) -> Result<KeyName, Fault> {
        let invalid = || Fault::not_found(format!("Invalid keyId '{name}'"));
        if !name.starts_with("arn:") {
            return match name.parse() {
                Ok(id) => Ok(KeyName::Key(self.realm.clone(), id)),
                Err(_) if naming == Naming::KeyOrAlias && name.starts_with(ALIAS_PREFIX) => {
                    let alias = name.parse().map_err(|_| invalid())?;
                    Ok(KeyName::Alias(self.realm.clone(), alias))
                }
                Err(_) => Err(invalid()),
            };
        }
        let invalid_arn =
            |what: &str| Fault::new(FaultCode::InvalidArnException, format!("Invalid arn {what}"));
        let (realm, resource) = split_kms_arn(name).map_err(|_| invalid_arn(name))?;
        // Each Region's endpoint knows its own keys only.
        if realm.region != self.realm.region {
            return Err(invalid_arn(realm.region.as_str()));
        }
        match resource.strip_prefix("key/") {
            Some(id) => Ok(KeyName::Key(realm, id.parse().map_err(|_| invalid())?)),
            None if naming == Naming::KeyOrAlias => {
                Ok(KeyName::Alias(realm, resource.parse().map_err(|_| invalid_arn(name))?))
            }
            None => Err(invalid_arn(name)),
        }
    }
}

/// A key's name, with the account and Region that it lies in.
enum KeyName {
    Key(RealmId, KeyId),
    Alias(RealmId, AliasName),
}

impl FoundKey {
    /// The key of a ciphertext's header.
    pub(super) fn of(key: &Arc<Key>) -> Self {
        Self { key: Arc::clone(key), alias: None }
    }

    /// The key, for what needs no permission: its name in messages.
    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    /// Decides whether the caller may do the operation on this key.
    pub(super) fn authorize(
        self,
        call: &Call,
        facts: RequestFacts<'_>,
    ) -> Result<AuthorizedKey, Fault> {
        self.authorize_action(call, &format!("kms:{}", call.operation), facts)
    }

    /// The same for an operation whose permission has another name.
    pub(super) fn authorize_action(
        self,
        call: &Call,
        action: &str,
        facts: RequestFacts<'_>,
    ) -> Result<AuthorizedKey, Fault> {
        let key = self.key;
        call.touch(Touched::Key(Arc::clone(&key)));
        let aliases = || {
            let realm = call.state.realm(&key.realm).into_iter();
            realm.flat_map(|r| r.aliases_of(key.id)).map(|a| a.name.to_string()).collect()
        };
        let facts = RequestFacts {
            request_alias: self.alias.as_ref().map(AliasName::as_str),
            resource_aliases: Some(&aliases),
            ..facts
        };
        let operation = action.strip_prefix("kms:").unwrap_or(action);
        let is_granted = || {
            let context = facts.encryption_context;
            grants::allowing(&call.state, &key, call.principal(), operation, context)
                .next()
                .is_some()
        };
        let proof = policy::decide(&Query {
            principal: call.principal(),
            action,
            resource: &key.arn().to_string(),
            key_policy: Some((&key.policy, key.realm.account)),
            key: Some(&key),
            environment: &call.environment(),
            facts: &facts,
            is_granted: Some(&is_granted),
        })?;
        Ok(AuthorizedKey { key, proof })
    }
}

impl AuthorizedKey {
    /// The key.
    pub(super) fn key(&self) -> &Arc<Key> {
        &self.key
    }

    /// Whether a grant alone gives the permission.
    pub(super) fn is_by_grant(&self) -> bool {
        self.proof.is_by_grant()
    }

    /// The key's state.
    pub(super) fn state(&self, call: &Call) -> KeyState {
        KeyState::of(&self.key, call.kms.key_stores.is_available(&self.key), call.now)
    }

    /// Refuses a key pending deletion, for operations whose row leaves the decision to them.
    pub(super) fn refuse_pending_deletion(&self, call: &Call) -> Result<(), Fault> {
        let waits = [KeyState::PendingDeletion, KeyState::PendingReplicaDeletion];
        if waits.contains(&self.state(call)) {
            return Err(Fault::invalid_state(format!("{} is pending deletion.", self.key.arn())));
        }
        Ok(())
    }

    /// The same for an operation that works before it changes the key.
    pub(super) fn check_state(&self, call: &Call) -> Result<(), Fault> {
        state_table::check(call.operation, self.state(call), &self.key.arn()).map(drop)
    }

    /// Checks that the key's state allows the operation.
    pub(super) fn in_state(self, call: &Call) -> Result<UsableKey, Fault> {
        let allows = state_table::check(call.operation, self.state(call), &self.key.arn())?;
        call.note_key(&self.key);
        Ok(UsableKey { key: self.key, _proofs: (self.proof, allows) })
    }

    /// Changes the key: `change` gets it as it is when the change is committed, in a state that allows
    /// the operation.
    pub(super) async fn change<T, F>(self, call: &Call, change: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: Fn(&mut Key) -> Result<T, Fault> + Send + 'static,
    {
        self.change_in(call, move |_, key| change(key)).await
    }

    /// The same for a change that looks at more than the key.
    pub(super) async fn change_in<T, F>(self, call: &Call, change: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: Fn(&Draft, &mut Key) -> Result<T, Fault> + Send + 'static,
    {
        let (kms, operation, now) = (Arc::clone(&call.kms), call.operation, call.now);
        let (realm, id) = (self.key.realm.clone(), self.key.id);
        call.update(move |draft| {
            let newest = live_key(draft.state(), &realm, id, now)
                .ok_or_else(|| key_not_found(&realm.key_arn(id).to_string()))?;
            let state = KeyState::of(newest, kms.key_stores.is_available(newest), now);
            state_table::check(operation, state, &newest.arn())?;
            let mut key = Key::clone(newest);
            let value = change(draft, &mut key)?;
            multi_region::put_shared(draft, key);
            Ok(value)
        })
        .await
    }
}

impl UsableKey {
    /// The key.
    pub(super) fn key(&self) -> &Key {
        &self.key
    }
}

/// The key of that id, unless its waiting period is over.
pub(super) fn live_key<'a>(
    state: &'a State,
    realm: &RealmId,
    id: KeyId,
    now: Timestamp,
) -> Option<&'a Arc<Key>> {
    state.key(realm, id).filter(|key| !key.is_expired(now))
}

/// The refusal for a key that does not exist.
pub(super) fn key_not_found(arn: &str) -> Fault {
    Fault::not_found(format!("Key '{arn}' does not exist"))
}

/// The refusal for an alias that does not exist.
pub(super) fn alias_not_found(arn: &str) -> Fault {
    Fault::not_found(format!("Alias {arn} is not found."))
}
