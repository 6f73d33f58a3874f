//! Test vectors of the AWS Encryption SDK: manifests of messages to decrypt, or to encrypt.
//!
//! A manifest says which messages there are, which keys open them, and what they must open to. Every
//! implementation of the format has a program that reads them; this is ours, and it takes each message
//! through every surface of the SDK.
//!
//! | module | subject |
//! |---|---|
//! | `manifest`, `json` | what all manifests have in common; objects, read liberally |
//! | `keys`, `description` | the keys manifest, and the trees of keyrings and CMMs that tests ask for |
//! | `wrapping`, `asymmetric`, `static_material`, `static_branch_key`, [`kms`] | from descriptions to keyrings and CMMs |
//! | `surfaces` | one message through every surface |
//! | [`decrypt`](mod@decrypt), [`encrypt`](mod@encrypt) | the commands |
//! | [`report`], [`error`] | what became of the vectors; why there were none |
//!
//! Sources: `framework/test-vectors` of the specification, and the features 0002 to 0006 of the AWS Crypto
//! Tools test vector framework.

use std::path::Path;

pub mod decrypt;
pub mod encrypt;
pub mod error;
pub mod kms;
pub mod report;

mod asymmetric;
mod description;
mod json;
mod keys;
mod manifest;
mod static_branch_key;
mod static_material;
mod surfaces;
mod wrapping;

pub use decrypt::decrypt;
pub use encrypt::encrypt;
pub use error::{Error, Result};
pub use kms::KmsAccess;
pub use report::Report;

/// What a command works on.
pub struct Inputs<'a> {
    /// The file of the manifest, or the folder that it is in.
    pub manifest: &'a Path,
    /// The keys manifest, where it is not the one that the manifest names.
    pub keys: Option<&'a Path>,
    /// The KMS for vectors with KMS keys.
    pub kms: &'a KmsAccess,
}
