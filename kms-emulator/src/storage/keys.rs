//! Reads keys with their materials, a hundred thousand of them in a moment.
//!
//! Both tables are read once, in the order of their primary keys, which is the same. Columns are taken by their place:
//! looking each up by its name takes longer than all the rest. What most keys have in common (Region, policy, no
//! tags, no earlier material) they share.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rusqlite::fallible_streaming_iterator::FallibleStreamingIterator as _;
use rusqlite::types::FromSql;
use rusqlite::{Connection, Row, Rows};

use super::StorageError;
use super::load::{damaged, parse, realm};
use super::usage::Usages;
use crate::clock::Timestamp;
use crate::ids::{KeyId, RealmId, Region};
use crate::policy::KeyPolicy;
use crate::records::{
    Key, KeyManager, KeySpec, KeyUsage, Lifecycle, Material, MaterialId, Origin, Rotated,
    RotationKind, RotationSchedule,
};
use crate::registry::State;

const KEYS: &str =
    "SELECT account, region, id, created_millis, description, lifecycle, deletion_millis,
        deletion_window_days, origin, custom_key_store, policy, material_id, spec, usage,
        rotation_period_days, rotation_next_millis, primary_region, manager
     FROM key ORDER BY account, region, id";

const MATERIALS: &str = "SELECT account, region, key_id, id, is_pending, reference, rotated_millis,
        rotation_kind, expires_millis, description
     FROM key_material ORDER BY account, region, key_id";

/// Tags of each key, taken by the key when its row is read.
type Tags = HashMap<(RealmId, KeyId), BTreeMap<String, String>>;

/// Reads all keys into `state`.
pub(super) fn load(
    connection: &Connection,
    mut usages: Usages,
    state: &mut State,
) -> Result<(), StorageError> {
    let mut tags = load_tags(connection)?;
    let mut of_materials = connection.prepare(MATERIALS)?;
    let mut materials = Materials::new(of_materials.query([])?)?;
    let mut shared = Shared::default();
    let mut query = connection.prepare(KEYS)?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let mut columns = Columns::of(row);
        let (realm, id) = shared.name(&mut columns)?;
        let unknown =
            |what: &str, name: &str| damaged("key", id, format!("unknown {what} {name:?}"));
        let created = Timestamp::from_millis(columns.take()?);
        let description = shared.text(columns.text()?);
        let lifecycle = lifecycle(&mut columns, id)?;
        let origin = columns.text()?;
        let origin = Origin::from_wire(origin).ok_or_else(|| unknown("origin", origin))?;
        let custom_key_store = columns.optional_text()?.map(|store| shared.text(store));
        let policy = shared.policy(columns.text()?, id)?;
        let material_id = MaterialId(columns.take()?);
        let spec = columns.text()?;
        let spec = KeySpec::from_wire(spec).ok_or_else(|| unknown("spec", spec))?;
        let usage = columns.text()?;
        let usage = KeyUsage::from_wire(usage).ok_or_else(|| unknown("usage", usage))?;
        let rotation = rotation(&mut columns)?;
        let primary_region = primary_region(&mut columns, id)?;
        let manager = columns.text()?;
        let manager = KeyManager::from_wire(manager).ok_or_else(|| unknown("manager", manager))?;
        let of_key = materials.of(row, material_id)?;
        let named = (realm, id);
        let tags = tags.remove(&named).map_or_else(|| Arc::clone(&shared.no_tags), Arc::new);
        let last_usage = usages.remove(&named).unwrap_or_default();
        state.put_key(Arc::new(Key {
            realm: named.0,
            id,
            created,
            description,
            lifecycle,
            spec,
            usage,
            origin,
            manager,
            custom_key_store,
            policy,
            tags,
            material: of_key.current.ok_or_else(|| damaged("key", id, "it has no material"))?,
            earlier: match of_key.earlier.as_slice() {
                [] => Arc::clone(&shared.no_materials),
                _ => of_key.earlier.into(),
            },
            pending: of_key.pending,
            rotation,
            primary_region,
            last_usage,
        }));
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

/// What many keys have in common.
#[derive(Default)]
struct Shared {
    /// The place of the last row, as it is written there.
    realm: Option<(String, String, RealmId)>,
    /// The text of the last row, and every text so far.
    policy: Option<(String, Arc<KeyPolicy>)>,
    policies: HashMap<String, Arc<KeyPolicy>>,
    last_text: Option<Arc<str>>,
    no_tags: Arc<BTreeMap<String, String>>,
    no_materials: Arc<[Arc<Material>]>,
}

impl Shared {
    /// Takes the columns of a key's name.
    fn name(&mut self, columns: &mut Columns<'_>) -> Result<(RealmId, KeyId), StorageError> {
        let (account, region) = (columns.text()?, columns.text()?);
        let realm = match &self.realm {
            Some((its_account, its_region, realm))
                if its_account == account && its_region == region =>
            {
                realm.clone()
            }
            _ => {
                let malformed = |reason: crate::ids::MalformedId| {
                    damaged("key", account, format!("its place: {reason}"))
                };
                let realm = RealmId {
                    account: account.parse().map_err(malformed)?,
                    region: region.parse().map_err(malformed)?,
                };
                self.realm = Some((account.to_owned(), region.to_owned(), realm.clone()));
                realm
            }
        };
        let id = columns.text()?;
        let id = id.parse().map_err(|reason| damaged("key", id, format!("id: {reason}")))?;
        Ok((realm, id))
    }

    /// Each text is parsed and kept once: most keys have the default policy of their account.
    fn policy(&mut self, text: &str, id: KeyId) -> Result<Arc<KeyPolicy>, StorageError> {
        if let Some((_, policy)) = self.policy.as_ref().filter(|(last, _)| last == text) {
            return Ok(Arc::clone(policy));
        }
        let policy = match self.policies.get(text) {
            Some(policy) => Arc::clone(policy),
            None => {
                let parsed = KeyPolicy::parse(text).map_err(|reason| damaged("key", id, reason))?;
                let policy = Arc::new(parsed);
                self.policies.insert(text.to_owned(), Arc::clone(&policy));
                policy
            }
        };
        self.policy = Some((text.to_owned(), Arc::clone(&policy)));
        Ok(policy)
    }

    /// A text, shared with the row before if that had the same.
    fn text(&mut self, text: &str) -> Arc<str> {
        let shared = self.last_text.take().filter(|last| &**last == text);
        let shared = shared.unwrap_or_else(|| text.into());
        self.last_text = Some(Arc::clone(&shared));
        shared
    }
}

/// The materials of one key.
#[derive(Default)]
struct OfKey {
    current: Option<Arc<Material>>,
    /// From before a rotation, oldest first.
    earlier: Vec<Arc<Material>>,
    pending: Option<Arc<Material>>,
}

/// All materials, in the order of their keys.
struct Materials<'a> {
    rows: Rows<'a>,
}

