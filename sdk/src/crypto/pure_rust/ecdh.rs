//! Elliptic-curve Diffie-Hellman with the RustCrypto crates.

use p256::NistP256;
use p256::elliptic_curve::ecdh::diffie_hellman;
use p256::elliptic_curve::sec1::{FromSec1Point, ModulusSize, ToSec1Point};
use p256::elliptic_curve::{AffinePoint, CurveArithmetic, FieldBytesSize, PublicKey, SecretKey};
use p384::NistP384;
use p521::NistP521;

use super::{PureRust, failed, random_scalar};
use crate::crypto::ecdh::{EcCurve, EcdhKey};
use crate::error::Result;
use crate::secret::SecretBytes;

pub(super) fn generate(provider: &PureRust, curve: EcCurve) -> Result<Box<dyn EcdhKey>> {
    Ok(match curve {
        EcCurve::P256 => Box::new(Key::<NistP256>::generate(provider, 256)?),
        EcCurve::P384 => Box::new(Key::<NistP384>::generate(provider, 384)?),
        EcCurve::P521 => Box::new(Key::<NistP521>::generate(provider, 521)?),
    })
}

pub(super) fn key(curve: EcCurve, scalar: &SecretBytes) -> Result<Box<dyn EcdhKey>> {
    Ok(match curve {
        EcCurve::P256 => Box::new(Key::<NistP256>::new(scalar)?),
        EcCurve::P384 => Box::new(Key::<NistP384>::new(scalar)?),
        EcCurve::P521 => Box::new(Key::<NistP521>::new(scalar)?),
    })
}

pub(super) fn uncompressed(curve: EcCurve, point: &[u8]) -> Result<Vec<u8>> {
    match curve {
        EcCurve::P256 => reencode::<NistP256>(point),
        EcCurve::P384 => reencode::<NistP384>(point),
        EcCurve::P521 => reencode::<NistP521>(point),
    }
}

fn reencode<C>(point: &[u8]) -> Result<Vec<u8>>
where
    C: CurveArithmetic,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    let key = PublicKey::<C>::from_sec1_bytes(point).map_err(failed("EC point"))?;
    Ok(key.to_sec1_point(false).as_bytes().to_vec())
}

/// The library wipes the scalar when this is dropped.
struct Key<C: CurveArithmetic>(SecretKey<C>);

impl<C: CurveArithmetic> Key<C> {
    fn generate(provider: &PureRust, bits: usize) -> Result<Self> {
        random_scalar(provider, bits, SecretKey::from_slice).map(Self)
    }

    fn new(scalar: &SecretBytes) -> Result<Self> {
        SecretKey::from_slice(scalar.expose()).map(Self).map_err(failed("ECDH key"))
    }
}

impl<C> EcdhKey for Key<C>
where
    C: CurveArithmetic,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    fn public_point(&self) -> Result<Vec<u8>> {
        Ok(self.0.public_key().to_sec1_point(false).as_bytes().to_vec())
    }

    fn agree(&self, point: &[u8]) -> Result<SecretBytes> {
        let peer = PublicKey::<C>::from_sec1_bytes(point).map_err(failed("ECDH"))?;
        let shared = diffie_hellman(self.0.to_nonzero_scalar(), peer.as_affine());
        Ok(SecretBytes::copy_of(shared.raw_secret_bytes()))
    }
}
