//! Client-side encryption in the message format of the AWS Encryption SDK: streaming, in bounded memory,
//! with authenticated random access.
//!
//! Data is encrypted before it leaves, with a fresh data key for each message, and the data key is
//! wrapped by keys that a [`keyring`] knows: keys of a KMS, or raw keys. What comes out is byte for byte a
//! message that the official SDKs read, and the reverse.
//!
//! ```
//! use std::sync::Arc;
//! use strongroom_sdk::{
//!     EncryptionContext, Result, SecretBytes,
//!     cmm::DefaultCmm, keyring::RawAesKeyring, materials::EncryptionRequest,
//!     oneshot, options::{DecryptOptions, EncryptOptions},
//! };
//!
//! # async fn example() -> Result<()> {
//! let key = SecretBytes::copy_of(&[7; 32]); // yours comes from a safer place
//! let manager = DefaultCmm::new(Arc::new(RawAesKeyring::new("my-app", "key-1", key)?));
//!
//! let request = EncryptionRequest {
//!     encryption_context: EncryptionContext::from_pairs([("tenant", "42")])?,
//!     ..EncryptionRequest::default()
//! };
//! let message = oneshot::encrypt(b"plaintext", &manager, &request, &EncryptOptions::default()).await?;
//!
//! let opened = oneshot::decrypt(&message, &manager, &DecryptOptions::default()).await?;
//! assert_eq!(opened.plaintext, b"plaintext");
//! assert_eq!(opened.header.encryption_context.get("tenant"), Some("42"));
//! # Ok(()) }
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
//! ```
//!
//! The `guide` has a page for each task: choosing a keyring, streams, random access, signed messages, moving
//! to key commitment, caching, branch keys, limits, errors.
//!
//! # The way of a message
//!
//! ```text
//! write:  EncryptionRequest -> MaterialsManager -> EncryptionMaterials -> Encryptor -> header, frames, footer
//! read:   bytes -> Header<Unverified> -> DecryptionRequest -> MaterialsManager -> DecryptionMaterials
//!                           '-- verify(materials): commitment, tag --> Header<Verified> -> frames
//! ```
//! Materials are got asynchronously and ahead of need: everything that waits for a network is in the first
//! half. The second half is work of the CPU, on any thread.
//!
//! # Modules, from the ground up
//!
//! | module | subject |
//! |---|---|
//! | [`error`] | every failure; which region of a message, which key |
//! | [`secret`] | bytes that are wiped when dropped |
//! | [`message`] | the format: suites, header, frames, footer; pure functions on bytes |
//! | [`crypto`] | the seam to cryptography and its two providers; nothing else names such a crate |
//! | [`keys`] | RSA and elliptic-curve keys in PEM and DER |
//! | [`policy`], [`options`] | what a caller allows and demands |
//! | [`materials`] | what one message needs, from the keyrings to the engine |
//! | [`kms`] | the operations of a KMS, as a trait; names of its keys; the AWS client behind it (feature `aws-kms`) |
//! | `memory` | room for outputs |
//! | [`clock`], [`cache`] | what time it is; materials that are used more than once |
//! | [`key_store`] | branch keys, which wrap data keys without a call of the KMS for each |
//! | [`keyring`], [`cmm`] | who wraps and unwraps data keys |
//! | [`engine`] | frames in memory: no I/O, no waiting, no allocation for each frame |
//! | [`oneshot`], [`stream`], `tokio_stream`, `futures_stream`, `parallel`, [`range`] | the surfaces, thin over the engine |
//!
//! # Invariants
//!
//! - No body key without a verified header, no verified header without materials, no materials to read
//!   with without a request, no request that the commitment policy has not let pass: each is made only by
//!   the step before it.
//! - No plaintext leaves before its frame's tag has been verified; that of the last frame not before the
//!   end of the message has been; a buffer whose tag was wrong holds zeros.
//! - No (key, IV) pair is used twice: the [`Encryptor`](engine::Encryptor) numbers frames itself, cannot be
//!   cloned, and never gives a number again.
//! - Nothing that an unauthenticated header says is allocated before it is within
//!   [`Limits`](message::limits::Limits).
//! - No network, runtime or environment below the surfaces; no global state anywhere. Random bytes come
//!   from the provider that was passed in, the time from the [`Clock`](clock::Clock).
//! - No re-wrapping: other wrapped keys in the header of an existing message would use the header's
//!   (key, IV) pair again.
//!
//! # Features
//!
//! `aws-lc` (default) and `pure-rust` (without RSA): providers; without either, callers bring a
//! [`CryptoProvider`](crypto::CryptoProvider) of their own. `tokio` (default): `tokio_stream`.
//! `futures`: `futures_stream`. `parallel`: `parallel`, on a `rayon` pool.
//! `object-store`: `range::object` and `key_store::object`. `aws-kms`: `kms::aws`.

pub mod cache;
pub mod clock;
pub mod cmm;
pub mod crypto;
pub mod engine;
pub mod error;
#[cfg(feature = "futures")]
pub mod futures_stream;
#[cfg(any(doc, doctest))]
pub mod guide;
pub mod key_store;
pub mod keyring;
pub mod keys;
pub mod kms;
pub mod materials;
mod memory;
pub mod message;
pub mod oneshot;
pub mod options;
#[cfg(feature = "parallel")]
pub mod parallel;
pub mod policy;
pub mod range;
pub mod secret;
pub mod stream;
#[cfg(feature = "tokio")]
pub mod tokio_stream;

pub use error::{Error, Result};
pub use message::encryption_context::EncryptionContext;
pub use message::suite::AlgorithmSuite;
pub use policy::CommitmentPolicy;
pub use secret::SecretBytes;
