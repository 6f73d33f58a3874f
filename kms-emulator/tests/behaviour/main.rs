//! The behaviour of the KMS as its clients see it: over HTTP, with real clients.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod audit;
mod authentication;
mod backup;
mod backups;
mod clusters;
mod cryptography;
mod custom_key_stores;
mod durability;
mod fault_run;
mod frozen;
mod grants;
mod harness;
mod hostile;
mod hsm_processes;
mod import;
mod last_usage;
mod leftovers;
mod life_cycle;
mod limits;
mod marker;
mod monitoring;
mod policies;
mod python;
mod roles;
mod rotation;
mod sdk_tasks;
mod services;
mod signer;
mod state_table;
mod story;
mod test_endpoints;
mod tls;
mod troubleshooting;
mod validation;
