//! A kept object that is read in part: each page is verified when it is read.
//!
//! ```text
//! plain    the object's plaintext
//! hashes   of each page of 4 KiB of it, the first 16 bytes of the cache's keyed hash
//! notes    whatever its owner wants to find again without reading the object
//! trailer  magic "SRPAGED1" · length of plain u64 · length of notes u64 · keyed hash 32 of hashes, notes and
//!          the trailer before it
//! ```
//!
//! Little-endian. Opening one reads hashes, notes and trailer. Nothing of the plaintext stays in memory.

use std::fs::File;
use std::io::Write as _;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::chunk::ChunkHasher;
use crate::codec::Reader;
use crate::id::{ChunkId, ObjectId};

const MAGIC: &[u8; 8] = b"SRPAGED1";
const PAGE_BYTES: u64 = 4096;
const PAGE_HASH_BYTES: u64 = 16;
const TRAILER_BYTES: u64 = 24 + ChunkId::LEN as u64;

/// An object that is kept in a file.
pub(crate) struct PagedFile {
    file: File,
    id: ObjectId,
    hasher: Arc<ChunkHasher>,
    plain_len: u64,
    hashes: Vec<u8>,
}

/// Writes an object and its notes.
pub(super) fn write(
    file: &mut File,
    hasher: &ChunkHasher,
    id: &ObjectId,
    plain: &[u8],
    notes: &[u8],
) -> std::io::Result<()> {
    let mut end = Vec::with_capacity(plain.len() / 256 + notes.len() + TRAILER_BYTES as usize);
    for page in plain.chunks(PAGE_BYTES as usize) {
        end.extend_from_slice(page_hash(hasher, id, page).as_slice());
    }
    end.extend_from_slice(notes);
    end.extend_from_slice(MAGIC);
    end.extend_from_slice(&(plain.len() as u64).to_le_bytes());
    end.extend_from_slice(&(notes.len() as u64).to_le_bytes());
    let hash = hasher.local(id, &end);
    file.write_all(plain)?;
    file.write_all(&end)?;
    file.write_all(hash.as_bytes())
}

/// The beginning of a page's keyed hash. Which page it is follows from where the hash stands.
fn page_hash(hasher: &ChunkHasher, id: &ObjectId, page: &[u8]) -> [u8; PAGE_HASH_BYTES as usize] {
    let hash = hasher.local(id, page);
    hash.as_bytes().first_chunk().copied().unwrap_or_default()
}

impl PagedFile {
    /// Opens a file and returns its notes; `None` unless it is one and, as far as it was read, whole.
    pub(super) fn open(
        path: &Path,
        id: &ObjectId,
        hasher: Arc<ChunkHasher>,
    ) -> Option<(Self, Vec<u8>)> {
        let file = File::open(path).ok()?;
        let len = file.metadata().ok()?.len();
        let trailer_at = len.checked_sub(TRAILER_BYTES)?;
        let mut trailer = [0; TRAILER_BYTES as usize];
        file.read_exact_at(&mut trailer, trailer_at).ok()?;
        let mut reader = Reader::new(&trailer);
        (&reader.array::<8>().ok()? == MAGIC).then_some(())?;
        let (plain_len, notes_len) = (reader.u64().ok()?, reader.u64().ok()?);
        let hashes_len = plain_len.div_ceil(PAGE_BYTES).checked_mul(PAGE_HASH_BYTES)?;
        let ends = plain_len.checked_add(hashes_len)?.checked_add(notes_len)?;
        (ends == trailer_at).then_some(())?;

        let mut end = vec![0; usize::try_from(len - plain_len).ok()?];
        file.read_exact_at(&mut end, plain_len).ok()?;
        let (hashed, hash) = end.split_at_checked(end.len().checked_sub(ChunkId::LEN)?)?;
        (hasher.local(id, hashed).as_bytes().as_slice() == hash).then_some(())?;
        let notes_end = end.len().checked_sub(TRAILER_BYTES as usize)?;
        end.truncate(notes_end);
        let notes = end.split_off(usize::try_from(hashes_len).ok()?);
        end.shrink_to_fit();
        Some((Self { file, id: *id, hasher, plain_len, hashes: end }, notes))
    }

