//! Writes index runs: what is stored becomes known, and can be taken up again.

use super::engine::Engine;
use crate::error::Result;
use crate::index::{Catalog, RUN_BYTES_MAX, RunBuilder};
use crate::location::Location;
use crate::pack::Ledger;

/// Packs from which on a run is written while the backup goes on: if it is cut off later, the
/// next one finds these chunks stored.
const PACKS_PER_RUN: usize = 8;

/// Runs from which on they are merged into one: every run is a file to look through.
const RUNS_MAX: usize = 24;

/// Packs that are complete and not in a run yet.
#[derive(Default)]
pub(crate) struct Publisher {
    waiting: Ledger,
}

impl Publisher {
    /// Takes up what has been completed, and writes a run when there is enough of it.
    pub(crate) fn advance(&mut self, engine: &Engine) -> Result<()> {
        self.waiting.extend(engine.data.completed()?);
        if self.waiting.len() < PACKS_PER_RUN {
            return Ok(());
        }
        let waiting = std::mem::take(&mut self.waiting);
        engine.runtime.block_on(publish(&engine.location, &engine.catalog, waiting))
    }

    /// What is still to be written.
    pub(crate) fn finish(self) -> Ledger {
        self.waiting
    }
}

/// Writes the index run of these packs; nothing that they hold is found before.
pub(crate) async fn publish(location: &Location, catalog: &Catalog, packs: Ledger) -> Result<()> {
    let mut run = RunBuilder::default();
    for (pack, chunks) in packs {
        run.pack(pack, chunks);
    }
    if run.is_empty() {
        return Ok(());
    }
    let (id, run) = location.write_run(0, run.serialize()).await?;
    catalog.adopt(id, run);
    Ok(())
}

/// Merges the location's runs into one when they have become many. The old ones stay until a
/// collector removes them; readers pass over them.
pub(crate) async fn merge(location: &Location, catalog: &Catalog) -> Result<()> {
    let runs = catalog.runs();
    let bytes: usize = runs.iter().map(|(_, run)| run.bytes()).sum();
    if runs.len() < RUNS_MAX || bytes > RUN_BYTES_MAX {
        return Ok(());
    }
    let mut merged = RunBuilder::default();
    for (id, run) in &runs {
        merged.absorb(*id, run);
    }
    location.write_run(1, merged.serialize()).await.map(drop)
}
