//! Removes what no snapshot needs, while writers write and other collectors collect: no locks, and
//! no clock in any argument for safety.
//!
//! All that is asked of the store is that listing is strongly consistent and that of several
//! creations of one object exactly one wins.
//!
//! # The writer's part
//!
//! 1. Create `x/session/<id>`, *then* list `x/gc/`: packs that are condemned there are never relied
//!    on, neither for chunks that the index has nor for content of the parent snapshot.
//! 2. Read the index, *then* list the packs: what is named and not there is not relied on either.
//! 3. Store packs, then the index runs that name them, then create `s/<id>`, the commit.
//! 4. Look whether `x/session/<id>` is still there; only then is the commit acknowledged. Then
//!    remove the session.
//!
//! # The collector's part
//!
//! 1. Finish what other collectors have condemned. Then mark what snapshots need, and create
//!    `x/gc/<id>`: packs that nobody needs, whose own writer has ended, and packs of which little
//!    is needed, which are to be repacked.
//! 2. List the sessions, and wait for each to end. One whose writer shows no sign of life is
//!    *fenced*: a tombstone is created at `s/<id>`, unless a commit stands there. Remove such a
//!    session, and only then mark.
//! 3. Mark again: read the index, *then* list `x/gc/`, *then* the packs, then read the snapshots. A
//!    chunk is safe if a pack holds it that is there and that nobody has condemned.
//! 4. Copy what is needed of condemned packs and not safe elsewhere into new packs, create an index
//!    run for these, then look whether anybody has condemned them meanwhile.
//! 5. Create the verdict, `x/gc/<id>.verdict`: which condemned packs go and which are spared. The
//!    first verdict binds every collector that works on this list.
//! 6. Create an index run without the packs that go, remove the packs, then the older runs, then
//!    `x/gc/<id>`, and last the verdict.
//!
//! # Why that suffices
//!
//! - A session that was there when the list was created is waited for, and its commit is marked. One
//!   that comes later sees the list. So after step 2 nobody begins to rely on a condemned pack.
//! - Commit and tombstone have one name, so a writer that sleeps through its fencing cannot commit.
//! - Two collectors may both want to remove a chunk's last copies but one. Each relies only on copies
//!   that were in the index *before* it listed `x/gc/`, and that were not condemned there. Whoever
//!   condemns such a copy later finds it in the index, and must look after it. Of any chain of
//!   collectors that rely on each other's packs, the last one relies on a pack that stays.
//! - Of several copies in packs that a collector itself has condemned it keeps one that no other has
//!   condemned too, or else every one.
//! - Two collectors that work on one list, one of them after a long sleep, can mark differently. The
//!   verdict makes them remove the same packs; one that finds the list gone does nothing.
//! - A run that is written late can name packs that are gone. Everybody looks whether packs are there.
//!
//! `tests/behaviour/model` checks this exhaustively for small numbers of writers and collectors, and
//! that each of these rules is needed.

mod decide;
mod index;
mod live;
mod plan;
mod renew;
mod repack;
mod sessions;
mod survey;

use std::sync::Arc;
use std::time::Duration;

use self::plan::Plan;
pub(crate) use self::renew::{renew_packs, wait_for_others};
pub use self::sessions::DEAD_AFTER_DEFAULT;
use self::sessions::Waiting;
use self::survey::Survey;
use crate::condemned::{self, Packs};
use crate::control::Control;
use crate::error::{Error, Result};
use crate::id::ObjectId;
use crate::location::{Location, Use};
use crate::pack::WriterOptions;

/// Packs that are removed before it is looked whether to stop.
const REMOVALS_AT_ONCE: usize = 256;

/// How often a collector starts over because another one was faster.
const ATTEMPTS_MAX: usize = 5;

/// What a collection is to be like.
#[derive(Clone, Debug)]
pub struct PruneOptions {
    /// Change nothing; say what would be done.
    pub dry_run: bool,
    /// How much of all packs may be unneeded before packs are repacked, in thousandths.
    pub unused_max_permille: u32,
    /// Most bytes of packs that are repacked.
    pub repack_bytes_max: Option<u64>,
    /// A writer is taken for dead that has given no sign of life for so long.
    pub dead_after: Duration,
    /// How long writers are waited for; for ever when `None`.
    pub wait_max: Option<Duration>,
    /// The caller promises that nobody else uses the location: what makes collecting possible in a
    /// store that ignores create-if-absent.
    pub exclusive: bool,
    /// How new packs are made.
    pub packs: WriterOptions,
}

