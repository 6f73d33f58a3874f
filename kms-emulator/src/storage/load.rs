//! Reads the whole database into a `State`.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use rusqlite::{Connection, Row};

use super::{StorageError, backups, clusters, grants, planned_keys, usage};
use crate::clock::Timestamp;
use crate::ids::{KeyId, RealmId, Region};
use crate::policy::KeyPolicy;
use crate::records::{
    Alias, Key, KeyManager, KeySpec, KeyUsage, Lifecycle, Material, MaterialId, Origin,
    RootCredential, Rotated, RotationKind, RotationSchedule, SecretAccessKey,
};
use crate::registry::State;

/// Tags of each key, taken by the key when its row is read.
type Tags = HashMap<(RealmId, KeyId), BTreeMap<String, String>>;

/// The materials of each key beside the current one, taken as tags are.
type Others = HashMap<(RealmId, KeyId), OtherMaterials>;

#[derive(Default)]
struct OtherMaterials {
    /// From before a rotation, oldest first.
    earlier: Vec<Arc<Material>>,
    pending: Option<Arc<Material>>,
}

pub(super) fn load(connection: &Connection) -> Result<State, StorageError> {
    let mut state = State::default();
    load_credentials(connection, &mut state)?;
    let mut tags = load_tags(connection)?;
    let mut others = load_other_materials(connection)?;
    let mut usages = usage::load(connection, &mut state)?;
    load_keys(connection, &mut tags, &mut others, &mut usages, &mut state)?;
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

fn load_tags(connection: &Connection) -> Result<Tags, StorageError> {
    let mut tags = Tags::new();
    let mut query =
        connection.prepare("SELECT account, region, key_id, name, value FROM key_tag")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let key = (realm(row, "key_tag")?, parse(row, "key_tag", "key_id")?);
        tags.entry(key).or_default().insert(row.get("name")?, row.get("value")?);
    }
    Ok(tags)
}

fn load_keys(
    connection: &Connection,
    tags: &mut Tags,
    others: &mut Others,
    usages: &mut usage::Usages,
    state: &mut State,
) -> Result<(), StorageError> {
    // Most keys share the default policy of their account: each text is parsed and kept once.
    let mut policies: HashMap<String, Arc<KeyPolicy>> = HashMap::new();
    let no_tags = Arc::new(BTreeMap::new());
    let mut query = connection.prepare(
        "SELECT key.*, key_material.reference, rotated_millis, rotation_kind, expires_millis,
            key_material.description AS material_description
         FROM key JOIN key_material
         ON key_material.account = key.account AND key_material.region = key.region
            AND key_material.key_id = key.id AND key_material.id = key.material_id",
    )?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let id: KeyId = parse(row, "key", "id")?;
        let realm = realm(row, "key")?;
        let policy = policy(row, id, &mut policies)?;
        let last_usage = usages.remove(&(realm.clone(), id)).unwrap_or_default();
        let others = others.remove(&(realm.clone(), id)).unwrap_or_default();
        let key_tags = tags.remove(&(realm.clone(), id)).map_or_else(|| no_tags.clone(), Arc::new);
        let (origin, spec, usage): (String, String, String) =
            (row.get("origin")?, row.get("spec")?, row.get("usage")?);
        let manager: String = row.get("manager")?;
        let unknown =
            |what: &str, name: &str| damaged("key", id, format!("unknown {what} {name:?}"));
        state.put_key(Arc::new(Key {
            id,
            realm,
            created: Timestamp::from_millis(row.get("created_millis")?),
            description: row.get("description")?,
            lifecycle: lifecycle(row, id)?,
            spec: KeySpec::from_wire(&spec).ok_or_else(|| unknown("spec", &spec))?,
            usage: KeyUsage::from_wire(&usage).ok_or_else(|| unknown("usage", &usage))?,
            origin: Origin::from_wire(&origin).ok_or_else(|| unknown("origin", &origin))?,
            manager: KeyManager::from_wire(&manager).ok_or_else(|| unknown("manager", &manager))?,
            custom_key_store: row.get("custom_key_store")?,
            policy,
            tags: key_tags,
            material: Arc::new(material(row, "material_id", "material_description")?),
            earlier: others.earlier.into(),
            pending: others.pending,
            rotation: rotation(row)?,
            primary_region: primary_region(row)?,
            last_usage,
        }));
    }
    Ok(())
}

