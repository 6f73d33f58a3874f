//! The raw ECDH keyring: data keys wrapped under keys that two elliptic-curve keys agree on.
//!
//! Source: `framework/raw-ecdh-keyring.md`, `framework/key-agreement-schemas.md#raw-ecdh-key-agreement-schemas`.

use async_trait::async_trait;

use super::ecdh::{Parties, RAW_PROVIDER_ID, recognize};
use super::{Keyring, existing_data_key, failed, random_data_key};
use crate::crypto::CryptoProvider;
use crate::crypto::ecdh::EcCurve;
use crate::error::{Error, KeyAttempt, KeyringFault, Result};
use crate::keys::{EcPrivateKey, EcPublicKey};
use crate::materials::{DecryptionMaterials, EncryptionMaterials};
use crate::message::encrypted_data_key::EncryptedDataKey;
use crate::secret::{DataKey, SecretBytes};

/// One key agreement on P-256, P-384 or P-521.
pub struct RawEcdhKeyring {
    schema: Schema,
}

/// The key agreement schemas of the specification.
enum Schema {
    /// EphemeralPrivateKeyToStaticPublicKey.
    Ephemeral { recipient: EcPublicKey },
    /// RawPrivateKeyToStaticPublicKey.
    Static { own: EcPrivateKey, other: EcPublicKey, parties: Parties },
    /// PublicKeyDiscovery.
    Discovery { recipient: EcPrivateKey },
}

impl RawEcdhKeyring {
    /// A keyring that writes for `recipient`, with a sender's key made anew for each message, and cannot
    /// read (EphemeralPrivateKeyToStaticPublicKey).
    #[must_use]
    pub fn ephemeral_to(recipient: EcPublicKey) -> Self {
        Self { schema: Schema::Ephemeral { recipient } }
    }

    /// A keyring that writes from `own` to `other`, and reads what either wrote for the other
    /// (RawPrivateKeyToStaticPublicKey).
    ///
    /// # Errors
    /// [`Error::Key`] when the two keys are on different curves.
    pub fn between(own: EcPrivateKey, other: EcPublicKey) -> Result<Self> {
        //= framework/raw-ecdh-keyring.md#initialization
        //# On initialization, the keyring MUST assert that the recipient's public key
        //# and the sender's private key belong to the same ECC Curve, and that
        //# the public key's ECC points are not the "points at infinity".
        let parties = Parties::new(own.public_key(), &other)?;
        Ok(Self { schema: Schema::Static { own, other, parties } })
    }

    /// A keyring that reads what anybody wrote for `recipient`, and cannot write (PublicKeyDiscovery).
    #[must_use]
    pub fn discovery(recipient: EcPrivateKey) -> Self {
        Self { schema: Schema::Discovery { recipient } }
    }

    fn curve(&self) -> EcCurve {
        match &self.schema {
            Schema::Ephemeral { recipient } => recipient.curve(),
            Schema::Static { own, .. } => own.curve(),
            Schema::Discovery { recipient } => recipient.curve(),
        }
    }

    /// Whether a data key between `parties` is for this keyring.
    fn is_ours(&self, parties: &Parties) -> bool {
        match &self.schema {
            Schema::Ephemeral { recipient } => parties.are_to(recipient),
            //= framework/key-agreement-schemas.md#rawprivatekeytostaticpublickey
            //# MUST verify that both the configured sender's and recipient's
            //# public keys match the public keys stored on the message ciphertext.
            Schema::Static { parties: configured, .. } => parties.are_those_of(configured),
            //= framework/key-agreement-schemas.md#publickeydiscovery
            //# MUST verify that the recipient public key stored on
            //# the message ciphertext matches the configured recipient's
            //# public key.
            Schema::Discovery { recipient } => parties.are_to(recipient.public_key()),
        }
    }

    /// The secret that this keyring shares with the other of `parties`, which are its own.
    fn shared_secret(
        &self,
        provider: &dyn CryptoProvider,
        parties: &Parties,
    ) -> Result<SecretBytes> {
        match &self.schema {
            //= framework/raw-ecdh-keyring.md#ondecrypt
            //# OnDecrypt MUST fail if configured with a
            //# [EphemeralPrivateKeyToStaticPublicKey Key Agreement Configuration](./key-agreement-schemas.md#ephemeralprivatekeytostaticpublickey)
            Schema::Ephemeral { .. } => Err(KeyringFault::CannotUnwrap("no private key").into()),
            Schema::Static { own, other, .. } => own.agree(other),
            Schema::Discovery { recipient } => {
                let sender = EcPublicKey::from_sec1(provider, self.curve(), parties.sender())?;
                recipient.agree(&sender)
            }
        }
    }

    fn unwrap(
        &self,
        parties: &Parties,
        ciphertext: &[u8],
        materials: &DecryptionMaterials,
    ) -> Result<DataKey> {
        let provider = &**materials.provider();
        let shared_secret = self.shared_secret(provider, parties)?;
        parties.unwrap(provider, &shared_secret, materials.encryption_context(), ciphertext)
    }
}

#[async_trait]
impl Keyring for RawEcdhKeyring {
    async fn on_encrypt(&self, materials: &mut EncryptionMaterials) -> Result<()> {
        let provider = materials.provider().clone();
        let ephemeral;
        let (sender, recipient) = match &self.schema {
            Schema::Ephemeral { recipient } => {
                //= framework/key-agreement-schemas.md#ephemeralprivatekeytostaticpublickey
                //# MUST generate a new ECC key pair along the same EC curve as
                //# the recipient's public key.
                ephemeral = EcPrivateKey::generate(&*provider, recipient.curve())?;
                (&ephemeral, recipient)
            }
            Schema::Static { own, other, .. } => (own, other),
            //= framework/raw-ecdh-keyring.md#onencrypt
            //# OnEncrypt MUST fail if configured with a
            //# [PublicKeyDiscovery Key Agreement Configuration](./key-agreement-schemas.md#publickeydiscovery)
            Schema::Discovery { .. } => {
                return Err(KeyringFault::CannotWrap("public key discovery only reads").into());
            }
        };
        let parties = Parties::new(sender.public_key(), recipient)?;
        let shared_secret = sender.agree(recipient)?;
        if materials.data_key().is_none() {
            materials.set_data_key(random_data_key(&*provider, materials.suite())?)?;
        }
        let (context, data_key) = (materials.encryption_context(), existing_data_key(materials)?);
        let wrapped =
            parties.wrap(&*provider, RAW_PROVIDER_ID, &shared_secret, context, data_key)?;
        materials.push_encrypted_data_key(wrapped);
        Ok(())
    }

    async fn on_decrypt(
        &self,
        materials: &mut DecryptionMaterials,
        keys: &[EncryptedDataKey],
    ) -> Result<()> {
        super::require_no_data_key(materials)?;
        let mut attempts: Vec<KeyAttempt> = Vec::new();
        for key in keys {
            let parties = match recognize(self.curve(), key, |parties| self.is_ours(parties)) {
                Ok(parties) => parties,
                Err(attempt) => {
                    attempts.push(attempt);
                    continue;
                }
            };
            let unwrapped = self.unwrap(&parties, &key.ciphertext, materials);
            match unwrapped.and_then(|data_key| materials.set_data_key(data_key)) {
                Ok(()) => return Ok(()),
                Err(error) => attempts.push(failed(key, parties.name(), error)),
            }
        }
        Err(Error::NoDataKey { attempts })
    }

    fn name(&self) -> String {
        format!("{RAW_PROVIDER_ID} on {}", self.curve())
    }
}
