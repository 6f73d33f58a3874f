//! Keys of elliptic curves, for key agreement.

use pkcs8::der::Decode;
use pkcs8::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use pkcs8::{Document, ObjectIdentifier, PrivateKeyInfoRef};

use super::encoding;
use crate::crypto::CryptoProvider;
use crate::crypto::ecdh::{EcCurve, EcdhKey};
use crate::error::{KeyFault, Result};
use crate::secret::SecretBytes;

/// What [`KeyFault::Encoding`] and [`KeyFault::Algorithm`] say was expected.
const EC: &str = "a key of an elliptic curve";

/// A point on a curve, not at infinity: only a provider that has checked this makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EcPublicKey {
    curve: EcCurve,
    uncompressed: Vec<u8>,
}

impl EcPublicKey {
    /// The key in the PEM of a SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// [`Error::Key`](crate::Error::Key) for what is no public key of a curve of [`EcCurve`];
    /// [`Error::LimitExceeded`](crate::Error::LimitExceeded).
    pub fn from_pem(provider: &dyn CryptoProvider, pem: &str) -> Result<Self> {
        Self::from_spki(provider, encoding::public_key_from_pem(pem)?.as_bytes())
    }

    /// The key in the DER of a SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// As [`from_pem`](Self::from_pem).
    pub fn from_der(provider: &dyn CryptoProvider, der: &[u8]) -> Result<Self> {
        Self::from_spki(provider, encoding::public_key_from_der(der)?.as_bytes())
    }

    /// The key of a compressed or uncompressed SEC 1 point.
    ///
    /// # Errors
    /// [`Error::Key`](crate::Error::Key) for what is no point of `curve`, or the one at infinity.
    pub fn from_sec1(provider: &dyn CryptoProvider, curve: EcCurve, point: &[u8]) -> Result<Self> {
        let field = curve.field_bytes();
        let well_formed = match point.split_first() {
            Some((2 | 3, x)) => x.len() == field,
            Some((4, x_and_y)) => x_and_y.len() == 2 * field,
            _ => false,
        };
        if !well_formed {
            return Err(KeyFault::Point(curve).into());
        }
        let uncompressed =
            provider.uncompressed_point(curve, point).map_err(|_| KeyFault::Point(curve))?;
        Ok(Self { curve, uncompressed })
    }

    fn from_spki(provider: &dyn CryptoProvider, spki: &[u8]) -> Result<Self> {
        let info = SubjectPublicKeyInfoRef::from_der(spki).map_err(not_ec)?;
        let curve = curve(&info.algorithm)?;
        let point = info.subject_public_key.as_bytes().ok_or(KeyFault::Point(curve))?;
        Self::from_sec1(provider, curve, point)
    }

    /// The curve.
    #[must_use]
    pub fn curve(&self) -> EcCurve {
        self.curve
    }

    /// The point in uncompressed form: `04 || x || y`.
    #[must_use]
    pub fn uncompressed(&self) -> &[u8] {
        &self.uncompressed
    }

    /// The point in compressed form: `02 || x` when y is even, `03 || x` when it is odd.
    #[must_use]
    pub fn compressed(&self) -> Vec<u8> {
        let odd = self.uncompressed.last().map_or(0, |last| last & 1);
        let x = self.uncompressed.iter().skip(1).take(self.curve.field_bytes());
        std::iter::once(2 | odd).chain(x.copied()).collect()
    }

    /// The DER of the SubjectPublicKeyInfo, the point in uncompressed form.
    ///
    /// # Errors
    /// [`Error::Key`](crate::Error::Key), which does not happen for the curves that there are.
    pub fn to_der(&self) -> Result<Vec<u8>> {
        encoding::point_to_spki(oid(self.curve), &self.uncompressed).map(Document::into_vec)
    }
}

/// A private key of a curve, with its public key.
pub struct EcPrivateKey {
    key: Box<dyn EcdhKey>,
    public_key: EcPublicKey,
}

impl EcPrivateKey {
    /// A new key on `curve`.
    ///
    /// # Errors
    /// [`Error::Provider`](crate::Error::Provider).
    pub fn generate(provider: &dyn CryptoProvider, curve: EcCurve) -> Result<Self> {
        Self::new(provider, curve, provider.generate_ecdh_key(curve)?)
    }