fn load_other_materials(connection: &Connection) -> Result<Others, StorageError> {
    let mut others = Others::new();
    let mut query = connection.prepare(
        "SELECT key_material.* FROM key_material JOIN key
         ON key_material.account = key.account AND key_material.region = key.region
            AND key_material.key_id = key.id AND key_material.id <> key.material_id
         ORDER BY key_material.rotated_millis",
    )?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let key = (realm(row, "key_material")?, parse(row, "key_material", "key_id")?);
        let material = Arc::new(material(row, "id", "description")?);
        let of_key = others.entry(key).or_default();
        match row.get("is_pending")? {
            true => of_key.pending = Some(material),
            false => of_key.earlier.push(material),
        }
    }
    Ok(others)
}

/// A material, whose id and description are in columns of those names.
fn material(row: &Row<'_>, id: &str, description: &str) -> Result<Material, StorageError> {
    let at: Option<i64> = row.get("rotated_millis")?;
    let kind: Option<String> = row.get("rotation_kind")?;
    let rotated = match (at, kind) {
        (Some(at), Some(kind)) => Some(Rotated {
            at: Timestamp::from_millis(at),
            kind: RotationKind::from_wire(&kind)
                .ok_or_else(|| damaged("key_material", &kind, "unknown kind of rotation"))?,
        }),
        _ => None,
    };
    Ok(Material {
        id: MaterialId(row.get(id)?),
        reference: row.get::<_, Vec<u8>>("reference")?.into(),
        rotated,
        expires: row.get::<_, Option<i64>>("expires_millis")?.map(Timestamp::from_millis),
        description: row.get(description)?,
    })
}

fn rotation(row: &Row<'_>) -> Result<Option<RotationSchedule>, StorageError> {
    let period_days: Option<u32> = row.get("rotation_period_days")?;
    let next: Option<i64> = row.get("rotation_next_millis")?;
    Ok(period_days.zip(next).map(|(period_days, next)| RotationSchedule {
        period_days,
        next: Timestamp::from_millis(next),
    }))
}

fn primary_region(row: &Row<'_>) -> Result<Option<Region>, StorageError> {
    let name: Option<String> = row.get("primary_region")?;
    let parse = |name: String| {
        name.parse().map_err(|reason| damaged("key", &name, format!("primary_region: {reason}")))
    };
    name.map(parse).transpose()
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

fn policy(
    row: &Row<'_>,
    id: KeyId,
    known: &mut HashMap<String, Arc<KeyPolicy>>,
) -> Result<Arc<KeyPolicy>, StorageError> {
    let text: String = row.get("policy")?;
    if let Some(policy) = known.get(&text) {
        return Ok(Arc::clone(policy));
    }
    let policy = KeyPolicy::parse(&text).map_err(|reason| damaged("key", id, reason))?;
    let policy = Arc::new(policy);
    known.insert(text, Arc::clone(&policy));
    Ok(policy)
}

fn lifecycle(row: &Row<'_>, id: KeyId) -> Result<Lifecycle, StorageError> {
    match row.get_ref("lifecycle")?.as_str().unwrap_or_default() {
        "Enabled" => Ok(Lifecycle::Enabled),
        "Disabled" => Ok(Lifecycle::Disabled),
        "PendingReplicaDeletion" => {
            Ok(Lifecycle::PendingReplicaDeletion { window_days: row.get("deletion_window_days")? })
        }
        "PendingDeletion" => Ok(Lifecycle::PendingDeletion {
            at: Timestamp::from_millis(row.get("deletion_millis")?),
            window_days: row.get("deletion_window_days")?,
        }),
        other => Err(damaged("key", id, format!("unknown lifecycle {other:?}"))),
    }
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
