//! The AWS KMS RSA keyring: data keys encrypted here with a public key whose private key is in a KMS.
//!
//! Whoever has the public key can write, without a network and without credentials; only the KMS can read. A
//! digest of the encryption context goes with the data key, for the KMS authenticates none with these keys.
//!
//! Source: `framework/aws-kms/aws-kms-rsa-keyring.md`.

use std::sync::Arc;

use async_trait::async_trait;
use subtle::ConstantTimeEq;

use super::kms_error;
use crate::crypto::CryptoProvider;
use crate::error::{Error, KeyAttempt, KeyringFault, Result};
use crate::keyring::{Keyring, existing_data_key, failed, not_configured, random_data_key};
use crate::keys::RsaPublicKey;
use crate::kms::arn::KmsArn;
use crate::kms::{AsymmetricRequest, KmsClient, RsaAlgorithm};
use crate::materials::{DecryptionMaterials, EncryptionMaterials};
use crate::message::encrypted_data_key::EncryptedDataKey;
use crate::message::encryption_context::EncryptionContext;
use crate::message::suite::{AlgorithmSuite, HashAlgorithm};
use crate::secret::{DataKey, SecretBytes};

/// The provider id of this keyring.
const PROVIDER_ID: &str = "aws-kms-rsa";
/// Bytes in a SHA-384 digest of the encryption context.
const CONTEXT_DIGEST_BYTES: usize = 48;

/// One RSA key of a KMS. With the public key it writes, with a client it reads.
///
/// It refuses signed suites: since everybody can write for its key, a signature would prove nothing.
pub struct AwsKmsRsaKeyring {
    key: KmsArn,
    key_arn: String,
    algorithm: RsaAlgorithm,
    public_key: Option<RsaPublicKey>,
    client: Option<Arc<dyn KmsClient>>,
    grant_tokens: Vec<String>,
}

impl AwsKmsRsaKeyring {
    /// A keyring of the key with the ARN `key_arn`, which is what messages record.
    ///
    /// # Errors
    /// [`Error::Keyring`] when `key_arn` is not the ARN of a KMS key.
    pub fn new(key_arn: impl Into<String>, algorithm: RsaAlgorithm) -> Result<Self> {
        let key_arn = key_arn.into();
        //= framework/aws-kms/aws-kms-rsa-keyring.md#initialization
        //# The AWS KMS key identifier MUST NOT be an AWS KMS alias.
        let key = KmsArn::parse_key(&key_arn)?;
        let (public_key, client, grant_tokens) = (None, None, Vec::new());
        Ok(Self { key, key_arn, algorithm, public_key, client, grant_tokens })
    }

    /// Writes with `public_key`. Whether it is the key's is not asked; if it is not, nobody can read.
    #[must_use]
    pub fn public_key(mut self, public_key: RsaPublicKey) -> Self {
        self.public_key = Some(public_key);
        self
    }

    /// Reads with `client`.
    #[must_use]
    pub fn client(mut self, client: Arc<dyn KmsClient>) -> Self {
        self.client = Some(client);
        self
    }

    /// Sends `grant_tokens` with every request.
    #[must_use]
    pub fn grant_tokens(mut self, grant_tokens: Vec<String>) -> Self {
        self.grant_tokens = grant_tokens;
        self
    }

    /// Whether this keyring's key wrapped `key`, or a copy of it in another Region.
    fn is_ours(&self, key: &EncryptedDataKey) -> Result<bool> {
        if key.provider_id != PROVIDER_ID {
            return Ok(false);
        }
        //= framework/aws-kms/aws-kms-rsa-keyring.md#ondecrypt
        //# The provider info MUST be a [valid AWS KMS ARN](aws-kms-key-arn.md#a-valid-aws-kms-arn)
        //# with a resource type of `key` or OnDecrypt MUST fail.
        let recorded = KmsArn::parse_key(&key.key_name());
        let attempt = |error| vec![failed(key, key.key_name(), error)];
        let recorded = recorded.map_err(|error| Error::NoDataKey { attempts: attempt(error) })?;
        Ok(self.key.matches_for_decrypt(&recorded))
    }

