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
//! 2. Register it in `operations.rs`.
//! 3. An operation on a key has its row in `state_table.rs` already.

mod access;
mod algorithms;
mod aliases;
mod aws_managed;
mod call;
mod cancel_key_deletion;
mod ciphertext;
mod connect_custom_key_store;
mod connection;
mod create_alias;
mod create_custom_key_store;
mod create_grant;
mod create_key;
mod cryptography;
mod custom_key_store;
mod decrypt;
mod delete_alias;
mod delete_custom_key_store;
mod delete_imported_key_material;
mod derive_shared_secret;
mod describe_custom_key_stores;
mod describe_key;
mod disconnect_custom_key_store;
mod enable_key;
mod encapsulate;
mod encrypt;
mod encryption_context;
mod external_key_store;
mod generate_data_key;
mod generate_data_key_pair;
mod generate_mac;
mod generate_random;
mod get_key_last_usage;
mod get_key_policy;
mod get_parameters_for_import;
mod get_public_key;
mod grants;
mod import;
mod import_key_material;
mod key_metadata;
mod key_policy;
mod key_rotation;
mod key_state;
mod last_usage;
mod list_aliases;
mod list_grants;
mod list_key_policies;
mod list_keys;
mod list_resource_tags;
mod multi_region;
mod operation;
mod operations;
mod pagination;
mod put_key_policy;
mod re_encrypt;
mod replicate_key;
mod revoke_grant;
mod rotate_key_on_demand;
mod rotation;
mod schedule_key_deletion;
mod shapes;
mod sign;
mod state_table;
mod tag_resource;
mod tags;
mod untag_resource;
mod update_alias;
mod update_custom_key_store;
mod update_key_description;
mod update_primary_region;

use std::sync::Arc;

use crate::audit::Audit;
use crate::clock::Clock;
use crate::cloudhsm::ControlPlane;
use crate::keystore::KeyStores;
use crate::registry::Registry;

pub(crate) use call::Call;
pub(crate) use connection::resume_all;
pub(crate) use import::without_expired_material;
pub(crate) use last_usage::save_uses;
pub(crate) use multi_region::{after_deletion, put_shared};
pub(crate) use operation::{Operation, Registration, register};
pub(crate) use operations::OPERATIONS;
pub(crate) use rotation::{rotate_due, rotate_due_keys};

/// What all operations share: the state, the key stores, the time.
pub(crate) struct Kms {
    pub(crate) registry: Registry,
    pub(crate) key_stores: KeyStores,
    pub(crate) cloudhsm: ControlPlane,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) audit: Audit,
}
