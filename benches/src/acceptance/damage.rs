//! One flipped byte in any object must make `check` name that object and fail.

use super::not_shown;
use crate::BenchError;
use crate::store::Store;
use crate::tool::{Strongroom, Tool as _};

/// The objects of each kind that are damaged, at most; a kind is the first part of a key.
const OBJECTS_PER_KIND_MAX: usize = 2;

/// Flips one byte in objects of every kind, one at a time, and puts it back.
///
/// Returns how many objects were damaged and found.
///
/// # Errors
///
/// [`BenchError::NotShown`] for the first damage that `check` does not name.
pub(super) fn each_is_found(store: &Store, strongroom: &Strongroom) -> Result<String, BenchError> {
    let keys = of_every_kind(store.keys(strongroom.prefix())?);
    for key in &keys {
        let path = format!("{}/{key}", strongroom.prefix());
        let intact = store.get(&path)?;
        let mut damaged = intact.clone();
        let at = fastrand::usize(..damaged.len().max(1));
        if let Some(byte) = damaged.get_mut(at) {
            *byte ^= 1 << fastrand::u8(..8);
        }
        store.put(&path, &damaged)?;
        let check = strongroom.check()?;
        store.put(&path, &intact)?;
        let said = format!("{}{}", check.stdout, check.stderr);
        if check.status.success() || !said.contains(key.as_str()) {
            let item = format!("check names {key}, whose byte {at} of {} is flipped", intact.len());
            return Err(not_shown(&item, format!("{}: {said}", check.status)));
        }
    }
    strongroom.check()?.success()?;
    Ok(format!("one byte flipped in each of {} objects, all named", keys.len()))
}

/// Two objects of each kind, at random, or all where there are fewer.
fn of_every_kind(keys: Vec<String>) -> Vec<String> {
    let mut kinds: std::collections::BTreeMap<String, Vec<String>> =
        std::collections::BTreeMap::new();
    for key in keys {
        let kind = key.split('/').next().unwrap_or_default().to_owned();
        kinds.entry(kind).or_default().push(key);
    }
    let mut chosen = Vec::new();
    for mut keys in kinds.into_values() {
        fastrand::shuffle(&mut keys);
        keys.truncate(OBJECTS_PER_KIND_MAX);
        chosen.extend(keys);
    }
    chosen
}
