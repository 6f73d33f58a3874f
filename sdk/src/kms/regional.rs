//! Clients for several Regions.

use std::sync::Arc;

use async_trait::async_trait;

use super::arn::KmsArn;
use super::{Decrypted, Encrypted, GeneratedDataKey, KmsClient, KmsError, KmsRequest, ReEncrypted};
use crate::secret::SecretBytes;

/// Longest name of a Region, in bytes; AWS's own have at most 15.
pub const REGION_BYTES_MAX: usize = 32;

/// Makes a client for a Region.
pub trait ClientSupplier: Send + Sync {
    /// A client of the KMS in `region`, e.g. `eu-central-1`.
    ///
    /// # Errors
    /// [`KmsError::NoClient`] when there is none for this Region.
    fn client(&self, region: &str) -> Result<Arc<dyn KmsClient>, KmsError>;
}

/// A client for all Regions: each request goes to the KMS in the Region that its key's ARN names.
///
/// For a discovery keyring that is to follow a message into any Region. What it is asked for must then be
/// a key ARN or alias ARN.
pub struct RegionalClient {
    supplier: Arc<dyn ClientSupplier>,
}

impl RegionalClient {
    /// Sends each request through a client of `supplier`.
    #[must_use]
    pub fn new(supplier: Arc<dyn ClientSupplier>) -> Self {
        Self { supplier }
    }

    fn client(&self, key_id: &str) -> Result<Arc<dyn KmsClient>, KmsError> {
        let none = |reason| KmsError::NoClient { region: key_id.to_owned(), reason };
        let arn = KmsArn::parse(key_id).map_err(|_| none("this names no Region"))?;
        // The name becomes part of a host name, and a message that nobody has verified may have brought it.
        if !is_region(arn.region()) {
            return Err(none("this is not the name of a Region"));
        }
        self.supplier.client(arn.region())
    }
}

/// Whether `name` can be the name of a Region: lower-case letters, digits and hyphens.
fn is_region(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.len() <= REGION_BYTES_MAX && name.bytes().all(plain)
}

#[async_trait]
impl KmsClient for RegionalClient {
    async fn generate_data_key(
        &self,
        request: KmsRequest<'_>,
        bytes: usize,
    ) -> Result<GeneratedDataKey, KmsError> {
        self.client(request.key_id)?.generate_data_key(request, bytes).await
    }

    async fn encrypt(
        &self,
        request: KmsRequest<'_>,
        plaintext: &SecretBytes,
    ) -> Result<Encrypted, KmsError> {
        self.client(request.key_id)?.encrypt(request, plaintext).await
    }

    async fn decrypt(
        &self,
        request: KmsRequest<'_>,
        ciphertext: &[u8],
    ) -> Result<Decrypted, KmsError> {
        self.client(request.key_id)?.decrypt(request, ciphertext).await
    }

    async fn generate_data_key_without_plaintext(
        &self,
        request: KmsRequest<'_>,
        bytes: usize,
    ) -> Result<Encrypted, KmsError> {
        self.client(request.key_id)?.generate_data_key_without_plaintext(request, bytes).await
    }

    async fn re_encrypt(
        &self,
        source: KmsRequest<'_>,
        ciphertext: &[u8],
        destination: KmsRequest<'_>,
    ) -> Result<ReEncrypted, KmsError> {
        self.client(destination.key_id)?.re_encrypt(source, ciphertext, destination).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn region_names_are_plain_and_bounded() {
        assert!(is_region("eu-central-1") && is_region(&"r".repeat(REGION_BYTES_MAX)));
        for bad in ["", "EU", "eu.example", "eu/..", "eu@host", "eu:1", "eü"] {
            assert!(!is_region(bad), "{bad}");
        }
        assert!(!is_region(&"r".repeat(REGION_BYTES_MAX + 1)));
    }
}