    /// The key in the PEM of PKCS #8 or SEC 1.
    ///
    /// # Errors
    /// [`Error::Key`](crate::Error::Key) for what is no private key of a curve of [`EcCurve`], an encrypted one,
    /// and one with a public key that is not its own; [`Error::LimitExceeded`](crate::Error::LimitExceeded).
    pub fn from_pem(provider: &dyn CryptoProvider, pem: &str) -> Result<Self> {
        Self::from_pkcs8(provider, encoding::private_key_from_pem(pem)?.as_bytes())
    }

    /// The key in the DER of PKCS #8 or SEC 1.
    ///
    /// # Errors
    /// As [`from_pem`](Self::from_pem).
    pub fn from_der(provider: &dyn CryptoProvider, der: &[u8]) -> Result<Self> {
        Self::from_pkcs8(provider, encoding::private_key_from_der(der)?.as_bytes())
    }

    fn from_pkcs8(provider: &dyn CryptoProvider, pkcs8: &[u8]) -> Result<Self> {
        let info = PrivateKeyInfoRef::from_der(pkcs8).map_err(not_ec)?;
        let curve = curve(&info.algorithm)?;
        let inner = sec1::EcPrivateKey::from_der(info.private_key.as_bytes()).map_err(not_ec)?;
        let named = inner.parameters.and_then(sec1::EcParameters::named_curve);
        if named.is_some_and(|named| named != oid(curve)) {
            return Err(KeyFault::Halves.into());
        }
        let scalar = scalar(curve, inner.private_key)?;
        let key = provider.ecdh_key(curve, &scalar).map_err(|_| KeyFault::Scalar(curve))?;
        let key = Self::new(provider, curve, key)?;
        if let Some(point) = inner.public_key
            && EcPublicKey::from_sec1(provider, curve, point)? != key.public_key
        {
            return Err(KeyFault::Halves.into());
        }
        Ok(key)
    }

    fn new(provider: &dyn CryptoProvider, curve: EcCurve, key: Box<dyn EcdhKey>) -> Result<Self> {
        let public_key = EcPublicKey::from_sec1(provider, curve, &key.public_point()?)?;
        Ok(Self { key, public_key })
    }

    /// The curve.
    #[must_use]
    pub fn curve(&self) -> EcCurve {
        self.public_key.curve
    }

    /// The public key.
    #[must_use]
    pub fn public_key(&self) -> &EcPublicKey {
        &self.public_key
    }

    /// The shared secret with the owner of `peer`: the x coordinate, [`EcCurve::field_bytes`] long.
    ///
    /// # Errors
    /// [`Error::Key`](crate::Error::Key) for a peer on another curve,
    /// [`Error::Provider`](crate::Error::Provider).
    pub fn agree(&self, peer: &EcPublicKey) -> Result<SecretBytes> {
        if peer.curve != self.curve() {
            let (expected, found) = (self.curve(), peer.curve);
            return Err(KeyFault::OtherCurve { expected, found }.into());
        }
        self.key.agree(&peer.uncompressed)
    }
}

fn not_ec<E>(_: E) -> KeyFault {
    KeyFault::Encoding { expected: EC }
}

/// The scalar in as many bytes as the curve has; writers that leave out leading zeros exist.
fn scalar(curve: EcCurve, bytes: &[u8]) -> Result<SecretBytes> {
    let Some(padding) = curve.field_bytes().checked_sub(bytes.len()) else {
        return Err(KeyFault::Scalar(curve).into());
    };
    SecretBytes::fill_with(curve.field_bytes(), |out| {
        out.iter_mut().skip(padding).zip(bytes).for_each(|(to, from)| *to = *from);
        Ok(())
    })
}

fn oid(curve: EcCurve) -> ObjectIdentifier {
    match curve {
        EcCurve::P256 => ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"),
        EcCurve::P384 => ObjectIdentifier::new_unwrap("1.3.132.0.34"),
        EcCurve::P521 => ObjectIdentifier::new_unwrap("1.3.132.0.35"),
    }
}

/// The curve of an algorithm identifier; explicit parameters are refused, for they can be chosen to
/// deceive (CVE-2020-0601).
fn curve(algorithm: &AlgorithmIdentifierRef<'_>) -> Result<EcCurve> {
    if algorithm.oid != encoding::EC_PUBLIC_KEY {
        let found = algorithm.oid.to_string();
        return Err(KeyFault::Algorithm { expected: EC, found }.into());
    }
    let named = algorithm.parameters_oid().map_err(|_| KeyFault::Curve("unnamed".to_owned()))?;
    let curve = EcCurve::ALL.into_iter().find(|curve| oid(*curve) == named);
    curve.ok_or_else(|| KeyFault::Curve(named.to_string()).into())
}
