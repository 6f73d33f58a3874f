//! The HSM through its public API.

mod certificates;
mod cluster;
mod cryptography;
mod durability;
mod fleet;
mod life;
mod network;
mod protocol;
mod support;
mod tamper;
mod users;
