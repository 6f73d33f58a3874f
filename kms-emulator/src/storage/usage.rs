//! The last uses of keys in SQLite.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, Transaction, params};

use super::StorageError;
use super::load::{parse, realm};
use crate::clock::Timestamp;
use crate::ids::{KeyId, RealmId};
use crate::records::{Key, LastUsage, Usage};
use crate::registry::State;

const TABLE: &str = "key_usage";

/// A row of `usage_tracking` is there only if keys were before the table was: since then uses are noted.
pub(super) const TABLES: &str = "CREATE TABLE key_usage (
        account     TEXT NOT NULL,
        region      TEXT NOT NULL,
        key_id      TEXT NOT NULL,
        operation   TEXT NOT NULL,
        used_millis INTEGER NOT NULL,
        request_id  TEXT NOT NULL,
        event_id    TEXT,
        PRIMARY KEY (account, region, key_id),
        FOREIGN KEY (account, region, key_id) REFERENCES key ON DELETE CASCADE
     ) STRICT, WITHOUT ROWID;
     CREATE TABLE usage_tracking (since_millis INTEGER NOT NULL) STRICT;
     INSERT INTO usage_tracking SELECT unixepoch() * 1000 WHERE EXISTS (SELECT 1 FROM key);";

/// The last use of each key, taken by the key when its row is read.
pub(super) type Usages = HashMap<(RealmId, KeyId), Arc<LastUsage>>;

pub(super) fn put(transaction: &Transaction<'_>, key: &Key, usage: &Usage) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO key_usage (account, region, key_id, operation, used_millis, request_id,
                event_id)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT DO UPDATE SET operation = excluded.operation,
                used_millis = excluded.used_millis, request_id = excluded.request_id,
                event_id = excluded.event_id",
        )?
        .execute(params![
            key.realm.account.to_string(),
            key.realm.region.as_str(),
            key.id.to_string(),
            usage.operation,
            usage.at.as_millis(),
            usage.request_id.to_string(),
            usage.event_id.as_ref().map(ToString::to_string),
        ])?;
    Ok(())
}

pub(super) fn load(connection: &Connection, state: &mut State) -> Result<Usages, StorageError> {
    let mut since = connection.prepare("SELECT since_millis FROM usage_tracking")?;
    let mut rows = since.query([])?;
    if let Some(row) = rows.next()? {
        state.set_usage_tracked_since(Timestamp::from_millis(row.get("since_millis")?));
    }
    let mut usages = Usages::new();
    let mut query = connection.prepare("SELECT * FROM key_usage")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let key = (realm(row, TABLE)?, parse(row, TABLE, "key_id")?);
        let event_id = match row.get_ref("event_id")? {
            rusqlite::types::ValueRef::Null => None,
            _ => Some(parse(row, TABLE, "event_id")?),
        };
        let usage = Usage {
            operation: row.get("operation")?,
            at: Timestamp::from_millis(row.get("used_millis")?),
            request_id: parse(row, TABLE, "request_id")?,
            event_id,
        };
        usages.insert(key, Arc::new(LastUsage::saved(usage)));
    }
    Ok(usages)
}
