//! Packs: that they exist, that they have their length, that they hold what the index says.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::stream::{self, StreamExt};
use strongroom_sdk::message::header::{Content, Header};
use strongroom_sdk::message::limits::Limits;
use strongroom_sdk::range::FrameMap;

use super::{Check, Fault};
use crate::error::{Error, Result};
use crate::index::{Catalog, PackRecord, Run};
use crate::location::Location;
use crate::pack::{Decoded, SegmentAt, Visitor, scan};
use crate::store::{Kind, ObjectName};

/// Packs that are read at once.
const PACKS_IN_FLIGHT: usize = 4;

impl Check<'_> {
    /// Compares the packs that the index knows with those that are there. One that is not is missed
    /// only if a snapshot needs it, which is for the trees to say.
    pub(super) fn packs_have_their_length(&mut self, runs: &[Run]) {
        let mut known = HashSet::new();
        for pack in runs.iter().flat_map(Run::packs) {
            let name = pack.name();
            if !known.insert(name) {
                continue;
            }
            match (self.objects.get(&name).copied(), expected_length(pack)) {
                (None, _) => self.report.stale.push(name),
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
        runs: &[Run],
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
                // Of one that no run names, which was left behind, nothing more can be known.
                Err(Error::KeysGivenUp { .. }) if self.report.unreferenced.contains(&name) => {}
                Err(error) => self.fault(name, error)?,
            }
        }
        Ok(())
    }
}

/// How many chunks the index says each pack holds; where several runs name a pack, the most that
/// one of them says.
fn chunks_by_pack(runs: &[Run]) -> HashMap<ObjectName, u64> {
    let mut most: HashMap<ObjectName, u64> = HashMap::new();
    for run in runs {
        let mut chunks: HashMap<ObjectName, u64> = HashMap::new();
        for pack in run.iter().filter_map(|(_, pack)| pack) {
            *chunks.entry(pack.name()).or_default() += 1;
        }
        for (name, count) in chunks {
            let known = most.entry(name).or_default();
            *known = count.max(*known);
        }
    }
    most
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
        let (codec, indexed) = (self.location.codec().clone(), self.indexed.clone());
        let name = self.name;
        let visitor = Compare { kind, reading: self, found: 0 };
        let found = scan(&reader, &codec, kind, id, visitor).await?.found;
        let indexed = indexed.get(&name).copied().unwrap_or(0);
        Ok((found < indexed).then_some("chunks that the index lists are not in it"))
    }
}

/// Counts the chunks that are where the index says.
struct Compare {
    kind: Kind,
    reading: Reading,
    found: u64,
}

impl Visitor for Compare {
    fn segment(&mut self, segment_at: &SegmentAt, segment: &Decoded) {
        let hasher = self.reading.location.hasher();
        for range in segment.chunks() {
            let start = range.start as u32;
            let bytes = segment.plain().get(range).unwrap_or_default();
            // A chunk can be stored twice.
            let places = self.reading.catalog.places(self.kind, &hasher.id(bytes));
            let here = places.iter().any(|at| {
                at.segment == *segment_at && at.offset == start && at.len as usize == bytes.len()
            });
            self.found += u64::from(here);
        }
    }
}
