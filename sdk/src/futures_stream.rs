//! Messages as streams of [`Bytes`](bytes::Bytes): what object stores and HTTP bodies give and take.
//!
//! Plaintext is opened in the memory in which its frame arrived, and given out as a part of it.

mod decrypt;
mod encrypt;

pub use decrypt::DecryptStream;
pub use encrypt::EncryptStream;

use crate::error::Error;

/// The failure of the stream below.
fn stream_failed<E>(error: E) -> Error
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let source = std::io::Error::other(error);
    Error::Io { operation: "reading the stream below", source }
}
