//! State in one SQLite file: WAL, `synchronous=FULL`, one process.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, Transaction, params};

use super::{
    Change, Storage, StorageError, backups, clusters, grants, load, migrations, planned_keys, usage,
};
use crate::clock::Timestamp;
use crate::ids::Region;
use crate::records::{Alias, Key, Lifecycle, Material, Origin, RootCredential};
use crate::registry::State;

/// The file in the data directory.
const FILE_NAME: &str = "kms.sqlite3";

/// The database of one server.
pub(crate) struct SqliteStorage {
    connection: Connection,
    poisoned: bool,
}

impl SqliteStorage {
    /// Opens or creates the database in `dir`, which only its owner may enter.
    pub(crate) fn open(dir: &Path) -> Result<Self, StorageError> {
        let unusable = |source| StorageError::DataDir { path: dir.to_owned(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(unusable)?;
        let path = dir.join(FILE_NAME);
        let connection = Connection::open(&path)?;
        let owner_only = fs::Permissions::from_mode(0o600);
        fs::set_permissions(&path, owner_only).map_err(unusable)?;
        let storage = Self::prepare(connection, &path)?;
        // SQLite syncs what the files hold, not that a new file has a name, nor its directory one.
        for named in [Some(dir), dir.parent().filter(|parent| !parent.as_os_str().is_empty())] {
            let Some(named) = named else { continue };
            fs::File::open(named).and_then(|dir| dir.sync_all()).map_err(unusable)?;
        }
        Ok(storage)
    }

    /// Whether a directory holds a database.
    pub(crate) fn is_in(dir: &Path) -> bool {
        dir.join(FILE_NAME).is_file()
    }

    /// A database that is gone when the server ends.
    pub(crate) fn ephemeral() -> Result<Self, StorageError> {
        Self::prepare(Connection::open_in_memory()?, Path::new(":memory:"))
    }

    fn prepare(mut connection: Connection, path: &Path) -> Result<Self, StorageError> {
        configure(&connection).map_err(|error| in_use(error, path))?;
        migrations::migrate(&mut connection, path)?;
        Ok(Self { connection, poisoned: false })
    }

    fn try_commit(&mut self, changes: &[Change]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        for change in changes {
            match change {
                Change::PutRootCredential(credential) => put_credential(&transaction, credential)?,
                Change::PutKey(key) => put_key(&transaction, key)?,
                Change::PutUsage(key, usage) => usage::put(&transaction, key, usage)?,
                Change::DeleteKey(realm, id) => {
                    transaction
                        .prepare_cached(
                            "DELETE FROM key WHERE account = ?1 AND region = ?2 AND id = ?3",
                        )?
                        .execute(params![
                            realm.account.to_string(),
                            realm.region.as_str(),
                            id.to_string()
                        ])?;
                }
                Change::PutAlias(alias) => put_alias(&transaction, alias)?,
                Change::DeleteAlias(realm, name) => {
                    transaction
                        .prepare_cached(
                            "DELETE FROM alias WHERE account = ?1 AND region = ?2 AND name = ?3",
                        )?
                        .execute(params![
                            realm.account.to_string(),
                            realm.region.as_str(),
                            name.as_str()
                        ])?;
                }
                Change::PutGrant(grant) => grants::put(&transaction, grant)?,
                Change::DeleteGrant(realm, key, id) => {
                    grants::delete(&transaction, realm, *key, *id)?;
                }
                Change::PutCluster(cluster) => clusters::put_cluster(&transaction, cluster)?,
                Change::DeleteCluster(realm, id) => {
                    clusters::delete_cluster(&transaction, realm, id)?;
                }
                Change::PutBackup(backup) => backups::put(&transaction, backup)?,
                Change::DeleteBackup(realm, id) => backups::delete(&transaction, realm, id)?,
                Change::PutPlannedKey(planned) => planned_keys::put(&transaction, planned)?,
                Change::DeletePlannedKey(realm, key) => {
                    planned_keys::delete(&transaction, realm, *key)?;
                }
                Change::PutCustomKeyStore(store) => {
                    clusters::put_custom_key_store(&transaction, store)?;
                }
                Change::DeleteCustomKeyStore(realm, id) => {
                    clusters::delete_custom_key_store(&transaction, realm, id)?;
                }
            }
        }
        transaction.commit()
    }

    /// Empties the log, which still has the pages of before: after a key's deletion its wrapped material
    /// shall be in no file. The deletion itself is durable already, so a failure is only logged.
    fn forget_old_pages(&self) {
        let emptied =
            self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
        match emptied {
            Ok(0_i64) => {}
            Ok(_) => tracing::warn!("the log of the database is busy and was not emptied"),
            Err(error) => tracing::warn!(%error, "the log of the database was not emptied"),
        }
    }
}

impl Storage for SqliteStorage {
    fn load(&mut self) -> Result<State, StorageError> {
        load::load(&self.connection)
    }

    fn back_up(&self, dir: &Path) -> Result<(), StorageError> {
        let unusable = |source| StorageError::DataDir { path: dir.to_owned(), source };
        let path = dir.join(FILE_NAME);
        // Of the live pages alone: nothing of what was deleted goes into a backup.
        self.connection.execute("VACUUM INTO ?1", [path.to_string_lossy()])?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(unusable)?;
        fs::File::open(&path).and_then(|file| file.sync_all()).map_err(unusable)
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), StorageError> {
        if self.poisoned {
            return Err(StorageError::Poisoned);
        }
        let committed = self.try_commit(changes);
        if committed.is_ok() && changes.iter().any(ends_material) {
            self.forget_old_pages();
        }
        committed.map_err(|error| match error.sqlite_error_code() {
            // SQLite has rolled back, and nothing of the transaction can come back.
            Some(ErrorCode::DiskFull) => StorageError::Full,
            // After a failed write or fsync the kernel may have dropped the pages: what the disk holds
            // is unknown, and a later fsync that succeeds proves nothing about it.
            _ => {
                self.poisoned = true;
                StorageError::Database(error)
            }
        })
    }
}

/// Whether a change may end a key's material, which shall then be in no file. Imported material is deleted
/// and replaced by changes of its key, which are rare.
fn ends_material(change: &Change) -> bool {
    match change {
        Change::DeleteKey(..) => true,
        Change::PutKey(key) => key.origin == Origin::External,
        _ => false,
    }
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    // Exclusive before WAL: no shared-memory file, and one server per directory.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // FULL syncs the log at every commit: what was acknowledged survives a power loss.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // A deleted key's wrapped material is overwritten, not left in free pages.
    connection.pragma_update(None, "secure_delete", true)?;
    // Takes the lock now, and for good: a second server is refused at its start.
    connection.execute_batch("BEGIN EXCLUSIVE; COMMIT;")
}

fn in_use(error: rusqlite::Error, path: &Path) -> StorageError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            StorageError::InUse { path: PathBuf::from(path) }
        }
        _ => StorageError::Database(error),
    }
}

