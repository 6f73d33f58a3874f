//! Reads whole packs, segment by segment: all that can be said of a pack without an index.

use std::sync::Arc;

use bytes::BytesMut;

use super::{Codec, Decoded, PackReader, SEGMENT_STORED_BYTES_MAX, SegmentAt, pack_name};
use crate::error::{Error, Result};
use crate::id::ObjectId;
use crate::store::Kind;

/// Plaintext bytes of a pack that are read with one request.
const READ_BYTES: u64 = 4 << 20;

/// Is shown every segment of a pack, in order.
pub(crate) trait Visitor: Send + 'static {
    /// Is shown one segment.
    fn segment(&mut self, at: &SegmentAt, segment: &Decoded);
}

/// Segments of one pack, taken apart as they arrive.
struct Segments<V> {
    kind: Kind,
    id: ObjectId,
    codec: Arc<Codec>,
    /// Where the pending bytes begin in the pack's plaintext.
    offset: u64,
    pending: BytesMut,
    visitor: V,
}

/// Reads pack `id` from its own header to its last byte, and shows its segments to `visitor`.
///
/// # Errors
/// As [`PackReader::fetch`]; [`Error::Damaged`] when it holds something that is no segment.
pub(crate) async fn scan<V: Visitor>(
    reader: &PackReader,
    codec: &Arc<Codec>,
    kind: Kind,
    id: ObjectId,
    visitor: V,
) -> Result<V> {
    let plain_len = reader.plain_len(kind, id).await?;
    let (codec, pending) = (codec.clone(), BytesMut::new());
    let mut segments = Segments { kind, id, codec, offset: 0, pending, visitor };
    let mut position = 0;
    while position < plain_len {
        let end = plain_len.min(position + READ_BYTES);
        let fetched = reader.fetch(kind, id, position..end).await?;
        position = end;
        let work = move || {
            segments.pending.extend_from_slice(&fetched.open()?);
            segments.take_apart()?;
            Ok::<_, Error>(segments)
        };
        let done = tokio::task::spawn_blocking(work).await;
        segments = done.map_err(|_| Error::StageLost { stage: "scan" })??;
    }
    if segments.pending.is_empty() {
        return Ok(segments.visitor);
    }
    Err(segments.damaged("its last segment is not complete"))
}

impl<V: Visitor> Segments<V> {
    fn take_apart(&mut self) -> Result<()> {
        while let Some((segment, length)) = self.codec.decode_first(&self.pending) {
            let at = SegmentAt {
                pack: self.id,
                offset: self.offset,
                // Both are within the limits of segments.
                stored_len: length as u32,
                plain_len: segment.plain().len() as u32,
            };
            self.visitor.segment(&at, &segment);
            drop(self.pending.split_to(length));
            self.offset += length as u64;
        }
        // What is longer than any segment and still none never will be one.
        if self.pending.len() > SEGMENT_STORED_BYTES_MAX {
            return Err(self.damaged("it holds something that is not a segment"));
        }
        Ok(())
    }

    fn damaged(&self, what: &'static str) -> Error {
        Error::Damaged { object: pack_name(self.kind, self.id), what }
    }
}
