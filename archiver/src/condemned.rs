//! Which packs a collector is about to remove: `x/gc/<id>`, and the verdict on them.
//!
//! ```text
//! magic  "SRG1"
//! packs  u32 count, then of each, ascending:  kind u8 (0 data, 1 meta) · id 16
//! ```
//!
//! Both objects have this form, and are of the kind that every writer may decrypt. What condemns
//! and what a verdict binds is told in [`prune`](mod@crate::prune).

use std::collections::{BTreeSet, HashSet};

use futures::TryStreamExt;

use crate::codec::{Malformed, Parsed, Reader};
use crate::error::{Cause, Error, Result};
use crate::id::ObjectId;
use crate::location::Location;
use crate::pack::pack_name;
use crate::store::{Family, Kind, ObjectName, Put};

/// Most packs that are condemned at once: 64 TB of full ones.
pub(crate) const CONDEMNED_PACKS_MAX: usize = 1 << 20;

/// Most bytes of a stored list.
const STORED_BYTES_MAX: u64 = 32 << 20;

const MAGIC: &[u8; 4] = b"SRG1";
const LINE_BYTES: usize = 1 + ObjectId::LEN;

/// A set of packs.
pub(crate) type Packs = BTreeSet<ObjectName>;

/// All packs that are condemned now. A writer that has opened its session must not rely on them.
pub(crate) async fn all(location: &Location) -> Result<HashSet<ObjectName>> {
    let mut packs = HashSet::new();
    for id in list(location).await? {
        packs.extend(load(location, id).await?.unwrap_or_default());
    }
    Ok(packs)
}

/// The lists of condemned packs that collectors have not done with.
pub(crate) async fn list(location: &Location) -> Result<Vec<ObjectId>> {
    let listed = location.store().list(Family::Condemned);
    let lists = listed.try_filter_map(|object| async move {
        Ok(match object.name {
            Some(ObjectName::Condemned(id)) => Some(id),
            _ => None,
        })
    });
    let mut ids: Vec<ObjectId> = lists.try_collect().await?;
    ids.sort_unstable();
    Ok(ids)
}

/// The packs of list `id`; `None` when that is done with.
pub(crate) async fn load(location: &Location, id: ObjectId) -> Result<Option<Packs>> {
    read(location, ObjectName::Condemned(id)).await
}

/// Condemns `packs`.
pub(crate) async fn condemn(location: &Location, packs: &Packs) -> Result<ObjectId> {
    let id = ObjectId::random();
    let name = ObjectName::Condemned(id);
    if write(location, name, packs).await? == Put::Occupied {
        return Err(Error::NameTaken { object: name });
    }
    if let Err(error) = location.confirm_epoch().await {
        location.store().delete(name).await?;
        return Err(error);
    }
    Ok(id)
}

/// The verdict on list `id`, if there is one that binds.
///
/// Lists go before their verdicts. While the list is there no verdict on it has been removed, and
/// so the one that is there is the first; once the list is gone, a verdict is a late comer's.
pub(crate) async fn verdict(location: &Location, id: ObjectId) -> Result<Option<Packs>> {
    match read(location, ObjectName::Verdict(id)).await? {
        Some(packs) if is_open(location, id).await? => Ok(Some(packs)),
        _ => Ok(None),
    }
}

/// Proposes to remove `packs` out of list `id`, and answers what is to be removed: what was
/// proposed first binds everybody. `None` when the list was done with by somebody else.
pub(crate) async fn decide(
    location: &Location,
    id: ObjectId,
    packs: Packs,
) -> Result<Option<Packs>> {
    let name = ObjectName::Verdict(id);
    if write(location, name, &packs).await? == Put::Occupied {
        return verdict(location, id).await;
    }
    if is_open(location, id).await? {
        return Ok(Some(packs));
    }
    location.store().delete(name).await?;
    Ok(None)
}

async fn is_open(location: &Location, id: ObjectId) -> Result<bool> {
    Ok(location.store().size(ObjectName::Condemned(id)).await?.is_some())
}

/// Ends list `id`, all of whose verdict is carried out: what it spared may be relied on again.
pub(crate) async fn done(location: &Location, id: ObjectId) -> Result<()> {
    location.store().delete(ObjectName::Condemned(id)).await?;
    location.store().delete(ObjectName::Verdict(id)).await
}

