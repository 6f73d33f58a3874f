//! Walks the source and forms batches.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::content::{Item, Task, read_batch, read_large};
use super::engine::Engine;
use super::parent::Parent;
use crate::entry::{Entry, EntryKind};
use crate::error::{Error, Result};
use crate::source::{Found, Source};

/// Bytes to read from which on a batch is complete: one segment's worth.
const BATCH_BYTES: u64 = 1 << 20;

/// Entries from which on it is complete, whatever their size.
const BATCH_ENTRIES: usize = 512;

/// Files above this are cut by a thread of their own, and their chunks are batches.
const LARGE_FILE_BYTES: u64 = 4 << 20;

/// A batch's entries in order, once they are read.
pub(crate) type Pending = oneshot::Receiver<Result<Vec<Item>>>;

/// What the walk met.
#[derive(Default)]
pub(crate) struct Totals {
    pub(crate) unreadable: u64,
}

/// Walks all of `source`, and hands out one [`Pending`] for each batch, in order.
pub(crate) fn plan(
    engine: &Arc<Engine>,
    source: &Arc<dyn Source>,
    parent: Option<&Parent>,
    batches: &mpsc::Sender<Pending>,
) -> Result<Totals> {
    let mut parent = parent.map(|parent| parent.walk(engine));
    let mut planner = Planner { engine, source, batches, tasks: Vec::new(), bytes: 0 };
    let mut totals = Totals::default();
    for found in source.walk() {
        engine.check()?;
        match found {
            Found::Entry(entry) => {
                let known = match &mut parent {
                    Some(parent) if has_content(&entry) => parent.unchanged(&entry),
                    _ => None,
                };
                planner.entry(entry, known)?;
            }
            Found::Unreadable(trouble) => {
                totals.unreadable += 1;
                engine.control.observer.trouble(&trouble);
            }
            Found::Skipped(trouble) => engine.control.observer.skipped(&trouble),
        }
    }
    planner.submit()?;
    Ok(totals)
}

struct Planner<'a> {
    engine: &'a Arc<Engine>,
    source: &'a Arc<dyn Source>,
    batches: &'a mpsc::Sender<Pending>,
    tasks: Vec<Task>,
    /// Bytes that the tasks have to read.
    bytes: u64,
}

impl Planner<'_> {
    fn entry(&mut self, entry: Entry, known: Option<Vec<crate::snapshot::Piece>>) -> Result<()> {
        match (known, entry.kind.clone()) {
            (Some(content), _) => self.tasks.push(Task::Unchanged(entry, content)),
            (None, EntryKind::File { size }) if size > LARGE_FILE_BYTES => {
                self.submit()?;
                return self.large(entry);
            }
            (None, EntryKind::File { size }) if size > 0 => {
                self.bytes += size;
                self.tasks.push(Task::Read(entry));
            }
            (None, _) => self.tasks.push(Task::Empty(entry)),
        }
        let full = self.bytes >= BATCH_BYTES || self.tasks.len() >= BATCH_ENTRIES;
        if full { self.submit() } else { Ok(()) }
    }

    /// Hands the tasks so far to a thread.
    fn submit(&mut self) -> Result<()> {
        let tasks = std::mem::take(&mut self.tasks);
        if tasks.is_empty() {
            return Ok(());
        }
        let reads = std::mem::take(&mut self.bytes) > 0;
        let (engine, source) = (self.engine.clone(), self.source.clone());
        let batch = move || read_batch(&engine, &*source, tasks);
        self.send(|engine| if reads { engine.submit(batch) } else { engine.ready(batch()) })
    }

    fn large(&mut self, entry: Entry) -> Result<()> {
        let (engine, source) = (self.engine.clone(), self.source.clone());
        self.send(|outer| outer.submit_large(move || read_large(&engine, &*source, entry)))
    }

    fn send(&self, start: impl FnOnce(&Arc<Engine>) -> Pending) -> Result<()> {
        // A place in the queue first: batches that nobody could collect are not begun.
        let place = self.engine.runtime.block_on(self.batches.reserve());
        let place = place.map_err(|_| Error::StageLost { stage: "collect" })?;
        place.send(start(self.engine));
        Ok(())
    }
}

fn has_content(entry: &Entry) -> bool {
    entry.size().is_some_and(|size| size > 0)
}
