//! The surfaces of the SDK, all of them, for one message.

use std::sync::{Arc, LazyLock};

use rayon::{ThreadPool, ThreadPoolBuilder};
use strongroom_sdk::{Error, Result};

mod read;
mod write;

pub(super) use read::{RangeOfSigned, open, read};
pub(super) use write::{write, write_block};

/// How much a stream is given at a time: no divisor of the usual frame lengths.
const PART_BYTES: usize = 1000;

/// What one surface made of a message, or of a plaintext.
pub(super) struct Outcome {
    pub(super) surface: &'static str,
    /// The plaintext that was read, or the message that was written.
    pub(super) bytes: Result<Vec<u8>>,
}

/// The threads of the parallel surfaces: at least two, so that frames do overtake each other.
fn pool() -> Result<Arc<ThreadPool>> {
    static POOL: LazyLock<Option<Arc<ThreadPool>>> = LazyLock::new(|| {
        let threads = std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2));
        ThreadPoolBuilder::new().num_threads(threads).build().ok().map(Arc::new)
    });
    let none = || Error::Io {
        operation: "starting threads",
        source: std::io::Error::other("the pool of the parallel surfaces could not be made"),
    };
    POOL.clone().ok_or_else(none)
}

/// The SDK's error inside an I/O error.
fn unpack(error: std::io::Error) -> Error {
    error.downcast::<Error>().unwrap_or_else(|source| Error::Io { operation: "streaming", source })
}
