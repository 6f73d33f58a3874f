//! The AWS KMS ECDH keyring: data keys wrapped under keys that a KMS key and another key agree on.
//!
//! What it writes the raw ECDH keyring reads, and the reverse: the KMS takes the place of one private key.
//!
//! Source: `framework/aws-kms/aws-kms-ecdh-keyring.md`,
//! `framework/key-agreement-schemas.md#aws-kms-ecdh-key-agreement-schemas`.

use std::sync::Arc;

use async_trait::async_trait;

use super::kms_error;
use crate::crypto::CryptoProvider;
use crate::crypto::ecdh::EcCurve;
use crate::error::{Error, KeyAttempt, KeyFault, KeyringFault, Result};
use crate::keyring::ecdh::{KMS_PROVIDER_ID, Parties, recognize};
use crate::keyring::{Keyring, existing_data_key, failed, random_data_key};
use crate::keys::EcPublicKey;
use crate::kms::arn::KeyIdentifier;
use crate::kms::{AsymmetricRequest, KmsClient};
use crate::materials::{DecryptionMaterials, EncryptionMaterials};
use crate::message::encrypted_data_key::EncryptedDataKey;
use crate::secret::{DataKey, SecretBytes};

/// What a KMS says of a key that agrees on secrets.
const KEY_AGREEMENT: &str = "KEY_AGREEMENT";

/// An elliptic-curve key whose private half is in a KMS.
pub struct KmsEcKey {
    client: Arc<dyn KmsClient>,
    key: KeyIdentifier,
    public_key: EcPublicKey,
    grant_tokens: Vec<String>,
}

impl KmsEcKey {
    /// The key `key_id` of `client`, whose public half the caller has already.
    ///
    /// # Errors
    /// [`Error::Keyring`] when `key_id` names no KMS key.
    pub fn new(
        client: Arc<dyn KmsClient>,
        key_id: impl Into<String>,
        public_key: EcPublicKey,
    ) -> Result<Self> {
        let key = KeyIdentifier::parse(key_id)?;
        Ok(Self { client, key, public_key, grant_tokens: Vec::new() })
    }

    /// The key `key_id` of `client`, whose public half the KMS is asked for; it must be on `curve`.
    ///
    /// # Errors
    /// [`Error::Kms`]; [`Error::Keyring`] when the key is not for key agreement; [`Error::Key`] when it is on
    /// another curve.
    pub async fn fetch(
        client: Arc<dyn KmsClient>,
        provider: &dyn CryptoProvider,
        key_id: impl Into<String>,
        curve: EcCurve,
        grant_tokens: Vec<String>,
    ) -> Result<Self> {
        let key = KeyIdentifier::parse(key_id)?;
        let request = AsymmetricRequest { key_id: key.as_str(), grant_tokens: &grant_tokens };
        let answer = client.get_public_key(request).await.map_err(kms_error(key.as_str()))?;
        //= framework/key-agreement-schemas.md#kmspublickeydiscovery
        //# If the keyring succeeds retrieving the configured KMS public key,
        //# the `kms:GetPublicKey` response MUST indicate that
        //# the `KeyUsage` on the KMS key ID is for `KeyAgreement` and
        //# that the `Curve` matches the configured curve specification.
        if answer.key_usage != KEY_AGREEMENT {
            let (key, usage) = (key.as_str().to_owned(), answer.key_usage);
            return Err(KeyringFault::KeyUsage { key, usage }.into());
        }
        let public_key = EcPublicKey::from_der(provider, &answer.spki)?;
        if public_key.curve() != curve {
            return Err(KeyFault::OtherCurve { expected: curve, found: public_key.curve() }.into());
        }
        Ok(Self { client, key, public_key, grant_tokens })
    }

