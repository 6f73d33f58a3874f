//! Segments: chunks that are compressed together.
//!
//! ```text
//! method   u8        0 stored, 1 one zstd frame
//! body     varint    length of the body in bytes
//! count    varint    number of chunks
//! lengths  varint*   length of each chunk in bytes
//! body
//! ```

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::compress_bound;

use crate::buffers::{Buffer, Buffers};
use crate::codec::{Malformed, Parsed, Reader, Write};
use crate::error::{Error, Result};

/// Most bytes that the chunks of one segment have together: a pack may hold one chunk of the
/// largest size that any chunker makes. What bounds decompression.
pub const SEGMENT_PLAIN_BYTES_MAX: usize = 17 << 20;

/// Most bytes of a segment's stored form: no compressor's gain is negative, as what does not
/// shrink is stored, so this is the plain limit and room for the header.
pub const SEGMENT_STORED_BYTES_MAX: usize = SEGMENT_PLAIN_BYTES_MAX + (1 << 20);

/// How much of a segment is tried to see whether it compresses at all: so many samples…
const PROBE_SAMPLES: usize = 4;
/// … of so many bytes each.
const PROBE_SAMPLE_BYTES: usize = 4 << 10;

const STORED: u8 = 0;
const ZSTD: u8 = 1;

/// Buffers that are kept between calls: some for each thread…
const BUFFERS_KEPT_MAX: usize = 24;
/// … that hold a segment of any usual size.
const BUFFER_BYTES_MAX: usize = 4 << 20;

/// Compresses and decompresses segments on any number of threads.
///
/// Keeps the contexts and the buffers between calls, as they are megabytes each.
pub struct Codec {
    level: i32,
    compressors: Mutex<Vec<Compressor<'static>>>,
    decompressors: Mutex<Vec<Decompressor<'static>>>,
    buffers: Arc<Buffers>,
}

/// A segment in its stored form.
pub struct Encoded<'a> {
    /// What comes before the body.
    head: Vec<u8>,
    body: Body<'a>,
    plain_len: u32,
}

enum Body<'a> {
    /// As it is.
    Stored(&'a [u8]),
    /// One zstd frame.
    Compressed(Buffer),
}

/// A segment taken apart.
pub struct Decoded {
    plain: Buffer,
    lengths: Vec<u32>,
}

/// What a stored segment says of itself.
struct Head {
    method: u8,
    body_len: usize,
    plain_len: usize,
    lengths: Vec<u32>,
}

impl Codec {
    /// A codec that compresses at a zstd level.
    #[must_use]
    pub fn new(level: i32) -> Self {
        Self {
            level,
            compressors: Mutex::default(),
            decompressors: Mutex::default(),
            buffers: Buffers::new(BUFFERS_KEPT_MAX, BUFFER_BYTES_MAX),
        }
    }

    /// An empty buffer for about a segment.
    pub(crate) fn buffer(&self) -> Buffer {
        self.buffers.take()
    }

