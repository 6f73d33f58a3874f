//! CloudHSM clusters, their HSMs and custom key stores in the database.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::sync::Arc;

use rusqlite::{Connection, Row, Transaction, params};

use super::StorageError;
use super::load::{damaged, parse, realm};
use crate::clock::Timestamp;
use crate::ids::{BackupId, ClusterId, CustomKeyStoreId, HsmId, RealmId};
use crate::records::{
    Cluster, ClusterCertificates, ClusterClaim, ClusterStage, ConnectionError, ConnectionState,
    CustomKeyStore, HardwareExchange, Hsm, KeyStorePassword, Passwords,
};
use crate::registry::State;

/// The step of `migrations.rs` that makes these tables.
pub(super) const TABLES: &str = "CREATE TABLE cluster (
        account               TEXT NOT NULL,
        region                TEXT NOT NULL,
        id                    TEXT NOT NULL,
        created_millis        INTEGER NOT NULL,
        hsm_type              TEXT NOT NULL,
        backup_retention_days INTEGER NOT NULL,
        stage                 TEXT NOT NULL,
        busy_until_millis     INTEGER NOT NULL,
        csr                   TEXT,
        hsm_certificate       TEXT,
        aws_hardware_certificate TEXT,
        manufacturer_hardware_certificate TEXT,
        cluster_certificate   TEXT,
        trust_anchor          TEXT,
        PRIMARY KEY (account, region, id)
     ) STRICT, WITHOUT ROWID;
     CREATE TABLE cluster_subnet (
        account TEXT NOT NULL,
        region  TEXT NOT NULL,
        cluster TEXT NOT NULL,
        zone    TEXT NOT NULL,
        subnet  TEXT NOT NULL,
        PRIMARY KEY (account, region, cluster, zone),
        FOREIGN KEY (account, region, cluster) REFERENCES cluster ON DELETE CASCADE
     ) STRICT, WITHOUT ROWID;
     CREATE TABLE cluster_tag (
        account TEXT NOT NULL,
        region  TEXT NOT NULL,
        cluster TEXT NOT NULL,
        name    TEXT NOT NULL,
        value   TEXT NOT NULL,
        PRIMARY KEY (account, region, cluster, name),
        FOREIGN KEY (account, region, cluster) REFERENCES cluster ON DELETE CASCADE
     ) STRICT, WITHOUT ROWID;
     CREATE TABLE hsm (
        account           TEXT NOT NULL,
        region            TEXT NOT NULL,
        cluster           TEXT NOT NULL,
        id                TEXT NOT NULL UNIQUE,
        zone              TEXT NOT NULL,
        interface         TEXT NOT NULL,
        address           TEXT NOT NULL UNIQUE,
        busy_until_millis INTEGER NOT NULL,
        PRIMARY KEY (account, region, cluster, id),
        FOREIGN KEY (account, region, cluster) REFERENCES cluster ON DELETE CASCADE
     ) STRICT, WITHOUT ROWID;
     CREATE TABLE custom_key_store (
        account             TEXT NOT NULL,
        region              TEXT NOT NULL,
        id                  TEXT NOT NULL,
        name                TEXT NOT NULL,
        created_millis      INTEGER NOT NULL,
        cluster             TEXT NOT NULL,
        trust_anchor        TEXT NOT NULL,
        cluster_certificate TEXT NOT NULL,
        password            TEXT NOT NULL,
        next_password       TEXT,
        connection_state    TEXT NOT NULL,
        connection_error    TEXT,
        PRIMARY KEY (account, region, id)
     ) STRICT, WITHOUT ROWID;";

/// Rows of a table that belong to clusters, taken by the cluster when its row is read.
type OfCluster<T> = HashMap<(RealmId, ClusterId), BTreeMap<String, T>>;

pub(super) fn put_cluster(transaction: &Transaction<'_>, row: &Cluster) -> rusqlite::Result<()> {
    let (account, region) = (row.realm.account.to_string(), row.realm.region.as_str());
    let certificates = row.certificates.as_deref();
    let claim = row.claim.as_deref();
    transaction
        .prepare_cached(
            "INSERT INTO cluster (account, region, id, created_millis, hsm_type,
                backup_retention_days, stage, busy_until_millis, csr, hsm_certificate,
                aws_hardware_certificate, manufacturer_hardware_certificate, cluster_certificate,
                trust_anchor, source_backup, exchanged_from, exchange_millis, exchange_is_rollback)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,
                ?18)
             ON CONFLICT DO UPDATE SET stage = excluded.stage, hsm_type = excluded.hsm_type,
                exchanged_from = excluded.exchanged_from,
                exchange_millis = excluded.exchange_millis,
                exchange_is_rollback = excluded.exchange_is_rollback,
                backup_retention_days = excluded.backup_retention_days,
                busy_until_millis = excluded.busy_until_millis, csr = excluded.csr,
                hsm_certificate = excluded.hsm_certificate,
                aws_hardware_certificate = excluded.aws_hardware_certificate,
                manufacturer_hardware_certificate = excluded.manufacturer_hardware_certificate,
                cluster_certificate = excluded.cluster_certificate,
                trust_anchor = excluded.trust_anchor",
        )?
        .execute(params![
            account,
            region,
            row.id.as_str(),
            row.created.as_millis(),
            row.hsm_type,
            row.backup_retention_days,
            row.stage.as_str(),
            row.busy_until.as_millis(),
            certificates.map(|all| &all.csr),
            certificates.map(|all| &all.hsm),
            certificates.map(|all| &all.aws_hardware),
            certificates.map(|all| &all.manufacturer_hardware),
            claim.map(|claim| &claim.certificate),
            claim.map(|claim| &claim.trust_anchor),
            row.source_backup.as_ref().map(BackupId::as_str),
            row.exchange.as_ref().map(|exchange| &exchange.from),
            row.exchange.as_ref().map(|exchange| exchange.began.as_millis()),
            row.exchange.as_ref().is_some_and(|exchange| exchange.is_rollback),
        ])?;
    put_members(transaction, row)
}

