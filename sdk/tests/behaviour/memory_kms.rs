//! A KMS in memory.

use std::collections::HashMap;
use std::sync::Mutex;

use async_trait::async_trait;
use strongroom_sdk::crypto::{AeadKey, default_provider};
use strongroom_sdk::kms::{
    Decrypted, Encrypted, GeneratedDataKey, KmsClient, KmsError, KmsRequest, ReEncrypted,
};
use strongroom_sdk::message::suite::AeadAlgorithm;
use strongroom_sdk::secret::SecretBytes;

pub(crate) const KEY_A: &str = "arn:aws:kms:eu-central-1:111122223333:key/aaaa";
pub(crate) const KEY_B: &str = "arn:aws:kms:eu-central-1:111122223333:key/bbbb";
pub(crate) const ALIAS_A: &str = "alias/a";

/// A KMS in memory that really wraps, so that faults can be put into its answers.
#[derive(Default)]
pub(crate) struct MemoryKms {
    /// Codes that requests for a key fail with.
    pub(crate) failures: HashMap<&'static str, &'static str>,
    /// The key that every answer claims to be of, whatever was asked for.
    pub(crate) claims: Option<&'static str>,
    pub(crate) asked: Mutex<Vec<String>>,
}

impl MemoryKms {
    /// Every request so far: operation and key.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn forget_asked(&self) {
        self.asked.lock().unwrap().clear();
    }

    fn resolve(
        &self,
        operation: &'static str,
        request: &KmsRequest<'_>,
    ) -> Result<String, KmsError> {
        self.asked.lock().unwrap().push(format!("{operation} {}", request.key_id));
        let arn = if request.key_id == ALIAS_A { KEY_A } else { request.key_id };
        match self.failures.get(arn) {
            None => Ok(arn.to_owned()),
            Some(code) => Err(KmsError::Service {
                operation,
                code: (*code).to_owned(),
                message: format!("not with {arn}"),
            }),
        }
    }

    fn cipher(arn: &str) -> Box<dyn AeadKey> {
        // The copies of a multi-Region key have one material.
        let name = arn.rsplit('/').next().filter(|id| id.starts_with("mrk-")).unwrap_or(arn);
        let mut key = [0; 32];
        key.iter_mut().zip(name.bytes().rev()).for_each(|(key, byte)| *key = byte);
        default_provider().aead_key(AeadAlgorithm::Aes256Gcm, &SecretBytes::copy_of(&key)).unwrap()
    }

    fn wrap(arn: &str, request: &KmsRequest<'_>, plaintext: &SecretBytes) -> Vec<u8> {
        let mut wrapped = plaintext.expose().to_vec();
        let aad = request.encryption_context.serialize().unwrap();
        let tag = Self::cipher(arn).seal_in_place(&[0; 12], &aad, &mut wrapped).unwrap();
        [&wrapped[..], &tag].concat()
    }

    fn claimed(&self, arn: String) -> String {
        self.claims.map_or(arn, str::to_owned)
    }
}

#[async_trait]
impl KmsClient for MemoryKms {
    async fn generate_data_key(
        &self,
        request: KmsRequest<'_>,
        bytes: usize,
    ) -> Result<GeneratedDataKey, KmsError> {
        let arn = self.resolve("GenerateDataKey", &request)?;
        let plaintext = SecretBytes::copy_of(&vec![0x33; bytes]);
        let ciphertext = Self::wrap(&arn, &request, &plaintext);
        Ok(GeneratedDataKey { plaintext, ciphertext, key_id: self.claimed(arn) })
    }

    async fn encrypt(
        &self,
        request: KmsRequest<'_>,
        plaintext: &SecretBytes,
    ) -> Result<Encrypted, KmsError> {
        let arn = self.resolve("Encrypt", &request)?;
        let ciphertext = Self::wrap(&arn, &request, plaintext);
        Ok(Encrypted { ciphertext, key_id: self.claimed(arn) })
    }

    async fn decrypt(
        &self,
        request: KmsRequest<'_>,
        ciphertext: &[u8],
    ) -> Result<Decrypted, KmsError> {
        let arn = self.resolve("Decrypt", &request)?;
        let (wrapped, tag) = ciphertext.split_last_chunk().unwrap();
        let aad = request.encryption_context.serialize().unwrap();
        let mut plaintext = wrapped.to_vec();
        let opened = Self::cipher(&arn).open_in_place(&[0; 12], &aad, &mut plaintext, tag);
        opened.map_err(|_| KmsError::Service {
            operation: "Decrypt",
            code: "InvalidCiphertextException".into(),
            message: String::new(),
        })?;
        Ok(Decrypted { plaintext: SecretBytes::take(&mut plaintext), key_id: self.claimed(arn) })
    }

    async fn generate_data_key_without_plaintext(
        &self,
        request: KmsRequest<'_>,
        bytes: usize,
    ) -> Result<Encrypted, KmsError> {
        let arn = self.resolve("GenerateDataKeyWithoutPlaintext", &request)?;
        // A network would let others go first too.
        tokio::task::yield_now().await;
        let plaintext = SecretBytes::fill_with(bytes, |out| default_provider().fill_random(out));
        let ciphertext = Self::wrap(&arn, &request, &plaintext.unwrap());
        Ok(Encrypted { ciphertext, key_id: self.claimed(arn) })
    }

    async fn re_encrypt(
        &self,
        source: KmsRequest<'_>,
        ciphertext: &[u8],
        destination: KmsRequest<'_>,
    ) -> Result<ReEncrypted, KmsError> {
        let opened = self.decrypt(source, ciphertext).await?;
        let arn = self.resolve("ReEncrypt", &destination)?;
        let ciphertext = Self::wrap(&arn, &destination, &opened.plaintext);
        Ok(ReEncrypted { ciphertext, source_key_id: opened.key_id, key_id: self.claimed(arn) })
    }
}