    /// Sends `grant_tokens` with every request.
    #[must_use]
    pub fn grant_tokens(mut self, grant_tokens: Vec<String>) -> Self {
        self.grant_tokens = grant_tokens;
        self
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> &EcPublicKey {
        &self.public_key
    }

    /// The secret that the KMS says this key shares with `other`.
    async fn agree(&self, other: &EcPublicKey) -> Result<SecretBytes> {
        let key_id = self.key.as_str();
        let request = AsymmetricRequest { key_id, grant_tokens: &self.grant_tokens };
        //= framework/aws-kms/aws-kms-ecdh-keyring.md#onencrypt
        //# `KeyId` MUST be the configured AWS KMS key identifier in the schema
        let answer = self.client.derive_shared_secret(request, &other.to_der()?).await;
        let answer = answer.map_err(kms_error(key_id))?;
        if self.key.key_arn().is_some() && answer.key_id != key_id {
            let (expected, found) = (key_id.to_owned(), answer.key_id);
            return Err(KeyringFault::OtherKey { expected, found }.into());
        }
        Ok(answer.secret)
    }
}

/// One key agreement on P-256, P-384 or P-521, with a key in a KMS.
pub struct AwsKmsEcdhKeyring {
    own: KmsEcKey,
    /// The other party of every message (KmsPrivateKeyToStaticPublicKey); without one, whoever wrote it
    /// (KmsPublicKeyDiscovery).
    other: Option<(EcPublicKey, Parties)>,
}

impl AwsKmsEcdhKeyring {
    /// A keyring that writes from `own` to `other`, and reads what either wrote for the other
    /// (KmsPrivateKeyToStaticPublicKey).
    ///
    /// # Errors
    /// [`Error::Key`] when the two keys are on different curves.
    pub fn between(own: KmsEcKey, other: EcPublicKey) -> Result<Self> {
        let parties = Parties::new(&own.public_key, &other)?;
        Ok(Self { own, other: Some((other, parties)) })
    }

    /// A keyring that reads what anybody wrote for `recipient`, and cannot write (KmsPublicKeyDiscovery).
    #[must_use]
    pub fn discovery(recipient: KmsEcKey) -> Self {
        Self { own: recipient, other: None }
    }

    /// Whether a data key between `parties` is for this keyring.
    fn is_ours(&self, parties: &Parties) -> bool {
        match &self.other {
            //= framework/key-agreement-schemas.md#kmsprivatekeytostaticpublickey
            //# MUST verify that both the configured sender's and recipient's
            //# public keys match the public keys stored on the message ciphertext.
            Some((_, configured)) => parties.are_those_of(configured),
            //= framework/key-agreement-schemas.md#kmspublickeydiscovery
            //# MUST verify that the configured recipient's public key
            //# matches the public key stored on the message ciphertext.
            None => parties.are_to(&self.own.public_key),
        }
    }

    async fn unwrap(
        &self,
        parties: &Parties,
        ciphertext: &[u8],
        materials: &DecryptionMaterials,
    ) -> Result<DataKey> {
        let provider = materials.provider();
        let shared_secret = match &self.other {
            Some((other, _)) => self.own.agree(other).await?,
            None => {
                let curve = self.own.public_key.curve();
                let sender = EcPublicKey::from_sec1(&**provider, curve, parties.sender())?;
                self.own.agree(&sender).await?
            }
        };
        parties.unwrap(&**provider, &shared_secret, materials.encryption_context(), ciphertext)
    }
}

#[async_trait]
impl Keyring for AwsKmsEcdhKeyring {
    async fn on_encrypt(&self, materials: &mut EncryptionMaterials) -> Result<()> {
        //= framework/aws-kms/aws-kms-ecdh-keyring.md#onencrypt
        //# OnEncrypt MUST fail if configured with a
        //# [KmsPublicKeyDiscovery Key Agreement Configuration](../key-agreement-schemas.md#kmspublickeydiscovery)
        let Some((other, parties)) = &self.other else {
            return Err(KeyringFault::CannotWrap("public key discovery only reads").into());
        };
        let shared_secret = self.own.agree(other).await?;
        let provider = materials.provider().clone();
        if materials.data_key().is_none() {
            materials.set_data_key(random_data_key(&*provider, materials.suite())?)?;
        }
        let (context, data_key) = (materials.encryption_context(), existing_data_key(materials)?);
        let wrapped =
            parties.wrap(&*provider, KMS_PROVIDER_ID, &shared_secret, context, data_key)?;
        materials.push_encrypted_data_key(wrapped);
        Ok(())
    }

    async fn on_decrypt(
        &self,
        materials: &mut DecryptionMaterials,
        keys: &[EncryptedDataKey],
    ) -> Result<()> {
        crate::keyring::require_no_data_key(materials)?;
        let curve = self.own.public_key.curve();
        let mut attempts: Vec<KeyAttempt> = Vec::new();
        for key in keys {
            let parties = match recognize(curve, key, |parties| self.is_ours(parties)) {
                Ok(parties) => parties,
                Err(attempt) => {
                    attempts.push(attempt);
                    continue;
                }
            };
            let unwrapped = self.unwrap(&parties, &key.ciphertext, materials).await;
            match unwrapped.and_then(|data_key| materials.set_data_key(data_key)) {
                Ok(()) => return Ok(()),
                Err(error) => attempts.push(failed(key, parties.name(), error)),
            }
        }
        Err(Error::NoDataKey { attempts })
    }

    fn name(&self) -> String {
        format!("aws-kms-ecdh {}", self.own.key.as_str())
    }
}
