//! Restores a snapshot: directories first, content grouped by where it lies, attributes last.
//!
//! ```text
//! walk the tree ──▶ directories, links and devices made on the way
//!                   files in windows, their chunks sorted by pack and place
//!                     │ reads: neighbouring segments of one pack, one request each
//!                     ▼
//!                   fetch, several at once ──▶ decrypt, decompress, check, write ──▶ finish files
//! then hard links, then what is surplus goes, then directories' attributes, deepest first
//! then, if asked for, every file is read back
//! ```
//!
//! Each segment is decoded once for all the files of a window that want something of it. Nothing
//! is written that did not pass both the frame's tag and the chunk's id.

mod plan;
mod surplus;
mod verify;
mod write;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures::stream::{self, StreamExt};
use tokio::sync::mpsc;

use self::plan::{Planned, Read};
pub use self::surplus::{Surplus, surplus};
use crate::control::Control;
use crate::entry::{Entry, EntryKind};
use crate::error::{Cause, Error, Result};
use crate::location::Location;
use crate::pack::{ChunkRef, Look, PackReader};
use crate::snapshot::{Cursor, Direction, Snapshot};
use crate::source::Trouble;
use crate::store::Kind;
use crate::target::Target;

/// Reads between the plan and the threads that carry them out.
const READS_QUEUED_MAX: usize = 4;

/// Reads in flight beside one for each thread.
const READS_EXTRA: usize = 4;

/// How often a read that fails is tried where the index says that other copies are.
const RELOCATIONS_MAX: u32 = 3;

/// Decides which entries are restored; an entry whose directory is left out is for the target to
/// complain about.
pub type Selection = Arc<dyn Fn(&Entry) -> bool + Send + Sync>;

/// What a restore is to be like.
#[derive(Clone, Default)]
pub struct RestoreOptions {
    /// Which entries; all when `None`.
    pub select: Option<Selection>,
    /// Remove what stands in the target and is not in the snapshot, as far as it is selected. Nothing
    /// is removed when anything could not be restored.
    pub delete: bool,
    /// Read every selected file back, also those that were left alone, and compare it.
    pub verify: bool,
    /// Threads that decrypt, decompress and write; the number of CPUs when `None`.
    pub threads: Option<usize>,
}

/// What a restore did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Restored {
    /// Regular files with their content.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Symbolic links, devices, FIFOs, further names of files.
    pub others: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Names that were left alone because something stands there.
    pub kept: u64,
    /// Entries that could not be restored, or not in full.
    pub failures: u64,
    /// Of these, files whose stored content is damaged.
    pub damaged: u64,
    /// Names that were removed because the snapshot does not have them.
    pub deleted: u64,
    /// Files that were read back and are what was archived.
    pub verified: u64,
    /// Files that were read back and are not; failures too.
    pub different: u64,
}

/// What the threads of one restore share.
pub(crate) struct Restoring {
    reader: PackReader,
    target: Arc<dyn Target>,
    control: Control,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    files: AtomicU64,
    directories: AtomicU64,
    others: AtomicU64,
    bytes: AtomicU64,
    kept: AtomicU64,
    failures: AtomicU64,
    damaged: AtomicU64,
    deleted: AtomicU64,
    verified: AtomicU64,
    different: AtomicU64,
}

