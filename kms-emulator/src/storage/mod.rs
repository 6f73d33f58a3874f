//! Durable state behind a trait that no operation sees.
//!
//! Operations read an immutable `State` and write through `Registry::update`;
//! the registry alone calls `Storage`. Two rules make another backend possible (several servers over
//! one shared database are planned):
//!
//! * **What may be cached.** Everything that `load` returns. A request may act on a state that is older
//!   than the last commit of another server by as long as that change takes to be announced; KMS itself
//!   is eventually consistent in the same way. Nothing that `commit` was given may be lost once it has
//!   returned.
//! * **How a change is announced.** A commit is a list of whole records (`Change`), so that a backend can
//!   publish the same list to the other servers, which put them into their own `State`. A backend that
//!   finds another server's commit in between must refuse with `StorageError::Conflict`: the registry's
//!   updates are closures over the state, made to be run again on a fresher one.
//!
//! # How to add a table
//! 1. Add the record to `records.rs` and a map of it to `State` (or to `Realm`) in `registry/state.rs`.
//! 2. Append a migration to `migrations.rs`; never alter one that has been released.
//! 3. Add variants to `Change`, write them in `sqlite.rs`, read them back in `load.rs`.
//! 4. Add the method that operations call to `Draft` in `registry/draft.rs`.

mod backups;
mod clusters;
mod grants;
mod keys;
mod load;
mod migrations;
mod planned_keys;
#[cfg(test)]
mod power_loss;
mod sqlite;
mod usage;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::ids::{AliasName, BackupId, ClusterId, CustomKeyStoreId, GrantId, KeyId, RealmId};
use crate::records::{
    Alias, Backup, Cluster, CustomKeyStore, Grant, Key, PlannedKey, RootCredential, Usage,
};
use crate::registry::State;

pub(crate) use sqlite::SqliteStorage;

/// One record written or removed; a commit is a list of these, all or none.
#[derive(Clone)]
pub(crate) enum Change {
    /// The root credential of a new account.
    PutRootCredential(Arc<RootCredential>),
    /// A key, new or in place of the one with its id.
    PutKey(Arc<Key>),
    /// The last use of a key that is there.
    PutUsage(Arc<Key>, Arc<Usage>),
    /// A key and everything of it.
    DeleteKey(RealmId, KeyId),
    /// An alias, new or in place of the one with its name.
    PutAlias(Arc<Alias>),
    /// An alias.
    DeleteAlias(RealmId, AliasName),
    /// A new grant.
    PutGrant(Arc<Grant>),
    /// A grant.
    DeleteGrant(RealmId, KeyId, GrantId),
    /// A cluster with its HSMs, new or in place of the one with its id.
    PutCluster(Arc<Cluster>),
    /// A cluster.
    DeleteCluster(RealmId, ClusterId),
    /// A backup of a cluster, new or in place of the one with its id.
    PutBackup(Arc<Backup>),
    /// A backup of a cluster.
    DeleteBackup(RealmId, BackupId),
    /// A key that is being made.
    PutPlannedKey(Arc<PlannedKey>),
    /// A key that is being made.
    DeletePlannedKey(RealmId, KeyId),
    /// A custom key store, new or in place of the one with its id.
    PutCustomKeyStore(Arc<CustomKeyStore>),
    /// A custom key store.
    DeleteCustomKeyStore(RealmId, CustomKeyStoreId),
}

/// Where the KMS's state survives.
pub(crate) trait Storage: Send {
    /// Everything, as of the last commit.
    fn load(&mut self) -> Result<State, StorageError>;

    /// Makes all of `changes` durable, or none.
    ///
    /// # Errors
    /// After `Conflict` and `Full` nothing was written and the storage is as before. After any other
    /// error it is not known what was written: no further commit may be tried before a restart.
    fn commit(&mut self, changes: &[Change]) -> Result<(), StorageError>;

    /// Writes a copy, as of the last commit, into a directory that is there.
    fn back_up(&self, dir: &Path) -> Result<(), StorageError>;
}

/// Why state could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The data directory cannot be made or opened.
    #[error("cannot use the data directory {path}: {source}")]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Another process has the database.
    #[error("another strongroom-kms is using {path}; stop it or choose another --data-dir")]
    InUse {
        /// The database.
        path: PathBuf,
    },
    /// A newer build wrote this database.
    #[error("{path} has schema {found}, this build knows up to {known}; use the newer build")]
    NewerSchema {
        /// The database.
        path: PathBuf,
        /// Its schema version.
        found: u32,
        /// The newest schema version of this build.
        known: u32,
    },
    /// A record does not mean what its table says it must.
    #[error("the record {record} of table {table} is damaged: {reason}")]
    Damaged {
        /// The table.
        table: &'static str,
        /// The record's key.
        record: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Another server has committed in between.
    #[error("another server changed the state at the same time")]
    Conflict,
    /// No room is left on the device.
    #[error("the disk of the data directory is full")]
    Full,
    /// An earlier commit failed in a way that leaves open what was written.
    #[error("an earlier write to the data directory failed; restart strongroom-kms")]
    Poisoned,
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] rusqlite::Error),
}
