//! RSA and elliptic-curve keys of a keys manifest, in PEM or DER.

use std::sync::Arc;

use pkcs1::{RsaPrivateKeyRef, RsaPublicKeyRef};
use pkcs8::der::{Decode, Encode, SecretDocument};
use pkcs8::{Document, PrivateKeyInfoRef};
use strongroom_sdk::crypto::rsa::RsaPadding;
use strongroom_sdk::crypto::{CryptoProvider, default_provider};
use strongroom_sdk::keyring::{
    AwsKmsEcdhKeyring, AwsKmsRsaKeyring, KmsEcKey, RawEcdhKeyring, RawRsaKeyring, RsaKeys,
};
use strongroom_sdk::keys::{EcPrivateKey, EcPublicKey, RsaPrivateKey, RsaPublicKey};
use strongroom_sdk::kms::{KmsClient, RsaAlgorithm};

use super::description::{Ecdh, Padding};
use super::keys::Key;
use super::wrapping::{Obstacle, Use};

/// The keyring of the RSA key `key`, known to messages as `namespace` and `name`.
pub(super) fn raw_rsa(
    namespace: &str,
    name: &str,
    padding: &Padding,
    key: &Key<'_>,
    usage: Use,
) -> Result<RawRsaKeyring, Obstacle> {
    let provider = &*default_provider();
    let padding = rsa_padding(padding)?;
    let material = key.material("material")?;
    let keys = match (key.kind()?, usage) {
        ("public", _) => RsaKeys::Public(rsa_public_key(provider, material.expose())?),
        (_, Use::Decrypt) => RsaKeys::Private(rsa_private_key(provider, material.expose())?),
        (_, Use::Encrypt) => RsaKeys::Public(public_half(provider, material.expose())?),
    };
    Ok(RawRsaKeyring::new(namespace, name, padding, keys)?)
}

/// The keyring of an agreement between two keys of the manifest.
pub(super) fn raw_ecdh<'k>(
    agreement: &Ecdh,
    find: impl Fn(&str) -> Result<Key<'k>, Obstacle>,
    usage: Use,
) -> Result<RawEcdhKeyring, Obstacle> {
    let provider = &*default_provider();
    let private = |key: &Key<'_>, field: &str| ec_private_key(provider, key, field);
    let public = |key: &Key<'_>, field: &str| ec_public_key(provider, key, field);
    let recipient = find(&agreement.recipient)?;
    match (agreement.schema.as_str(), usage) {
        ("static", Use::Encrypt) => {
            let own = private(&find(&agreement.sender)?, SENDER)?;
            Ok(RawEcdhKeyring::between(own, public(&recipient, RECIPIENT_PUBLIC)?)?)
        }
        ("static", Use::Decrypt) => {
            let sender = public(&find(&agreement.sender)?, SENDER_PUBLIC)?;
            Ok(RawEcdhKeyring::between(private(&recipient, RECIPIENT)?, sender)?)
        }
        ("ephemeral" | "discovery", Use::Encrypt) => {
            Ok(RawEcdhKeyring::ephemeral_to(public(&recipient, RECIPIENT_PUBLIC)?))
        }
        ("ephemeral" | "discovery", Use::Decrypt) => {
            Ok(RawEcdhKeyring::discovery(private(&recipient, RECIPIENT)?))
        }
        (other, _) => {
            Err(Obstacle::Skip(format!("raw-ecdh: `{other}` is no schema that is known here")))
        }
    }
}

/// The keyring of an RSA key in a KMS; without `client` it can only write.
pub(super) fn kms_rsa(
    key: &Key<'_>,
    algorithm: &str,
    client: Option<Arc<dyn KmsClient>>,
) -> Result<AwsKmsRsaKeyring, Obstacle> {
    let algorithm = match algorithm {
        "RSAES_OAEP_SHA_1" => RsaAlgorithm::OaepSha1,
        "RSAES_OAEP_SHA_256" => RsaAlgorithm::OaepSha256,
        other => {
            let reason = format!("aws-kms-rsa: `{other}` is no algorithm that is known here");
            return Err(Obstacle::Skip(reason));
        }
    };
    let public_key = key.public_key("material")?;
    let public_key = rsa_public_key(&*default_provider(), &public_key)?;
    let keyring = AwsKmsRsaKeyring::new(&key.id, algorithm)?.public_key(public_key);
    Ok(match client {
        Some(client) => keyring.client(client),
        None => keyring,
    })
}

