//! What other people's programs make of ours, and ours of theirs.
//!
//! Everything is real: our KMS as a server of its own with the key in a custom key store, MinIO and
//! SeaweedFS, the Python implementation of the AWS Encryption SDK.

mod bucket;
mod esdk;
mod hierarchical;
mod messages;
