//! Gathers new chunks into segments.

use std::sync::atomic::Ordering;

use super::engine::Engine;
use crate::error::{Error, Result};
use crate::id::ChunkId;
use crate::index::Claim;
use crate::pack::{ChunkAt, Encoded, PackWriter, SegmentAt};
use crate::store::Kind;

/// Plain bytes from which on a segment is complete.
pub(crate) const SEGMENT_BYTES: usize = 1 << 20;

/// The new chunks of one thread, one after another as they will be compressed.
#[derive(Default)]
pub(crate) struct Gathering {
    plain: Vec<u8>,
    chunks: Vec<(ChunkId, u32, u32)>,
}

impl Gathering {
    /// Where the next chunk's bytes may be written, behind those that are kept: read into it,
    /// then [`Gathering::offer`] what was read.
    pub(crate) fn tail(&mut self) -> &mut Vec<u8> {
        &mut self.plain
    }

    /// Offers the bytes from `start` on as a chunk: keeps them if they are new, and says what
    /// they are called and, if that is known, where they lie.
    pub(crate) fn offer(
        &mut self,
        engine: &Engine,
        start: usize,
    ) -> Result<(ChunkId, Option<ChunkAt>)> {
        let bytes = self.plain.get(start..).unwrap_or_default();
        let id = engine.location.hasher().id(bytes);
        let len = bytes.len() as u32;
        let at = match engine.catalog.claim(Kind::Data, &id) {
            Claim::Stored(at) => Some(at),
            Claim::Pending => None,
            Claim::Yours => {
                self.chunks.push((id, start as u32, len));
                engine.counters.chunks_new.fetch_add(1, Ordering::Relaxed);
                engine.counters.bytes_new.fetch_add(u64::from(len), Ordering::Relaxed);
                if self.plain.len() >= SEGMENT_BYTES {
                    self.store(engine)?;
                }
                return Ok((id, None));
            }
        };
        self.plain.truncate(start);
        Ok((id, at))
    }

    /// Stores what was gathered.
    pub(crate) fn store(&mut self, engine: &Engine) -> Result<()> {
        if !self.chunks.is_empty() {
            store_segment(engine, Kind::Data, &engine.data, &self.plain, &self.chunks)?;
        }
        self.plain.clear();
        self.chunks.clear();
        Ok(())
    }
}

/// Compresses chunks that lie one after another in `plain`, appends them to a pack, and says in
/// the catalogue where they are.
pub(crate) fn store_segment(
    engine: &Engine,
    kind: Kind,
    packs: &PackWriter,
    plain: &[u8],
    chunks: &[(ChunkId, u32, u32)],
) -> Result<SegmentAt> {
    let lengths: Vec<u32> = chunks.iter().map(|(.., len)| *len).collect();
    let encoded = engine.location.codec().encode(plain, &lengths)?;
    if engine.verify {
        verify(engine, &encoded, chunks)?;
    }
    let segment = packs.append(&encoded, chunks.iter().copied())?;
    for &(id, offset, len) in chunks {
        engine.catalog.resolve(kind, &id, ChunkAt { segment, offset, len });
    }
    Ok(segment)
}

/// What was read is what will be stored: the stored form must give chunks of the same ids.
fn verify(engine: &Engine, encoded: &Encoded, chunks: &[(ChunkId, u32, u32)]) -> Result<()> {
    let decoded = engine.location.codec().decode(&encoded.bytes).ok_or(Error::VerifyBeforeStore)?;
    let same = chunks.iter().all(|(id, offset, len)| {
        decoded.chunk(*offset, *len).is_some_and(|bytes| engine.location.hasher().id(bytes) == *id)
    });
    if same { Ok(()) } else { Err(Error::VerifyBeforeStore) }
}
