//! The default CMM: asks one keyring, adds the signing key of signed suites.
//!
//! Source: `framework/default-cmm.md`.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::MaterialsManager;
use crate::crypto::CryptoProvider;
use crate::error::{Error, Fault, Region, Result};
use crate::keyring::Keyring;
use crate::materials::{
    DecryptionMaterials, DecryptionRequest, EncryptionMaterials, EncryptionRequest,
};
use crate::message::encryption_context::PUBLIC_KEY;

/// A materials manager that asks its keyring for every message.
pub struct DefaultCmm {
    keyring: Arc<dyn Keyring>,
    provider: Arc<dyn CryptoProvider>,
}

impl DefaultCmm {
    /// A manager over `keyring` with the default cryptographic provider.
    #[cfg(any(feature = "aws-lc", feature = "pure-rust"))]
    #[must_use]
    pub fn new(keyring: Arc<dyn Keyring>) -> Self {
        Self::with_provider(keyring, crate::crypto::default_provider())
    }

    /// A manager over `keyring` with a chosen provider.
    #[must_use]
    pub fn with_provider(keyring: Arc<dyn Keyring>, provider: Arc<dyn CryptoProvider>) -> Self {
        Self { keyring, provider }
    }
}

#[async_trait]
impl MaterialsManager for DefaultCmm {
    async fn encryption_materials(
        &self,
        request: &EncryptionRequest,
    ) -> Result<EncryptionMaterials> {
        let mut materials = EncryptionMaterials::new(request, self.provider.clone())?;
        if let Some(algorithm) = materials.suite().signature() {
            let key = self.provider.signing_key(algorithm)?;
            let public_key = BASE64_STANDARD.encode(key.public_key()?);
            materials.set_signing_key(key, public_key)?;
        }
        self.keyring.on_encrypt(&mut materials).await?;
        Ok(materials)
    }

    async fn decryption_materials(
        &self,
        request: &DecryptionRequest,
    ) -> Result<DecryptionMaterials> {
        let mut materials = DecryptionMaterials::new(request, self.provider.clone());
        if let Some(point) = verification_key(request)? {
            materials.set_verification_key(point);
        }
        //= client-apis/decrypt.md#cryptographic-materials-manager
        //# This CMM MUST obtain the decryption materials required for decryption.
        //= client-apis/decrypt.md#keyring
        //# This default CMM MUST obtain the decryption materials required for decryption.
        self.keyring.on_decrypt(&mut materials, request.encrypted_data_keys()).await?;
        Ok(materials)
    }
}

/// The verification key in the encryption context of a signed message; an unsigned one has none.
fn verification_key(request: &DecryptionRequest) -> Result<Option<Vec<u8>>> {
    let malformed = || Error::Malformed { region: Region::Header, fault: Fault::VerificationKey };
    match (request.suite().signature(), request.encryption_context().get(PUBLIC_KEY)) {
        (None, None) => Ok(None),
        (Some(_), Some(text)) => BASE64_STANDARD.decode(text).map(Some).map_err(|_| malformed()),
        //= framework/default-cmm.md#decrypt-materials
        //# If the algorithm suite does not contain a signing algorithm,
        //# but the encryption context includes the reserved `aws-crypto-public-key` key,
        //# the operation MUST fail without returning any decryption materials.
        _ => Err(malformed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::encrypted_data_key::EncryptedDataKey;
    use crate::message::encryption_context::EncryptionContext;
    use crate::message::header::{Content, Header, HeaderFields, MessageId, serialize_body};
    use crate::message::limits::Limits;
    use crate::message::suite::AlgorithmSuite;
    use crate::options::DecryptOptions;

    /// A request for a message of `suite` with or without a verification key.
    fn request(suite: AlgorithmSuite, public_key: Option<&str>) -> DecryptionRequest {
        let mut encryption_context = EncryptionContext::new();
        if let Some(text) = public_key {
            encryption_context.insert_public_key(text.to_owned()).unwrap();
        }
        let key = EncryptedDataKey {
            provider_id: "p".into(),
            provider_info: Vec::new(),
            ciphertext: Vec::new(),
        };
        let message_id = MessageId::fill_with(suite.version(), |_| Ok(())).unwrap();
        let mut bytes = serialize_body(&HeaderFields {
            suite,
            message_id,
            encryption_context,
            encrypted_data_keys: vec![key],
            content: Content::Framed(1),
            key_commitment: Some([0; 32]),
        })
        .unwrap();
        bytes.extend([0; 16]);
        let header = Header::parse(&bytes, &Limits::default()).unwrap().header;
        DecryptionRequest::new(&header, &DecryptOptions::default()).unwrap()
    }

    #[test]
    fn a_verification_key_is_there_exactly_when_the_suite_is_signed() {
        let unsigned = AlgorithmSuite::Aes256GcmHkdfSha512CommitKey;
        let signed = AlgorithmSuite::Aes256GcmHkdfSha512CommitKeyEcdsaP384;
        assert_eq!(verification_key(&request(unsigned, None)).unwrap(), None);
        assert_eq!(verification_key(&request(signed, Some("AQID"))).unwrap(), Some(vec![1, 2, 3]));
        for (suite, key) in [(unsigned, Some("AQID")), (signed, None), (signed, Some("!"))] {
            let error = verification_key(&request(suite, key)).unwrap_err();
            let fault = Fault::VerificationKey;
            assert!(matches!(error, Error::Malformed { fault: f, .. } if f == fault));
        }
    }
}