    async fn unwrap(&self, ciphertext: &[u8], materials: &DecryptionMaterials) -> Result<DataKey> {
        //= framework/aws-kms/aws-kms-rsa-keyring.md#ondecrypt
        //# OnDecrypt MUST fail if this keyring does not have a specified AWS KMS SDK client.
        let client = self.client.as_ref().ok_or(KeyringFault::CannotUnwrap("no KMS client"))?;
        refuse_signed(materials.suite())?;
        let request = AsymmetricRequest { key_id: &self.key_arn, grant_tokens: &self.grant_tokens };
        let answer = client.decrypt_rsa(request, self.algorithm, ciphertext).await;
        let answer = answer.map_err(kms_error(&self.key_arn))?;
        //= framework/aws-kms/aws-kms-rsa-keyring.md#ondecrypt
        //# The `KeyId` field in the response MUST equal the configured AWS KMS key identifier.
        if answer.key_id != self.key_arn {
            let (expected, found) = (self.key_arn.clone(), answer.key_id);
            return Err(KeyringFault::OtherKey { expected, found }.into());
        }
        //= framework/aws-kms/aws-kms-rsa-keyring.md#ondecrypt
        //# The keyring MUST compare the decrypted encryption context digest
        //# to the encryption context digest prime;
        //# if the two are not equal,
        //# the keyring MUST fail and
        //# MUST NOT modify the [decryption materials](structures.md#decryption-materials).
        let expected = context_digest(&**materials.provider(), materials.encryption_context())?;
        match answer.plaintext.expose().split_at_checked(CONTEXT_DIGEST_BYTES) {
            Some((digest, data_key)) if bool::from(digest.ct_eq(&expected)) => {
                Ok(DataKey::new(SecretBytes::copy_of(data_key)))
            }
            _ => Err(KeyringFault::ContextDigest.into()),
        }
    }
}

#[async_trait]
impl Keyring for AwsKmsRsaKeyring {
    async fn on_encrypt(&self, materials: &mut EncryptionMaterials) -> Result<()> {
        //= framework/aws-kms/aws-kms-rsa-keyring.md#onencrypt
        //# OnEncrypt MUST fail if this keyring does not have a specified Public Key.
        let public = self.public_key.as_ref().ok_or(KeyringFault::CannotWrap("no public key"))?;
        refuse_signed(materials.suite())?;
        let provider = materials.provider().clone();
        if materials.data_key().is_none() {
            materials.set_data_key(random_data_key(&*provider, materials.suite())?)?;
        }
        let digest = context_digest(&*provider, materials.encryption_context())?;
        let data_key = existing_data_key(materials)?.secret().expose();
        let plaintext = SecretBytes::fill_with(digest.len() + data_key.len(), |out| {
            out.iter_mut().zip(digest.iter().chain(data_key)).for_each(|(to, from)| *to = *from);
            Ok::<(), Error>(())
        })?;
        let ciphertext = public.encrypt(self.algorithm.padding(), &plaintext)?;
        materials.push_encrypted_data_key(EncryptedDataKey {
            provider_id: PROVIDER_ID.to_owned(),
            provider_info: self.key_arn.as_bytes().to_vec(),
            ciphertext,
        });
        Ok(())
    }

    async fn on_decrypt(
        &self,
        materials: &mut DecryptionMaterials,
        keys: &[EncryptedDataKey],
    ) -> Result<()> {
        crate::keyring::require_no_data_key(materials)?;
        let mut attempts: Vec<KeyAttempt> = Vec::new();
        for key in keys {
            if !self.is_ours(key)? {
                attempts.push(not_configured(key, key.key_name()));
                continue;
            }
            let unwrapped = self.unwrap(&key.ciphertext, materials).await;
            match unwrapped.and_then(|data_key| materials.set_data_key(data_key)) {
                Ok(()) => return Ok(()),
                Err(error) => attempts.push(failed(key, self.key_arn.clone(), error)),
            }
        }
        Err(Error::NoDataKey { attempts })
    }

    fn name(&self) -> String {
        format!("aws-kms-rsa {}", self.key_arn)
    }
}

//= framework/aws-kms/aws-kms-rsa-keyring.md#onencrypt
//# OnEncrypt MUST fail if the input [encryption materials](../structures.md#encryption-materials)
//# contains an [algorithm suite](../algorithm-suites.md) containing an
//# [asymmetric signature](../algorithm-suites.md#asymmetric-signature-algorithm).
fn refuse_signed(suite: AlgorithmSuite) -> Result<()> {
    match suite.signature() {
        None => Ok(()),
        Some(_) => Err(KeyringFault::SignedSuite(suite).into()),
    }
}

//= framework/aws-kms/aws-kms-rsa-keyring.md#onencrypt
//# OnEncrypt MUST calculate a Encryption Context Digest by:
fn context_digest(provider: &dyn CryptoProvider, context: &EncryptionContext) -> Result<Vec<u8>> {
    let mut digest = provider.digest(HashAlgorithm::Sha384);
    digest.update(&context.serialize()?);
    Ok(digest.finish())
}