    /// Bytes of the object.
    pub(crate) fn len(&self) -> u64 {
        self.plain_len
    }

    /// Part of the object; `None` where it is not whole any more, or has no such part.
    pub(crate) fn read(&self, range: Range<u64>) -> Option<Bytes> {
        if range.start > range.end || range.end > self.plain_len {
            return None;
        }
        let first = range.start / PAGE_BYTES;
        let from = first * PAGE_BYTES;
        let to = range.end.next_multiple_of(PAGE_BYTES).min(self.plain_len);
        let mut pages = vec![0; usize::try_from(to.checked_sub(from)?).ok()?];
        self.file.read_exact_at(&mut pages, from).ok()?;
        let hashes_at = usize::try_from(first * PAGE_HASH_BYTES).ok()?;
        let mut hashes = self.hashes.get(hashes_at..)?.chunks_exact(PAGE_HASH_BYTES as usize);
        for page in pages.chunks(PAGE_BYTES as usize) {
            if page_hash(&self.hasher, &self.id, page).as_slice() != hashes.next()? {
                return None;
            }
        }
        let skip = usize::try_from(range.start - from).ok()?;
        let take = usize::try_from(range.end - range.start).ok()?;
        Some(Bytes::from(pages).slice(skip..skip + take))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::IdKey;

    fn hasher() -> Arc<ChunkHasher> {
        Arc::new(ChunkHasher::new(IdKey::new(Box::new([1; 32].into()))))
    }

    fn written(plain: &[u8], notes: &[u8], id: &ObjectId) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write(file.as_file_mut(), &hasher(), id, plain, notes).unwrap();
        file
    }

    #[test]
    fn every_part_reads_back() {
        let id = ObjectId::random();
        for len in [0, 1, 4095, 4096, 4097, 20_000] {
            let plain: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
            let file = written(&plain, b"notes", &id);
            let (opened, notes) = PagedFile::open(file.path(), &id, hasher()).unwrap();
            assert_eq!((notes.as_slice(), opened.len()), (b"notes".as_slice(), len as u64));
            for range in
                [0..len, 0..0, len / 2..len, len / 3..len / 2, 4000.min(len)..4200.min(len)]
            {
                let read = opened.read(range.start as u64..range.end as u64).unwrap();
                assert_eq!(read, plain[range]);
            }
            assert!(opened.read(0..len as u64 + 1).is_none());
        }
    }

    #[test]
    fn no_flipped_bit_is_read() {
        let id = ObjectId::random();
        let plain = vec![7; 9000];
        let file = written(&plain, b"notes", &id);
        let whole = std::fs::read(file.path()).unwrap();
        let mut refused = 0;
        for at in (0..9000).step_by(37).chain(9000..whole.len()) {
            let mut bytes = whole.clone();
            bytes[at] ^= 4;
            std::fs::write(file.path(), bytes).unwrap();
            let Some((opened, notes)) = PagedFile::open(file.path(), &id, hasher()) else {
                refused += 1;
                continue;
            };
            assert_eq!(notes, b"notes");
            let page = at as u64 / PAGE_BYTES * PAGE_BYTES;
            assert!(opened.read(page..page + 1).is_none(), "byte {at}");
        }
        assert_eq!(refused, whole.len() - 9000);
        std::fs::write(file.path(), &whole).unwrap();
        assert!(PagedFile::open(file.path(), &ObjectId::random(), hasher()).is_none());
        for cut in [0, 10, 9000, whole.len() - 1] {
            std::fs::write(file.path(), &whole[..cut]).unwrap();
            assert!(PagedFile::open(file.path(), &id, hasher()).is_none(), "{cut} bytes");
        }
    }
}
