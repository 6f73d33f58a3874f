//! An encrypted data key (EDK): the message's data key under one wrapping key.
//!
//! Source: `data-format/message-header.md#encrypted-data-keys`.

use super::codec::{Reader, put_field};
use crate::error::Result;

/// One wrapped copy of the data key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EncryptedDataKey {
    /// Who can unwrap it, e.g. `aws-kms`, or the namespace of a raw keyring.
    pub provider_id: String,
    /// Which key of that provider: a key ARN, or what the raw keyring writes.
    pub provider_info: Vec<u8>,
    /// The wrapped data key.
    pub ciphertext: Vec<u8>,
}

impl EncryptedDataKey {
    /// The provider information as text, for messages to people.
    #[must_use]
    pub fn key_name(&self) -> String {
        String::from_utf8_lossy(&self.provider_info).into_owned()
    }

    pub(crate) fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            provider_id: reader.text()?.to_owned(),
            provider_info: reader.field()?.to_vec(),
            ciphertext: reader.field()?.to_vec(),
        })
    }

    /// The entry as it stands in the header.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        self.serialize(&mut out)?;
        Ok(out)
    }

    pub(crate) fn serialize(&self, out: &mut Vec<u8>) -> Result<()> {
        put_field(out, "encrypted data key provider id bytes", self.provider_id.as_bytes())?;
        put_field(out, "encrypted data key provider info bytes", &self.provider_info)?;
        put_field(out, "encrypted data key ciphertext bytes", &self.ciphertext)
    }
}
