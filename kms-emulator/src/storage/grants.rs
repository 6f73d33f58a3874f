//! The table of grants.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, Row, Transaction, params};

use super::StorageError;
use super::load::{damaged, parse, realm};
use crate::clock::Timestamp;
use crate::ids::{GrantId, KeyId, RealmId};
use crate::records::{Grant, GrantConstraints, GrantTerms};
use crate::registry::State;

/// The migration that makes it.
pub(super) const TABLE: &str = "CREATE TABLE key_grant (
        account         TEXT NOT NULL,
        region          TEXT NOT NULL,
        key_id          TEXT NOT NULL,
        id              TEXT NOT NULL,
        created_millis  INTEGER NOT NULL,
        name            TEXT,
        issuing_account TEXT NOT NULL,
        grantee         TEXT NOT NULL,
        retiring        TEXT,
        operations      TEXT NOT NULL,
        context_equals  TEXT,
        context_subset  TEXT,
        PRIMARY KEY (account, region, key_id, id),
        FOREIGN KEY (account, region, key_id) REFERENCES key ON DELETE CASCADE
     ) STRICT, WITHOUT ROWID;";

/// Between the names of operations, of which none has one.
const SEPARATOR: &str = ",";

pub(super) fn put(transaction: &Transaction<'_>, grant: &Grant) -> rusqlite::Result<()> {
    let terms = &grant.terms;
    let context = |pairs: &Option<BTreeMap<String, String>>| {
        let text = pairs.as_ref().map(serde_json::to_string).transpose();
        text.map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
    };
    transaction
        .prepare_cached(
            "INSERT INTO key_grant (account, region, key_id, id, created_millis, name,
                issuing_account, grantee, retiring, operations, context_equals, context_subset)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(params![
            grant.realm.account.to_string(),
            grant.realm.region.as_str(),
            grant.key.to_string(),
            grant.id.to_string(),
            grant.created.as_millis(),
            terms.name,
            terms.issuing_account.to_string(),
            terms.grantee,
            terms.retiring,
            terms.operations.join(SEPARATOR),
            context(&terms.constraints.equals)?,
            context(&terms.constraints.subset)?,
        ])?;
    Ok(())
}

pub(super) fn delete(
    transaction: &Transaction<'_>,
    realm: &RealmId,
    key: KeyId,
    id: GrantId,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "DELETE FROM key_grant WHERE account = ?1 AND region = ?2 AND key_id = ?3 AND id = ?4",
        )?
        .execute(params![
            realm.account.to_string(),
            realm.region.as_str(),
            key.to_string(),
            id.to_string()
        ])?;
    Ok(())
}

pub(super) fn load(connection: &Connection, state: &mut State) -> Result<(), StorageError> {
    let mut query = connection.prepare("SELECT * FROM key_grant")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        state.put_grant(Arc::new(grant(row)?));
    }
    Ok(())
}

fn grant(row: &Row<'_>) -> Result<Grant, StorageError> {
    let operations: String = row.get("operations")?;
    Ok(Grant {
        realm: realm(row, "key_grant")?,
        key: parse(row, "key_grant", "key_id")?,
        id: parse(row, "key_grant", "id")?,
        created: Timestamp::from_millis(row.get("created_millis")?),
        terms: GrantTerms {
            name: row.get("name")?,
            issuing_account: parse(row, "key_grant", "issuing_account")?,
            grantee: row.get("grantee")?,
            retiring: row.get("retiring")?,
            operations: operations.split(SEPARATOR).map(str::to_owned).collect(),
            constraints: GrantConstraints {
                equals: context(row, "context_equals")?,
                subset: context(row, "context_subset")?,
            },
        },
    })
}

fn context(row: &Row<'_>, column: &str) -> Result<Option<BTreeMap<String, String>>, StorageError> {
    let Some(text) = row.get::<_, Option<String>>(column)? else { return Ok(None) };
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|reason| damaged("key_grant", &text, format!("{column}: {reason}")))
}
