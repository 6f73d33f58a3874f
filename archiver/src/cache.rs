//! A local folder of objects that were read before, which can be deleted at any time.
//!
//! A stored object never changes, so a cached one is as good, if it is the same: each file ends
//! with a keyed hash under the location's id key. A cache that lies would make a backup believe
//! that chunks are stored which are not, so what fails the hash is read again.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use crate::chunk::ChunkHasher;
use crate::error::{Error, Result};
use crate::id::{ChunkId, ObjectId};

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
        let path = self.path(id);
        let draft = self.folder.join(format!("{id}.{}", ObjectId::random()));
        let write = || {
            let mut file = fs::File::create(&draft)?;
            file.write_all(plain)?;
            file.write_all(self.hash(id, plain).as_bytes())?;
            fs::rename(&draft, &path)
        };
        write().map_err(|source| {
            let _ = fs::remove_file(&draft);
            Error::Cache { path: path.clone(), source }
        })
    }

    /// Removes every object but these.
    pub(crate) fn keep_only(&self, ids: &[ObjectId]) {
        let Ok(files) = fs::read_dir(&self.folder) else { return };
        for file in files.flatten() {
            let id = file.file_name().to_str().and_then(ObjectId::from_hex);
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
        cache.keep_only(&[one]);
        assert!(cache.path(&one).exists() && !cache.path(&two).exists());
        cache.remove(&one);
        assert!(!cache.path(&one).exists());
    }
}
