//! The state as persistent maps: cloning one is free, and a change shares all but its own path.

use std::sync::Arc;

use rpds::RedBlackTreeMapSync;

use crate::clock::Timestamp;
use crate::ids::{AliasName, BackupId, ClusterId, CustomKeyStoreId, GrantId, KeyId, RealmId};
use crate::records::{
    Alias, Backup, Cluster, CustomKeyStore, Grant, Key, PlannedKey, RootCredential,
};

/// Everything that the server knows, at one moment.
#[derive(Clone, Default)]
pub(crate) struct State {
    realms: RedBlackTreeMapSync<RealmId, Arc<Realm>>,
    root_credentials: RedBlackTreeMapSync<String, Arc<RootCredential>>,
    usage_tracked_since: Option<Timestamp>,
}

/// Everything of one account in one Region.
#[derive(Clone, Default)]
pub(crate) struct Realm {
    keys: RedBlackTreeMapSync<KeyId, Arc<Key>>,
    aliases: RedBlackTreeMapSync<AliasName, Arc<Alias>>,
    grants: RedBlackTreeMapSync<(KeyId, GrantId), Arc<Grant>>,
    clusters: RedBlackTreeMapSync<ClusterId, Arc<Cluster>>,
    backups: RedBlackTreeMapSync<BackupId, Arc<Backup>>,
    custom_key_stores: RedBlackTreeMapSync<CustomKeyStoreId, Arc<CustomKeyStore>>,
    planned_keys: RedBlackTreeMapSync<KeyId, Arc<PlannedKey>>,
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

    /// The keys of the same id in the account's other Regions.
    pub(crate) fn relatives<'a>(&'a self, key: &'a Key) -> impl Iterator<Item = &'a Arc<Key>> {
        let regions = key.primary_region.as_ref().map(|_| self.realms.iter());
        regions
            .into_iter()
            .flatten()
            .filter(|(realm, _)| realm.account == key.realm.account && **realm != key.realm)
            .filter_map(|(_, realm)| realm.keys.get(&key.id))
    }

    /// An alias.
    pub(crate) fn alias(&self, realm: &RealmId, name: &AliasName) -> Option<&Arc<Alias>> {
        self.realm(realm)?.aliases.get(name)
    }

    /// A CloudHSM cluster.
    pub(crate) fn cluster(&self, realm: &RealmId, id: &ClusterId) -> Option<&Arc<Cluster>> {
        self.realm(realm)?.clusters.get(id)
    }

    /// A backup of a cluster.
    pub(crate) fn backup(&self, realm: &RealmId, id: &BackupId) -> Option<&Arc<Backup>> {
        self.realm(realm)?.backups.get(id)
    }

    /// A custom key store.
    pub(crate) fn custom_key_store(
        &self,
        realm: &RealmId,
        id: &CustomKeyStoreId,
    ) -> Option<&Arc<CustomKeyStore>> {
        self.realm(realm)?.custom_key_stores.get(id)
    }

    /// Every cluster of every account and Region.
    pub(crate) fn all_clusters(&self) -> impl Iterator<Item = &Arc<Cluster>> {
        self.realms.values().flat_map(|realm| realm.clusters.values())
    }

    /// Every backup of every account and Region.
    pub(crate) fn all_backups(&self) -> impl Iterator<Item = &Arc<Backup>> {
        self.realms.values().flat_map(|realm| realm.backups.values())
    }

    /// Every key of every account and Region that is being made.
    pub(crate) fn all_planned_keys(&self) -> impl Iterator<Item = &Arc<PlannedKey>> {
        self.realms.values().flat_map(|realm| realm.planned_keys.values())
    }

    /// Every custom key store of every account and Region.
    pub(crate) fn all_custom_key_stores(&self) -> impl Iterator<Item = &Arc<CustomKeyStore>> {
        self.realms.values().flat_map(|realm| realm.custom_key_stores.values())
    }

    /// Every key of every account and Region.
    pub(crate) fn all_keys(&self) -> impl Iterator<Item = &Arc<Key>> {
        self.realms.values().flat_map(|realm| realm.keys.values())
    }

    /// When the uses of keys began to be noted, if there were keys before that.
    pub(crate) fn usage_tracked_since(&self) -> Option<Timestamp> {
        self.usage_tracked_since
    }

