//! Packs: about 64 MiB of segments in one encrypted message.
//!
//! A *segment* is up to about 1 MiB of consecutive new chunks compressed together; its stored
//! form says how to take it apart, so that a location whose index is lost can be read all the
//! same. A pack's plaintext is nothing but segments, one after the other.

mod reader;
mod scan;
mod segment;
mod writer;

pub(crate) use self::reader::Look;
pub use self::reader::{Fetched, PackReader};
pub(crate) use self::scan::{Visitor, scan};
pub use self::segment::{
    Codec, Decoded, Encoded, SEGMENT_PLAIN_BYTES_MAX, SEGMENT_STORED_BYTES_MAX,
};
pub use self::writer::{Ledger, PackWriter, WriterOptions};
use crate::id::{ChunkId, ObjectId};
use crate::store::{Kind, ObjectName};

/// Where a segment lies in the plaintext of its pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SegmentAt {
    /// The pack.
    pub pack: ObjectId,
    /// First byte in the pack's plaintext.
    pub offset: u64,
    /// Bytes that the segment takes there.
    pub stored_len: u32,
    /// Bytes that its chunks have together once decompressed.
    pub plain_len: u32,
}

impl SegmentAt {
    /// Whether a segment can lie there: its lengths are within the format's limits.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        self.stored_len as usize <= SEGMENT_STORED_BYTES_MAX
            && self.plain_len as usize <= SEGMENT_PLAIN_BYTES_MAX
            && self.offset.checked_add(u64::from(self.stored_len)).is_some()
    }

    /// One past its last byte in the pack's plaintext.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(u64::from(self.stored_len))
    }
}

/// Where a chunk lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChunkAt {
    /// The segment.
    pub segment: SegmentAt,
    /// First byte in the decompressed segment.
    pub offset: u32,
    /// Length in bytes.
    pub len: u32,
}

/// A chunk by name and place: all that is needed to read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChunkRef {
    /// What it is.
    pub id: ChunkId,
    /// Where it lies.
    pub at: ChunkAt,
}

/// The name of a pack of `kind`, which is data or metadata.
#[must_use]
pub fn pack_name(kind: Kind, id: ObjectId) -> ObjectName {
    match kind {
        Kind::Meta => ObjectName::MetaPack(id),
        _ => ObjectName::DataPack(id),
    }
}
