//! Elliptic-curve Diffie-Hellman with AWS-LC.

use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, ECDH_P521, PrivateKey, UnparsedPublicKey};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA512_ASN1,
};

use super::failed;
use crate::crypto::ecdh::{EcCurve, EcdhKey};
use crate::error::{Error, Result};
use crate::secret::SecretBytes;

/// The library wipes the scalar when this is dropped.
pub(super) struct Key(PrivateKey);

impl Key {
    pub(super) fn generate(curve: EcCurve) -> Result<Self> {
        PrivateKey::generate(algorithm(curve)).map(Self).map_err(failed("ECDH key"))
    }

    pub(super) fn new(curve: EcCurve, scalar: &SecretBytes) -> Result<Self> {
        let key = PrivateKey::from_private_key(algorithm(curve), scalar.expose());
        key.map(Self).map_err(failed("ECDH key"))
    }
}

impl EcdhKey for Key {
    fn public_point(&self) -> Result<Vec<u8>> {
        let point = self.0.compute_public_key().map_err(failed("ECDH key"))?;
        Ok(point.as_ref().to_vec())
    }

    fn agree(&self, point: &[u8]) -> Result<SecretBytes> {
        let peer = UnparsedPublicKey::new(self.0.algorithm(), point);
        let refused = Error::Provider { operation: "ECDH" };
        agreement::agree(&self.0, peer, refused, |secret| Ok(SecretBytes::copy_of(secret)))
    }
}

/// The uncompressed form of a point in whatever form.
///
/// The library gives a parsed point back only inside a SubjectPublicKeyInfo, where it comes last.
pub(super) fn uncompressed(curve: EcCurve, point: &[u8]) -> Result<Vec<u8>> {
    let verification = match curve {
        EcCurve::P256 => &ECDSA_P256_SHA256_ASN1,
        EcCurve::P384 => &ECDSA_P384_SHA384_ASN1,
        EcCurve::P521 => &ECDSA_P521_SHA512_ASN1,
    };
    let parsed = signature::UnparsedPublicKey::new(verification, point).parse();
    let spki: PublicKeyX509Der<'_> =
        parsed.map_err(failed("EC point"))?.as_der().map_err(failed("EC point"))?;
    let point_bytes = 1 + 2 * curve.field_bytes();
    let start = spki.as_ref().len().checked_sub(point_bytes);
    let point = start.and_then(|start| spki.as_ref().get(start..));
    point.map(<[u8]>::to_vec).ok_or(Error::Provider { operation: "EC point" })
}

fn algorithm(curve: EcCurve) -> &'static agreement::Algorithm {
    match curve {
        EcCurve::P256 => &ECDH_P256,
        EcCurve::P384 => &ECDH_P384,
        EcCurve::P521 => &ECDH_P521,
    }
}