/// What a collection did, or would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Pruned {
    /// Snapshots that were marked.
    pub snapshots: u64,
    /// Packs that stay as they are.
    pub packs_kept: u64,
    /// Packs that were removed, those that were repacked among them.
    pub packs_removed: u64,
    /// Of these, packs of which something was needed: with much that was not, or small ones of many.
    pub packs_repacked: u64,
    /// Condemned packs that were spared: a writer has come to need them, or they cannot be repacked
    /// under the caller's key policy.
    pub packs_spared: u64,
    /// Bytes of the packs that were removed.
    pub bytes_removed: u64,
    /// Bytes of chunks that were copied from packs that were removed into new ones.
    pub bytes_copied: u64,
    /// Bytes of packs that stay.
    pub bytes_kept: u64,
    /// About how many of them nobody needs.
    pub bytes_unused: u64,
    /// Index runs that were removed.
    pub runs_removed: u64,
    /// Writers that were waited for.
    pub writers_awaited: u64,
    /// Writers that were fenced.
    pub writers_fenced: u64,
}

impl Default for PruneOptions {
    fn default() -> Self {
        Self {
            dry_run: false,
            unused_max_permille: 50,
            repack_bytes_max: None,
            dead_after: DEAD_AFTER_DEFAULT,
            wait_max: None,
            exclusive: false,
            packs: WriterOptions::default(),
        }
    }
}

/// What packs are emptied for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    /// The room that what nobody needs takes up in them.
    Room,
    /// What is needed shall be under the location's present keys.
    PresentKeys,
}

/// One collection in progress.
struct Collector<'a> {
    goal: Goal,
    location: &'a Arc<Location>,
    options: &'a PruneOptions,
    control: &'a Control,
    pruned: Pruned,
    /// What packs that this collector writes are named after.
    id: ObjectId,
}

/// Removes what no snapshot needs.
///
/// # Errors
/// Whatever keeps a snapshot from being read whole: then nothing is removed.
/// [`Error::Unfenceable`], [`Error::WritersAtWork`], [`Error::CollectorsAtWork`]. Wherever it ends,
/// every other command works on the location, and the next collection goes on from there.
pub async fn prune(
    location: &Arc<Location>,
    options: &PruneOptions,
    control: &Control,
) -> Result<Pruned> {
    let mut collector = Collector::new(Goal::Room, location, options, control)?;
    if options.dry_run {
        let survey = Survey::take(location, None, control).await?;
        collector.announce(&survey, &Plan::make(&survey, options));
    } else {
        collector.collect().await?;
    }
    Ok(collector.pruned)
}

impl<'a> Collector<'a> {
    fn new(
        goal: Goal,
        location: &'a Arc<Location>,
        options: &'a PruneOptions,
        control: &'a Control,
    ) -> Result<Self> {
        location.demand(Use::Collect)?;
        if !location.format().capabilities.create_if_absent && !options.exclusive {
            return Err(Error::Unfenceable { store: location.store().url().to_owned() });
        }
        let (id, pruned) = (ObjectId::random(), Pruned::default());
        Ok(Self { goal, location, options, control, pruned, id })
    }

    async fn collect(&mut self) -> Result<()> {
        self.finish_all().await?;
        // The dead first, so that what they have left is not taken for work in progress.
        self.settle(Waiting::ForNobody).await?;
        let survey = Survey::take(self.location, None, self.control).await?;
        let plan = Plan::make(&survey, self.options);
        self.count_kept(&survey, &plan);
        drop(survey);
        if plan.condemned.is_empty() {
            self.pruned.runs_removed += index::tidy(self.location, &Packs::new()).await?;
            return Ok(());
        }
        self.control.check()?;
        let id = condemned::condemn(self.location, &plan.condemned).await?;
        self.finish(id).await
    }

    /// Finishes what other collectors have condemned.
    async fn finish_all(&mut self) -> Result<()> {
        for id in condemned::list(self.location).await? {
            self.finish(id).await?;
        }
        condemned::remove_leftovers(self.location).await
    }

