//! Reads files and turns them into chunks.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

use super::engine::Engine;
use super::segment::{Gathering, SEGMENT_BYTES, store_group};
use crate::buffers::Buffer;
use crate::chunk::Chunker;
use crate::entry::{Entry, EntryKind};
use crate::error::{Error, Result};
use crate::id::ChunkId;
use crate::pack::ChunkAt;
use crate::snapshot::{PIECES_MAX, Piece};
use crate::source::{SIZE_UNKNOWN, Source, SourceFile, Trouble};

/// Files below this are not asked for holes: a hole smaller than a chunk saves nothing.
const HOLES_FROM_BYTES: u64 = 64 << 10;

/// Groups of chunks of one large file that are being worked on at once.
const GROUPS_IN_FLIGHT: usize = 6;

/// One entry of a batch, and what is to be done about its content.
pub(crate) enum Task {
    /// Nothing: it has none.
    Empty(Entry),
    /// Nothing: the parent snapshot has it.
    Unchanged(Entry, Vec<Piece>),
    /// Read it.
    Read(Entry),
}

/// One entry that is done, but for the places of chunks that other threads were storing.
pub(crate) struct Item {
    pub(crate) entry: Entry,
    pub(crate) content: Vec<Placed>,
    pub(crate) outcome: Outcome,
}

/// How an entry's content was had.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    Unchanged,
    /// It changed while it was read.
    Changed,
    /// It could not be read; the entry is left out.
    Unreadable,
}

/// A chunk at its place in a file.
pub(crate) struct Placed {
    pub(crate) start: u64,
    pub(crate) id: ChunkId,
    /// `None` while whoever claimed it first stores it.
    pub(crate) at: Option<ChunkAt>,
}

/// Reads what a batch's tasks ask for.
pub(crate) fn read_batch(
    engine: &Engine,
    source: &dyn Source,
    tasks: Vec<Task>,
) -> Result<Vec<Item>> {
    let mut gathering = Gathering::new(engine);
    let mut items = Vec::with_capacity(tasks.len());
    for task in tasks {
        items.push(match task {
            Task::Empty(entry) => Item { entry, content: vec![], outcome: Outcome::Done },
            Task::Unchanged(entry, content) => unchanged(entry, &content),
            Task::Read(entry) => {
                if engine.has_failed() {
                    return Err(Error::Stopped);
                }
                read_small(engine, source, entry, &mut gathering)?
            }
        });
    }
    gathering.store(engine)?;
    Ok(items)
}

fn unchanged(entry: Entry, content: &[Piece]) -> Item {
    let placed =
        |piece: &Piece| Placed { start: piece.start, id: piece.chunk.id, at: Some(piece.chunk.at) };
    Item { entry, content: content.iter().map(placed).collect(), outcome: Outcome::Unchanged }
}

fn read_small(
    engine: &Engine,
    source: &dyn Source,
    entry: Entry,
    gathering: &mut Gathering,
) -> Result<Item> {
    let mut content = Vec::new();
    let read = Reading::begin(engine, source, &entry).and_then(|mut reading| {
        while let Some(extent) = reading.next_extent()? {
            chunk_small(engine, &mut reading, extent, gathering, &mut content)?;
        }
        reading.end()
    });
    finish(engine, entry, content, read)
}

/// Reads one extent of a small file straight behind the chunks gathered so far. A file of at most
/// one average chunk is one chunk, which stays where it was read to.
fn chunk_small(
    engine: &Engine,
    reading: &mut Reading,
    extent: Range<u64>,
    gathering: &mut Gathering,
    content: &mut Vec<Placed>,
) -> Result<(), ReadError> {
    let chunker = reading.chunker(0);
    let average = u64::from(chunker.parameters().bytes_average);
    let length = extent.end - extent.start;
    if length <= average {
        let start = gathering.tail().len();
        reading.read(&extent, gathering.tail())?;
        if gathering.tail().len() > start {
            content.push(place(engine, gathering, extent.start, start)?);
        }
        return Ok(());
    }
    let mut whole = engine.location.codec().buffer();
    reading.read(&extent, &mut whole)?;
    let mut rest = whole.as_slice();
    let mut offset = extent.start;
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(chunker.cut(rest));
        let start = gathering.tail().len();
        gathering.tail().extend_from_slice(chunk);
        content.push(place(engine, gathering, offset, start)?);
        offset += chunk.len() as u64;
        rest = after;
    }
    Ok(())
}

