//! A deduplicating archiver of directories to object stores.

mod cache;
mod codec;

pub mod backup;
pub mod check;
pub mod chunk;
pub mod clock;
pub mod control;
pub mod entry;
pub mod envelope;
pub mod error;
pub mod fs;
pub mod id;
pub mod index;
pub mod location;
pub mod pack;
#[cfg(feature = "embedded-kms")]
pub mod quickstart;
pub mod restore;
pub mod snapshot;
pub mod source;
pub mod store;
pub mod target;

pub use self::error::{Cause, Error, Result};
