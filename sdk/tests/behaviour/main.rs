//! Behaviour of the SDK through its public API.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod asymmetric;
mod bounds;
mod caching;
mod commitment;
mod damage;
mod discovery;
mod fixtures;
mod format;
mod fuzz;
mod header_fields;
mod heap;
mod hierarchical;
mod interop;
mod keyrings;
mod managers;
mod memory;
mod memory_kms;
mod parallel;
mod providers;
mod range;
mod release;
mod required_context;
mod round_trip;
mod secrets;
mod single_block;
mod vectors;
mod wrapping;
