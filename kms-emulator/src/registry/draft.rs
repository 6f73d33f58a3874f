//! A state in the making, and the list of changes that lead to it.

use std::sync::Arc;

use super::State;
use crate::ids::{AliasName, BackupId, ClusterId, CustomKeyStoreId, GrantId, KeyId, RealmId};
use crate::records::{
    Alias, Backup, Cluster, CustomKeyStore, Grant, Key, PlannedKey, RootCredential, Usage,
};
use crate::storage::Change;

/// The newest state with the changes of an update applied; what is read here includes them.
pub(crate) struct Draft {
    state: State,
    changes: Vec<Change>,
}

impl Draft {
    pub(super) fn of(state: &State) -> Self {
        Self { state: state.clone(), changes: Vec::new() }
    }

    /// The state so far.
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// Adds an account's root credential.
    pub(crate) fn put_root_credential(&mut self, credential: Arc<RootCredential>) {
        self.state.put_root_credential(Arc::clone(&credential));
        self.changes.push(Change::PutRootCredential(credential));
    }

    /// Adds a key or replaces the one with its id.
    pub(crate) fn put_key(&mut self, key: Key) {
        let key = Arc::new(key);
        self.state.put_key(Arc::clone(&key));
        self.changes.push(Change::PutKey(key));
    }

    /// Makes the last use of a key durable, if the key is still there; readers have it already.
    pub(crate) fn put_usage(&mut self, key: &Arc<Key>, usage: &Arc<Usage>) {
        if self.state.key(&key.realm, key.id).is_some() {
            self.changes.push(Change::PutUsage(Arc::clone(key), Arc::clone(usage)));
        }
    }

    /// Removes a key with its material, tags, aliases and grants.
    pub(crate) fn delete_key(&mut self, realm: &RealmId, key: KeyId) {
        self.state.delete_key(realm, key);
        self.changes.push(Change::DeleteKey(realm.clone(), key));
    }

    /// Adds an alias or replaces the one with its name.
    pub(crate) fn put_alias(&mut self, alias: Alias) {
        let alias = Arc::new(alias);
        self.state.put_alias(Arc::clone(&alias));
        self.changes.push(Change::PutAlias(alias));
    }

    /// Removes an alias.
    pub(crate) fn delete_alias(&mut self, realm: &RealmId, name: &AliasName) {
        self.state.delete_alias(realm, name);
        self.changes.push(Change::DeleteAlias(realm.clone(), name.clone()));
    }

    /// Adds a grant.
    pub(crate) fn put_grant(&mut self, grant: Grant) {
        let grant = Arc::new(grant);
        self.state.put_grant(Arc::clone(&grant));
        self.changes.push(Change::PutGrant(grant));
    }

    /// Removes a grant.
    pub(crate) fn delete_grant(&mut self, realm: &RealmId, key: KeyId, grant: GrantId) {
        self.state.delete_grant(realm, key, grant);
        self.changes.push(Change::DeleteGrant(realm.clone(), key, grant));
    }

    /// Adds a cluster or replaces the one with its id.
    pub(crate) fn put_cluster(&mut self, cluster: Cluster) {
        let cluster = Arc::new(cluster);
        self.state.put_cluster(Arc::clone(&cluster));
        self.changes.push(Change::PutCluster(cluster));
    }

    /// Removes a cluster and what is left of its HSMs.
    pub(crate) fn delete_cluster(&mut self, realm: &RealmId, cluster: &ClusterId) {
        self.state.delete_cluster(realm, cluster);
        self.changes.push(Change::DeleteCluster(realm.clone(), cluster.clone()));
    }

    /// Adds a backup or replaces the one with its id.
    pub(crate) fn put_backup(&mut self, backup: Backup) {
        let backup = Arc::new(backup);
        self.state.put_backup(Arc::clone(&backup));
        self.changes.push(Change::PutBackup(backup));
    }

    /// Removes a backup.
    pub(crate) fn delete_backup(&mut self, realm: &RealmId, backup: &BackupId) {
        self.state.delete_backup(realm, backup);
        self.changes.push(Change::DeleteBackup(realm.clone(), backup.clone()));
    }

    /// Writes down that a key is being made.
    pub(crate) fn put_planned_key(&mut self, planned: PlannedKey) {
        let planned = Arc::new(planned);
        self.state.put_planned_key(Arc::clone(&planned));
        self.changes.push(Change::PutPlannedKey(planned));
    }

    /// Strikes a key that is being made: it exists now, or nothing of it does.
    pub(crate) fn delete_planned_key(&mut self, realm: &RealmId, key: KeyId) {
        self.state.delete_planned_key(realm, key);
        self.changes.push(Change::DeletePlannedKey(realm.clone(), key));
    }

    /// Adds a custom key store or replaces the one with its id.
    pub(crate) fn put_custom_key_store(&mut self, store: CustomKeyStore) {
        let store = Arc::new(store);
        self.state.put_custom_key_store(Arc::clone(&store));
        self.changes.push(Change::PutCustomKeyStore(store));
    }

    /// Removes a custom key store.
    pub(crate) fn delete_custom_key_store(&mut self, realm: &RealmId, store: &CustomKeyStoreId) {
        self.state.delete_custom_key_store(realm, store);
        self.changes.push(Change::DeleteCustomKeyStore(realm.clone(), store.clone()));
    }

    /// Where the draft stands, to return to it if the update fails.
    pub(super) fn savepoint(&self) -> (State, usize) {
        (self.state.clone(), self.changes.len())
    }

    pub(super) fn roll_back(&mut self, (state, changes): (State, usize)) {
        self.state = state;
        self.changes.truncate(changes);
    }

    pub(super) fn changes(&self) -> &[Change] {
        &self.changes
    }

    pub(super) fn into_state(self) -> State {
        self.state
    }
}
