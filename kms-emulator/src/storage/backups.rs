//! Backups of CloudHSM clusters in the database; what they hold lies in files.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, Row, Transaction, params};

use super::StorageError;
use super::clusters::{certificates, claim};
use super::load::{damaged, parse, realm};
use crate::clock::Timestamp;
use crate::ids::{BackupId, RealmId};
use crate::policy::KeyPolicy;
use crate::records::{Backup, BackupSource, ClusterStage};
use crate::registry::State;

const NAME: &str = "backup";

/// The step of `migrations.rs` that makes these tables.
pub(super) const TABLES: &str = "CREATE TABLE backup (
        account             TEXT NOT NULL,
        region              TEXT NOT NULL,
        id                  TEXT NOT NULL,
        cluster             TEXT NOT NULL,
        created_millis      INTEGER NOT NULL,
        ready_millis        INTEGER NOT NULL,
        hsm_type            TEXT NOT NULL,
        stage               TEXT NOT NULL,
        never_expires       INTEGER NOT NULL,
        source_region       TEXT,
        source_backup       TEXT,
        copied_millis       INTEGER,
        delete_millis       INTEGER,
        policy              TEXT,
        csr                 TEXT NOT NULL,
        hsm_certificate     TEXT NOT NULL,
        aws_hardware_certificate TEXT NOT NULL,
        manufacturer_hardware_certificate TEXT NOT NULL,
        cluster_certificate TEXT NOT NULL,
        trust_anchor        TEXT NOT NULL,
        PRIMARY KEY (account, region, id)
     ) STRICT, WITHOUT ROWID;
     CREATE TABLE backup_tag (
        account TEXT NOT NULL,
        region  TEXT NOT NULL,
        backup  TEXT NOT NULL,
        name    TEXT NOT NULL,
        value   TEXT NOT NULL,
        PRIMARY KEY (account, region, backup, name),
        FOREIGN KEY (account, region, backup) REFERENCES backup ON DELETE CASCADE
     ) STRICT, WITHOUT ROWID;
     ALTER TABLE cluster ADD COLUMN source_backup TEXT;";

pub(super) fn put(transaction: &Transaction<'_>, row: &Backup) -> rusqlite::Result<()> {
    let (account, region) = (row.realm.account.to_string(), row.realm.region.as_str());
    let source = row.copy_of.as_ref();
    transaction
        .prepare_cached(
            "INSERT INTO backup (account, region, id, cluster, created_millis, ready_millis,
                hsm_type, stage, never_expires, source_region, source_backup, copied_millis,
                delete_millis, policy, csr, hsm_certificate, aws_hardware_certificate,
                manufacturer_hardware_certificate, cluster_certificate, trust_anchor)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,
                ?18, ?19, ?20)
             ON CONFLICT DO UPDATE SET never_expires = excluded.never_expires,
                delete_millis = excluded.delete_millis, policy = excluded.policy",
        )?
        .execute(params![
            account,
            region,
            row.id.as_str(),
            row.cluster.as_str(),
            row.created.as_millis(),
            row.ready_at.as_millis(),
            row.hsm_type,
            row.stage.as_str(),
            row.never_expires,
            source.map(|source| source.region.as_str()),
            source.map(|source| source.backup.as_str()),
            source.map(|source| source.copied.as_millis()),
            row.delete_at.map(Timestamp::as_millis),
            row.policy.as_ref().map(|policy| policy.text()),
            row.certificates.csr,
            row.certificates.hsm,
            row.certificates.aws_hardware,
            row.certificates.manufacturer_hardware,
            row.claim.certificate,
            row.claim.trust_anchor,
        ])?;
    put_tags(transaction, row)
}

fn put_tags(transaction: &Transaction<'_>, row: &Backup) -> rusqlite::Result<()> {
    let (account, region) = (row.realm.account.to_string(), row.realm.region.as_str());
    let delete = "DELETE FROM backup_tag WHERE account = ?1 AND region = ?2 AND backup = ?3";
    transaction.prepare_cached(delete)?.execute(params![account, region, row.id.as_str()])?;
    let insert = "INSERT INTO backup_tag VALUES (?1, ?2, ?3, ?4, ?5)";
    for (name, value) in row.tags.iter() {
        transaction.prepare_cached(insert)?.execute(params![
            account,
            region,
            row.id.as_str(),
            name,
            value
        ])?;
    }
    Ok(())
}

pub(super) fn delete(
    transaction: &Transaction<'_>,
    realm: &RealmId,
    id: &BackupId,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("DELETE FROM backup WHERE account = ?1 AND region = ?2 AND id = ?3")?
        .execute(params![realm.account.to_string(), realm.region.as_str(), id.as_str()])?;
    Ok(())
}

/// Reads all backups into `state`.
pub(super) fn load(connection: &Connection, state: &mut State) -> Result<(), StorageError> {
    let mut query = connection.prepare("SELECT * FROM backup")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        state.put_backup(Arc::new(read(connection, row)?));
    }
    Ok(())
}

fn read(connection: &Connection, row: &Row<'_>) -> Result<Backup, StorageError> {
    let (realm, id): (RealmId, BackupId) = (realm(row, NAME)?, parse(row, NAME, "id")?);
    let stage: String = row.get("stage")?;
    let missing = |what: &str| damaged(NAME, &id, format!("it has no {what}"));
    let policy: Option<String> = row.get("policy")?;
    let policy = policy.map(|text| KeyPolicy::parse(&text)).transpose();
    Ok(Backup {
        cluster: parse(row, NAME, "cluster")?,
        created: Timestamp::from_millis(row.get("created_millis")?),
        ready_at: Timestamp::from_millis(row.get("ready_millis")?),
        hsm_type: row.get("hsm_type")?,
        stage: ClusterStage::from_name(&stage)
            .ok_or_else(|| damaged(NAME, &id, format!("unknown stage {stage:?}")))?,
        certificates: Arc::new(certificates(row)?.ok_or_else(|| missing("certificates"))?),
        claim: Arc::new(claim(row)?.ok_or_else(|| missing("cluster certificate"))?),
        never_expires: row.get("never_expires")?,
        copy_of: source(row)?,
        delete_at: row.get::<_, Option<i64>>("delete_millis")?.map(Timestamp::from_millis),
        tags: Arc::new(tags(connection, &realm, &id)?),
        policy: policy.map_err(|error| damaged(NAME, &id, error.to_string()))?.map(Arc::new),
        realm,
        id,
    })
}

fn source(row: &Row<'_>) -> Result<Option<BackupSource>, StorageError> {
    let Some(copied) = row.get::<_, Option<i64>>("copied_millis")? else { return Ok(None) };
    Ok(Some(BackupSource {
        region: parse(row, NAME, "source_region")?,
        backup: parse(row, NAME, "source_backup")?,
        copied: Timestamp::from_millis(copied),
    }))
}

fn tags(
    connection: &Connection,
    realm: &RealmId,
    id: &BackupId,
) -> Result<BTreeMap<String, String>, StorageError> {
    let select =
        "SELECT name, value FROM backup_tag WHERE account = ?1 AND region = ?2 AND backup = ?3";
    let mut query = connection.prepare_cached(select)?;
    let key = params![realm.account.to_string(), realm.region.as_str(), id.as_str()];
    let rows = query.query_map(key, |row| Ok((row.get("name")?, row.get("value")?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
