//! Bounds on what a message may make this program do before the message is authenticated.

use crate::error::{Error, Result};

/// Default of [`Limits::header_bytes_max`].
pub const HEADER_BYTES_MAX: usize = 256 * 1024;
/// Default of [`Limits::encrypted_data_keys_max`].
pub const ENCRYPTED_DATA_KEYS_MAX: usize = 256;
/// Default of [`Limits::frame_bytes_max`].
pub const FRAME_BYTES_MAX: u32 = 64 * 1024 * 1024;
//= client-apis/encrypt.md#frame-length
//# This value MUST default to 4096 bytes.
/// Frame length of a writer who does not say, in bytes: what every implementation but C uses.
pub const FRAME_LENGTH_DEFAULT: u32 = 4096;
/// Longest encryption context in its serialised form, in bytes: two bytes hold its length.
pub const CONTEXT_BYTES_MAX: usize = 65_535;
/// Longest single-block content, in bytes (`2^36 - 32`, the bound of GCM).
pub const SINGLE_BLOCK_BYTES_MAX: u64 = (1 << 36) - 32;
/// Longest footer signature that is read, in bytes; a P-384 signature has at most 104.
pub const SIGNATURE_BYTES_MAX: usize = 1024;

/// What a reader accepts from a header that is not authenticated yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Longest header, in bytes with its tag.
    pub header_bytes_max: usize,
    /// Most encrypted data keys. Each may cost one call of a KMS.
    //= client-apis/client.md#maximum-number-of-encrypted-data-keys
    //# Callers MUST have a way to disable this limit.
    pub encrypted_data_keys_max: usize,
    /// Longest frame content, in bytes. A streaming reader holds one frame; for it this also bounds a
    /// single block, which it must hold whole.
    pub frame_bytes_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_bytes_max: HEADER_BYTES_MAX,
            encrypted_data_keys_max: ENCRYPTED_DATA_KEYS_MAX,
            frame_bytes_max: FRAME_BYTES_MAX,
        }
    }
}

/// `value`, if it is within `max`.
///
/// # Errors
/// [`Error::LimitExceeded`] otherwise.
pub(crate) fn within(quantity: &'static str, value: u64, max: u64) -> Result<()> {
    if value <= max { Ok(()) } else { Err(Error::LimitExceeded { quantity, value, max }) }
}
