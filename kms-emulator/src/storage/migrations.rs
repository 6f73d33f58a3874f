//! The schema, as the list of steps that led to it.
//!
//! `PRAGMA user_version` holds how many steps a database has taken. Each step runs in the transaction
//! that also raises the version, so that a crash leaves one version or the next.

use std::path::Path;

use rusqlite::Connection;

use super::{StorageError, backups, clusters, grants, planned_keys, usage};

/// Every step ever released, oldest first. Append only.
const STEPS: &[&str] = &[
    // 1: accounts, keys with their material, tags and policy, aliases.
    "CREATE TABLE root_credential (
        account       TEXT NOT NULL PRIMARY KEY,
        access_key_id TEXT NOT NULL UNIQUE,
        secret        TEXT NOT NULL
     ) STRICT, WITHOUT ROWID;
     CREATE TABLE key (
        account          TEXT NOT NULL,
        region           TEXT NOT NULL,
        id               TEXT NOT NULL,
        created_millis   INTEGER NOT NULL,
        description      TEXT NOT NULL,
        lifecycle        TEXT NOT NULL,
        deletion_millis  INTEGER,
        deletion_window_days INTEGER,
        origin           TEXT NOT NULL,
        custom_key_store TEXT,
        policy           TEXT NOT NULL,
        material_id      BLOB NOT NULL,
        PRIMARY KEY (account, region, id)
     ) STRICT, WITHOUT ROWID;
     CREATE TABLE key_material (
        account   TEXT NOT NULL,
        region    TEXT NOT NULL,
        key_id    TEXT NOT NULL,
        id        BLOB NOT NULL,
        reference BLOB NOT NULL,
        PRIMARY KEY (account, region, key_id, id),
        FOREIGN KEY (account, region, key_id) REFERENCES key ON DELETE CASCADE
     ) STRICT, WITHOUT ROWID;
     CREATE TABLE key_tag (
        account TEXT NOT NULL,
        region  TEXT NOT NULL,
        key_id  TEXT NOT NULL,
        name    TEXT NOT NULL,
        value   TEXT NOT NULL,
        PRIMARY KEY (account, region, key_id, name),
        FOREIGN KEY (account, region, key_id) REFERENCES key ON DELETE CASCADE
     ) STRICT, WITHOUT ROWID;
     CREATE TABLE alias (
        account        TEXT NOT NULL,
        region         TEXT NOT NULL,
        name           TEXT NOT NULL,
        target         TEXT NOT NULL,
        created_millis INTEGER NOT NULL,
        updated_millis INTEGER NOT NULL,
        PRIMARY KEY (account, region, name),
        FOREIGN KEY (account, region, target) REFERENCES key ON DELETE CASCADE
     ) STRICT, WITHOUT ROWID;",
    // 2: CloudHSM clusters, their HSMs, custom key stores.
    clusters::TABLES,
    // 3: keys of every spec.
    "ALTER TABLE key ADD COLUMN spec TEXT NOT NULL DEFAULT 'SYMMETRIC_DEFAULT';
     ALTER TABLE key ADD COLUMN usage TEXT NOT NULL DEFAULT 'ENCRYPT_DECRYPT';",
    // 4: grants.
    grants::TABLE,
    // 5: rotation: its schedule, and how each material came to be the current one.
    "ALTER TABLE key ADD COLUMN rotation_period_days INTEGER;
     ALTER TABLE key ADD COLUMN rotation_next_millis INTEGER;
     ALTER TABLE key_material ADD COLUMN rotated_millis INTEGER;
     ALTER TABLE key_material ADD COLUMN rotation_kind TEXT;",
    // 6: multi-Region keys.
    "ALTER TABLE key ADD COLUMN primary_region TEXT;",
    // 7: imported material, which may expire.
    "ALTER TABLE key_material ADD COLUMN expires_millis INTEGER;",
    // 8: backups of clusters.
    backups::TABLES,
    // 9: keys of custom key stores that are being made.
    planned_keys::TABLE,
    // 10: several imported materials, with descriptions, one of which may await its rotation.
    "ALTER TABLE key_material ADD COLUMN description TEXT;
     ALTER TABLE key_material ADD COLUMN is_pending INTEGER NOT NULL DEFAULT 0;",
    // 11: AWS managed keys.
    "ALTER TABLE key ADD COLUMN manager TEXT NOT NULL DEFAULT 'CUSTOMER';",
    // 12: the last use of each key.
    usage::TABLES,
];

/// Brings the database to the newest schema.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StorageError> {
    let known = u32::try_from(STEPS.len()).unwrap_or(u32::MAX);
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(StorageError::NewerSchema { path: path.to_owned(), found, known });
    }
    for (version, step) in (1_u32..).zip(STEPS).skip(found as usize) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_schema_is_left_alone() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "user_version", 9_999).unwrap();
        let refused = migrate(&mut connection, Path::new("x")).unwrap_err();
        assert!(matches!(refused, StorageError::NewerSchema { found: 9_999, .. }));
    }

    #[test]
    fn migrating_twice_changes_nothing() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, Path::new("x")).unwrap();
        migrate(&mut connection, Path::new("x")).unwrap();
        let version: i64 =
            connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(usize::try_from(version).unwrap(), STEPS.len());
    }
}
