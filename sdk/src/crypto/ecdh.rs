//! The seam to elliptic-curve Diffie-Hellman.
//!
//! Source: SP 800-56A, section 5.7.1.2; SEC 1, section 2.3 for points.

use std::fmt;

use crate::error::Result;
use crate::secret::SecretBytes;

/// A curve of FIPS 186.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EcCurve {
    /// NIST P-256, also secp256r1.
    P256,
    /// NIST P-384, also secp384r1.
    P384,
    /// NIST P-521, also secp521r1.
    P521,
}

impl EcCurve {
    /// Every curve, from the shortest.
    pub const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    /// Bytes in a coordinate, in a private scalar and in a shared secret.
    #[must_use]
    pub fn field_bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }
}

/// The name in FIPS 186, e.g. `P-256`.
impl fmt::Display for EcCurve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        })
    }
}

/// A private key of one curve.
pub trait EcdhKey: Send + Sync {
    /// The public point, uncompressed.
    ///
    /// # Errors
    /// [`Error::Provider`](crate::Error::Provider).
    fn public_point(&self) -> Result<Vec<u8>>;

    /// The shared secret with the owner of `point`: the x coordinate, [`EcCurve::field_bytes`] long.
    ///
    /// # Errors
    /// [`Error::Provider`](crate::Error::Provider) when `point` is not on this key's curve.
    fn agree(&self, point: &[u8]) -> Result<SecretBytes>;
}