/// Removes verdicts on lists that are done with, which somebody did not get to, and lists under keys that were given
/// up, whose makers go no further.
pub(crate) async fn remove_leftovers(location: &Location) -> Result<()> {
    let listed: Vec<_> = location.store().list(Family::Condemned).try_collect().await?;
    let names: HashSet<ObjectName> = listed.into_iter().filter_map(|object| object.name).collect();
    for name in &names {
        if let ObjectName::Condemned(id) = name
            && load(location, *id).await?.is_none()
        {
            location.store().delete(*name).await?;
        }
        if let ObjectName::Verdict(id) = name
            && !names.contains(&ObjectName::Condemned(*id))
        {
            location.store().delete(*name).await?;
        }
    }
    Ok(())
}

async fn write(location: &Location, name: ObjectName, packs: &Packs) -> Result<Put> {
    let message = location.envelope().seal(name, &serialize(packs)).await?;
    location.store().create(name, message).await
}

/// Reads a list or a verdict; `None` when it is not there, or is under keys that were given up.
pub(crate) async fn read(location: &Location, name: ObjectName) -> Result<Option<Packs>> {
    let message = match location.store().get(name, STORED_BYTES_MAX).await {
        Err(error) if error.cause() == Cause::StoreMissing => return Ok(None),
        other => other?,
    };
    let plain = match location.envelope().open(name, &message).await {
        Err(Error::KeysGivenUp { .. }) => return location.confirm_epoch().await.map(|()| None),
        other => other?,
    };
    let what = "it is not a list of packs";
    parse(&plain).map(Some).map_err(|_| Error::Damaged { object: name, what })
}

fn serialize(packs: &Packs) -> Vec<u8> {
    let lines = packs.iter().filter_map(|pack| match pack {
        ObjectName::DataPack(id) => Some((0, id)),
        ObjectName::MetaPack(id) => Some((1, id)),
        _ => None,
    });
    let mut out = Vec::with_capacity(8 + packs.len() * LINE_BYTES);
    out.extend_from_slice(MAGIC);
    // More than the limit is never condemned.
    out.extend_from_slice(&(packs.len() as u32).to_le_bytes());
    for (kind, id) in lines {
        out.push(kind);
        out.extend_from_slice(id.as_bytes());
    }
    out
}

fn parse(plain: &[u8]) -> Parsed<Packs> {
    let mut reader = Reader::new(plain);
    if &reader.array::<4>()? != MAGIC {
        return Err(Malformed);
    }
    let count = reader.u32()? as usize;
    if count > CONDEMNED_PACKS_MAX || count * LINE_BYTES != reader.rest().len() {
        return Err(Malformed);
    }
    let mut packs = Packs::new();
    for _ in 0..count {
        let kind = match reader.u8()? {
            0 => Kind::Data,
            1 => Kind::Meta,
            _ => return Err(Malformed),
        };
        packs.insert(pack_name(kind, ObjectId::from_bytes(reader.array()?)));
    }
    // Ascending, and so none twice.
    if packs.len() == count { Ok(packs) } else { Err(Malformed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_packs_read_back_and_nothing_else_does() {
        let data = ObjectName::DataPack(ObjectId::random());
        let meta = ObjectName::MetaPack(ObjectId::random());
        for packs in [Packs::new(), Packs::from([data]), Packs::from([data, meta])] {
            assert_eq!(parse(&serialize(&packs)), Ok(packs));
        }
        let bytes = serialize(&Packs::from([data, meta]));
        for cut in 0..bytes.len() {
            assert!(parse(&bytes[..cut]).is_err(), "{cut}");
        }
        let mut twice = bytes.clone();
        let (first, second) = (8..8 + LINE_BYTES, 8 + LINE_BYTES..8 + 2 * LINE_BYTES);
        twice.copy_within(first, second.start);
        assert!(parse(&twice).is_err());
        let mut many = bytes;
        many[4..8].copy_from_slice(&(CONDEMNED_PACKS_MAX as u32 + 1).to_le_bytes());
        assert!(parse(&many).is_err());
    }
}