fn put_credential(transaction: &Transaction<'_>, row: &RootCredential) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO root_credential (account, access_key_id, secret) VALUES (?1, ?2, ?3)",
        )?
        .execute(params![row.account.to_string(), row.access_key_id, row.secret.expose()])?;
    Ok(())
}

fn put_key(transaction: &Transaction<'_>, key: &Key) -> rusqlite::Result<()> {
    let (account, region) = (key.realm.account.to_string(), key.realm.region.as_str());
    let id = key.id.to_string();
    let (lifecycle, deletion, window) = match key.lifecycle {
        Lifecycle::Enabled => ("Enabled", None, None),
        Lifecycle::Disabled => ("Disabled", None, None),
        Lifecycle::PendingReplicaDeletion { window_days } => {
            ("PendingReplicaDeletion", None, Some(window_days))
        }
        Lifecycle::PendingDeletion { at, window_days } => {
            ("PendingDeletion", Some(at.as_millis()), Some(window_days))
        }
    };
    transaction
        .prepare_cached(
            "INSERT INTO key (account, region, id, created_millis, description, lifecycle,
                deletion_millis, deletion_window_days, origin, custom_key_store, policy, material_id,
                spec, usage, rotation_period_days, rotation_next_millis, primary_region, manager)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)
             ON CONFLICT DO UPDATE SET description = excluded.description,
                lifecycle = excluded.lifecycle, deletion_millis = excluded.deletion_millis,
                deletion_window_days = excluded.deletion_window_days, policy = excluded.policy,
                material_id = excluded.material_id,
                rotation_period_days = excluded.rotation_period_days,
                rotation_next_millis = excluded.rotation_next_millis,
                primary_region = excluded.primary_region",
        )?
        .execute(params![
            account,
            region,
            id,
            key.created.as_millis(),
            key.description,
            lifecycle,
            deletion,
            window,
            key.origin.as_str(),
            key.custom_key_store,
            key.policy.text(),
            key.material.id.0,
            key.spec.as_str(),
            key.usage.as_str(),
            key.rotation.map(|rotation| rotation.period_days),
            key.rotation.map(|rotation| rotation.next.as_millis()),
            key.primary_region.as_ref().map(Region::as_str),
            key.manager.as_str(),
        ])?;
    put_materials(transaction, key)?;
    put_tags(transaction, key, &account, &id)
}