/// Restores `snapshot`, or the selected part of it, to `target`.
///
/// Entries that cannot be restored are reported to the control's observer and counted.
///
/// # Errors
/// What concerns all entries: the store or the key is out of reach, metadata is damaged.
pub async fn restore(
    location: &Arc<Location>,
    snapshot: &Snapshot,
    target: Arc<dyn Target>,
    options: RestoreOptions,
    control: &Control,
) -> Result<Restored> {
    let threads = options
        .threads
        .or_else(|| std::thread::available_parallelism().ok().map(usize::from))
        .unwrap_or(2);
    let restoring = Arc::new(Restoring {
        reader: location.reader(None),
        target,
        control: control.clone(),
        counts: Counts::default(),
    });
    let Some(root) = snapshot.root()? else {
        return Ok(restoring.counts.sum());
    };
    announce(control, snapshot);
    let (reads, queue) = mpsc::channel(READS_QUEUED_MAX);
    let planner = tokio::task::spawn_blocking({
        let (restoring, select) = (restoring.clone(), options.select.clone());
        let runtime = tokio::runtime::Handle::current();
        move || plan::plan(&restoring, &runtime, root, select.as_ref(), &reads)
    });
    let written = carry_out(&restoring, queue, threads).await;
    let planned = planner.await.map_err(|_| Error::StageLost { stage: "plan" })?;
    // A write that failed for good ends the plan too, which then only knows that nobody listens.
    written?;
    let planned = planned?;
    let (finishing, hasher) = (restoring.clone(), location.hasher().clone());
    let runtime = tokio::runtime::Handle::current();
    let last = move || {
        let (select, forward) = (options.select.as_ref(), Direction::Forward);
        finishing.link(planned);
        if options.delete && finishing.counts.sum().failures == 0 {
            finishing.remove_surplus(finishing.cursor(root, forward), &runtime, select)?;
        }
        finishing.finish_directories(&runtime, root, select)?;
        finishing.seal();
        if options.verify {
            finishing.verify(finishing.cursor(root, forward), &runtime, &hasher, select)?;
        }
        Ok::<_, Error>(())
    };
    tokio::task::spawn_blocking(last).await.map_err(|_| Error::StageLost { stage: "finish" })??;
    Ok(restoring.counts.sum())
}

fn announce(control: &Control, snapshot: &Snapshot) {
    let statistics = &snapshot.commit.statistics;
    let entries = statistics.files + statistics.directories + statistics.others;
    control.progress.entries_total.store(entries, Ordering::Relaxed);
    control.progress.bytes_total.store(statistics.bytes, Ordering::Relaxed);
}

/// Fetches what the plan says and writes it, several reads at once. Nothing is being written any
/// more when this ends, however it ends: a file that stays unfinished has been taken away by then.
async fn carry_out(
    restoring: &Arc<Restoring>,
    queue: mpsc::Receiver<Read>,
    threads: usize,
) -> Result<()> {
    let reads = stream::unfold(queue, |mut queue| async { Some((queue.recv().await?, queue)) });
    let failed = AtomicBool::new(false);
    let done = reads
        .take_while(|_| futures::future::ready(!failed.load(Ordering::Relaxed)))
        .map(|read| carry_out_one(restoring.clone(), read))
        .buffer_unordered(threads + READS_EXTRA);
    done.fold(Ok(()), |so_far: Result<()>, one| {
        let so_far = so_far.and(one).and_then(|()| restoring.control.check());
        failed.store(so_far.is_err(), Ordering::Relaxed);
        futures::future::ready(so_far)
    })
    .await
}

async fn carry_out_one(restoring: Arc<Restoring>, read: Read) -> Result<()> {
    let mut reads = vec![(read, RELOCATIONS_MAX)];
    while let Some((read, relocations)) = reads.pop() {
        let fetched = restoring.reader.fetch(Kind::Data, read.pack, read.range()).await;
        let writer = restoring.clone();
        let work = move || match fetched.and_then(crate::pack::Fetched::open) {
            Ok(stored) => write::write(&writer, &read, &stored).map(|()| None),
            Err(error) if error.is_about_one_object() => Ok(Some((read, error))),
            Err(error) => writer.lost(&read, error).map(|()| None),
        };
        let done = tokio::task::spawn_blocking(work).await;
        let failed = done.map_err(|_| Error::StageLost { stage: "write" })??;
        match failed {
            Some((read, error)) if relocations > 0 => {
                // What the index said when it was last read will do the first time.
                let look = if relocations == RELOCATIONS_MAX { Look::Known } else { Look::Anew };
                let elsewhere = restoring.relocate(read, &error, look).await;
                reads.extend(elsewhere.into_iter().map(|read| (read, relocations - 1)));
            }
            Some((read, error)) => restoring.lost(&read, error)?,
            None => {}
        }
    }
    Ok(())
}

