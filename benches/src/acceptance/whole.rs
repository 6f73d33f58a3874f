//! The whole job on a real store: archive, archive again, restore, check.

use std::path::Path;

use super::{Shown, damage, not_shown};
use crate::BenchError;
use crate::measure::Usage;
use crate::store::{Store, StoreKind};
use crate::tool::{Kms, Strongroom, Tool as _};
use crate::tree;

/// A second archive of an unchanged tree may upload this part of the first's bytes, in per cent.
const SECOND_BYTES_PERCENT_MAX: u64 = 1;
/// A second archive of an unchanged tree may take this part of the first's time, in per cent.
const SECOND_TIME_PERCENT_MAX: u32 = 10;

/// Archives a tree twice to a store, with the KMS as its own server and the key in a custom key store;
/// restores and compares it; checks all data; and then damages one object at a time.
///
/// # Errors
///
/// [`BenchError::NotShown`] for the first thing that is not as it must be.
pub fn archive_and_restore(kind: StoreKind, source: &Path, work: &Path) -> Shown {
    let store = Store::open(kind, work)?;
    let kms = Kms::start()?;
    let strongroom = Strongroom::create(&store, &kms, work)?;
    let (snapshot, first) = strongroom.snapshot(source)?;
    let first_bytes = store.stored_bytes(strongroom.prefix())?;
    let (_, second) = strongroom.snapshot(source)?;
    let second_bytes = store.stored_bytes(strongroom.prefix())? - first_bytes;
    judge_second((&first, first_bytes), (&second, second_bytes))?;
    let restore = restored_equal(&strongroom, &snapshot, source, work)?;
    let check = strongroom.check()?.success()?.usage;
    let damages = damage::each_is_found(&store, &strongroom)?;
    Ok(format!(
        "first {}, {} MB stored; second {}, {second_bytes} bytes; restore {}, equal; check {}, clean; {damages}",
        figure(&first),
        first_bytes / 1_000_000,
        figure(&second),
        figure(&restore),
        figure(&check),
    ))
}

/// Restores a snapshot beside its original and compares the two.
pub(super) fn restored_equal(
    strongroom: &Strongroom,
    snapshot: &str,
    source: &Path,
    work: &Path,
) -> Result<Usage, BenchError> {
    let target = tempfile::tempdir_in(work).map_err(BenchError::file(work))?;
    let (usage, restored) =
        strongroom.restore_snapshot(snapshot, &target.path().join("restored"), source)?;
    tree::compare(source, &restored)?;
    Ok(usage)
}

fn judge_second(first: (&Usage, u64), second: (&Usage, u64)) -> Result<(), BenchError> {
    if second.1 * 100 > first.1 * SECOND_BYTES_PERCENT_MAX {
        let found = format!("{} bytes after {} bytes", second.1, first.1);
        return Err(not_shown("a second archive uploads under 1 % of the first's bytes", found));
    }
    if second.0.wall * 100 > first.0.wall * SECOND_TIME_PERCENT_MAX {
        let found = format!("{:.2?} after {:.2?}", second.0.wall, first.0.wall);
        return Err(not_shown("a second archive takes under a tenth of the first's time", found));
    }
    Ok(())
}

fn figure(usage: &Usage) -> String {
    format!("{:.2} s ({} MB)", usage.wall.as_secs_f64(), usage.peak_memory_bytes / 1_000_000)
}
