//! Packs: that they exist, that they have their length, that they hold what the index says.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::BytesMut;
use futures::stream::{self, StreamExt};
use strongroom_sdk::message::header::{Content, Header};
use strongroom_sdk::message::limits::Limits;
use strongroom_sdk::range::FrameMap;

use super::{Check, Fault};
use crate::error::{Error, Result};
use crate::id::ObjectId;
use crate::index::{Catalog, PackRecord, Run};
use crate::location::Location;
use crate::pack::{Decoded, SEGMENT_STORED_BYTES_MAX};
use crate::store::{Kind, ObjectName};

/// Plaintext bytes of a pack that are read with one request.
const READ_BYTES: u64 = 4 << 20;

/// Packs that are read at once.
const PACKS_IN_FLIGHT: usize = 4;

impl Check<'_> {
    /// Compares the packs that the index knows with those that are there.
    pub(super) fn packs_exist(&mut self, runs: &[(ObjectId, Run)]) {
        let mut known = std::collections::HashSet::new();
        for pack in runs.iter().flat_map(|(_, run)| run.packs()) {
            let name = pack.name();
            if !known.insert(name) {
                continue;
            }
            match (self.objects.get(&name).copied(), expected_length(pack)) {
                (None, _) => self.problem(name, Fault::Missing),
                (Some(found), Some(expected)) if found != expected => {
                    self.problem(name, Fault::Length { expected, found });
                }
                (Some(_), Some(_)) => {}
                (Some(_), None) => {
                    self.problem(name, Fault::Content("the index has no header for it"));
                }
            }
        }
        let is_pack =
            |n: &ObjectName| matches!(n, ObjectName::DataPack(_) | ObjectName::MetaPack(_));
        self.report.unreferenced = self.names(|name| is_pack(name) && !known.contains(name));
    }

    /// Reads metadata packs, and with `read_data` data packs, to their last byte.
    pub(super) async fn read_packs(
        &mut self,
        runs: &[(ObjectId, Run)],
        catalog: &Arc<Catalog>,
        read_data: bool,
    ) -> Result<()> {
        let indexed = Arc::new(chunks_by_pack(runs));
        let names = self.names(|name| match name {
            ObjectName::MetaPack(_) => true,
            ObjectName::DataPack(_) => read_data,
            _ => false,
        });
        let mut packs = stream::iter(names)
            .map(|name| {
                let reading = Reading {
                    location: self.location.clone(),
                    catalog: catalog.clone(),
                    indexed: indexed.clone(),
                    name,
                };
                async move { (name, reading.read().await) }
            })
            .buffer_unordered(PACKS_IN_FLIGHT)
            .boxed();
        let mut results = Vec::new();
        while let Some((name, result)) = packs.next().await {
            self.control.check()?;
            if result.is_ok() {
                self.done(name);
            }
            results.push((name, result));
        }
        drop(packs);
        for (name, result) in results {
            match result {
                Ok(None) => {}
                Ok(Some(what)) => self.problem(name, Fault::Content(what)),
                Err(error) => self.fault(name, error)?,
            }
        }
        Ok(())
    }
}

/// How many chunks the index says each pack holds.
fn chunks_by_pack(runs: &[(ObjectId, Run)]) -> HashMap<ObjectName, u64> {
    let mut chunks = HashMap::new();
    for (_, run) in runs {
        for (_, pack) in run.iter() {
            if let Some(pack) = pack {
                *chunks.entry(pack.name()).or_default() += 1;
            }
        }
    }
    chunks
}

/// The length in bytes of the whole message of a pack that the index knows.
fn expected_length(pack: &PackRecord) -> Option<u64> {
    let parsed = Header::parse(&pack.header, &Limits::default()).ok()?;
    let Content::Framed(frame_length) = parsed.header.content() else { return None };
    let header_length = pack.header.len() as u64;
    let map = FrameMap::from_plaintext_length(header_length, frame_length, pack.plain_len);
    map.ok().map(|map| map.message_length())
}

struct Reading {
    location: Arc<Location>,
    catalog: Arc<Catalog>,
    indexed: Arc<HashMap<ObjectName, u64>>,
    name: ObjectName,
}

impl Reading {
    /// Reads the whole pack from its own header on; `Some` says in which way it is not what the
    /// index says.
    async fn read(self) -> Result<Option<&'static str>> {
        let (kind, id) = match self.name {
            ObjectName::MetaPack(id) => (Kind::Meta, id),
            ObjectName::DataPack(id) => (Kind::Data, id),
            _ => return Ok(None),
        };
        // Without the catalogue: the header in the store is what is to be checked.
        let reader = self.location.reader(None);
        let plain_len = reader.plain_len(kind, id).await?;
        let mut state = Segments { kind, id, offset: 0, found: 0, pending: BytesMut::new() };
        let mut position = 0;
        let this = Arc::new(self);
        while position < plain_len {
            let end = plain_len.min(position + READ_BYTES);
            let fetched = reader.fetch(kind, id, position..end).await?;
            position = end;
            let this = this.clone();
            let work = move || {
                state.pending.extend_from_slice(&fetched.open()?);
                let wrong = state.take_apart(&this)?;
                Ok::<_, Error>((state, wrong))
            };
            let done = tokio::task::spawn_blocking(work).await;
            let wrong;
            (state, wrong) = done.map_err(|_| Error::StageLost { stage: "check" })??;
            if wrong.is_some() {
                return Ok(wrong);
            }
        }
        if !state.pending.is_empty() {
            return Ok(Some("its last segment is not complete"));
        }
        let indexed = this.indexed.get(&this.name).copied().unwrap_or(0);
        Ok((state.found != indexed).then_some("chunks that the index lists are not in it"))
    }
}

/// Segments of one pack, taken apart as they arrive.
struct Segments {
    kind: Kind,
    id: ObjectId,
    /// Where the pending bytes begin in the pack's plaintext.
    offset: u64,
    /// Chunks that are where the index says.
    found: u64,
    pending: BytesMut,
}

impl Segments {
    fn take_apart(&mut self, reading: &Reading) -> Result<Option<&'static str>> {
        let codec = reading.location.codec();
        while let Some((segment, length)) = codec.decode_first(&self.pending) {
            self.look_up(reading, &segment);
            drop(self.pending.split_to(length));
            self.offset += length as u64;
        }
        // What is longer than any segment and still none never will be one.
        let hopeless = self.pending.len() > SEGMENT_STORED_BYTES_MAX;
        Ok(hopeless.then_some("it holds something that is not a segment"))
    }

    fn look_up(&mut self, reading: &Reading, segment: &Decoded) {
        let hasher = reading.location.hasher();
        for range in segment.chunks() {
            let start = range.start as u32;
            let bytes = segment.plain().get(range).unwrap_or_default();
            let at = reading.catalog.find(self.kind, &hasher.id(bytes));
            // A chunk can be stored twice, in which case the index has one of the two.
            let here = at.is_some_and(|at| {
                at.segment.pack == self.id
                    && at.segment.offset == self.offset
                    && at.offset == start
                    && at.len as usize == bytes.len()
            });
            self.found += u64::from(here);
        }
    }
}
