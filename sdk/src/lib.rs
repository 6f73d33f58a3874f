//! Client-side encryption in the AWS Encryption SDK message format: streaming, in memory, with
//! authenticated random access.

#![warn(missing_docs)]

pub mod cmm;
pub mod crypto;
pub mod engine;
pub mod error;
pub mod keyring;
pub mod kms;
pub mod materials;
pub mod message;
pub mod oneshot;
pub mod options;
pub mod policy;
pub mod range;
pub mod secret;
pub mod stream;
#[cfg(feature = "tokio")]
pub mod tokio_stream;

pub use error::{Error, Result};