impl Restoring {
    /// Where else what is wanted of a pack lies that is gone or damaged: a collector may have moved
    /// it since the snapshot was made. What has no other copy is lost.
    async fn relocate(&self, read: Read, error: &Error, look: Look) -> Vec<Read> {
        let (pack, index) = (read.pack, self.reader.index(look).await.ok());
        let text = error.to_string();
        let mut found = Vec::new();
        for mut want in read.segments.into_iter().flat_map(|(_, wants)| wants) {
            let places = index.as_ref().map(|index| index.places(Kind::Data, &want.chunk.id));
            let mut others = places.into_iter().flatten().filter(|at| at.segment.pack != pack);
            match others.next() {
                Some(at) => {
                    want.chunk.at = at;
                    found.push(want);
                }
                None => want.file.fail_damaged(self, &text),
            }
        }
        plan::group(found)
    }

    /// Damage costs the files that need what is damaged; anything else concerns all.
    fn lost(&self, read: &Read, error: Error) -> Result<()> {
        let text = error.to_string();
        for want in read.segments.iter().flat_map(|(_, wants)| wants) {
            want.file.fail_damaged(self, &text);
        }
        match error.cause() {
            Cause::Integrity | Cause::StoreMissing => Ok(()),
            _ => Err(error),
        }
    }

    fn trouble(&self, entry: &Entry, action: &'static str, error: std::io::Error) {
        self.counts.failures.fetch_add(1, Ordering::Relaxed);
        let path = entry.path.as_bytes().to_vec();
        self.control.observer.trouble(&Trouble { path, action, error });
    }

    fn cursor(&self, root: (ChunkRef, u8), direction: Direction) -> Cursor<'_> {
        Cursor::new(&self.reader, root.0, root.1, direction)
    }

    /// Makes the further names of files, which are complete now.
    fn link(&self, planned: Planned) {
        for (entry, original) in planned.links {
            let made = self.target.create_link(&entry, &original);
            self.note(&entry, "link", made, &self.counts.others);
        }
    }

    fn seal(&self) {
        for trouble in self.target.seal() {
            self.counts.failures.fetch_add(1, Ordering::Relaxed);
            self.control.observer.trouble(&trouble);
        }
    }

    /// Gives directories their attributes when nothing below them changes any more.
    fn finish_directories(
        &self,
        runtime: &tokio::runtime::Handle,
        root: (ChunkRef, u8),
        select: Option<&Selection>,
    ) -> Result<()> {
        let mut cursor = self.cursor(root, Direction::Backward);
        while let Some(leaf) = runtime.block_on(cursor.next_leaf())? {
            self.control.check()?;
            for node in leaf {
                let chosen = select.is_none_or(|select| select(&node.entry));
                if node.entry.kind != EntryKind::Directory || !chosen {
                    continue;
                }
                if let Err(error) = self.target.finish_directory(&node.entry) {
                    self.trouble(&node.entry, "set the attributes of", error);
                }
            }
        }
        Ok(())
    }

    /// Counts what became of a name that is made at one go.
    fn note(
        &self,
        entry: &Entry,
        action: &'static str,
        made: std::io::Result<crate::target::Created>,
        count: &AtomicU64,
    ) {
        use crate::target::Created;
        self.control.progress.add(1, 0);
        match made {
            Ok(Created::Done) => drop(count.fetch_add(1, Ordering::Relaxed)),
            Ok(Created::Kept) => drop(self.counts.kept.fetch_add(1, Ordering::Relaxed)),
            Err(error) => self.trouble(entry, action, error),
        }
    }
}

impl Counts {
    fn sum(&self) -> Restored {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Restored {
            files: get(&self.files),
            directories: get(&self.directories),
            others: get(&self.others),
            bytes: get(&self.bytes),
            kept: get(&self.kept),
            failures: get(&self.failures),
            damaged: get(&self.damaged),
            deleted: get(&self.deleted),
            verified: get(&self.verified),
            different: get(&self.different),
        }
    }
}
