//! The HSM through its public API.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panic")]

mod certificates;
mod cluster;
mod cryptography;
mod durability;
mod fleet;
mod import;
mod life;
mod network;
mod protocol;
mod support;
mod tamper;
mod users;
