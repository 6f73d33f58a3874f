//! Each example is run as its user would run it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, and helpers of tests are tests"
)]

mod buckets;
mod keys;
mod tool;
