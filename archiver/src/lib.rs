//! A deduplicating archiver of directories to object stores, encrypted under a key in a KMS.
//!
//! A [`location::Location`] is a place in an object store that holds snapshots. [`backup`] turns
//! what a [`source::Source`] walks into a snapshot, [`restore`] writes one to a
//! [`target::Target`], [`check`] looks whether everything is whole. All that is stored, `format`
//! excepted, is a message of the AWS Encryption SDK format, one data key each.
//!
//! # Where a byte goes
//!
//! file → chunk ([`chunk`], named by a keyed hash) → segment (about 1 MiB of new chunks,
//! compressed together) → pack ([`pack`], 64 MiB, one message, uploaded while it fills) → index
//! run ([`index`], where each chunk lies) → leaf block of the tree ([`snapshot`], entries with
//! their chunks' places) → the snapshot's commit, which alone makes all of it count.
//!
//! # Modules, from the ground up
//!
//! - [`id`], [`entry`], [`clock`], [`error`]: the vocabulary.
//! - [`store`]: objects with typed names, created once; counters, preflight, injected faults.
//! - [`envelope`]: an object sealed to its place by its encryption context.
//! - [`chunk`], [`pack`], [`index`], [`snapshot`]: the format, each with its reader and writer.
//! - [`retention`]: which snapshots to keep; rules without store or clock.
//! - [`location`]: keys, format and the index of one place.
//! - [`source`], [`target`], [`control`]: what a caller brings; [`mod@fs`] brings the local file system.
//! - [`session`]: what tells collectors that a writer is at work.
//! - [`backup`], [`restore`], [`check`], [`mod@prune`], [`repair`], [`mod@rekey`]: the pipelines.
//! - [`mod@bench`]: what machine, store and KMS can do.
//! - [`content`], [`usage`]: one file's bytes; what a location and its snapshots hold.
//!
//! # Invariants
//!
//! - No object is overwritten; every one is created under a name that was never used before.
//! - Nothing refers to an object that is not stored yet: packs, then index runs, then the commit.
//!   Whatever is interrupted leaves only objects that nothing refers to.
//! - No byte leaves a store unauthenticated: frames by their tags under the object's own context,
//!   chunks by their ids, `format` by its copy inside `keys/<epoch>`.
//! - No chunk is stored that does not decompress to the chunk that was read.
//! - No queue is unbounded, and no length from the store is believed before it is limited.
//! - Damage to content costs the files that need it; trouble with one entry costs that entry.
//! - The library reads no environment and touches no terminal; store, clock, keys are passed in.

mod buffers;
mod cache;
mod codec;
mod condemned;
mod epochs;

pub mod backup;
pub mod bench;
pub mod check;
pub mod chunk;
pub mod clock;
pub mod content;
pub mod control;
pub mod entry;
pub mod envelope;
pub mod error;
pub mod fs;
pub mod id;
pub mod index;
pub mod location;
pub mod pack;
pub mod prune;
#[cfg(feature = "embedded-kms")]
pub mod quickstart;
pub mod rekey;
pub mod repair;
pub mod restore;
pub mod retention;
pub mod session;
pub mod snapshot;
pub mod source;
pub mod store;
pub mod target;
pub mod usage;

pub use self::error::{Cause, Error, Result};
