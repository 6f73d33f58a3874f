//! What `strongroom quickstart` runs on: a KMS with simulated HSMs inside this process.
//!
//! Only [`embedded_kms`] names the KMS's crate, and only with the feature `embedded-kms`.

pub mod embedded_kms;
