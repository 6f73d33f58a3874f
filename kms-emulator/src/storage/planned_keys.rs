//! The table of keys that are being made in custom key stores.

use std::sync::{Arc, Weak};

use rusqlite::{Connection, Transaction, params};

use super::StorageError;
use super::load::{parse, realm};
use crate::ids::{KeyId, RealmId};
use crate::records::PlannedKey;
use crate::registry::State;

const NAME: &str = "planned_key";

/// The migration that makes it.
pub(super) const TABLE: &str = "CREATE TABLE planned_key (
        account          TEXT NOT NULL,
        region           TEXT NOT NULL,
        key_id           TEXT NOT NULL,
        custom_key_store TEXT NOT NULL,
        PRIMARY KEY (account, region, key_id)
     ) STRICT, WITHOUT ROWID;";

pub(super) fn put(transaction: &Transaction<'_>, row: &PlannedKey) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("INSERT INTO planned_key VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING")?
        .execute(params![
            row.realm.account.to_string(),
            row.realm.region.as_str(),
            row.id.to_string(),
            row.custom_key_store.as_str(),
        ])?;
    Ok(())
}

pub(super) fn delete(
    transaction: &Transaction<'_>,
    realm: &RealmId,
    key: KeyId,
) -> rusqlite::Result<()> {
    let delete = "DELETE FROM planned_key WHERE account = ?1 AND region = ?2 AND key_id = ?3";
    transaction.prepare_cached(delete)?.execute(params![
        realm.account.to_string(),
        realm.region.as_str(),
        key.to_string()
    ])?;
    Ok(())
}

/// Reads all of them into `state`. The requests that made them ended with the server that had them.
pub(super) fn load(connection: &Connection, state: &mut State) -> Result<(), StorageError> {
    let mut query = connection.prepare("SELECT * FROM planned_key")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        state.put_planned_key(Arc::new(PlannedKey {
            realm: realm(row, NAME)?,
            id: parse(row, NAME, "key_id")?,
            custom_key_store: parse(row, NAME, "custom_key_store")?,
            request: Weak::new(),
        }));
    }
    Ok(())
}
