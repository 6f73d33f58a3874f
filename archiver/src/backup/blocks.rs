//! Where the blocks of a snapshot's tree go: segments of metadata packs, each block once.

use std::collections::VecDeque;
use std::sync::Arc;

use super::engine::Engine;
use super::segment::{SEGMENT_BYTES, store_segment};
use crate::error::{Error, Result};
use crate::id::ChunkId;
use crate::index::Claim;
use crate::pack::{ChunkAt, ChunkRef, PackWriter};
use crate::snapshot::BlockSink;
use crate::store::Kind;

/// Gathers blocks of each level into segments of their own: a level's blocks lie together.
pub(crate) struct MetaBlocks<'a> {
    engine: Arc<Engine>,
    packs: &'a PackWriter,
    levels: Vec<Level>,
}

#[derive(Default)]
struct Level {
    plain: Vec<u8>,
    /// New blocks in `plain`.
    new: Vec<(ChunkId, u32, u32)>,
    /// All blocks that were not answered yet; `None` for those in `plain`.
    waiting: VecDeque<(ChunkId, Option<ChunkAt>)>,
}

impl<'a> MetaBlocks<'a> {
    pub(crate) fn new(engine: Arc<Engine>, packs: &'a PackWriter) -> Self {
        Self { engine, packs, levels: Vec::new() }
    }

    fn level(&mut self, level: usize) -> &mut Level {
        while self.levels.len() <= level {
            self.levels.push(Level::default());
        }
        &mut self.levels[level]
    }
}

impl BlockSink for MetaBlocks<'_> {
    fn block(&mut self, level: usize, block: Vec<u8>) -> Result<Vec<ChunkRef>> {
        let id = self.engine.location.hasher().id(&block);
        let claim = self.engine.catalog.claim(Kind::Meta, &id);
        let this = self.level(level);
        match claim {
            Claim::Stored(at) => this.waiting.push_back((id, Some(at))),
            Claim::Pending => this.waiting.push_back((id, None)),
            Claim::Yours => {
                this.new.push((id, this.plain.len() as u32, block.len() as u32));
                this.plain.extend_from_slice(&block);
                this.waiting.push_back((id, None));
            }
        }
        if this.plain.len() >= SEGMENT_BYTES {
            return self.flush(level);
        }
        // Blocks that are stored already need not wait, unless behind one that does.
        let known = this.waiting.iter().take_while(|(_, at)| at.is_some()).count();
        let answer = this.waiting.drain(..known);
        Ok(answer.filter_map(|(id, at)| Some(ChunkRef { id, at: at? })).collect())
    }

    fn flush(&mut self, level: usize) -> Result<Vec<ChunkRef>> {
        let engine = self.engine.clone();
        let packs = self.packs;
        let this = self.level(level);
        if !this.new.is_empty() {
            store_segment(&engine, Kind::Meta, packs, &this.plain, &this.new)?;
            this.plain.clear();
            this.new.clear();
        }
        let place = |(id, at): (ChunkId, Option<ChunkAt>)| {
            let found = at.or_else(|| engine.catalog.wait(Kind::Meta, &id, || true));
            let at = found.ok_or(Error::StageLost { stage: "metadata" })?;
            Ok(ChunkRef { id, at })
        };
        this.waiting.drain(..).map(place).collect()
    }
}
