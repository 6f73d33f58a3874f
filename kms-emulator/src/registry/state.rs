//! The state as persistent maps: cloning one is free, and a change shares all but its own path.

use std::sync::Arc;

use rpds::RedBlackTreeMapSync;

use crate::ids::{AliasName, KeyId, RealmId};
use crate::records::{Alias, Key, RootCredential};

/// Everything that the server knows, at one moment.
#[derive(Clone, Default)]
pub(crate) struct State {
    realms: RedBlackTreeMapSync<RealmId, Arc<Realm>>,
    root_credentials: RedBlackTreeMapSync<String, Arc<RootCredential>>,
}

/// The keys and aliases of one account in one Region.
#[derive(Clone, Default)]
pub(crate) struct Realm {
    keys: RedBlackTreeMapSync<KeyId, Arc<Key>>,
    aliases: RedBlackTreeMapSync<AliasName, Arc<Alias>>,
}

impl State {
    /// The keys and aliases of one account in one Region, if it has any.
    pub(crate) fn realm(&self, id: &RealmId) -> Option<&Realm> {
        self.realms.get(id).map(Arc::as_ref)
    }

    /// A key.
    pub(crate) fn key(&self, realm: &RealmId, id: KeyId) -> Option<&Arc<Key>> {
        self.realm(realm)?.keys.get(&id)
    }

    /// An alias.
    pub(crate) fn alias(&self, realm: &RealmId, name: &AliasName) -> Option<&Arc<Alias>> {
        self.realm(realm)?.aliases.get(name)
    }

    /// Every key of every account and Region.
    pub(crate) fn all_keys(&self) -> impl Iterator<Item = &Arc<Key>> {
        self.realms.values().flat_map(|realm| realm.keys.values())
    }

    /// The root credentials of all accounts.
    pub(crate) fn root_credentials(&self) -> impl Iterator<Item = &Arc<RootCredential>> {
        self.root_credentials.values()
    }

    pub(crate) fn put_root_credential(&mut self, credential: Arc<RootCredential>) {
        self.root_credentials.insert_mut(credential.access_key_id.clone(), credential);
    }

    pub(crate) fn put_key(&mut self, key: Arc<Key>) {
        self.change_realm(&key.realm.clone(), |realm| realm.keys.insert_mut(key.id, key));
    }

    pub(crate) fn delete_key(&mut self, id: &RealmId, key: KeyId) {
        self.change_realm(id, |realm| {
            let names: Vec<_> = realm.aliases_of(key).map(|alias| alias.name.clone()).collect();
            for name in names {
                realm.aliases.remove_mut(&name);
            }
            realm.keys.remove_mut(&key);
        });
    }

    pub(crate) fn put_alias(&mut self, alias: Arc<Alias>) {
        let realm = alias.realm.clone();
        self.change_realm(&realm, |realm| realm.aliases.insert_mut(alias.name.clone(), alias));
    }

    pub(crate) fn delete_alias(&mut self, id: &RealmId, name: &AliasName) {
        self.change_realm(id, |realm| {
            realm.aliases.remove_mut(name);
        });
    }

    fn change_realm(&mut self, id: &RealmId, change: impl FnOnce(&mut Realm)) {
        let mut realm = self.realms.get(id).map(|realm| Realm::clone(realm)).unwrap_or_default();
        change(&mut realm);
        self.realms.insert_mut(id.clone(), Arc::new(realm));
    }
}

impl Realm {
    /// The keys after `after` (from the first, if none), by id.
    pub(crate) fn keys_after(&self, after: Option<KeyId>) -> impl Iterator<Item = &Arc<Key>> {
        use std::ops::Bound;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.keys.range((from, Bound::Unbounded)).map(|(_, key)| key)
    }

    /// The aliases after `after` (from the first, if none), by name.
    pub(crate) fn aliases_after(
        &self,
        after: Option<AliasName>,
    ) -> impl Iterator<Item = &Arc<Alias>> {
        use std::ops::Bound;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.aliases.range((from, Bound::Unbounded)).map(|(_, alias)| alias)
    }

    /// The aliases that name a key.
    pub(crate) fn aliases_of(&self, key: KeyId) -> impl Iterator<Item = &Arc<Alias>> {
        self.aliases.values().filter(move |alias| alias.target == key)
    }
}