fn place(
    engine: &Engine,
    gathering: &mut Gathering,
    offset: u64,
    start: usize,
) -> Result<Placed, ReadError> {
    let (id, at) = gathering.offer(engine, start).map_err(ReadError::Fatal)?;
    Ok(Placed { start: offset, id, at })
}

/// Reads a large file: this thread reads and cuts, others hash, compress and store.
pub(crate) fn read_large(
    engine: &Arc<Engine>,
    source: &dyn Source,
    entry: Entry,
) -> Result<Vec<Item>> {
    let mut groups = Groups { engine, in_flight: VecDeque::new(), content: Vec::new() };
    let read = Reading::begin(engine, source, &entry).and_then(|mut reading| {
        while let Some(extent) = reading.next_extent()? {
            cut_large(&mut reading, extent, &mut groups)?;
        }
        groups.settle(0)?;
        reading.end()
    });
    let content = std::mem::take(&mut groups.content);
    finish(engine, entry, content, read).map(|item| vec![item])
}

/// Cuts one extent; each time that a segment's worth of chunks is there it becomes a group.
fn cut_large(
    reading: &mut Reading,
    extent: Range<u64>,
    groups: &mut Groups<'_>,
) -> Result<(), ReadError> {
    let codec = groups.engine.location.codec();
    let mut window = codec.buffer();
    let mut start = extent.start;
    let mut next = extent.start;
    loop {
        let chunker = reading.chunker(start);
        let chunk_max = chunker.parameters().bytes_max as usize;
        // Cutting needs a whole maximal chunk ahead, or the end.
        let ahead = (SEGMENT_BYTES + chunk_max) as u64;
        let until = extent.end.min(start.saturating_add(ahead).max(next));
        let wanted = next..until;
        let more = reading.read(&wanted, &mut window)?;
        next += more;
        let at_end = next >= extent.end || more < wanted.end - wanted.start;
        let mut lengths = Vec::new();
        let mut cut = 0;
        while cut < SEGMENT_BYTES || at_end {
            let rest = window.get(cut..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            let length = chunker.cut(rest);
            lengths.push(length);
            cut += length;
        }
        let mut rest = codec.buffer();
        rest.extend_from_slice(window.get(cut..).unwrap_or_default());
        groups.submit(start, std::mem::replace(&mut window, rest), lengths)?;
        start += cut as u64;
        if at_end {
            return Ok(());
        }
    }
}

/// Groups of consecutive chunks of one file, in order.
struct Groups<'a> {
    engine: &'a Arc<Engine>,
    in_flight: VecDeque<oneshot::Receiver<Result<Vec<Placed>>>>,
    content: Vec<Placed>,
}

impl Groups<'_> {
    fn submit(&mut self, start: u64, bytes: Buffer, lengths: Vec<usize>) -> Result<(), ReadError> {
        if lengths.is_empty() {
            return Ok(());
        }
        self.settle(GROUPS_IN_FLIGHT - 1)?;
        if self.content.len() > PIECES_MAX {
            // A pipe may never end.
            let error = io::Error::new(io::ErrorKind::FileTooLarge, "it has too many parts");
            return Err(ReadError::File("archive", error));
        }
        let engine = self.engine.clone();
        let group = self.engine.submit(move || place_group(&engine, start, bytes, &lengths));
        self.in_flight.push_back(group);
        Ok(())
    }

    /// Waits until at most `remaining` groups are in flight.
    fn settle(&mut self, remaining: usize) -> Result<(), ReadError> {
        while self.in_flight.len() > remaining {
            let Some(group) = self.in_flight.pop_front() else { break };
            let lost = Error::StageLost { stage: "read" };
            let placed = group.blocking_recv().unwrap_or(Err(lost)).map_err(ReadError::Fatal)?;
            self.content.extend(placed);
        }
        Ok(())
    }
}

fn place_group(
    engine: &Engine,
    mut start: u64,
    bytes: Buffer,
    lengths: &[usize],
) -> Result<Vec<Placed>> {
    let offered = store_group(engine, bytes, lengths)?;
    let placed = offered.into_iter().zip(lengths).map(|((id, at), length)| {
        let chunk = Placed { start, id, at };
        start += *length as u64;
        chunk
    });
    Ok(placed.collect())
}

