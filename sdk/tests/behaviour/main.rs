//! Behaviour of the SDK through its public API.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod bounds;
mod caching;
mod commitment;
mod damage;
mod discovery;
mod fixtures;
mod heap;
mod hierarchical;
mod keyrings;
mod memory_kms;
mod providers;
mod python;
mod required_context;
mod round_trip;
mod secrets;
mod vectors;