/// Replaces what belongs to a cluster by what belongs to it now.
fn put_members(transaction: &Transaction<'_>, row: &Cluster) -> rusqlite::Result<()> {
    let (account, region) = (row.realm.account.to_string(), row.realm.region.as_str());
    let cluster = row.id.as_str();
    for table in ["cluster_subnet", "cluster_tag", "hsm"] {
        let delete =
            format!("DELETE FROM {table} WHERE account = ?1 AND region = ?2 AND cluster = ?3");
        transaction.prepare_cached(&delete)?.execute(params![account, region, cluster])?;
    }
    let insert = "INSERT INTO cluster_subnet VALUES (?1, ?2, ?3, ?4, ?5)";
    for (zone, subnet) in row.subnets.iter() {
        transaction
            .prepare_cached(insert)?
            .execute(params![account, region, cluster, zone, subnet])?;
    }
    let insert = "INSERT INTO cluster_tag VALUES (?1, ?2, ?3, ?4, ?5)";
    for (name, value) in row.tags.iter() {
        transaction
            .prepare_cached(insert)?
            .execute(params![account, region, cluster, name, value])?;
    }
    let insert = "INSERT INTO hsm VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    for hsm in row.hsms.values() {
        transaction.prepare_cached(insert)?.execute(params![
            account,
            region,
            cluster,
            hsm.id.as_str(),
            hsm.zone,
            hsm.interface.as_str(),
            hsm.address.to_string(),
            hsm.busy_until.as_millis(),
            hsm.hsm_type,
        ])?;
    }
    Ok(())
}

pub(super) fn delete_cluster(
    transaction: &Transaction<'_>,
    realm: &RealmId,
    id: &ClusterId,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("DELETE FROM cluster WHERE account = ?1 AND region = ?2 AND id = ?3")?
        .execute(params![realm.account.to_string(), realm.region.as_str(), id.as_str()])?;
    Ok(())
}

pub(super) fn put_custom_key_store(
    transaction: &Transaction<'_>,
    row: &CustomKeyStore,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO custom_key_store (account, region, id, name, created_millis, cluster,
                trust_anchor, cluster_certificate, password, next_password, connection_state,
                connection_error)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
             ON CONFLICT DO UPDATE SET name = excluded.name, cluster = excluded.cluster,
                cluster_certificate = excluded.cluster_certificate, password = excluded.password,
                next_password = excluded.next_password,
                connection_state = excluded.connection_state,
                connection_error = excluded.connection_error",
        )?
        .execute(params![
            row.realm.account.to_string(),
            row.realm.region.as_str(),
            row.id.as_str(),
            row.name,
            row.created.as_millis(),
            row.cluster.as_str(),
            row.trust_anchor,
            row.cluster_certificate,
            row.passwords.current.expose(),
            row.passwords.next.as_ref().map(|next| next.expose()),
            row.connection.as_str(),
            row.connection.error().map(ConnectionError::as_str),
        ])?;
    Ok(())
}

pub(super) fn delete_custom_key_store(
    transaction: &Transaction<'_>,
    realm: &RealmId,
    id: &CustomKeyStoreId,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "DELETE FROM custom_key_store WHERE account = ?1 AND region = ?2 AND id = ?3",
        )?
        .execute(params![realm.account.to_string(), realm.region.as_str(), id.as_str()])?;
    Ok(())
}

