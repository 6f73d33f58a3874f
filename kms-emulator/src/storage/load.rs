//! Reads the whole database into a `State`.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use rusqlite::{Connection, Row};

use super::{StorageError, backups, clusters, grants, keys, planned_keys, usage};
use crate::clock::Timestamp;
use crate::ids::RealmId;
use crate::records::{Alias, RootCredential, SecretAccessKey};
use crate::registry::State;

pub(super) fn load(connection: &Connection) -> Result<State, StorageError> {
    let mut state = State::default();
    load_credentials(connection, &mut state)?;
    let usages = usage::load(connection, &mut state)?;
    keys::load(connection, usages, &mut state)?;
    load_aliases(connection, &mut state)?;
    grants::load(connection, &mut state)?;
    clusters::load(connection, &mut state)?;
    backups::load(connection, &mut state)?;
    planned_keys::load(connection, &mut state)?;
    Ok(state)
}

fn load_credentials(connection: &Connection, state: &mut State) -> Result<(), StorageError> {
    let mut query =
        connection.prepare("SELECT account, access_key_id, secret FROM root_credential")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let credential = RootCredential {
            account: parse(row, "root_credential", "account")?,
            access_key_id: row.get("access_key_id")?,
            secret: SecretAccessKey::new(row.get("secret")?),
        };
        state.put_root_credential(Arc::new(credential));
    }
    Ok(())
}

fn load_aliases(connection: &Connection, state: &mut State) -> Result<(), StorageError> {
    let mut query = connection.prepare("SELECT * FROM alias")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        state.put_alias(Arc::new(Alias {
            realm: realm(row, "alias")?,
            name: parse(row, "alias", "name")?,
            target: parse(row, "alias", "target")?,
            created: Timestamp::from_millis(row.get("created_millis")?),
            updated: Timestamp::from_millis(row.get("updated_millis")?),
        }));
    }
    Ok(())
}

pub(super) fn realm(row: &Row<'_>, table: &'static str) -> Result<RealmId, StorageError> {
    Ok(RealmId { account: parse(row, table, "account")?, region: parse(row, table, "region")? })
}

pub(super) fn parse<T>(row: &Row<'_>, table: &'static str, column: &str) -> Result<T, StorageError>
where
    T: FromStr<Err: Display>,
{
    let text: String = row.get(column)?;
    text.parse().map_err(|reason| damaged(table, &text, format!("{column}: {reason}")))
}

pub(super) fn damaged(
    table: &'static str,
    record: impl Display,
    reason: impl Display,
) -> StorageError {
    StorageError::Damaged { table, record: record.to_string(), reason: reason.to_string() }
}
