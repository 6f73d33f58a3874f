//! Writes index runs: what is stored becomes known, and can be taken up again.

use super::engine::Engine;
use crate::error::Result;
use crate::index::{Catalog, RunBuilder};
use crate::location::Location;
use crate::pack::Ledger;

/// Packs from which on a run is written while the backup goes on: if it is cut off later, the
/// next one finds these chunks stored.
const PACKS_PER_RUN: usize = 8;

/// Chunks from which on it is written too: until then each is kept in memory.
const CHUNKS_PER_RUN: usize = 100_000;

/// Packs that are complete and not in a run yet.
#[derive(Default)]
pub(crate) struct Publisher {
    waiting: Ledger,
}

impl Publisher {
    /// Takes up what has been completed, and writes a run when there is enough of it.
    pub(crate) fn advance(&mut self, engine: &Engine) -> Result<()> {
        self.waiting.extend(engine.data.completed()?);
        let chunks: usize = self.waiting.iter().map(|(_, chunks)| chunks.len()).sum();
        if self.waiting.len() < PACKS_PER_RUN && chunks < CHUNKS_PER_RUN {
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
        run.pack(&pack, chunks);
    }
    if run.is_empty() {
        return Ok(());
    }
    let written = location.index().write(0, run.serialize()).await?;
    let run = written.run.clone();
    catalog.adopt_as(&run, location.index().lookup_of(written));
    Ok(())
}