    pub(crate) fn set_usage_tracked_since(&mut self, since: Timestamp) {
        self.usage_tracked_since = Some(since);
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
            let grants: Vec<_> = realm.grants_of(key).map(|grant| grant.id).collect();
            for grant in grants {
                realm.grants.remove_mut(&(key, grant));
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

    pub(crate) fn put_grant(&mut self, grant: Arc<Grant>) {
        let realm = grant.realm.clone();
        self.change_realm(&realm, |realm| realm.grants.insert_mut((grant.key, grant.id), grant));
    }

    pub(crate) fn delete_grant(&mut self, id: &RealmId, key: KeyId, grant: GrantId) {
        self.change_realm(id, |realm| {
            realm.grants.remove_mut(&(key, grant));
        });
    }

    pub(crate) fn put_cluster(&mut self, cluster: Arc<Cluster>) {
        let realm = cluster.realm.clone();
        self.change_realm(&realm, |realm| realm.clusters.insert_mut(cluster.id.clone(), cluster));
    }

    pub(crate) fn delete_cluster(&mut self, id: &RealmId, cluster: &ClusterId) {
        self.change_realm(id, |realm| {
            realm.clusters.remove_mut(cluster);
        });
    }

    pub(crate) fn put_backup(&mut self, backup: Arc<Backup>) {
        let realm = backup.realm.clone();
        self.change_realm(&realm, |realm| realm.backups.insert_mut(backup.id.clone(), backup));
    }

    pub(crate) fn delete_backup(&mut self, id: &RealmId, backup: &BackupId) {
        self.change_realm(id, |realm| {
            realm.backups.remove_mut(backup);
        });
    }

    pub(crate) fn put_planned_key(&mut self, planned: Arc<PlannedKey>) {
        let realm = planned.realm.clone();
        self.change_realm(&realm, |realm| realm.planned_keys.insert_mut(planned.id, planned));
    }

    pub(crate) fn delete_planned_key(&mut self, id: &RealmId, key: KeyId) {
        self.change_realm(id, |realm| {
            realm.planned_keys.remove_mut(&key);
        });
    }

    pub(crate) fn put_custom_key_store(&mut self, store: Arc<CustomKeyStore>) {
        let realm = store.realm.clone();
        self.change_realm(&realm, |realm| {
            realm.custom_key_stores.insert_mut(store.id.clone(), store);
        });
    }

    pub(crate) fn delete_custom_key_store(&mut self, id: &RealmId, store: &CustomKeyStoreId) {
        self.change_realm(id, |realm| {
            realm.custom_key_stores.remove_mut(store);
        });
    }

    fn change_realm(&mut self, id: &RealmId, change: impl FnOnce(&mut Realm)) {
        if !self.realms.contains_key(id) {
            self.realms.insert_mut(id.clone(), Arc::default());
        }
        // What no other state shares is changed where it lies.
        if let Some(realm) = self.realms.get_mut(id) {
            change(Arc::make_mut(realm));
        }
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

    /// A grant on a key.
    pub(crate) fn grant(&self, key: KeyId, id: GrantId) -> Option<&Arc<Grant>> {
        self.grants.get(&(key, id))
    }

    /// The grants on a key, by id.
    pub(crate) fn grants_of(&self, key: KeyId) -> impl Iterator<Item = &Arc<Grant>> {
        let range = (key, GrantId([0; 32]))..=(key, GrantId([0xff; 32]));
        self.grants.range(range).map(|(_, grant)| grant)
    }

    /// The grants on all keys, by key and id.
    pub(crate) fn grants(&self) -> impl Iterator<Item = &Arc<Grant>> {
        self.grants.values()
    }

    /// The clusters, by id.
    pub(crate) fn clusters(&self) -> impl Iterator<Item = &Arc<Cluster>> {
        self.clusters.values()
    }

    /// The backups, by id.
    pub(crate) fn backups(&self) -> impl Iterator<Item = &Arc<Backup>> {
        self.backups.values()
    }

    /// The custom key stores, by id.
    pub(crate) fn custom_key_stores(&self) -> impl Iterator<Item = &Arc<CustomKeyStore>> {
        self.custom_key_stores.values()
    }

    /// The keys, by id.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Arc<Key>> {
        self.keys.values()
    }

    /// The aliases that name a key.
    pub(crate) fn aliases_of(&self, key: KeyId) -> impl Iterator<Item = &Arc<Alias>> {
        self.aliases.values().filter(move |alias| alias.target == key)
    }
}
