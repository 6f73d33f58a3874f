//! The operations of a KMS that keyrings and key stores need, as a small trait; a client needs only
//! three of them.
//!
//! The core talks to this trait only; `aws` (feature `aws-kms`) puts the AWS SDK's client behind it.

use async_trait::async_trait;

use crate::message::encryption_context::EncryptionContext;
use crate::secret::SecretBytes;

pub mod arn;
mod asymmetric;
#[cfg(feature = "aws-kms")]
pub mod aws;
pub mod regional;

pub use asymmetric::{AsymmetricRequest, PublicKey, RsaAlgorithm, SharedSecret};
pub use regional::{ClientSupplier, RegionalClient};

/// What goes with every request: which key, and what the KMS authenticates with it.
#[derive(Debug, Clone, Copy)]
pub struct KmsRequest<'a> {
    /// Key ARN, key id, alias name or alias ARN.
    pub key_id: &'a str,
    /// The encryption context.
    pub encryption_context: &'a EncryptionContext,
    /// Grant tokens, usually none.
    pub grant_tokens: &'a [String],
}

/// A data key that the KMS made.
pub struct GeneratedDataKey {
    /// The data key.
    pub plaintext: SecretBytes,
    /// The data key under the KMS key.
    pub ciphertext: Vec<u8>,
    /// ARN of the KMS key.
    pub key_id: String,
}

/// A data key that the KMS wrapped.
#[derive(Debug, Clone)]
pub struct Encrypted {
    /// The data key under the KMS key.
    pub ciphertext: Vec<u8>,
    /// ARN of the KMS key.
    pub key_id: String,
}

/// A data key that the KMS unwrapped.
pub struct Decrypted {
    /// The data key.
    pub plaintext: SecretBytes,
    /// ARN of the KMS key.
    pub key_id: String,
}

/// A data key under another key, or with another encryption context, than before.
#[derive(Debug, Clone)]
pub struct ReEncrypted {
    /// The data key under the destination key.
    pub ciphertext: Vec<u8>,
    /// ARN of the key that it was under.
    pub source_key_id: String,
    /// ARN of the destination key.
    pub key_id: String,
}

/// A client of a KMS: its own credentials, endpoint, retries and timeouts.
#[async_trait]
pub trait KmsClient: Send + Sync {
    /// Makes a data key of `bytes` bytes.
    ///
    /// # Errors
    /// What the service answered, or why it could not be reached.
    async fn generate_data_key(
        &self,
        request: KmsRequest<'_>,
        bytes: usize,
    ) -> Result<GeneratedDataKey, KmsError>;

    /// Wraps `plaintext`.
    ///
    /// # Errors
    /// What the service answered, or why it could not be reached.
    async fn encrypt(
        &self,
        request: KmsRequest<'_>,
        plaintext: &SecretBytes,
    ) -> Result<Encrypted, KmsError>;

    /// Unwraps `ciphertext`.
    ///
    /// # Errors
    /// What the service answered, or why it could not be reached.
    async fn decrypt(
        &self,
        request: KmsRequest<'_>,
        ciphertext: &[u8],
    ) -> Result<Decrypted, KmsError>;

    /// Makes a data key of `bytes` bytes that nobody gets to see yet.
    ///
    /// # Errors
    /// What the service answered, or why it could not be reached; [`KmsError::NotOffered`] by default.
    async fn generate_data_key_without_plaintext(
        &self,
        _request: KmsRequest<'_>,
        _bytes: usize,
    ) -> Result<Encrypted, KmsError> {
        Err(KmsError::NotOffered { operation: "GenerateDataKeyWithoutPlaintext" })
    }

    /// Unwraps `ciphertext` as `source` says and wraps it again as `destination` says, inside the KMS.
    ///
    /// The grant tokens are those of `source`.
    ///
    /// # Errors
    /// What the service answered, or why it could not be reached; [`KmsError::NotOffered`] by default.
    async fn re_encrypt(
        &self,
        _source: KmsRequest<'_>,
        _ciphertext: &[u8],
        _destination: KmsRequest<'_>,
    ) -> Result<ReEncrypted, KmsError> {
        Err(KmsError::NotOffered { operation: "ReEncrypt" })
    }

    /// Decrypts `ciphertext` with an RSA key.
    ///
    /// # Errors
    /// What the service answered, or why it could not be reached; [`KmsError::NotOffered`].
    async fn decrypt_rsa(
        &self,
        _request: AsymmetricRequest<'_>,
        _algorithm: RsaAlgorithm,
        _ciphertext: &[u8],
    ) -> Result<Decrypted, KmsError> {
        Err(KmsError::NotOffered { operation: "Decrypt with an RSA key" })
    }

    /// The public half of an asymmetric key.
    ///
    /// # Errors
    /// What the service answered, or why it could not be reached; [`KmsError::NotOffered`].
    async fn get_public_key(&self, _request: AsymmetricRequest<'_>) -> Result<PublicKey, KmsError> {
        Err(KmsError::NotOffered { operation: "GetPublicKey" })
    }

    /// The secret that an elliptic-curve key shares with the key of the SubjectPublicKeyInfo `public_key`.
    ///
    /// # Errors
    /// What the service answered, or why it could not be reached; [`KmsError::NotOffered`].
    async fn derive_shared_secret(
        &self,
        _request: AsymmetricRequest<'_>,
        _public_key: &[u8],
    ) -> Result<SharedSecret, KmsError> {
        Err(KmsError::NotOffered { operation: "DeriveSharedSecret" })
    }
}

/// Why a KMS gave no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KmsError {
    /// The service answered with an error.
    #[error("{operation}: {code}: {message}")]
    Service {
        /// The operation, e.g. `Decrypt`.
        operation: &'static str,
        /// The service's code, e.g. `AccessDeniedException`.
        code: String,
        /// The service's message.
        message: String,
    },
    /// No answer: no connection, no credentials, a timeout.
    #[error("{operation}: the KMS gave no answer: {reason}")]
    Unreachable {
        /// The operation.
        operation: &'static str,
        /// The whole chain of causes as text.
        reason: String,
        /// What the client met.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The client lacks an operation.
    #[error("this client does not offer {operation}")]
    NotOffered {
        /// The operation.
        operation: &'static str,
    },
    /// There is no client for a Region.
    #[error("no client for {region:?}: {reason}")]
    NoClient {
        /// The Region, or what should have named one.
        region: String,
        /// Why there is none.
        reason: &'static str,
    },
    /// An answer without a field that it must have.
    #[error("{operation}: the answer has no {field}")]
    Incomplete {
        /// The operation.
        operation: &'static str,
        /// The field.
        field: &'static str,
    },
}

impl KmsError {
    /// The service's error code, e.g. `NotFoundException`; `None` when the service did not answer.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Service { code, .. } => Some(code),
            _ => None,
        }
    }
}
