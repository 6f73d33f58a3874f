//! AWS KMS, and whatever speaks its protocol, through the client of the AWS SDK.
//!
//! Endpoint, Region, credentials, retries and timeouts are the client's: its configuration is where
//! users expect to set them.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_kms::Client;
use aws_sdk_kms::config::{Config, Region};
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::Blob;

use super::{
    ClientSupplier, Decrypted, Encrypted, GeneratedDataKey, KmsClient, KmsError, KmsRequest,
    ReEncrypted,
};
use crate::message::encryption_context::EncryptionContext;
use crate::secret::SecretBytes;

/// An AWS SDK client as a [`KmsClient`].
#[derive(Debug, Clone)]
pub struct AwsKmsClient {
    client: Client,
}

impl AwsKmsClient {
    /// Makes every request with `client`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}

/// AWS SDK clients for any Region: all of one configuration, but for the Region.
#[derive(Debug, Clone)]
pub struct AwsClientSupplier {
    config: Config,
}

impl AwsClientSupplier {
    /// Makes clients of `config`.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config }
    }
}

impl ClientSupplier for AwsClientSupplier {
    fn client(&self, region: &str) -> Result<Arc<dyn KmsClient>, KmsError> {
        let config = self.config.to_builder().region(Region::new(region.to_owned())).build();
        Ok(Arc::new(AwsKmsClient::new(Client::from_conf(config))))
    }
}

#[async_trait]
impl KmsClient for AwsKmsClient {
    async fn generate_data_key(
        &self,
        request: KmsRequest<'_>,
        bytes: usize,
    ) -> Result<GeneratedDataKey, KmsError> {
        const OPERATION: &str = "GenerateDataKey";
        let answer = self
            .client
            .generate_data_key()
            .key_id(request.key_id)
            .number_of_bytes(i32::try_from(bytes).unwrap_or(i32::MAX))
            .set_encryption_context(pairs(request.encryption_context))
            .set_grant_tokens(tokens(request.grant_tokens))
            .send()
            .await
            .map_err(|error| kms_error(OPERATION, error))?;
        Ok(GeneratedDataKey {
            plaintext: secret(required(OPERATION, "Plaintext", answer.plaintext)?),
            ciphertext: required(OPERATION, "CiphertextBlob", answer.ciphertext_blob)?.into_inner(),
            key_id: required(OPERATION, "KeyId", answer.key_id)?,
        })
    }

    async fn encrypt(
        &self,
        request: KmsRequest<'_>,
        plaintext: &SecretBytes,
    ) -> Result<Encrypted, KmsError> {
        const OPERATION: &str = "Encrypt";
        let answer = self
            .client
            .encrypt()
            .key_id(request.key_id)
            .plaintext(Blob::new(plaintext.expose()))
            .set_encryption_context(pairs(request.encryption_context))
            .set_grant_tokens(tokens(request.grant_tokens))
            .send()
            .await
            .map_err(|error| kms_error(OPERATION, error))?;
        Ok(Encrypted {
            ciphertext: required(OPERATION, "CiphertextBlob", answer.ciphertext_blob)?.into_inner(),
            key_id: required(OPERATION, "KeyId", answer.key_id)?,
        })
    }

    async fn decrypt(
        &self,
        request: KmsRequest<'_>,
        ciphertext: &[u8],
    ) -> Result<Decrypted, KmsError> {
        const OPERATION: &str = "Decrypt";
        let answer = self
            .client
            .decrypt()
            .key_id(request.key_id)
            .ciphertext_blob(Blob::new(ciphertext))
            .set_encryption_context(pairs(request.encryption_context))
            .set_grant_tokens(tokens(request.grant_tokens))
            .send()
            .await
            .map_err(|error| kms_error(OPERATION, error))?;
        Ok(Decrypted {
            plaintext: secret(required(OPERATION, "Plaintext", answer.plaintext)?),
            key_id: required(OPERATION, "KeyId", answer.key_id)?,
        })
    }

    async fn generate_data_key_without_plaintext(
        &self,
        request: KmsRequest<'_>,
        bytes: usize,
    ) -> Result<Encrypted, KmsError> {
        const OPERATION: &str = "GenerateDataKeyWithoutPlaintext";
        let answer = self
            .client
            .generate_data_key_without_plaintext()
            .key_id(request.key_id)
            .number_of_bytes(i32::try_from(bytes).unwrap_or(i32::MAX))
            .set_encryption_context(pairs(request.encryption_context))
            .set_grant_tokens(tokens(request.grant_tokens))
            .send()
            .await
            .map_err(|error| kms_error(OPERATION, error))?;
        Ok(Encrypted {
            ciphertext: required(OPERATION, "CiphertextBlob", answer.ciphertext_blob)?.into_inner(),
            key_id: required(OPERATION, "KeyId", answer.key_id)?,
        })
    }

    async fn re_encrypt(
        &self,
        source: KmsRequest<'_>,
        ciphertext: &[u8],
        destination: KmsRequest<'_>,
    ) -> Result<ReEncrypted, KmsError> {
        const OPERATION: &str = "ReEncrypt";
        let answer = self
            .client
            .re_encrypt()
            .source_key_id(source.key_id)
            .ciphertext_blob(Blob::new(ciphertext))
            .set_source_encryption_context(pairs(source.encryption_context))
            .destination_key_id(destination.key_id)
            .set_destination_encryption_context(pairs(destination.encryption_context))
            .set_grant_tokens(tokens(source.grant_tokens))
            .send()
            .await
            .map_err(|error| kms_error(OPERATION, error))?;
        Ok(ReEncrypted {
            ciphertext: required(OPERATION, "CiphertextBlob", answer.ciphertext_blob)?.into_inner(),
            source_key_id: required(OPERATION, "SourceKeyId", answer.source_key_id)?,
            key_id: required(OPERATION, "KeyId", answer.key_id)?,
        })
    }
}

/// The context as the client wants it; an empty one is left out.
fn pairs(context: &EncryptionContext) -> Option<HashMap<String, String>> {
    if context.is_empty() {
        return None;
    }
    Some(context.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
}

fn tokens(grant_tokens: &[String]) -> Option<Vec<String>> {
    (!grant_tokens.is_empty()).then(|| grant_tokens.to_vec())
}

/// Moves the plaintext out of the answer; the client's own buffers are out of our reach.
fn secret(blob: Blob) -> SecretBytes {
    SecretBytes::take(&mut blob.into_inner())
}

fn required<T>(
    operation: &'static str,
    field: &'static str,
    value: Option<T>,
) -> Result<T, KmsError> {
    value.ok_or(KmsError::Incomplete { operation, field })
}

/// Any KMS operation's failure as a [`KmsError`]: the service's code and message are kept; an error that the
/// service did not send is a failure to reach it.
pub fn kms_error<E, R>(operation: &'static str, error: SdkError<E, R>) -> KmsError
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    if let SdkError::ServiceError(context) = &error {
        let meta = context.err().meta();
        return KmsError::Service {
            operation,
            code: meta.code().unwrap_or("UnknownError").to_owned(),
            message: meta.message().unwrap_or("the service gave no message").to_owned(),
        };
    }
    let reason = chain(&error);
    KmsError::Unreachable { operation, reason, source: Box::new(error) }
}

/// The error and its causes in words; what a cause repeats of the one above is left out.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = cause.source();
    }
    text
}
