//! The behaviour of the KMS as its clients see it: over HTTP, with real clients.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod authentication;
mod cryptography;
mod durability;
mod harness;
mod life_cycle;
mod limits;
mod policies;
mod python;
mod services;
mod signer;
mod state_table;
mod validation;
