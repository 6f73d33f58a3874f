//! Finds, starts and stops the real programs that Strongroom's tests and benchmarks talk to.
//!
//! A *peer* is somebody else's program: an S3 server that we archive to, an AWS client that calls
//! our KMS, another implementation of the AWS Encryption SDK, another backup tool. `.ci/peers`
//! installs each, at the version pinned in `benches/peers/pins/`, below `$STRONGROOM_PEERS` or
//! `$HOME/.cache/strongroom/peers`; this crate finds them there and nowhere else, so that a test
//! never talks to a version that nobody chose.
//!
//! ```text
//! pins/NAME.KIND      what to install and how (go, pip, npm, cargo); the one place a version is named,
//!                     or a list of the files below benches/peers that a driver is built from (crate, maven, gomod)
//! <peers>/NAME/pin    a copy of the pin (and of the files that it lists), written last: the mark of a complete installation
//! ```
//!
//! | module | subject |
//! |---|---|
//! | [`peer`] | the peers by name, and where each is installed |
//! | [`s3`] | MinIO and SeaweedFS as servers on loopback |
//! | [`identity`] | the one user whom every server knows |
//! | [`kms`] | our own `strongroom-kms serve` as a process of its own |
//! | [`kms_client`] | AWS SDKs in other languages, each doing one list of tasks with a KMS |
//! | [`other_kms`] | other emulators of KMS |
//! | [`esdk`] | other implementations of the AWS Encryption SDK, each behind a driver |
//! | [`own`] | the project's own programs, built if they are not there |
//! | [`process`] | child processes that end with their owner |
//! | [`require`](mod@require) | what a test does when a peer is missing |
//!
//! Invariants: a server listens on loopback only (but local-kms, which cannot); none outlives the process that started it, however
//! that process ends; no test passes in silence for want of a peer.
//!
//! ```no_run
//! #[test]
//! fn stores_an_object() {
//!     let minio = strongroom_peers::require!(strongroom_peers::Minio::start());
//!     minio.create_bucket("archive").unwrap();
//! }
//! ```

pub mod esdk;
pub mod identity;
pub mod kms;
pub mod kms_client;
pub mod other_kms;
pub mod own;
pub mod peer;
pub mod process;
pub mod require;
pub mod s3;

mod error;

pub use crate::error::PeerError;
pub use crate::kms::{CustomKeyStore, KmsServer, User};
pub use crate::other_kms::OtherKms;
pub use crate::own::OwnProgram;
pub use crate::peer::{Peer, Peers};
pub use crate::s3::{Minio, S3Server, SeaweedFs};
