//! A local folder of objects that were read before, which can be deleted at any time.
//!
//! A stored object never changes, so a cached one is as good, if it is the same: each file ends
//! with a keyed hash under the location's id key. A cache that lies would make a backup believe
//! that chunks are stored which are not, so what fails the hash is read again. Large objects that are read in part have
//! a hash of each page instead.

mod paged;

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

pub(crate) use self::paged::PagedFile;

use crate::chunk::ChunkHasher;
use crate::error::{Error, Result};
use crate::id::{ChunkId, ObjectId};

/// What the names of files end with that are read in part.
const PAGED: &str = ".paged";

/// Decrypted objects of one family of one location, kept in a folder of their own.
pub(crate) struct LocalCache {
    folder: PathBuf,
    hasher: Arc<ChunkHasher>,
}

impl LocalCache {
    /// A cache in `folder`, which is made when it is missing.
    ///
    /// # Errors
    /// [`Error::Cache`] when it cannot be made.
    pub(crate) fn open(folder: PathBuf, hasher: Arc<ChunkHasher>) -> Result<Self> {
        // Names of files and machines are in there: not for other users of this machine.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|source| Error::Cache { path: folder.clone(), source })?;
        Ok(Self { folder, hasher })
    }

    /// The plaintext of object `id`, if it is here and whole.
    pub(crate) fn get(&self, id: &ObjectId) -> Option<Bytes> {
        self.get_whole(id).or_else(|| {
            let (file, _) = self.paged(id)?;
            file.read(0..file.len())
        })
    }

    fn get_whole(&self, id: &ObjectId) -> Option<Bytes> {
        let mut bytes = fs::read(self.path(id)).ok()?;
        let plain_len = bytes.len().checked_sub(ChunkId::LEN)?;
        let (plain, hash) = bytes.split_at(plain_len);
        if self.hash(id, plain).as_bytes() != hash {
            return None;
        }
        bytes.truncate(plain_len);
        Some(bytes.into())
    }

    /// Keeps the plaintext of object `id`.
    ///
    /// # Errors
    /// [`Error::Cache`]; it is not kept then, and nothing else is lost.
    pub(crate) fn put(&self, id: &ObjectId, plain: &[u8]) -> Result<()> {
        self.create(id, &self.path(id), |file| {
            file.write_all(plain)?;
            file.write_all(self.hash(id, plain).as_bytes())
        })
    }

    /// Object `id`, to be read in part, and what was noted beside it; if it was kept that way and its notes are whole.
    pub(crate) fn paged(&self, id: &ObjectId) -> Option<(PagedFile, Vec<u8>)> {
        PagedFile::open(&self.paged_path(id), id, self.hasher.clone())
    }

    /// Keeps the plaintext of object `id` to be read in part, and notes beside it.
    ///
    /// # Errors
    /// As [`LocalCache::put`].
    pub(crate) fn put_paged(&self, id: &ObjectId, plain: &[u8], notes: &[u8]) -> Result<()> {
        let path = self.paged_path(id);
        self.create(id, &path, |file| paged::write(file, &self.hasher, id, plain, notes))
    }

    fn create(
        &self,
        id: &ObjectId,
        path: &Path,
        write: impl FnOnce(&mut fs::File) -> io::Result<()>,
    ) -> Result<()> {
        let draft = self.folder.join(format!("{id}.{}", ObjectId::random()));
        let write = || {
            write(&mut fs::File::create(&draft)?)?;
            fs::rename(&draft, path)
        };
        write().map_err(|source| {
            let _ = fs::remove_file(&draft);
            Error::Cache { path: path.to_owned(), source }
        })
    }

    /// Removes every object but these.
    pub(crate) fn keep_only(&self, ids: &[ObjectId]) {
        let Ok(files) = fs::read_dir(&self.folder) else { return };
        for file in files.flatten() {
            let name = file.file_name();
            let name = name.to_str().map(|name| name.strip_suffix(PAGED).unwrap_or(name));
            let id = name.and_then(ObjectId::from_hex);
            if id.is_none_or(|id| !ids.contains(&id)) {
                // A file that stays is only room that is not free.
                let _ = fs::remove_file(file.path());
            }
        }
    }

    /// Removes one object.
    pub(crate) fn remove(&self, id: &ObjectId) {
        // As above, or it was not there.
        let _ = fs::remove_file(self.path(id));
        let _ = fs::remove_file(self.paged_path(id));
    }

    fn paged_path(&self, id: &ObjectId) -> PathBuf {
        self.folder.join(format!("{id}{PAGED}"))
    }

    fn path(&self, id: &ObjectId) -> PathBuf {
        self.folder.join(id.to_string())
    }

    /// Over the name too: one object's file cannot stand in for another's.
    fn hash(&self, id: &ObjectId, plain: &[u8]) -> ChunkId {
        self.hasher.local(id, plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::IdKey;

    #[test]
    fn only_whole_objects_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let hasher = Arc::new(ChunkHasher::new(IdKey::new(Box::new([1; 32].into()))));
        let cache = LocalCache::open(folder.path().join("a/b"), hasher).unwrap();
        let (one, two) = (ObjectId::random(), ObjectId::random());
        assert!(cache.get(&one).is_none());
        cache.put(&one, b"plain").unwrap();
        assert_eq!(cache.get(&one).unwrap().as_ref(), b"plain");
        fs::copy(cache.path(&one), cache.path(&two)).unwrap();
        assert!(cache.get(&two).is_none(), "another object's file");
        let mut bytes = fs::read(cache.path(&one)).unwrap();
        bytes[2] ^= 1;
        fs::write(cache.path(&one), bytes).unwrap();
        assert!(cache.get(&one).is_none(), "a flipped bit");
        cache.put_paged(&one, b"plain in pages", b"").unwrap();
        cache.put_paged(&two, b"plain in pages", b"").unwrap();
        assert_eq!(cache.get(&one).unwrap().as_ref(), b"plain in pages");
        cache.keep_only(&[one]);
        assert!(cache.path(&one).exists() && !cache.path(&two).exists());
        assert!(cache.paged(&one).is_some() && cache.paged(&two).is_none());
        cache.remove(&one);
        assert!(!cache.path(&one).exists() && cache.paged(&one).is_none());
    }
}
