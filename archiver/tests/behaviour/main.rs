//! Behaviour of the archiver through its public interface and through its binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, and helpers of tests are tests"
)]

mod bucket;
mod command_line;
mod crash;
mod damage;
mod engine;
mod escape;
mod exit_codes;
mod frozen;
mod hierarchical;
mod housekeeping;
mod interop;
mod kills;
mod layers;
mod local_files;
mod location;
mod looking;
mod meanwhile;
mod messages;
mod model;
mod pipes;
mod program;
mod prune;
mod recipients;
mod rekey;
mod repair;
mod restoring;
mod retention;
mod roles;
mod servers;
mod stopped_restore;
mod support;
