//! Copies what is needed of condemned packs into new ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::decide::Needs;
use super::{Collector, Goal};
use crate::backup::SEGMENT_BYTES;
use crate::condemned::Packs;
use crate::control::Control;
use crate::error::{Cause, Error, Result};
use crate::id::{ChunkId, ObjectId};
use crate::index::RunBuilder;
use crate::location::Location;
use crate::pack::{
    ChunkRef, Decoded, Encoded, Ledger, PackReader, PackWriter, SegmentAt, WriterOptions,
};
use crate::store::{Kind, ObjectName};

/// What was copied.
#[derive(Default)]
pub(super) struct Copied {
    /// The packs out of which all was copied that is needed.
    pub(super) from: Packs,
    /// The packs that hold it now; in the index.
    pub(super) into: Packs,
    /// Bytes of the chunks.
    pub(super) bytes: u64,
}

/// Copies the chunks `needs`, and publishes where they are. When it is only about room, packs of a kind
/// whose content the caller's key policy does not let it read are left out.
pub(super) async fn copy(collector: &Collector<'_>, needs: Needs) -> Result<Copied> {
    let mut copied = Copied::default();
    for kind in [Kind::Meta, Kind::Data] {
        let of_kind = |name: &ObjectName| name.kind() == Some(kind);
        let chosen: Needs = needs.iter().filter(|(name, _)| of_kind(name)).map(clone).collect();
        if chosen.is_empty() {
            continue;
        }
        let from: Packs = chosen.keys().copied().collect();
        match copy_kind(collector, kind, chosen).await {
            Ok((ledger, bytes)) => {
                copied.from.extend(from);
                copied.into.extend(ledger.iter().map(|(pack, _)| pack.name()));
                copied.bytes += bytes;
                publish(collector.location, ledger).await?;
            }
            Err(error) if error.cause() == Cause::KeyDenied && collector.goal == Goal::Room => {}
            Err(error) => return Err(error),
        }
    }
    Ok(copied)
}

fn clone((name, chunks): (&ObjectName, &Vec<ChunkRef>)) -> (ObjectName, Vec<ChunkRef>) {
    (*name, chunks.clone())
}

async fn copy_kind(collector: &Collector<'_>, kind: Kind, needs: Needs) -> Result<(Ledger, u64)> {
    let copier = Copier {
        kind,
        location: collector.location.clone(),
        owner: collector.id,
        options: collector.options.packs,
        control: collector.control.clone(),
        runtime: tokio::runtime::Handle::current(),
    };
    let copying = tokio::task::spawn_blocking(move || copier.copy(needs));
    copying.await.map_err(|_| Error::StageLost { stage: "repack" })?
}

async fn publish(location: &Location, ledger: Ledger) -> Result<()> {
    let mut run = RunBuilder::default();
    for (pack, chunks) in ledger {
        run.pack(&pack, chunks);
    }
    if run.is_empty() {
        return Ok(());
    }
    location.index().write(0, run.serialize()).await.map(drop)
}

struct Copier {
    kind: Kind,
    location: Arc<Location>,
    owner: ObjectId,
    options: WriterOptions,
    control: Control,
    runtime: tokio::runtime::Handle,
}

/// Chunks of segments that are needed in part, until they fill a segment of their own.
#[derive(Default)]
struct Gathered {
    plain: Vec<u8>,
    chunks: Vec<(ChunkId, u32, u32)>,
}

impl Copier {
    fn copy(&self, needs: Needs) -> Result<(Ledger, u64)> {
        let (store, envelope) = (self.location.store().clone(), self.location.envelope().clone());
        let runtime = self.runtime.clone();
        let packs = PackWriter::new(self.kind, self.owner, store, envelope, self.options, runtime);
        let reader = self.location.reader(None);
        let (mut gathered, mut bytes) = (Gathered::default(), 0);
        for (at, chunks) in by_segment(needs) {
            self.control.check()?;
            bytes += self.segment(&reader, &packs, &at, &chunks, &mut gathered)?;
        }
        self.write(&packs, &mut gathered)?;
        Ok((packs.finish()?, bytes))
    }

    /// Copies what is needed of one segment; as it is stored, if that is all of it.
    fn segment(
        &self,
        reader: &PackReader,
        packs: &PackWriter,
        at: &SegmentAt,
        chunks: &[ChunkRef],
        gathered: &mut Gathered,
    ) -> Result<u64> {
        let range = at.offset..at.end();
        let fetched = self.runtime.block_on(reader.fetch(self.kind, at.pack, range))?;
        let stored = fetched.open()?;
        let decoded = reader.decode(self.kind, at, &stored)?;
        let bytes: u64 = chunks.iter().map(|chunk| u64::from(chunk.at.len)).sum();
        if bytes == u64::from(at.plain_len) {
            self.verify(reader, &decoded, chunks)?;
            let encoded = Encoded::of_stored(&stored, at.plain_len);
            let places = chunks.iter().map(|chunk| (chunk.id, chunk.at.offset, chunk.at.len));
            packs.append(&encoded, places)?;
            return Ok(bytes);
        }
        for chunk in chunks {
            let plain = reader.chunk(self.kind, chunk, &decoded)?;
            let start = gathered.plain.len() as u32;
            gathered.chunks.push((chunk.id, start, chunk.at.len));
            gathered.plain.extend_from_slice(plain);
            if gathered.plain.len() >= SEGMENT_BYTES {
                self.write(packs, gathered)?;
            }
        }
        Ok(bytes)
    }

    fn verify(&self, reader: &PackReader, decoded: &Decoded, chunks: &[ChunkRef]) -> Result<()> {
        chunks.iter().try_for_each(|chunk| reader.chunk(self.kind, chunk, decoded).map(drop))
    }

    fn write(&self, packs: &PackWriter, gathered: &mut Gathered) -> Result<()> {
        let Gathered { plain, chunks } = std::mem::take(gathered);
        if chunks.is_empty() {
            return Ok(());
        }
        let lengths: Vec<u32> = chunks.iter().map(|(.., len)| *len).collect();
        let encoded = self.location.codec().encode(&plain, &lengths)?;
        packs.append(&encoded, chunks).map(drop)
    }
}

/// Chunks by the segment that they lie in, in the order of packs and of places in them.
fn by_segment(needs: Needs) -> BTreeMap<SegmentAt, Vec<ChunkRef>> {
    let mut segments: BTreeMap<SegmentAt, Vec<ChunkRef>> = BTreeMap::new();
    for chunk in needs.into_values().flatten() {
        segments.entry(chunk.at.segment).or_default().push(chunk);
    }
    for chunks in segments.values_mut() {
        chunks.sort_unstable_by_key(|chunk| chunk.at.offset);
    }
    segments
}
