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
    // 13: exchanges of a cluster's hardware, one HSM after the other.
    "ALTER TABLE cluster ADD COLUMN exchanged_from TEXT;
     ALTER TABLE cluster ADD COLUMN exchange_millis INTEGER;
     ALTER TABLE cluster ADD COLUMN exchange_is_rollback INTEGER NOT NULL DEFAULT 0;
     ALTER TABLE hsm ADD COLUMN hsm_type TEXT NOT NULL DEFAULT 'hsm1.medium';
     UPDATE hsm SET hsm_type = (SELECT cluster.hsm_type FROM cluster WHERE
        cluster.account = hsm.account AND cluster.region = hsm.region AND cluster.id = hsm.cluster);",
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
    use crate::storage::load;

    #[test]
    fn a_newer_schema_is_left_alone() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "user_version", 9_999).unwrap();
        let refused = migrate(&mut connection, Path::new("x")).unwrap_err();
        assert!(matches!(refused, StorageError::NewerSchema { found: 9_999, .. }));
    }

    /// What a server of that version has written of one key: the first schema's columns, of which every
    /// later one still has each.
    const KEY_OF_THE_FIRST_SCHEMA: &str = "
        INSERT INTO root_credential VALUES ('111122223333', 'AKIA0000000000000000', 'secret');
        INSERT INTO key (account, region, id, created_millis, description, lifecycle, origin, policy,
            material_id) VALUES ('111122223333', 'us-east-1', '1234abcd-12ab-34cd-56ef-1234567890ab', 5,
            'kept', 'Disabled', 'AWS_KMS', '{\"Statement\":{\"Effect\":\"Allow\",\"Principal\":\"*\",
            \"Action\":\"kms:*\",\"Resource\":\"*\"}}', zeroblob(32));
        INSERT INTO key_material (account, region, key_id, id, reference) VALUES ('111122223333',
            'us-east-1', '1234abcd-12ab-34cd-56ef-1234567890ab', zeroblob(32), x'010203');
        INSERT INTO key_tag VALUES ('111122223333', 'us-east-1', '1234abcd-12ab-34cd-56ef-1234567890ab',
            'team', 'a');
        INSERT INTO alias VALUES ('111122223333', 'us-east-1', 'alias/a',
            '1234abcd-12ab-34cd-56ef-1234567890ab', 5, 6);";

    #[test]
    fn state_of_every_older_schema_is_read_after_its_upgrade() {
        for version in 1..=STEPS.len() {
            let mut connection = Connection::open_in_memory().unwrap();
            for step in &STEPS[..version] {
                connection.execute_batch(step).unwrap();
            }
            connection
                .pragma_update(None, "user_version", u32::try_from(version).unwrap())
                .unwrap();
            connection.execute_batch(KEY_OF_THE_FIRST_SCHEMA).unwrap();
            migrate(&mut connection, Path::new("x")).unwrap();
            let state = load::load(&connection).unwrap();
            let key = state.all_keys().next().unwrap();
            assert_eq!((&*key.description, key.tags.len()), ("kept", 1), "from schema {version}");
            assert_eq!(*key.material.reference, [1, 2, 3]);
            assert_eq!(state.realm(&key.realm).unwrap().aliases_of(key.id).count(), 1);
            assert_eq!(state.root_credentials().count(), 1);
        }
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
