//! A message without frames: one block of all the plaintext, which must be there before any of it is sealed.

use std::io::{self, Write};

use strongroom_sdk::engine::SingleBlockEncryptor;
use strongroom_sdk::materials::EncryptionMaterials;
use strongroom_sdk::message::frame::SINGLE_BLOCK_PREFIX_BYTES;
use strongroom_sdk::message::header::HeaderFields;
use strongroom_sdk::message::suite::TAG_BYTES;
use strongroom_sdk::{Error, Result};
use zeroize::Zeroizing;

/// Most bytes of plaintext in a block; they are held in memory.
const BLOCK_BYTES_MAX: usize = 1 << 30;

/// Bytes of plaintext that there is room for at first.
const ROOM_BYTES_MIN: usize = 256 * 1024;

/// Writes a message with a single block to `W`, all of it at the end.
pub(super) struct BlockWriter<W> {
    inner: W,
    encryptor: SingleBlockEncryptor,
    /// Room for what comes before the plaintext in the block, and the plaintext.
    block: Zeroizing<Vec<u8>>,
    plaintext_bytes_max: usize,
}

impl<W: Write> BlockWriter<W> {
    /// Begins a message; nothing is written yet.
    pub(super) fn new(inner: W, materials: EncryptionMaterials) -> Result<Self> {
        let encryptor = SingleBlockEncryptor::new(materials)?;
        let mut block = Zeroizing::new(Vec::with_capacity(ROOM_BYTES_MIN));
        block.resize(SINGLE_BLOCK_PREFIX_BYTES, 0);
        Ok(Self { inner, encryptor, block, plaintext_bytes_max: BLOCK_BYTES_MAX })
    }

    /// What the header says.
    pub(super) fn header_fields(&self) -> &HeaderFields {
        self.encryptor.header_fields()
    }

    /// Seals the block, and writes the message.
    pub(super) fn finish(mut self) -> Result<W> {
        self.append(&[0; TAG_BYTES]);
        let header = self.encryptor.header().to_vec();
        let footer = self.encryptor.seal_in_place(&mut self.block)?;
        for part in [&header[..], &self.block, &footer] {
            self.inner
                .write_all(part)
                .map_err(|source| Error::Io { operation: "writing the message", source })?;
        }
        Ok(self.inner)
    }

    /// Appends to the block. What it leaves behind when it grows is wiped.
    fn append(&mut self, bytes: &[u8]) {
        let needed = self.block.len() + bytes.len();
        if needed > self.block.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(needed / 2 * 3)));
            larger.extend_from_slice(&self.block);
            self.block = larger;
        }
        self.block.extend_from_slice(bytes);
    }
}

impl<W: Write> Write for BlockWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let plaintext_bytes = self.block.len() - SINGLE_BLOCK_PREFIX_BYTES + bytes.len();
        if plaintext_bytes > self.plaintext_bytes_max {
            let (value, max) = (plaintext_bytes as u64, self.plaintext_bytes_max as u64);
            let quantity = "single-block content bytes";
            return Err(Error::LimitExceeded { quantity, value, max }.into());
        }
        self.append(bytes);
        Ok(bytes.len())
    }

    /// There is nothing to flush before the end.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use strongroom_sdk::cmm::{DefaultCmm, MaterialsManager as _};
    use strongroom_sdk::keyring::RawAesKeyring;
    use strongroom_sdk::materials::EncryptionRequest;
    use strongroom_sdk::options::DecryptOptions;
    use strongroom_sdk::{SecretBytes, oneshot};

    use super::*;

    #[tokio::test]
    async fn the_length_is_bounded_at_max_and_not_beyond() {
        let keyring = RawAesKeyring::new("ns", "k", SecretBytes::copy_of(&[1; 32])).unwrap();
        let manager = DefaultCmm::new(Arc::new(keyring));
        let request = EncryptionRequest::default();
        // Beyond the room that there is at first, too.
        for max in [10, ROOM_BYTES_MIN + 1] {
            let materials = manager.encryption_materials(&request).await.unwrap();
            let mut writer = BlockWriter::new(Vec::new(), materials).unwrap();
            writer.plaintext_bytes_max = max;
            writer.write_all(&[7; 4]).unwrap();
            writer.write_all(&vec![7; max - 4]).unwrap();
            let error = writer.write_all(&[7]).unwrap_err().downcast::<Error>().unwrap();
            assert!(matches!(error, Error::LimitExceeded { .. }), "{error}");
            let message = writer.finish().unwrap();
            let opened = oneshot::decrypt(&message, &manager, &DecryptOptions::default()).await;
            assert!(opened.unwrap().plaintext == vec![7; max], "{max}");
        }
    }
}
