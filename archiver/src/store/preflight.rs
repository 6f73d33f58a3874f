//! Tries everything that the archiver will ask of a store, before anything is trusted to it.

use bytes::Bytes;
use futures::TryStreamExt;

use super::{Family, ObjectName, Put, Store};
use crate::error::{Error, Result};
use crate::id::ObjectId;

/// What a store was measured to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Capabilities {
    /// Of two racing creations of one object exactly one wins. Some servers accept the condition
    /// and ignore it; commits of two hosts are then not safe against a collector.
    pub create_if_absent: bool,
}

/// How many times two creations race; one round can come out right by chance.
const RACES: usize = 3;

/// Puts, reads, reads a range of, lists and deletes a small object, and lets creations race.
///
/// # Errors
/// The first operation that failed, with the operation and the object named.
pub async fn preflight(store: &Store) -> Result<Capabilities> {
    let name = ObjectName::Preflight(ObjectId::random());
    let probe = Bytes::from(format!("strongroom preflight {name}"));
    let result = try_all(store, name, &probe).await;
    // Cleaning up comes before the verdict: a refused location should not be littered.
    store.delete(name).await?;
    result?;
    if store.size(name).await?.is_some() {
        return Err(Error::Preflight { object: name, expected: "a deleted object to be gone" });
    }
    Ok(Capabilities { create_if_absent: races_have_one_winner(store).await? })
}

async fn try_all(store: &Store, name: ObjectName, probe: &Bytes) -> Result<()> {
    let expect = |ok: bool, expected| {
        if ok { Ok(()) } else { Err(Error::Preflight { object: name, expected }) }
    };
    let created = store.create(name, probe.clone()).await?;
    expect(created == Put::Created, "a fresh name to be free")?;
    let whole = store.get(name, probe.len() as u64).await?;
    expect(whole == *probe, "to read back what was written")?;
    let middle = store.get_range(name, 3..9).await?;
    expect(probe.get(3..9) == Some(middle.as_ref()), "ranged reads to be honoured")?;
    let listed: Vec<_> = store.list(Family::Preflights).try_collect().await?;
    expect(listed.iter().any(|l| l.name == Some(name)), "a listing to show what was written")
}

async fn races_have_one_winner(store: &Store) -> Result<bool> {
    let mut honoured = true;
    for _ in 0..RACES {
        let name = ObjectName::Preflight(ObjectId::random());
        let (one, two) = tokio::join!(
            store.create(name, Bytes::from_static(b"one")),
            store.create(name, Bytes::from_static(b"two")),
        );
        store.delete(name).await?;
        let winners = [one?, two?].iter().filter(|put| **put == Put::Created).count();
        honoured &= winners == 1;
    }
    Ok(honoured)
}