    /// Brings the chunks that lie one after another in `plain`, with these `lengths`, into
    /// stored form.
    ///
    /// # Errors
    /// [`Error::Compress`] when zstd fails.
    pub fn encode<'a>(&self, plain: &'a [u8], lengths: &[u32]) -> Result<Encoded<'a>> {
        let fail = |source| Error::Compress { source };
        let plain_len = u32::try_from(plain.len()).map_err(|_| fail(io::Error::other("length")))?;
        let mut compressor = self.compressor().map_err(fail)?;
        let mut frame = self.buffer();
        if compresses(&mut compressor, plain).map_err(fail)? {
            frame.reserve(compress_bound(plain.len()));
            compressor.compress_to_buffer(plain, &mut *frame).map_err(fail)?;
        }
        give_back(&self.compressors, compressor);
        let is_smaller = (1..plain.len()).contains(&frame.len());
        let body = if is_smaller { Body::Compressed(frame) } else { Body::Stored(plain) };
        let mut head = Vec::with_capacity(16 + 3 * lengths.len());
        head.push(if is_smaller { ZSTD } else { STORED });
        head.varint(body.bytes().len() as u64);
        head.varint(lengths.len() as u64);
        for &length in lengths {
            head.varint(u64::from(length));
        }
        Ok(Encoded { head, body, plain_len })
    }

    /// Whether what was encoded has these `lengths` and gives, taken apart again, what `is_right` accepts.
    pub(crate) fn reads_back(
        &self,
        encoded: &Encoded<'_>,
        lengths: &[u32],
        is_right: impl FnOnce(&[u8]) -> bool,
    ) -> bool {
        let mut reader = Reader::new(&encoded.head);
        let Ok(head) = Head::take(&mut reader) else { return false };
        let body = encoded.body.bytes();
        if reader.end().is_err() || head.lengths != lengths || head.body_len != body.len() {
            return false;
        }
        match head.method {
            STORED => body.len() == head.plain_len && is_right(body),
            _ => self.plain(&head, body).is_ok_and(|plain| is_right(&plain)),
        }
    }

    /// Takes a stored segment apart; `None` when it is none, or has more than
    /// [`SEGMENT_PLAIN_BYTES_MAX`] plain bytes.
    #[must_use]
    pub fn decode(&self, stored: &[u8]) -> Option<Decoded> {
        let mut reader = Reader::new(stored);
        let decoded = self.decode_next(&mut reader).ok()?;
        reader.end().ok()?;
        Some(decoded)
    }

    /// Takes the first of several segments apart, and says where the next begins.
    #[must_use]
    pub fn decode_first(&self, stored: &[u8]) -> Option<(Decoded, usize)> {
        let mut reader = Reader::new(stored);
        let decoded = self.decode_next(&mut reader).ok()?;
        Some((decoded, stored.len() - reader.rest().len()))
    }

    fn decode_next(&self, reader: &mut Reader<'_>) -> Parsed<Decoded> {
        let head = Head::take(reader)?;
        let plain = self.plain(&head, reader.bytes(head.body_len)?)?;
        Ok(Decoded { plain, lengths: head.lengths })
    }

    fn plain(&self, head: &Head, body: &[u8]) -> Parsed<Buffer> {
        let mut plain = self.buffer();
        match head.method {
            STORED => plain.extend_from_slice(body),
            ZSTD => self.decompress(body, head.plain_len, &mut plain).map_err(|_| Malformed)?,
            _ => return Err(Malformed),
        }
        if plain.len() == head.plain_len { Ok(plain) } else { Err(Malformed) }
    }

    fn decompress(&self, body: &[u8], plain_len: usize, plain: &mut Vec<u8>) -> io::Result<()> {
        let kept = self.decompressors.lock().ok().and_then(|mut free| free.pop());
        let mut decompressor = kept.map_or_else(Decompressor::new, Ok)?;
        // The capacity bounds what comes out, whatever the frame says of itself.
        plain.reserve(plain_len);
        decompressor.decompress_to_buffer(body, plain)?;
        give_back(&self.decompressors, decompressor);
        Ok(())
    }

    fn compressor(&self) -> io::Result<Compressor<'static>> {
        let kept = self.compressors.lock().ok().and_then(|mut free| free.pop());
        kept.map_or_else(|| Compressor::new(self.level), Ok)
    }
}

impl<'a> Encoded<'a> {
    /// A whole segment in its stored form, whose chunks have `plain_len` bytes together.
    pub(crate) fn of_stored(stored: &'a [u8], plain_len: u32) -> Self {
        Self { head: Vec::new(), body: Body::Stored(stored), plain_len }
    }

    /// What goes into the pack, one piece after the other.
    pub(crate) fn pieces(&self) -> [&[u8]; 2] {
        [&self.head, self.body.bytes()]
    }

    /// How many bytes that is.
    pub(crate) fn stored_len(&self) -> usize {
        self.head.len() + self.body.bytes().len()
    }

    /// Bytes of its chunks together.
    pub(crate) fn plain_len(&self) -> u32 {
        self.plain_len
    }
}

impl Body<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Stored(plain) => plain,
            Self::Compressed(frame) => frame,
        }
    }
}

impl Head {
    fn take(reader: &mut Reader<'_>) -> Parsed<Self> {
        let method = reader.u8()?;
        let body_len = usize::try_from(reader.varint()?).map_err(|_| Malformed)?;
        let count = reader.count(1)?;
        let lengths = (0..count).map(|_| reader.varint_u32()).collect::<Parsed<Vec<_>>>()?;
        let plain_len = lengths.iter().map(|&l| u64::from(l)).sum::<u64>();
        let plain_len = usize::try_from(plain_len).map_err(|_| Malformed)?;
        if plain_len > SEGMENT_PLAIN_BYTES_MAX {
            return Err(Malformed);
        }
        Ok(Self { method, body_len, plain_len, lengths })
    }
}

impl Decoded {
    /// The chunks' bytes, one after another.
    #[must_use]
    pub fn plain(&self) -> &[u8] {
        &self.plain
    }

    /// The bytes of the chunk at `offset` with `len` bytes; `None` outside of the segment.
    #[must_use]
    pub fn chunk(&self, offset: u32, len: u32) -> Option<&[u8]> {
        let start = offset as usize;
        self.plain.get(start..start.checked_add(len as usize)?)
    }

