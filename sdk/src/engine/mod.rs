//! Encrypting and decrypting frames in memory: no I/O, no waiting, no allocation for each frame.
//!
//! [`Encryptor`] writes a message frame after frame. [`Decryptor`] reads one from its start to its end.
//! [`FrameOpener`] opens any frame in any order from any thread.

mod body_key;
mod decryptor;
mod encryptor;
mod frame_opener;
mod key_schedule;
pub(crate) mod pull;
mod signature;
mod verify;

pub(crate) use body_key::BodyKey;
pub use decryptor::Decryptor;
pub use encryptor::Encryptor;
pub use frame_opener::{FrameOpener, SignatureStaysUnverified};
pub(crate) use signature::SignatureCheck;
