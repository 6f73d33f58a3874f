//! A deduplicating archiver of directories to object stores.

pub mod entry;
