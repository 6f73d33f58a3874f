//! Decides which packs to condemn.

use std::collections::HashMap;

use super::PruneOptions;
use super::survey::Survey;
use crate::condemned::{CONDEMNED_PACKS_MAX, Packs};
use crate::id::ChunkId;
use crate::store::{Kind, ObjectName};

/// Packs shorter than this part of a full one are small.
const SMALL_PART: u64 = 4;

/// Small packs of one kind from which on they are merged: every archive leaves one or two. What was merged is one
/// small pack until it has grown, so that each byte is copied a few times at most.
const SMALL_PACKS_MIN: usize = 16;

/// What a collector intends.
#[derive(Default)]
pub(super) struct Plan {
    /// The packs that are to go.
    pub(super) condemned: Packs,
    /// How many of them hold something that is needed.
    pub(super) repacked: u64,
    /// About how many bytes of these are needed.
    pub(super) bytes_needed: u64,
    /// About how many bytes of the packs that stay are not needed.
    pub(super) bytes_unused: u64,
}

/// How much of a pack is needed, in bytes of its chunks.
#[derive(Clone, Copy, Default)]
pub(super) struct Use {
    /// All that it holds.
    pub(super) plain: u64,
    /// What snapshots need of it and have nowhere before it.
    pub(super) needed: u64,
}

impl Plan {
    pub(super) fn make(survey: &Survey, options: &PruneOptions) -> Self {
        let uses = uses(survey);
        let mut plan = Self::default();
        let (mut partly, mut small) = (Vec::new(), Vec::new());
        let mut bytes_kept = 0;
        for (&pack, &size) in &survey.packs {
            if !survey.stays(pack) || survey.live.is_unindexed(pack) || is_in_progress(survey, pack)
            {
                continue;
            }
            let used = uses.get(&pack).copied().unwrap_or_default();
            if used.needed == 0 {
                plan.condemned.insert(pack);
                continue;
            }
            bytes_kept += size;
            let unused = share(size, used.plain.saturating_sub(used.needed), used.plain);
            plan.bytes_unused += unused;
            if unused > 0 {
                partly.push((unused, size, pack));
            }
            if is_small(size, options) {
                small.push((unused, size, pack));
            }
        }
        let budget = plan.repack(partly, bytes_kept, options);
        plan.merge(small, budget);
        while plan.condemned.len() > CONDEMNED_PACKS_MAX {
            plan.condemned.pop_last();
        }
        plan
    }

    /// Condemns packs that are not under the location's present keys, about `bytes_max` bytes of them.
    pub(super) fn for_present_keys(survey: &Survey, bytes_max: u64) -> Self {
        let mut plan = Self::default();
        let (uses, mut bytes) = (uses(survey), 0);
        for (&pack, &size) in &survey.packs {
            let is_indexed = uses.contains_key(&pack);
            if (is_indexed && !survey.is_outlived(pack))
                || !survey.stays(pack)
                || survey.live.is_unindexed(pack)
                || is_in_progress(survey, pack)
            {
                continue;
            }
            let used = uses.get(&pack).copied().unwrap_or_default();
            if used.needed > 0 {
                plan.repacked += 1;
                plan.bytes_needed += share(size, used.needed, used.plain);
            }
            plan.condemned.insert(pack);
            bytes += size;
            if bytes >= bytes_max || plan.condemned.len() == CONDEMNED_PACKS_MAX {
                break;
            }
        }
        plan
    }

    /// Chooses small packs, where a kind has many of them: the smallest first, as far as `budget` bytes reach.
    fn merge(&mut self, mut small: Vec<(u64, u64, ObjectName)>, mut budget: u64) {
        small.sort_unstable_by_key(|(_, size, pack)| (*size, *pack));
        for kind in [Kind::Data, Kind::Meta] {
            let of_kind = small.iter().filter(|(_, _, pack)| pack.kind() == Some(kind));
            if !are_many(of_kind.clone().count()) {
                continue;
            }
            for (unused, size, pack) in of_kind {
                if *size > budget {
                    break;
                }
                // It may be repacked already, for what nobody needs of it.
                if self.condemned.insert(*pack) {
                    budget -= size;
                    self.bytes_unused -= unused;
                    self.bytes_needed += size - unused;
                    self.repacked += 1;
                }
            }
        }
    }

