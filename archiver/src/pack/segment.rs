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
use std::sync::Mutex;

use zstd::bulk::{Compressor, Decompressor};

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

/// Compresses and decompresses segments on any number of threads.
///
/// Keeps the contexts between calls, as they are megabytes each.
pub struct Codec {
    level: i32,
    compressors: Mutex<Vec<Compressor<'static>>>,
    decompressors: Mutex<Vec<Decompressor<'static>>>,
}

/// A segment in its stored form.
pub struct Encoded {
    /// What goes into the pack.
    pub bytes: Vec<u8>,
    /// Bytes of its chunks together.
    pub plain_len: u32,
}

/// A segment taken apart.
pub struct Decoded {
    plain: Vec<u8>,
    lengths: Vec<u32>,
}

impl Codec {
    /// A codec that compresses at a zstd level.
    #[must_use]
    pub fn new(level: i32) -> Self {
        Self { level, compressors: Mutex::default(), decompressors: Mutex::default() }
    }

    /// Brings the chunks that lie one after another in `plain`, with these `lengths`, into
    /// stored form.
    ///
    /// # Errors
    /// [`Error::Compress`] when zstd fails.
    pub fn encode(&self, plain: &[u8], lengths: &[u32]) -> Result<Encoded> {
        let fail = |source| Error::Compress { source };
        let plain_len = u32::try_from(plain.len()).map_err(|_| fail(io::Error::other("length")))?;
        let mut compressor = self.compressor().map_err(fail)?;
        let compressed = match compresses(&mut compressor, plain).map_err(fail)? {
            true => Some(compressor.compress(plain).map_err(fail)?),
            false => None,
        };
        give_back(&self.compressors, compressor);
        let (method, body) = match &compressed {
            Some(body) if body.len() < plain.len() => (ZSTD, body.as_slice()),
            _ => (STORED, plain),
        };
        let mut bytes = Vec::with_capacity(body.len() + 16 + 3 * lengths.len());
        bytes.push(method);
        bytes.varint(body.len() as u64);
        bytes.varint(lengths.len() as u64);
        for &length in lengths {
            bytes.varint(u64::from(length));
        }
        bytes.extend_from_slice(body);
        Ok(Encoded { bytes, plain_len })
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
        let method = reader.u8()?;
        let body_len = usize::try_from(reader.varint()?).map_err(|_| Malformed)?;
        let count = reader.count(1)?;
        let lengths = (0..count).map(|_| reader.varint_u32()).collect::<Parsed<Vec<_>>>()?;
        let plain_len = lengths.iter().map(|&l| u64::from(l)).sum::<u64>();
        let plain_len = usize::try_from(plain_len).map_err(|_| Malformed)?;
        if plain_len > SEGMENT_PLAIN_BYTES_MAX {
            return Err(Malformed);
        }
        let body = reader.bytes(body_len)?;
        let plain = match method {
            STORED => body.to_vec(),
            ZSTD => self.decompress(body, plain_len).map_err(|_| Malformed)?,
            _ => return Err(Malformed),
        };
        if plain.len() == plain_len { Ok(Decoded { plain, lengths }) } else { Err(Malformed) }
    }

    fn decompress(&self, body: &[u8], plain_len: usize) -> io::Result<Vec<u8>> {
        let kept = self.decompressors.lock().ok().and_then(|mut free| free.pop());
        let mut decompressor = kept.map_or_else(Decompressor::new, Ok)?;
        // The capacity bounds what comes out, whatever the frame says of itself.
        let plain = decompressor.decompress(body, plain_len)?;
        give_back(&self.decompressors, decompressor);
        Ok(plain)
    }

    fn compressor(&self) -> io::Result<Compressor<'static>> {
        let kept = self.compressors.lock().ok().and_then(|mut free| free.pop());
        kept.map_or_else(|| Compressor::new(self.level), Ok)
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

    #[test]
    fn incompressible_data_is_stored() {
        let plain = noise(1 << 20);
        let encoded = Codec::new(3).encode(&plain, &[1 << 20]).unwrap();
        assert_eq!(encoded.bytes[0], STORED);
        assert_eq!(Codec::new(3).decode(&encoded.bytes).unwrap().plain(), plain);
    }

    #[test]
    fn a_bomb_stays_within_what_its_lengths_say() {
        let plain = vec![0; 16 << 20];
        let encoded = Codec::new(3).encode(&plain, &[16 << 20]).unwrap();
        // The same frame, said to hold less and said to hold more than is allowed.
        for lie in [1 << 20, SEGMENT_PLAIN_BYTES_MAX as u64 + 1] {
            let mut reader = Reader::new(&encoded.bytes[1..]);
            let body_len = reader.varint().unwrap() as usize;
            let mut lying = vec![ZSTD];
            lying.varint(body_len as u64);
            lying.varint(1);
            lying.varint(lie);
            lying.extend_from_slice(&encoded.bytes[encoded.bytes.len() - body_len..]);
            assert!(Codec::new(3).decode(&lying).is_none());
        }
        assert!(Codec::new(3).decode(&encoded.bytes).is_some());
    }

    #[test]
    fn the_plain_limit_itself_is_allowed() {
        let plain = vec![7; SEGMENT_PLAIN_BYTES_MAX];
        let encoded = Codec::new(1).encode(&plain, &[plain.len() as u32]).unwrap();
        assert_eq!(Codec::new(1).decode(&encoded.bytes).unwrap().plain().len(), plain.len());
    }

    proptest! {
        #[test]
        fn segments_read_back(chunks: Vec<Vec<u8>>) {
            let codec = Codec::new(3);
            let lengths: Vec<u32> = chunks.iter().map(|c| c.len() as u32).collect();
            let encoded = codec.encode(&chunks.concat(), &lengths).unwrap();
            let decoded = codec.decode(&encoded.bytes).unwrap();
            let read: Vec<_> = decoded.chunks().map(|r| decoded.plain()[r].to_vec()).collect();
            prop_assert_eq!(read, chunks);
        }

        #[test]
        fn any_bytes_are_a_segment_or_refused(bytes: Vec<u8>) {
            let _ = Codec::new(3).decode(&bytes);
        }
    }
}
