//! Decides what becomes of condemned packs once no writer can come to rely on them any more.

use std::collections::BTreeMap;

use super::plan::{are_many, first_copy, is_small, share};
use super::survey::Survey;
use super::{Goal, PruneOptions};
use crate::condemned::Packs;
use crate::index::PackRecord;
use crate::pack::{ChunkRef, pack_name};
use crate::store::{Kind, ObjectName};

/// What is needed of each condemned pack and is safe nowhere else.
pub(super) type Needs = BTreeMap<ObjectName, Vec<ChunkRef>>;

/// What is to be done with condemned packs; those in neither part are spared.
pub(super) struct Choice {
    /// Nothing of them is needed.
    pub(super) unneeded: Packs,
    /// To be copied out of these.
    pub(super) emptied: Needs,
}

/// What snapshots need of the packs `condemned`. Of several that have a chunk one is chosen, which
/// goes only once the chunk is copied out of it; among those that others have condemned too there is
/// no choice, for others can choose otherwise, and so the chunk counts for all of them.
pub(super) fn needs(survey: &Survey, condemned: &Packs) -> Needs {
    let mut needs = Needs::new();
    let is_safe =
        |pack| survey.stays(pack) && !survey.is_outlived(pack) && !condemned.contains(&pack);
    let is_ours = |pack| survey.stays(pack) && condemned.contains(&pack);
    for (number, named) in survey.runs.iter().enumerate() {
        for (line, (entry, pack)) in named.run.iter().enumerate() {
            let Some(pack) = pack.filter(|pack| condemned.contains(&pack.name())) else { continue };
            let needed = survey.packs.contains_key(&pack.name())
                && survey.live.is_set(number, line)
                && first_copy(survey, pack.kind, &entry.id, is_safe).is_none()
                && first_copy(survey, pack.kind, &entry.id, is_ours)
                    .is_none_or(|chosen| chosen == (number, line));
            if let Some((kind, at)) = named.run.place(line).filter(|_| needed) {
                let name = pack_name(kind, at.segment.pack);
                needs.entry(name).or_default().push(ChunkRef { id: entry.id, at });
            }
        }
    }
    needs
}

/// Chooses which packs are worth being emptied.
pub(super) fn choose(
    survey: &Survey,
    condemned: &Packs,
    mut needs: Needs,
    options: &PruneOptions,
    goal: Goal,
) -> Choice {
    let mut budget = options.repack_bytes_max.unwrap_or(u64::MAX);
    let (plain_lens, merged) = (plain_lens(survey, condemned), merged(survey, &needs, options));
    let unindexed = |pack: &ObjectName| survey.live.is_unindexed(*pack);
    let unneeded = |pack: &&ObjectName| !needs.contains_key(pack) && !unindexed(pack);
    let unneeded = condemned.iter().filter(unneeded).copied().collect();
    needs.retain(|pack, chunks| {
        let size = survey.packs.get(pack).copied().unwrap_or(0);
        let needed: u64 = chunks.iter().map(|chunk| u64::from(chunk.at.len)).sum();
        let plain = plain_lens.get(pack).copied().unwrap_or(0);
        let unused = plain.saturating_sub(needed);
        let tolerated = share(plain, u64::from(options.unused_max_permille), 1000);
        let worth_it = match goal {
            Goal::Room => (unused > tolerated || merged.contains(pack)) && size <= budget,
            Goal::PresentKeys => survey.is_outlived(*pack),
        } && !unindexed(pack);
        budget = budget.saturating_sub(if worth_it { size } else { 0 });
        worth_it
    });
    Choice { unneeded, emptied: needs }
}

/// The small packs of a kind of which there are many.
fn merged(survey: &Survey, needs: &Needs, options: &PruneOptions) -> Packs {
    let is_small =
        |pack: &&ObjectName| survey.packs.get(pack).is_some_and(|size| is_small(*size, options));
    let small: Packs = needs.keys().filter(is_small).copied().collect();
    let of = |kind| small.iter().filter(move |pack| pack.kind() == Some(kind));
    let many = [Kind::Data, Kind::Meta].into_iter().filter(|kind| are_many(of(*kind).count()));
    many.flat_map(of).copied().collect()
}

/// Bytes of these packs once decompressed.
fn plain_lens(survey: &Survey, packs: &Packs) -> BTreeMap<ObjectName, u64> {
    let known = survey.runs.iter().flat_map(|named| named.run.packs());
    let known = known.filter(|pack| packs.contains(&pack.name()));
    let plain =
        |pack: &PackRecord| pack.segments.iter().map(|s| u64::from(s.plain_len)).sum::<u64>();
    known.map(|pack| (pack.name(), plain(pack))).collect()
}
