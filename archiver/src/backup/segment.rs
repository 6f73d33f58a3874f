//! Gathers new chunks into segments.

use std::sync::atomic::Ordering;

use super::engine::Engine;
use crate::buffers::Buffer;
use crate::error::{Error, Result};
use crate::id::ChunkId;
use crate::index::Claim;
use crate::pack::{ChunkAt, Encoded, PackWriter, SegmentAt};
use crate::store::Kind;

/// Plain bytes from which on a segment is complete.
pub(crate) const SEGMENT_BYTES: usize = 1 << 20;

/// The new chunks of one thread, one after another as they will be compressed.
pub(crate) struct Gathering {
    plain: Buffer,
    chunks: Vec<(ChunkId, u32, u32)>,
}

impl Gathering {
    /// Without any chunk yet.
    pub(crate) fn new(engine: &Engine) -> Self {
        Self { plain: engine.location.codec().buffer(), chunks: Vec::new() }
    }

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
        let len = bytes.len() as u32;
        let (id, claim) = claim(engine, bytes);
        let at = match claim {
            Claim::Stored(at) => Some(at),
            Claim::Pending => None,
            Claim::Yours => {
                self.chunks.push((id, start as u32, len));
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

/// Offers consecutive chunks with these `lengths`, which `plain` holds, and stores those that are new. Says of each what it is called and, if that is known, where it lies.
pub(crate) fn store_group(
    engine: &Engine,
    mut plain: Buffer,
    lengths: &[usize],
) -> Result<Vec<(ChunkId, Option<ChunkAt>)>> {
    let (mut new, mut kept, mut start) = (Vec::new(), 0, 0);
    let mut offered = Vec::with_capacity(lengths.len());
    for &len in lengths {
        let range = start..start + len;
        start += len;
        let (id, claim) = claim(engine, plain.get(range.clone()).unwrap_or_default());
        offered.push(match claim {
            Claim::Stored(at) => (id, Some(at)),
            Claim::Pending => (id, None),
            Claim::Yours => {
                new.push((id, kept as u32, len as u32));
                if range.start > kept {
                    plain.copy_within(range, kept);
                }
                kept += len;
                (id, None)
            }
        });
        let is_last = offered.len() == lengths.len();
        if kept >= SEGMENT_BYTES || (is_last && kept > 0) {
            let segment = plain.get(..kept).unwrap_or_default();
            store_segment(engine, Kind::Data, &engine.data, segment, &new)?;
            new.clear();
            kept = 0;
        }
    }
    Ok(offered)
}

/// Names a chunk, and asks whether it has to be stored.
fn claim(engine: &Engine, chunk: &[u8]) -> (ChunkId, Claim) {
    let id = engine.location.hasher().id(chunk);
    let claim = engine.catalog.claim(Kind::Data, &id);
    if let Claim::Yours = claim {
        engine.counters.chunks_new.fetch_add(1, Ordering::Relaxed);
        engine.counters.bytes_new.fetch_add(chunk.len() as u64, Ordering::Relaxed);
    }
    (id, claim)
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
    if engine.verify && !reads_back(engine, &encoded, &lengths, chunks) {
        return Err(Error::VerifyBeforeStore);
    }
    let segment = packs.append(&encoded, chunks.iter().copied())?;
    for &(id, offset, len) in chunks {
        engine.catalog.resolve(kind, &id, ChunkAt { segment, offset, len });
    }
    Ok(segment)
}

/// What was read is what will be stored: the stored form must give chunks of the same ids.
fn reads_back(
    engine: &Engine,
    encoded: &Encoded<'_>,
    lengths: &[u32],
    chunks: &[(ChunkId, u32, u32)],
) -> bool {
    let is_right = |plain: &[u8]| {
        chunks.iter().all(|(id, offset, len)| {
            let start = *offset as usize;
            let bytes = plain.get(start..start.saturating_add(*len as usize));
            bytes.is_some_and(|bytes| engine.location.hasher().id(bytes) == *id)
        })
    };
    engine.location.codec().reads_back(encoded, lengths, is_right)
}
