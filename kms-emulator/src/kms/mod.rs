//! The KMS's operations on keys, aliases, policies and tags.
//!
//! # How a request goes
//! `Operation::run` gets its input parsed and validated, and a `Call`: who
//! asks, in which account and Region, the state as of now. The way to a key is a chain of tokens, each
//! of which only the step before can give:
//!
//! `call.find_key(name)` → `FoundKey` → `.authorize(…)` → `AuthorizedKey` → `.in_state()` → `UsableKey`
//!
//! and only a `UsableKey` can encrypt or decrypt. An operation that changes a key uses
//! `AuthorizedKey::change`, which checks the state again on the draft that is committed.
//!
//! # How to add an operation
//! 1. Write `kms/<operation>.rs`: a unit struct, its `Input` with `Request`, its `Output` with
//!    `Serialize`, and `impl Operation`.
//! 2. Register it in `operations.rs`, and take its name from the list of unsupported ones.
//! 3. An operation on a key has its row in `state_table.rs` already.

mod access;
mod call;
mod create_key;
mod describe_key;
mod key_metadata;
mod key_policy;
mod key_state;
mod operation;
mod operations;
mod shapes;
mod state_table;
mod tags;

use std::sync::Arc;

use crate::clock::Clock;
use crate::keystore::KeyStores;
use crate::registry::Registry;

pub(crate) use call::Call;
pub(crate) use operation::{Operation, Registration, register};
pub(crate) use operations::{OPERATIONS, UNSUPPORTED};

/// What all operations share: the state, the key stores, the time.
pub(crate) struct Kms {
    pub(crate) registry: Registry,
    pub(crate) key_stores: KeyStores,
    pub(crate) clock: Arc<dyn Clock>,
}
