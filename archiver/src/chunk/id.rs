//! Names of chunks: keyed BLAKE3-256.

use zeroize::Zeroizing;

use crate::id::{ChunkId, ObjectId};

/// The location's secret key for chunk ids, 32 bytes.
///
/// Whoever has it can test whether a location holds a file that he knows; it is one of the
/// location's secrets and zeroised when dropped.
pub struct IdKey(Box<Zeroizing<[u8; 32]>>);

/// Computes the ids of one location.
pub struct ChunkHasher {
    key: IdKey,
    /// For what is kept outside of the store: no chunk that anybody archives has such a hash.
    local: Box<Zeroizing<[u8; 32]>>,
}

impl IdKey {
    /// Takes the key's bytes.
    #[must_use]
    pub fn new(bytes: Box<Zeroizing<[u8; 32]>>) -> Self {
        Self(bytes)
    }

    /// The key's bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl ChunkHasher {
    /// A hasher under `key`.
    #[must_use]
    pub fn new(key: IdKey) -> Self {
        let local = blake3::derive_key("strongroom local cache 1", key.expose());
        Self { key, local: Box::new(Zeroizing::new(local)) }
    }

    /// The hash that vouches for a locally kept copy of object `id`.
    pub(crate) fn local(&self, id: &ObjectId, plain: &[u8]) -> ChunkId {
        let mut hasher = blake3::Hasher::new_keyed(&self.local);
        hasher.update(id.as_bytes()).update(plain);
        ChunkId::from_bytes(*hasher.finalize().as_bytes())
    }

    /// The id of a chunk with these bytes.
    #[must_use]
    pub fn id(&self, chunk: &[u8]) -> ChunkId {
        ChunkId::from_bytes(*blake3::keyed_hash(self.key.expose(), chunk).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_depend_on_content_and_key() {
        let hasher = |byte| ChunkHasher::new(IdKey::new(Box::new([byte; 32].into())));
        assert_eq!(hasher(1).id(b"a"), hasher(1).id(b"a"));
        assert_ne!(hasher(1).id(b"a"), hasher(1).id(b"b"));
        assert_ne!(hasher(1).id(b"a"), hasher(2).id(b"a"));
    }
}
