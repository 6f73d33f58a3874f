//! The programs, run as their users run them.

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
mod programs;
mod round_trip;