    /// Where each chunk lies in [`Decoded::plain`].
    pub fn chunks(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.lengths.iter().scan(0, |start, &length| {
            let end = *start + length as usize;
            Some(std::mem::replace(start, end)..end)
        })
    }
}

fn give_back<T>(free: &Mutex<Vec<T>>, context: T) {
    // A poisoned list only costs the next caller a new context.
    if let Ok(mut free) = free.lock() {
        free.push(context);
    }
}

/// Tries a few samples: encrypted or compressed data is not worth a whole attempt.
fn compresses(compressor: &mut Compressor<'_>, plain: &[u8]) -> io::Result<bool> {
    let probe_bytes = PROBE_SAMPLES * PROBE_SAMPLE_BYTES;
    if plain.len() < 4 * probe_bytes {
        return Ok(true);
    }
    let stride = plain.len() / PROBE_SAMPLES;
    let samples: Vec<u8> = plain
        .chunks(stride)
        .take(PROBE_SAMPLES)
        .flat_map(|part| part.get(..PROBE_SAMPLE_BYTES).unwrap_or(part))
        .copied()
        .collect();
    // Below three per cent, reading back costs more than the room is worth.
    Ok(compressor.compress(&samples)?.len() < samples.len() / 100 * 97)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn noise(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    }

    fn encode(plain: &[u8]) -> Vec<u8> {
        Codec::new(3).encode(plain, &[plain.len() as u32]).unwrap().pieces().concat()
    }

    #[test]
    fn what_does_not_read_back_is_noticed() {
        let codec = Codec::new(3);
        for plain in [vec![7; 1_000], noise(1 << 20)] {
            let lengths = [plain.len() as u32];
            let encoded = codec.encode(&plain, &lengths).unwrap();
            assert!(codec.reads_back(&encoded, &lengths, |read| read == plain));
            assert!(!codec.reads_back(&encoded, &lengths, |_| false));
            assert!(!codec.reads_back(&encoded, &[lengths[0] - 1, 1], |_| true));
        }
        let (plain, lengths) = (vec![7; 1_000], [1_000]);
        let mut encoded = codec.encode(&plain, &lengths).unwrap();
        let Body::Compressed(frame) = &mut encoded.body else { panic!() };
        frame[0] ^= 1;
        assert!(!codec.reads_back(&encoded, &lengths, |_| true));
    }

    #[test]
    fn incompressible_data_is_stored() {
        let plain = noise(1 << 20);
        let encoded = encode(&plain);
        assert_eq!(encoded[0], STORED);
        assert_eq!(Codec::new(3).decode(&encoded).unwrap().plain(), plain);
    }

    #[test]
    fn a_bomb_stays_within_what_its_lengths_say() {
        let plain = vec![0; 16 << 20];
        let encoded = encode(&plain);
        // The same frame, said to hold less and said to hold more than is allowed.
        for lie in [1 << 20, SEGMENT_PLAIN_BYTES_MAX as u64 + 1] {
            let mut reader = Reader::new(&encoded[1..]);
            let body_len = reader.varint().unwrap() as usize;
            let mut lying = vec![ZSTD];
            lying.varint(body_len as u64);
            lying.varint(1);
            lying.varint(lie);
            lying.extend_from_slice(&encoded[encoded.len() - body_len..]);
            assert!(Codec::new(3).decode(&lying).is_none());
        }
        assert!(Codec::new(3).decode(&encoded).is_some());
    }

    #[test]
    fn the_plain_limit_itself_is_allowed() {
        let plain = vec![7; SEGMENT_PLAIN_BYTES_MAX];
        assert_eq!(Codec::new(1).decode(&encode(&plain)).unwrap().plain().len(), plain.len());
    }

    proptest! {
        #[test]
        fn segments_read_back(chunks: Vec<Vec<u8>>) {
            let codec = Codec::new(3);
            let lengths: Vec<u32> = chunks.iter().map(|c| c.len() as u32).collect();
            let plain = chunks.concat();
            let encoded = codec.encode(&plain, &lengths).unwrap();
            prop_assert!(codec.reads_back(&encoded, &lengths, |read| read == plain));
            let decoded = codec.decode(&encoded.pieces().concat()).unwrap();
            let read: Vec<_> = decoded.chunks().map(|r| decoded.plain()[r].to_vec()).collect();
            prop_assert_eq!(read, chunks);
        }

        #[test]
        fn any_bytes_are_a_segment_or_refused(bytes: Vec<u8>) {
            let _ = Codec::new(3).decode(&bytes);
        }
    }
}