impl<'a> Materials<'a> {
    fn new(mut rows: Rows<'a>) -> rusqlite::Result<Self> {
        rows.advance()?;
        Ok(Self { rows })
    }

    /// Takes those of the key in `row`, whose first three columns are its name as they are here.
    fn of(&mut self, row: &Row<'_>, current: MaterialId) -> Result<OfKey, StorageError> {
        let mut of_key = OfKey::default();
        while let Some(own) = self.rows.get() {
            // The id first: places seldom differ.
            for column in [2, 1, 0] {
                if own.get_ref(column)? != row.get_ref(column)? {
                    return Ok(of_key.in_order());
                }
            }
            let mut columns = Columns { row: own, next: 3 };
            let id = MaterialId(columns.take()?);
            let is_pending: bool = columns.take()?;
            let material = Arc::new(material(id, &mut columns)?);
            match is_pending {
                _ if id == current => of_key.current = Some(material),
                true => of_key.pending = Some(material),
                false => of_key.earlier.push(material),
            }
            self.rows.advance()?;
        }
        Ok(of_key.in_order())
    }
}

impl OfKey {
    /// The first material of a key was never rotated to, and is the oldest.
    fn in_order(mut self) -> Self {
        self.earlier.sort_by_key(|material| material.rotated.map(|rotated| rotated.at));
        self
    }
}

fn material(id: MaterialId, columns: &mut Columns<'_>) -> Result<Material, StorageError> {
    let reference: Vec<u8> = columns.take()?;
    let (at, kind): (Option<i64>, _) = (columns.take()?, columns.optional_text()?);
    let rotated = match (at, kind) {
        (Some(at), Some(kind)) => Some(Rotated {
            at: Timestamp::from_millis(at),
            kind: RotationKind::from_wire(kind)
                .ok_or_else(|| damaged("key_material", kind, "unknown kind of rotation"))?,
        }),
        _ => None,
    };
    Ok(Material {
        id,
        reference: reference.into(),
        rotated,
        expires: columns.take::<Option<i64>>()?.map(Timestamp::from_millis),
        description: columns.optional_text()?.map(Into::into),
    })
}

fn rotation(columns: &mut Columns<'_>) -> Result<Option<RotationSchedule>, StorageError> {
    let (period_days, next): (Option<u32>, Option<i64>) = (columns.take()?, columns.take()?);
    Ok(period_days.zip(next).map(|(period_days, next)| RotationSchedule {
        period_days,
        next: Timestamp::from_millis(next),
    }))
}

fn primary_region(columns: &mut Columns<'_>, id: KeyId) -> Result<Option<Region>, StorageError> {
    let parse = |name: &str| {
        name.parse().map_err(|reason| damaged("key", id, format!("primary_region: {reason}")))
    };
    columns.optional_text()?.map(parse).transpose()
}

fn lifecycle(columns: &mut Columns<'_>, id: KeyId) -> Result<Lifecycle, StorageError> {
    let name = columns.text()?;
    let (at, window): (Option<i64>, Option<u32>) = (columns.take()?, columns.take()?);
    let incomplete = || damaged("key", id, format!("it is {name} without saying when"));
    match name {
        "Enabled" => Ok(Lifecycle::Enabled),
        "Disabled" => Ok(Lifecycle::Disabled),
        "PendingReplicaDeletion" => {
            Ok(Lifecycle::PendingReplicaDeletion { window_days: window.ok_or_else(incomplete)? })
        }
        "PendingDeletion" => Ok(Lifecycle::PendingDeletion {
            at: Timestamp::from_millis(at.ok_or_else(incomplete)?),
            window_days: window.ok_or_else(incomplete)?,
        }),
        other => Err(damaged("key", id, format!("unknown lifecycle {other:?}"))),
    }
}

/// The columns of a row, taken one after the other.
struct Columns<'a> {
    row: &'a Row<'a>,
    next: usize,
}

impl<'a> Columns<'a> {
    fn of(row: &'a Row<'a>) -> Self {
        Self { row, next: 0 }
    }

    fn take<T: FromSql>(&mut self) -> rusqlite::Result<T> {
        let taken = self.row.get(self.next)?;
        self.next += 1;
        Ok(taken)
    }

    fn text(&mut self) -> rusqlite::Result<&'a str> {
        let taken = self.row.get_ref(self.next)?.as_str()?;
        self.next += 1;
        Ok(taken)
    }

    fn optional_text(&mut self) -> rusqlite::Result<Option<&'a str>> {
        let taken = self.row.get_ref(self.next)?.as_str_or_null()?;
        self.next += 1;
        Ok(taken)
    }
}
