//! The bytes of one archived file, in order: for what wants a stream and no files.

use std::ops::Range;
use std::sync::Arc;

use futures::stream::{self, StreamExt};

use crate::control::Control;
use crate::error::{Error, Result};
use crate::location::Location;
use crate::pack::{Decoded, PackReader, SegmentAt};
use crate::snapshot::{Node, Piece};
use crate::store::Kind;

/// Segments that are read ahead of the one that is handed out.
const SEGMENTS_AHEAD: usize = 8;

/// Zeroes that are handed out at a time for a hole.
static ZEROES: [u8; 64 << 10] = [0; 64 << 10];

/// Hands the bytes `range` of the regular file `node` to `sink`, in order, holes as zeroes. A range
/// that goes beyond the end of the file ends there; nothing is read but what the range needs.
///
/// # Errors
/// [`Error::Store`], [`Error::Decrypt`], [`Error::Damaged`]; [`Error::Stopped`]; whatever `sink`
/// answers. What was handed out before is right in any case.
pub async fn read<E: From<Error>>(
    location: &Arc<Location>,
    node: &Node,
    range: Range<u64>,
    control: &Control,
    mut sink: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let end = range.end.min(node.entry.size().unwrap_or(0));
    let reader = Arc::new(location.reader(None));
    let mut segments = stream::iter(by_segment(&node.content, range.start..end))
        .map(|(at, pieces)| {
            let segment = tokio::spawn(fetch(reader.clone(), at));
            async move { (pieces, segment.await) }
        })
        .buffered(SEGMENTS_AHEAD);
    let mut position = range.start;
    while let Some((pieces, segment)) = segments.next().await {
        control.check()?;
        let segment = segment.map_err(|_| Error::StageLost { stage: "read" })?;
        for piece in pieces {
            let elsewhere;
            let bytes = match &segment {
                Ok(segment) => reader.chunk(Kind::Data, &piece.chunk, segment)?,
                // A collector may have moved it.
                Err(_) => {
                    elsewhere = reader.read(Kind::Data, &piece.chunk).await?;
                    elsewhere.as_slice()
                }
            };
            zeroes(position..piece.start, &mut sink)?;
            let from = position.saturating_sub(piece.start);
            let to = end.saturating_sub(piece.start).min(bytes.len() as u64);
            let wanted = bytes.get(from as usize..to as usize).unwrap_or_default();
            sink(wanted)?;
            control.progress.add(0, wanted.len() as u64);
            position = piece.start + to;
        }
    }
    zeroes(position..end, &mut sink)
}

async fn fetch(reader: Arc<PackReader>, at: SegmentAt) -> Result<Decoded> {
    reader.segment(Kind::Data, &at).await
}

/// The pieces that overlap `range`, those together that lie in one segment.
fn by_segment(content: &[Piece], range: Range<u64>) -> Vec<(SegmentAt, Vec<Piece>)> {
    let mut segments: Vec<(SegmentAt, Vec<Piece>)> = Vec::new();
    for piece in content {
        let end = piece.start + u64::from(piece.chunk.at.len);
        if end <= range.start || piece.start >= range.end {
            continue;
        }
        let at = piece.chunk.at.segment;
        match segments.last_mut() {
            Some((last, pieces)) if *last == at => pieces.push(*piece),
            _ => segments.push((at, vec![*piece])),
        }
    }
    segments
}

fn zeroes<E>(range: Range<u64>, sink: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    let mut remaining = range.end.saturating_sub(range.start);
    while remaining > 0 {
        let count = remaining.min(ZEROES.len() as u64);
        sink(ZEROES.get(..count as usize).unwrap_or_default())?;
        remaining -= count;
    }
    Ok(())
}
