//! A deduplicating archiver of directories to object stores.

pub mod entry;
pub mod fs;
pub mod source;
pub mod target;