/// The keyring of an agreement whose own key is in a KMS: the sender's to write, the recipient's to read.
pub(super) fn kms_ecdh<'k>(
    agreement: &Ecdh,
    find: impl Fn(&str) -> Result<Key<'k>, Obstacle>,
    client: Arc<dyn KmsClient>,
    usage: Use,
) -> Result<AwsKmsEcdhKeyring, Obstacle> {
    let provider = &*default_provider();
    let recipient = find(&agreement.recipient)?;
    let recipient_public = ec_public_key(provider, &recipient, RECIPIENT_PUBLIC)?;
    if agreement.schema == "static" {
        let sender = find(&agreement.sender)?;
        let sender_public = ec_public_key(provider, &sender, SENDER_PUBLIC)?;
        let (own, own_public, other) = match usage {
            Use::Encrypt => (sender.required_text(SENDER)?, sender_public, recipient_public),
            Use::Decrypt => (recipient.required_text(RECIPIENT)?, recipient_public, sender_public),
        };
        return Ok(AwsKmsEcdhKeyring::between(KmsEcKey::new(client, own, own_public)?, other)?);
    }
    let recipient = recipient.required_text(RECIPIENT)?;
    Ok(AwsKmsEcdhKeyring::discovery(KmsEcKey::new(client, recipient, recipient_public)?))
}

const SENDER: &str = "sender-material";
const SENDER_PUBLIC: &str = "sender-material-public-key";
const RECIPIENT: &str = "recipient-material";
const RECIPIENT_PUBLIC: &str = "recipient-material-public-key";

fn rsa_padding(padding: &Padding) -> Result<RsaPadding, Obstacle> {
    Ok(match padding {
        Padding::Pkcs1 => RsaPadding::Pkcs1,
        Padding::OaepSha1 => RsaPadding::OaepSha1,
        Padding::OaepSha256 => RsaPadding::OaepSha256,
        Padding::OaepSha384 => RsaPadding::OaepSha384,
        Padding::OaepSha512 => RsaPadding::OaepSha512,
        Padding::Unknown(name) => {
            return Err(Obstacle::Skip(format!(
                "raw rsa: `{name}` is no padding that is known here"
            )));
        }
    })
}

fn rsa_private_key(
    provider: &dyn CryptoProvider,
    material: &[u8],
) -> strongroom_sdk::Result<RsaPrivateKey> {
    match std::str::from_utf8(material) {
        Ok(pem) => RsaPrivateKey::from_pem(provider, pem),
        Err(_) => RsaPrivateKey::from_der(provider, material),
    }
}

fn rsa_public_key(
    provider: &dyn CryptoProvider,
    material: &[u8],
) -> strongroom_sdk::Result<RsaPublicKey> {
    match std::str::from_utf8(material) {
        Ok(pem) => RsaPublicKey::from_pem(provider, pem),
        Err(_) => RsaPublicKey::from_der(provider, material),
    }
}

/// The public half of a private key: manifests name the private key for writing too.
fn public_half(provider: &dyn CryptoProvider, material: &[u8]) -> Result<RsaPublicKey, Obstacle> {
    let der = match std::str::from_utf8(material) {
        Ok(pem) => SecretDocument::from_pem(pem).map(|(_, document)| document),
        Err(_) => SecretDocument::try_from(material),
    };
    let public = der.ok().and_then(|der| public_of(der.as_bytes()));
    let no_key = || Obstacle::Fault("the RSA private key is in no form that is known".to_owned());
    Ok(RsaPublicKey::from_der(provider, public.ok_or_else(no_key)?.as_bytes())?)
}

/// The PKCS #1 public key of a private key in PKCS #8 or PKCS #1.
fn public_of(der: &[u8]) -> Option<Document> {
    let inner = PrivateKeyInfoRef::from_der(der).map(|info| info.private_key.as_bytes());
    let key = RsaPrivateKeyRef::from_der(inner.unwrap_or(der)).ok()?;
    let public = RsaPublicKeyRef { modulus: key.modulus, public_exponent: key.public_exponent };
    Document::try_from(public.to_der().ok()?).ok()
}

fn ec_private_key(
    provider: &dyn CryptoProvider,
    key: &Key<'_>,
    field: &str,
) -> Result<EcPrivateKey, Obstacle> {
    let material = key.material(field)?;
    Ok(match std::str::from_utf8(material.expose()) {
        Ok(pem) => EcPrivateKey::from_pem(provider, pem)?,
        Err(_) => EcPrivateKey::from_der(provider, material.expose())?,
    })
}

fn ec_public_key(
    provider: &dyn CryptoProvider,
    key: &Key<'_>,
    field: &str,
) -> Result<EcPublicKey, Obstacle> {
    let material = key.public_key(field)?;
    Ok(match std::str::from_utf8(&material) {
        Ok(pem) => EcPublicKey::from_pem(provider, pem)?,
        Err(_) => EcPublicKey::from_der(provider, &material)?,
    })
}
