//! Other implementations of the AWS Encryption SDK, each behind a small program of one protocol.
//!
//! A driver reads jobs from standard input, one JSON object in a line, and writes one JSON object in a
//! line for each. It ends when its input does.
//!
//! | `do` | members | answer |
//! |---|---|---|
//! | `encrypt` | `suite` (number), `frame_length` (bytes; 0 for a single block), `plaintext` | `message` |
//! | `decrypt` | `message` | `plaintext`, `context` (that of the message) |
//! | `measure` | `what` (`encrypt` or `decrypt`), `suite`, `frame_length`, `bytes` (of a plaintext), `messages` (how many are timed, after one that is not) | `seconds` (for all of them, by the driver's own clock) |
//!
//! Every job has a `keyring` (see [`Keyring`]) and a `context` (names and values: what is encrypted with,
//! or reproduced on decryption). `required` lists the names that a required-encryption-context materials
//! manager keeps out of the header; `caching` asks for a caching materials manager, one for each keyring.
//! Bytes are base64; keys of RSA and elliptic curves are PEM (PKCS #8, SubjectPublicKeyInfo). KMS clients
//! take endpoint and credentials from `AWS_ENDPOINT_URL_KMS`, `AWS_ACCESS_KEY_ID` and
//! `AWS_SECRET_ACCESS_KEY`.
//!
//! An answer with `unsupported` says what the implementation does not have, one with `error` what went
//! wrong.
//!
//! | driver | of |
//! |---|---|
//! | `drivers/python/driver.py` | `aws-encryption-sdk` with the material providers library |
//! | `drivers/node/driver.js` | `@aws-crypto/client-node` |
//! | `drivers/rust/` | `aws-esdk`; a workspace of its own, built by `.ci/peers` |
//! | `drivers/java/Driver.java` | `com.amazonaws:aws-encryption-sdk-java`; built by `.ci/peers` |

mod driver;
mod job;

pub use driver::{EsdkDriver, Implementation, Opened, Refusal};
pub use job::{
    Base64, Curve, Decrypt, EcdhSchema, Encrypt, Keyring, Manager, Measure, Message, RsaPadding,
    Work,
};
