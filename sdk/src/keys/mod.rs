//! RSA and elliptic-curve keys in the forms that people hold them in.
//!
//! | key | PEM labels | DER |
//! |---|---|---|
//! | private | `PRIVATE KEY`, `RSA PRIVATE KEY`, `EC PRIVATE KEY` | PKCS #8, PKCS #1, SEC 1 |
//! | public | `PUBLIC KEY`, `RSA PUBLIC KEY` | SubjectPublicKeyInfo, PKCS #1; of curves also a SEC 1 point |
//!
//! A key is read once, with the provider that does its arithmetic; the provider of a message may be
//! another.

mod ec;
mod encoding;
mod rsa;

pub use ec::{EcPrivateKey, EcPublicKey};
pub use rsa::{RsaPrivateKey, RsaPublicKey};

/// Longest PEM or DER of a key that is read, in bytes; an RSA key of 8192 bits has about 6,500 in PEM.
pub const KEY_BYTES_MAX: usize = 16 * 1024;
/// Shortest RSA modulus, in bits.
pub const RSA_MODULUS_BITS_MIN: usize = 2048;
/// Longest RSA modulus, in bits; the time of a private operation grows with the cube of it.
pub const RSA_MODULUS_BITS_MAX: usize = 8192;