    /// Carries list `id` out, whoever made it and however far he came.
    async fn finish(&mut self, id: ObjectId) -> Result<()> {
        let mut attempt = 0;
        let (packs, verdict) = loop {
            self.control.check()?;
            let Some(packs) = condemned::load(self.location, id).await? else { return Ok(()) };
            match self.verdict(id, &packs).await {
                Ok(Some(verdict)) => break (packs, verdict),
                Ok(None) => return Ok(()),
                // Something went while it was read: another collector is at work on the list.
                Err(error) if error.is_gone() && attempt < ATTEMPTS_MAX => attempt += 1,
                Err(error) if error.is_gone() => return Err(Error::CollectorsAtWork),
                Err(error) => return Err(error),
            }
        };
        let sizes = self.location.packs().await?;
        self.pruned.runs_removed += index::tidy(self.location, &verdict).await?;
        self.remove(&verdict).await?;
        condemned::done(self.location, id).await?;
        self.pruned.packs_spared += packs.difference(&verdict).count() as u64;
        for size in verdict.iter().filter_map(|pack| sizes.get(pack)) {
            self.pruned.packs_removed += 1;
            self.pruned.bytes_removed += size;
        }
        Ok(())
    }

    /// The packs of list `id` that are to be removed; `None` when the list is done with.
    async fn verdict(&mut self, id: ObjectId, condemned: &Packs) -> Result<Option<Packs>> {
        if let Some(verdict) = condemned::verdict(self.location, id).await? {
            return Ok(Some(verdict));
        }
        self.settle(Waiting::ForAll).await?;
        let survey = Survey::take(self.location, Some(id), self.control).await?;
        let needs = decide::needs(&survey, condemned);
        let choice = decide::choose(&survey, condemned, needs, self.options, self.goal);
        drop(survey);
        let copied = repack::copy(self, choice.emptied).await?;
        self.confirm(id, &copied.into).await?;
        let going = choice.unneeded.into_iter().chain(copied.from.iter().copied()).collect();
        let verdict = condemned::decide(self.location, id, going).await?;
        self.pruned.packs_repacked += copied.from.len() as u64;
        self.pruned.bytes_copied += copied.bytes;
        Ok(verdict)
    }

    /// Requires that the packs that were just written, and are in the index, are there and are not
    /// condemned: from now on whoever condemns them has to look after what they hold.
    async fn confirm(&self, own: ObjectId, written: &Packs) -> Result<()> {
        if written.is_empty() {
            return Ok(());
        }
        for id in condemned::list(self.location).await? {
            let others = match id == own {
                true => None,
                false => condemned::load(self.location, id).await?,
            };
            if others.is_some_and(|others| !others.is_disjoint(written)) {
                return Err(Error::CollectorsAtWork);
            }
        }
        let there = self.location.packs().await?;
        let all = written.iter().all(|pack| there.contains_key(pack));
        if all { Ok(()) } else { Err(Error::CollectorsAtWork) }
    }

    async fn settle(&mut self, waiting: Waiting) -> Result<()> {
        let settled = sessions::settle(self.location, waiting, self.options, self.control).await?;
        self.pruned.writers_awaited += settled.awaited;
        self.pruned.writers_fenced += settled.fenced;
        Ok(())
    }

    async fn remove(&self, packs: &Packs) -> Result<()> {
        for some in packs.iter().copied().collect::<Vec<_>>().chunks(REMOVALS_AT_ONCE) {
            self.control.check()?;
            self.location.store().delete_all(some.to_vec()).await?;
        }
        Ok(())
    }

    fn count_kept(&mut self, survey: &Survey, plan: &Plan) {
        self.pruned.snapshots = survey.live.snapshots();
        let kept = survey.packs.iter().filter(|(pack, _)| !plan.condemned.contains(pack));
        for (_, size) in kept {
            self.pruned.packs_kept += 1;
            self.pruned.bytes_kept += size;
        }
        self.pruned.bytes_unused = plan.bytes_unused;
    }

    /// What a collection would do, as far as that can be known.
    fn announce(&mut self, survey: &Survey, plan: &Plan) {
        self.count_kept(survey, plan);
        self.pruned.packs_repacked = plan.repacked;
        self.pruned.bytes_copied = plan.bytes_needed;
        for pack in &plan.condemned {
            self.pruned.packs_removed += 1;
            self.pruned.bytes_removed += survey.packs.get(pack).copied().unwrap_or(0);
        }
        self.pruned.writers_awaited = survey.writers.len() as u64;
    }
}
