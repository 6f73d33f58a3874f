//! One message on one core or on several.

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;

use rayon::ThreadPool;
use strongroom_sdk::Result;
use strongroom_sdk::materials::{DecryptionMaterials, EncryptionMaterials};
use strongroom_sdk::message::header::HeaderFields;
use strongroom_sdk::options::EncryptOptions;
use strongroom_sdk::parallel::{ParallelDecryptor, ParallelEncryptor};
use strongroom_sdk::stream::{EncryptWriter, PendingReader};

use super::single_block::BlockWriter;

/// Shortest file that is worth several cores, in bytes.
const PARALLEL_BYTES_MIN: u64 = 4 << 20;

/// Threads to share one message among, if any.
pub(super) type Pool = Option<Arc<ThreadPool>>;

/// A pool of all cores; `None` where there is one.
pub(super) fn pool_of_cores() -> io::Result<Pool> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let pool = (threads > 1).then(|| rayon::ThreadPoolBuilder::new().num_threads(threads).build());
    pool.transpose().map(|pool| pool.map(Arc::new)).map_err(io::Error::other)
}

/// `pool`, if `file` is long enough to be worth it. A pipe is not: what comes slowly shall go on at
/// once.
pub(super) fn worth_it(pool: &Pool, file: &File) -> Pool {
    let long = |stat: std::fs::Metadata| stat.is_file() && stat.len() >= PARALLEL_BYTES_MIN;
    pool.clone().filter(|_| file.metadata().is_ok_and(long))
}

/// Writes one message.
pub(super) enum Sealer<W: Write> {
    Serial(EncryptWriter<W>),
    Parallel(ParallelEncryptor<W>),
    SingleBlock(BlockWriter<W>),
}

impl<W: Write + Send> Sealer<W> {
    /// Begins a message on `inner`, in frames of that length, or in one block when it is zero.
    pub(super) fn new(
        inner: W,
        materials: EncryptionMaterials,
        frame_length: u32,
        pool: Pool,
    ) -> Result<Self> {
        let options = EncryptOptions { frame_length };
        Ok(match pool {
            _ if frame_length == 0 => Self::SingleBlock(BlockWriter::new(inner, materials)?),
            None => Self::Serial(EncryptWriter::new(inner, materials, &options)?),
            Some(pool) => Self::Parallel(ParallelEncryptor::new(inner, materials, &options, pool)?),
        })
    }

    /// What the header of the message says.
    pub(super) fn header_fields(&self) -> &HeaderFields {
        match self {
            Self::Serial(writer) => writer.header_fields(),
            Self::Parallel(writer) => writer.header_fields(),
            Self::SingleBlock(writer) => writer.header_fields(),
        }
    }

    /// Completes the message.
    ///
    /// Its final frame is never a full one: the SDK in the official command line refuses those.
    pub(super) fn finish(self) -> Result<W> {
        match self {
            Self::Serial(writer) => writer.finish_with_short_frame(),
            Self::Parallel(writer) => writer.finish_with_short_frame(),
            Self::SingleBlock(writer) => writer.finish(),
        }
    }
}

impl<W: Write + Send> Write for Sealer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Serial(writer) => writer.write(bytes),
            Self::Parallel(writer) => writer.write(bytes),
            Self::SingleBlock(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Serial(writer) => writer.flush(),
            Self::Parallel(writer) => writer.flush(),
            Self::SingleBlock(writer) => writer.flush(),
        }
    }
}

/// The reader of the plaintext of the message that `pending` has begun to read.
pub(super) fn open<'a, R: Read + Send + 'a>(
    pending: PendingReader<R>,
    materials: DecryptionMaterials,
    pool: Pool,
) -> Result<Box<dyn Read + 'a>> {
    Ok(match pool {
        None => Box::new(pending.verify(materials)?),
        Some(pool) => Box::new(ParallelDecryptor::new(pending, materials, pool)?),
    })
}
