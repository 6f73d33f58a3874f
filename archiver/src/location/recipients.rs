//! Who can open a location: the keys that wrap the data key of every object.

use serde::{Deserialize, Serialize};
use strongroom_sdk::crypto::default_provider;
use strongroom_sdk::crypto::rsa::RsaPadding;
use strongroom_sdk::keyring::raw_rsa::{RawRsaKeyring, RsaKeys};
use strongroom_sdk::keys::{RsaPrivateKey, RsaPublicKey};
use strongroom_sdk::message::suite::HashAlgorithm;

/// The namespace of recovery keys, as key provider in messages.
const RECOVERY_NAMESPACE: &str = "strongroom-recovery";

/// How a recovery key wraps: RSAES-OAEP with SHA-256 and MGF1 with SHA-256.
const RECOVERY_PADDING: RsaPadding = RsaPadding::OaepSha256;

/// The keys that wrap the data key of every object of a location; each of them alone opens it.
///
/// They are part of the format, and so of `keys/0`: who adds a host needs to know one key only, and nobody adds a
/// recipient unnoticed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipients {
    /// ARNs of the CMKs. Empty where there is one alone, whose name the format has no need to know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// A key that lies offline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<RecoveryKey>,
}

impl Recipients {
    /// Whether there is nobody beside one CMK.
    #[must_use]
    pub fn is_one_key(&self) -> bool {
        *self == Self::default()
    }
}

/// The public half of an RSA key whose private half lies where no writer is: what is left if every CMK is lost.
///
/// Only RSA: a symmetric key would have to lie on every machine that writes, and would open all backups there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryKey {
    /// SHA-256 of the key's SubjectPublicKeyInfo, 64 hexadecimal digits; the key name in messages.
    pub fingerprint: String,
    /// SubjectPublicKeyInfo or PKCS #1 in PEM.
    pub public_key: String,
}

impl RecoveryKey {
    /// The recovery key whose public half is in this PEM.
    ///
    /// # Errors
    /// [`Key`](strongroom_sdk::Error::Key) and others of [`RsaPublicKey::from_pem`].
    pub fn from_pem(pem: &str) -> strongroom_sdk::Result<Self> {
        let provider = default_provider();
        let key = RsaPublicKey::from_pem(&*provider, pem)?;
        let mut digest = provider.digest(HashAlgorithm::Sha256);
        digest.update(key.to_der());
        let fingerprint = digest.finish().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { fingerprint, public_key: pem.trim().to_owned() + "\n" })
    }

    /// What wraps under it, and unwraps nothing.
    ///
    /// # Errors
    /// As [`RecoveryKey::from_pem`].
    pub fn writer(&self) -> strongroom_sdk::Result<RawRsaKeyring> {
        let key = RsaPublicKey::from_pem(&*default_provider(), &self.public_key)?;
        self.keyring(RsaKeys::Public(key))
    }

    /// What unwraps with the private half in this PEM, PKCS #8 or PKCS #1, and wraps nothing.
    ///
    /// # Errors
    /// [`Key`](strongroom_sdk::Error::Key) and others of [`RsaPrivateKey::from_pem`].
    pub fn reader(&self, pem: &str) -> strongroom_sdk::Result<RawRsaKeyring> {
        self.keyring(RsaKeys::Private(RsaPrivateKey::from_pem(&*default_provider(), pem)?))
    }

    fn keyring(&self, keys: RsaKeys) -> strongroom_sdk::Result<RawRsaKeyring> {
        RawRsaKeyring::new(RECOVERY_NAMESPACE, &self.fingerprint, RECOVERY_PADDING, keys)
    }
}