/// Reads all clusters and custom key stores into `state`.
pub(super) fn load(connection: &Connection, state: &mut State) -> Result<(), StorageError> {
    let mut subnets = load_pairs(connection, "cluster_subnet", "zone", "subnet")?;
    let mut tags = load_pairs(connection, "cluster_tag", "name", "value")?;
    let mut hsms = load_hsms(connection)?;
    let mut query = connection.prepare("SELECT * FROM cluster")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let id: ClusterId = parse(row, "cluster", "id")?;
        let key = (realm(row, "cluster")?, id.clone());
        let stage: String = row.get("stage")?;
        state.put_cluster(Arc::new(Cluster {
            realm: key.0.clone(),
            created: Timestamp::from_millis(row.get("created_millis")?),
            hsm_type: row.get("hsm_type")?,
            exchange: exchange(row)?,
            subnets: Arc::new(subnets.remove(&key).unwrap_or_default()),
            backup_retention_days: row.get("backup_retention_days")?,
            tags: Arc::new(tags.remove(&key).unwrap_or_default()),
            stage: ClusterStage::from_name(&stage)
                .ok_or_else(|| damaged("cluster", &id, format!("unknown stage {stage:?}")))?,
            busy_until: Timestamp::from_millis(row.get("busy_until_millis")?),
            certificates: certificates(row)?.map(Arc::new),
            claim: claim(row)?.map(Arc::new),
            source_backup: match row.get::<_, Option<String>>("source_backup")? {
                Some(_) => Some(parse(row, "cluster", "source_backup")?),
                None => None,
            },
            hsms: Arc::new(hsms.remove(&key).unwrap_or_default()),
            id,
        }));
    }
    load_custom_key_stores(connection, state)
}

fn load_pairs(
    connection: &Connection,
    table: &'static str,
    name: &str,
    value: &str,
) -> Result<OfCluster<String>, StorageError> {
    let mut found = OfCluster::new();
    let mut query = connection.prepare(&format!("SELECT * FROM {table}"))?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let key = (realm(row, table)?, parse(row, table, "cluster")?);
        found.entry(key).or_default().insert(row.get(name)?, row.get(value)?);
    }
    Ok(found)
}

type HsmsOfClusters = HashMap<(RealmId, ClusterId), BTreeMap<HsmId, Hsm>>;

fn load_hsms(connection: &Connection) -> Result<HsmsOfClusters, StorageError> {
    let mut found = HsmsOfClusters::new();
    let mut query = connection.prepare("SELECT * FROM hsm")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let key = (realm(row, "hsm")?, parse(row, "hsm", "cluster")?);
        let id: HsmId = parse(row, "hsm", "id")?;
        let hsm = Hsm {
            id: id.clone(),
            hsm_type: row.get("hsm_type")?,
            zone: row.get("zone")?,
            interface: parse(row, "hsm", "interface")?,
            address: parse::<Ipv4Addr>(row, "hsm", "address")?,
            busy_until: Timestamp::from_millis(row.get("busy_until_millis")?),
        };
        found.entry(key).or_default().insert(id, hsm);
    }
    Ok(found)
}

fn exchange(row: &Row<'_>) -> rusqlite::Result<Option<HardwareExchange>> {
    let Some(from) = row.get("exchanged_from")? else { return Ok(None) };
    Ok(Some(HardwareExchange {
        from,
        began: Timestamp::from_millis(row.get("exchange_millis")?),
        is_rollback: row.get("exchange_is_rollback")?,
    }))
}

pub(super) fn certificates(row: &Row<'_>) -> Result<Option<ClusterCertificates>, StorageError> {
    let Some(csr) = row.get("csr")? else { return Ok(None) };
    Ok(Some(ClusterCertificates {
        csr,
        hsm: row.get("hsm_certificate")?,
        aws_hardware: row.get("aws_hardware_certificate")?,
        manufacturer_hardware: row.get("manufacturer_hardware_certificate")?,
    }))
}

pub(super) fn claim(row: &Row<'_>) -> Result<Option<ClusterClaim>, StorageError> {
    let Some(certificate) = row.get("cluster_certificate")? else { return Ok(None) };
    Ok(Some(ClusterClaim { certificate, trust_anchor: row.get("trust_anchor")? }))
}

fn load_custom_key_stores(connection: &Connection, state: &mut State) -> Result<(), StorageError> {
    const TABLE: &str = "custom_key_store";
    let mut query = connection.prepare("SELECT * FROM custom_key_store")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let id: CustomKeyStoreId = parse(row, TABLE, "id")?;
        let (name, error): (String, Option<String>) =
            (row.get("connection_state")?, row.get("connection_error")?);
        let password = |text: String| Arc::new(KeyStorePassword::new(text));
        state.put_custom_key_store(Arc::new(CustomKeyStore {
            realm: realm(row, TABLE)?,
            name: row.get("name")?,
            created: Timestamp::from_millis(row.get("created_millis")?),
            cluster: parse(row, TABLE, "cluster")?,
            trust_anchor: row.get("trust_anchor")?,
            cluster_certificate: row.get("cluster_certificate")?,
            passwords: Passwords {
                current: password(row.get("password")?),
                next: row.get::<_, Option<String>>("next_password")?.map(password),
            },
            connection: ConnectionState::from_names(&name, error.as_deref())
                .ok_or_else(|| damaged(TABLE, &id, format!("unknown connection state {name:?}")))?,
            id,
        }));
    }
    Ok(())
}
