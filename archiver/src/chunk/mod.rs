//! Content-defined chunks: where they are cut and what they are called.

mod cut;
mod id;

pub use self::cut::{Chunker, ChunkerKey, ChunkerParameters, Chunkers, LONG_FILE_BYTES};
pub use self::id::{ChunkHasher, IdKey};
