//! Behaviour of the SDK through its public API.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod commitment;
mod damage;
mod fixtures;
mod keyrings;
mod python;
mod round_trip;
mod vectors;
