//! The message format: pure functions between bytes and values.
//!
//! Parsing stands beside serialising, one module for each noun of the specification's
//! `data-format` chapter. Nothing here panics, indexes or multiplies a length unchecked.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

pub(crate) mod codec;
pub mod encrypted_data_key;
pub mod encryption_context;
pub mod footer;
pub mod frame;
pub mod header;
pub mod limits;
pub mod suite;
