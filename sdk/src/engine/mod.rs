//! Encrypting and decrypting frames in memory: no I/O, no waiting, no allocation for each frame.
//!
//! [`Encryptor`] writes a message frame after frame. [`Decryptor`] reads one from its start to its end.
//! [`FrameOpener`] opens any frame in any order from any thread. [`SingleBlockEncryptor`] writes a message
//! without frames.

mod beginning;
mod body_key;
mod decryptor;
mod encryptor;
mod frame_opener;
mod key_schedule;
pub(crate) mod pull;
#[cfg_attr(
    not(feature = "parallel"),
    allow(dead_code, reason = "only the parallel surface takes runs")
)]
pub(crate) mod runs;
mod signature;
mod single_block;
mod verify;

pub(crate) use body_key::BodyKey;
pub use decryptor::Decryptor;
pub use encryptor::Encryptor;
pub use frame_opener::{FrameOpener, SignatureStaysUnverified};
pub(crate) use signature::SignatureCheck;
pub use single_block::SingleBlockEncryptor;

use signature::finish_signature;