    /// Chooses the packs of which the greatest part is not needed, until what remains is tolerable; answers how many
    /// bytes may be repacked beside these.
    fn repack(
        &mut self,
        mut partly: Vec<(u64, u64, ObjectName)>,
        bytes_kept: u64,
        options: &PruneOptions,
    ) -> u64 {
        let tolerable = share(bytes_kept, u64::from(options.unused_max_permille), 1000);
        let mut budget = options.repack_bytes_max.unwrap_or(u64::MAX);
        partly.sort_unstable_by_key(|(unused, size, pack)| {
            (share(1 << 20, size - unused, *size), *pack)
        });
        for (unused, size, pack) in partly {
            if self.bytes_unused <= tolerable {
                break;
            }
            if size > budget {
                continue;
            }
            budget -= size;
            self.bytes_unused -= unused;
            self.bytes_needed += size - unused;
            self.repacked += 1;
            self.condemned.insert(pack);
        }
        budget
    }
}

/// Whether a pack of `size` bytes is one of those that are merged.
pub(super) fn is_small(size: u64, options: &PruneOptions) -> bool {
    size < options.packs.pack_bytes / SMALL_PART
}

/// Whether so many small packs of one kind are merged.
pub(super) fn are_many(count: usize) -> bool {
    count >= SMALL_PACKS_MIN
}

/// Whether the pack's own writer is still at work: it will be referred to soon.
fn is_in_progress(survey: &Survey, pack: ObjectName) -> bool {
    let (ObjectName::DataPack(id) | ObjectName::MetaPack(id)) = pack else { return false };
    survey.writers.iter().any(|writer| id.is_of(writer))
}

/// How much of every pack in the index is needed. Of several copies of a chunk the first counts.
fn uses(survey: &Survey) -> HashMap<ObjectName, Use> {
    let mut uses: HashMap<ObjectName, Use> = HashMap::new();
    for pack in survey.runs.iter().flat_map(|named| named.run.packs()) {
        let plain = pack.segments.iter().map(|segment| u64::from(segment.plain_len)).sum();
        uses.insert(pack.name(), Use { plain, needed: 0 });
    }
    for (number, named) in survey.runs.iter().enumerate() {
        for (line, (entry, pack)) in named.run.iter().enumerate() {
            let Some(pack) = pack.filter(|_| survey.live.is_set(number, line)) else { continue };
            // What is under earlier keys counts only where nothing else has the chunk.
            let stays = |pack| survey.stays(pack);
            let is_safe = |pack| survey.stays(pack) && !survey.is_outlived(pack);
            let first = first_copy(survey, pack.kind, &entry.id, is_safe)
                .or_else(|| first_copy(survey, pack.kind, &entry.id, stays));
            if first == Some((number, line))
                && let Some(used) = uses.get_mut(&pack.name())
            {
                used.needed += u64::from(entry.len);
            }
        }
    }
    uses
}

/// The run and the line of the first copy of a chunk whose pack is one of `these`.
pub(super) fn first_copy(
    survey: &Survey,
    kind: Kind,
    id: &ChunkId,
    these: impl Fn(ObjectName) -> bool,
) -> Option<(usize, usize)> {
    survey.runs.iter().enumerate().find_map(|(number, named)| {
        let mut lines = named.run.lines_of(id);
        let line = lines.find(|line| {
            let place = named.run.place(*line).filter(|(its, _)| *its == kind);
            place.is_some_and(|(_, at)| these(crate::pack::pack_name(kind, at.segment.pack)))
        });
        Some((number, line?))
    })
}

/// `part` in `of`, as so many of `whole`.
pub(super) fn share(whole: u64, part: u64, of: u64) -> u64 {
    let share = u128::from(whole) * u128::from(part) / u128::from(of.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}