/// One file being read, up to the size that its entry says.
struct Reading<'a> {
    engine: &'a Engine,
    file: Box<dyn SourceFile>,
    entry: &'a Entry,
    size: u64,
    position: u64,
    /// Set when the file ends before its size.
    ended_at: Option<u64>,
}

enum ReadError {
    /// This file cannot be read.
    File(&'static str, io::Error),
    /// The backup cannot go on.
    Fatal(Error),
}

/// What a file turned out to be.
struct Ended {
    size: u64,
    changed: bool,
}

impl<'a> Reading<'a> {
    fn begin(engine: &'a Engine, source: &dyn Source, entry: &'a Entry) -> Result<Self, ReadError> {
        let file = source.open(entry).map_err(|e| ReadError::File("open", e))?;
        let size = entry.size().unwrap_or(0);
        Ok(Self { engine, file, entry, size, position: 0, ended_at: None })
    }

    /// The next range that is not a hole.
    fn next_extent(&mut self) -> Result<Option<Range<u64>>, ReadError> {
        if self.position >= self.size || self.ended_at.is_some() {
            return Ok(None);
        }
        let extent = if self.size < HOLES_FROM_BYTES {
            Some(0..self.size)
        } else {
            let seek = self.file.next_data(self.position);
            seek.map_err(|e| ReadError::File("find the holes of", e))?
        };
        let Some(extent) = extent.filter(|e| e.start < self.size) else {
            return Ok(None);
        };
        let start = extent.start.max(self.position);
        let end = extent.end.min(self.size).max(start);
        self.position = end.max(self.position + 1);
        Ok(Some(start..end))
    }

    /// Appends the bytes `range` to `buffer`; says how many there were.
    fn read(&mut self, range: &Range<u64>, buffer: &mut Vec<u8>) -> Result<u64, ReadError> {
        let before = buffer.len();
        let wanted = (range.end - range.start) as usize;
        buffer.resize(before + wanted, 0);
        let mut done = 0;
        while done < wanted {
            let room = buffer.get_mut(before + done..).unwrap_or_default();
            match self.file.read_at(range.start + done as u64, room) {
                Ok(0) => {
                    self.ended_at = Some(range.start + done as u64);
                    break;
                }
                Ok(more) => done += more.min(room.len()),
                Err(error) => {
                    buffer.truncate(before);
                    return Err(ReadError::File("read", error));
                }
            }
        }
        buffer.truncate(before + done);
        self.engine.counters.bytes_read.fetch_add(done as u64, Ordering::Relaxed);
        Ok(done as u64)
    }

    /// What cuts the file at `position`. A file of unknown size is cut like a short one until it has
    /// turned out to be a long one.
    fn chunker(&self, position: u64) -> &'a Chunker {
        let size = if self.size == SIZE_UNKNOWN { position } else { self.size };
        self.engine.location.chunkers().for_size(size)
    }

    fn end(mut self) -> Result<Ended, ReadError> {
        let state = self.file.state().map_err(|e| ReadError::File("look again at", e))?;
        let early = self.ended_at.is_some() && self.size != SIZE_UNKNOWN;
        let changed = early || !state.matches(self.entry);
        Ok(Ended { size: self.ended_at.unwrap_or(self.size), changed })
    }
}

fn finish(
    engine: &Engine,
    mut entry: Entry,
    content: Vec<Placed>,
    read: Result<Ended, ReadError>,
) -> Result<Item> {
    let outcome = match read {
        Err(ReadError::Fatal(error)) => return Err(error),
        Err(ReadError::File(action, error)) => {
            let path = entry.path.as_bytes().to_vec();
            engine.control.observer.trouble(&Trouble { path, action, error });
            Outcome::Unreadable
        }
        Ok(_) if content.len() > PIECES_MAX => {
            let error = io::Error::new(io::ErrorKind::FileTooLarge, "it has too many parts");
            let path = entry.path.as_bytes().to_vec();
            engine.control.observer.trouble(&Trouble { path, action: "archive", error });
            Outcome::Unreadable
        }
        Ok(Ended { size, changed }) => {
            entry.kind = EntryKind::File { size };
            if changed {
                engine.control.observer.changed(&entry.path);
            }
            if changed { Outcome::Changed } else { Outcome::Done }
        }
    };
    Ok(Item { entry, content, outcome })
}
