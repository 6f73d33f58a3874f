//! A simulated hardware security module (HSM), and what a cluster of them does among themselves.
//!
//! A [`Device`] is one module: users with roles, AES keys that are made inside and never leave in
//! clear, sealed state that survives a power failure, an audit log, and a tamper response. It is a
//! state machine without network: a [`Transport`] carries [`Command`]s to it, in the same process
//! or over TLS to a [`server`]; a [`Client`] makes calls of them. [`Fleet`] is the same module used
//! the other way round: its keys, of every kind, leave as wrapped tokens, so that any number of them is
//! possible.
//!
//! # Where to look
//!
//! | module | subject |
//! |---|---|
//! | `device` | the state machine: power-on, sessions, users, quorum, keys, ciphers, provider's commands |
//! | `state`, `store` | what is remembered, and how it is sealed and written durably |
//! | `factory` | manufacture: roots, hardware certificates, backup keys |
//! | `certificates` | signing requests, certificate chains, the check of a customer's certificate |
//! | `mechanism` | keys of every kind: AES, HMAC, RSA, elliptic curves, ML-DSA |
//! | `crypto`, `selftest`, `secret` | primitives, known answers, memory that is zeroised |
//! | `codec`, `wire`, `provision` | the encoding, the client's protocol, the provider's protocol |
//! | `conditions`, `pace` | what an operator sets: a network that drops or delays, sessions that are taken, a rate |
//! | `transport`, `verifier`, `server`, `control`, `client` | the network around it |
//! | `audit` | the log in the CloudHSM format |
//! | `limits` | every bound |
//!
//! # Invariants
//!
//! - No public function or type gives out the bytes of a key. What leaves is wrapped, masked, sealed
//!   or a message.
//! - No change is acknowledged before it is on the disk, and a failed write changes nothing.
//! - No cryptographic command holds a lock while it works.
//! - No input makes it panic; every length is checked against a limit before it is used.
//! - Nothing here reads the environment, the terminal or a global.
//!
//! # What it is not
//!
//! It is a simulation in software. The sealing key lies in a file beside the state that it seals,
//! and whoever can read the directory, or the memory of the process, can read the keys.

mod audit;
pub mod certificates;
mod client;
pub mod clock;
mod codec;
mod conditions;
pub mod control;
mod crypto;
mod device;
mod error;
mod factory;
mod frame;
mod key;
pub mod limits;
mod mechanism;
mod pace;
pub mod provision;
mod secret;
mod selftest;
pub mod server;
mod state;
mod store;
pub mod transport;
mod user;
mod verifier;
pub mod wire;

pub use certificates::{CertificateFault, TrustAnchor};
pub use client::Client;
pub use codec::{Blob, List, Malformed, Text};
pub use conditions::Conditions;
pub use control::Provider;
pub use device::{
    Config, DataKeyPair, Device, Fleet, ImportKey, ImportParameters, ImportedKey, KeyToken, Port,
    QuorumService, SessionId, TokenStage,
};
pub use error::{HsmError, Refusal};
pub use factory::Factory;
pub use key::{Attribute, AttributeValue, KeyHandle, KeyInfo, KeyUsage, Label, Possession};
pub use mechanism::{
    Curve, HashFunction, ImportWrapping, KeyKind, MlDsaParameters, MlKemParameters, RsaSize,
    SignatureScheme, SignedInput,
};
pub use secret::{Password, Plaintext};
pub use state::Pem;
pub use transport::{Patience, Transport};
pub use user::{Role, SecondFactorKey, UserId, UserInfo, UserList, UserName};
pub use wire::{Command, Response};
