//! A page for each task. Every example is compiled and run by the tests.

#[doc = include_str!("../guide/choose_a_keyring.md")]
pub mod choose_a_keyring {}

#[doc = include_str!("../guide/encrypt_and_decrypt.md")]
pub mod encrypt_and_decrypt {}

#[doc = include_str!("../guide/streams.md")]
pub mod streams {}

#[doc = include_str!("../guide/random_access.md")]
pub mod random_access {}

#[doc = include_str!("../guide/parallel.md")]
pub mod parallel {}

#[doc = include_str!("../guide/signed_messages.md")]
pub mod signed_messages {}

#[doc = include_str!("../guide/commitment.md")]
pub mod commitment {}

#[doc = include_str!("../guide/offline_recovery.md")]
pub mod offline_recovery {}

#[doc = include_str!("../guide/caching.md")]
pub mod caching {}

#[doc = include_str!("../guide/branch_keys.md")]
pub mod branch_keys {}

#[doc = include_str!("../guide/limits.md")]
pub mod limits {}

#[doc = include_str!("../guide/providers_and_features.md")]
pub mod providers_and_features {}

#[doc = include_str!("../guide/errors.md")]
pub mod errors {}