/// Adds the materials that have no row yet; a new replica has several. Imported material comes and goes:
/// its rows are replaced, and what they held is overwritten.
fn put_materials(transaction: &Transaction<'_>, key: &Key) -> rusqlite::Result<()> {
    if key.origin == Origin::External {
        transaction
            .prepare_cached(
                "DELETE FROM key_material WHERE account = ?1 AND region = ?2 AND key_id = ?3",
            )?
            .execute(params![
                key.realm.account.to_string(),
                key.realm.region.as_str(),
                key.id.to_string()
            ])?;
    }
    for material in key.materials().chain(key.pending.as_deref()) {
        put_material(transaction, key, material)?;
    }
    Ok(())
}

fn put_material(
    transaction: &Transaction<'_>,
    key: &Key,
    material: &Material,
) -> rusqlite::Result<()> {
    let (account, region) = (key.realm.account.to_string(), key.realm.region.as_str());
    transaction
        .prepare_cached(
            "INSERT INTO key_material (account, region, key_id, id, reference, rotated_millis,
                rotation_kind, expires_millis, description, is_pending)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            account,
            region,
            key.id.to_string(),
            material.id.0,
            material.reference,
            material.rotated.map(|rotated| rotated.at.as_millis()),
            material.rotated.map(|rotated| rotated.kind.as_str()),
            material.expires.map(Timestamp::as_millis),
            material.description,
            key.pending.as_ref().is_some_and(|pending| pending.id == material.id),
        ])?;
    Ok(())
}

fn put_tags(
    transaction: &Transaction<'_>,
    key: &Key,
    account: &str,
    id: &str,
) -> rusqlite::Result<()> {
    let region = key.realm.region.as_str();
    transaction
        .prepare_cached("DELETE FROM key_tag WHERE account = ?1 AND region = ?2 AND key_id = ?3")?
        .execute(params![account, region, id])?;
    let mut insert = transaction.prepare_cached(
        "INSERT INTO key_tag (account, region, key_id, name, value) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for (name, value) in key.tags.iter() {
        insert.execute(params![account, region, id, name, value])?;
    }
    Ok(())
}

fn put_alias(transaction: &Transaction<'_>, alias: &Alias) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO alias (account, region, name, target, created_millis, updated_millis)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO UPDATE SET target = excluded.target,
                updated_millis = excluded.updated_millis",
        )?
        .execute(params![
            alias.realm.account.to_string(),
            alias.realm.region.as_str(),
            alias.name.as_str(),
            alias.target.to_string(),
            alias.created.as_millis(),
            alias.updated.as_millis(),
        ])?;
    Ok(())
}
