//! AWS KMS, CloudHSM v2 and STS on simulated HSM hardware, for real AWS clients.
//!
//! [`Emulator::start`] gives an endpoint and credentials; `strongroom-kms serve` is that and a command
//! line.
//!
//! # Map
//!
//! From the network inwards; each may use those below it, never one above.
//!
//! | module | subject |
//! |---|---|
//! | `story` | plays the way to a key in a custom key store on a server |
//! | `emulator` | puts a server together |
//! | `server` | HTTP and TLS: bounds, dispatch by target name, metrics, endpoints for tests |
//! | `admin` | the operator's socket: HSMs on, off, tampered with; faults of the network |
//! | `principals` | accounts, users and roles, as the operator makes them |
//! | `backup` | a data directory's copy, and back |
//! | `seed`, `reset` | for tests: keys from a file, and none at all |
//! | `sts`, `cloudhsm`, `kms` | the services, one file per operation; `kms/operations.rs` is the table |
//! | `expiry` | deletes keys whose waiting period is over |
//! | `leftovers` | destroys key material in HSMs that no key has |
//! | `keystore` | where key material lives: a trait, and the stores |
//! | `auth` | SigV4; the only way to a caller |
//! | `audit` | the record of every call, in chained log files |
//! | `registry` | the state: snapshots to read, one thread that writes |
//! | `storage` | SQLite behind a trait |
//! | `policy` | key and identity policies, and the decision |
//! | `mgmt`, `hsm_cli` | the management tools of a CloudHSM cluster, the older and the newer |
//! | `protocol` | AWS JSON 1.1: members, validation, faults |
//! | `records`, `ids`, `clock` | plain values |
//!
//! To add an operation see `kms/mod.rs`; to add a table see `storage/mod.rs`.
//!
//! # Invariants
//!
//! * No request reaches an operation without a matching signature: `Authenticated` has no other source
//!   on the network's side.
//! * No key is used without `policy::decide` and the key-state table having said yes: `UsableKey` needs
//!   both proofs.
//! * No key's bytes are in this crate; material is a reference that a key store understands.
//! * Nothing is acknowledged or visible before it is durable.
//! * No cryptographic request touches the database or takes a lock that requests share.
//! * Nothing in this library reads the environment, the terminal or a clock other than the one given.
//!
//! # The credentials file
//!
//! ```json
//! { "credentials": [
//!   { "accountId": "111122223333", "accessKeyId": "AKIA…", "secretAccessKey": "…" },
//!   { "accountId": "111122223333", "userName": "backup", "accessKeyId": "AKIA…",
//!     "secretAccessKey": "…", "policies": [ { "Version": "2012-10-17", "Statement": […] } ] }
//! ] }
//! ```
//! An entry without `userName` is a root credential of its account; `policies` are the user's identity
//! policies, and a user without any may do what key policies allow to it by name. `"roles": [ … ]` beside
//! it holds `accountId`, `roleName`, `trustPolicy`, `policies` and `maxSessionSeconds`. The operator's own
//! file, `principals.json` in the data directory, has the same form; see [`principals`].
//!
//! # In a test of your own
//!
//! ```no_run
//! use serde_json::json;
//! use strongroom_kms::{DataDir, Emulator, EmulatorConfig};
//!
//! # async fn test() -> Result<(), Box<dyn std::error::Error>> {
//! let mut config = EmulatorConfig::loopback(DataDir::Ephemeral)?;
//! config.tests.endpoints = true;
//! let emulator = Emulator::start(config).await?;
//! // For a client: emulator.endpoint(), emulator.credentials(), emulator.region().
//! let key = emulator.call("TrentService.CreateKey", &json!({})).await?;
//! println!("{} at {}", key["KeyMetadata"]["Arn"], emulator.endpoint());
//! emulator.shutdown().await;
//! # Ok(())
//! # }
//! ```

pub mod admin;
pub mod audit;
mod auth;
pub mod backup;
pub mod clock;
mod cloudhsm;
mod emulator;
mod error;
mod expiry;
pub mod hsm_cli;
pub mod ids;
mod keystore;
mod kms;
mod leftovers;
pub mod mgmt;
mod policy;
pub mod principals;
mod protocol;
mod records;
mod registry;
mod reset;
mod seed;
mod server;
mod storage;
pub mod story;
mod sts;

pub use auth::CredentialsFileError;
pub use cloudhsm::{
    HsmFaults, HsmHosting, NetworkChange, NetworkError, NetworkFaults, SUBNETS, VPC,
};
pub use emulator::{CallError, DataDir, Emulator, EmulatorConfig, RootAccessKey, TestOptions};
pub use error::Error;
pub use seed::SeedError;
pub use server::{Latency, TlsError, TlsIdentity};
pub use storage::StorageError;
