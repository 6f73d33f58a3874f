//! The program `esdk-vectors`, run as its users run it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod collections;
mod fixtures;
mod kms;
mod manifests;
mod round_trip;
