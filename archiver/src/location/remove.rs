//! The end of a location: every object of it leaves its store.

use futures::TryStreamExt;
use futures::stream;

use super::read_format;
use crate::control::Control;
use crate::error::{Error, Result};
use crate::store::{Family, ObjectName, Store};

/// Deletions in flight.
const DELETIONS_IN_FLIGHT: usize = 16;

/// What was removed, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Removal {
    /// Snapshots.
    pub snapshots: u64,
    /// Objects, snapshots among them.
    pub objects: u64,
    /// Their bytes together.
    pub bytes: u64,
    /// Objects at this place that are none of ours, and stay.
    pub foreign: u64,
    #[serde(skip)]
    names: Vec<ObjectName>,
}

/// Lists what [`Removal::carry_out`] would remove. Needs no key: whoever shredded it still has the
/// objects to get rid of.
///
/// # Errors
/// As [`UnverifiedFormat::read`](super::UnverifiedFormat::read): where no location is, nothing is removed.
pub async fn plan_removal(store: &Store) -> Result<Removal> {
    read_format(store).await?;
    let mut removal = Removal::default();
    let mut listed = store.list(Family::All);
    while let Some(object) = listed.try_next().await? {
        let Some(name) = object.name else {
            removal.foreign += 1;
            continue;
        };
        removal.snapshots += u64::from(matches!(name, ObjectName::Snapshot(_)));
        removal.objects += 1;
        removal.bytes += object.size;
        removal.names.push(name);
    }
    Ok(removal)
}

impl Removal {
    /// Removes the objects: snapshots first, so that none stands there damaged when this is
    /// interrupted, and `format` last, so that it can be gone on with.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Stopped`].
    pub async fn carry_out(&self, store: &Store, control: &Control) -> Result<()> {
        control.progress.entries_total.store(self.objects, std::sync::atomic::Ordering::Relaxed);
        let rank = |name: &ObjectName| match name {
            ObjectName::Snapshot(_) => 0,
            ObjectName::Keys(_) => 2,
            ObjectName::Format => 3,
            _ => 1,
        };
        for now in 0..=3 {
            let names = self.names.iter().filter(|name| rank(name) == now);
            stream::iter(names.copied().map(Ok::<_, Error>))
                .try_for_each_concurrent(DELETIONS_IN_FLIGHT, |name| async move {
                    control.check()?;
                    store.delete(name).await?;
                    control.progress.add(1, 0);
                    Ok(())
                })
                .await?;
        }
        Ok(())
    }
}
