//! Encrypts standard input to standard output, or decrypts it with `--decrypt`.
//!
//! ```sh
//! head -c 32 /dev/urandom > key
//! encrypt_stream key < backup.tar > backup.tar.esdk
//! encrypt_stream --decrypt key < backup.tar.esdk | tar tv
//! ```
//! One frame is held in memory, however long the stream is. Any AWS Encryption SDK with a raw AES keyring of
//! the same namespace, name and key reads what this writes.

use std::error::Error;
use std::io::{self, Write};
use std::sync::Arc;

use strongroom_sdk::cmm::{DefaultCmm, MaterialsManager};
use strongroom_sdk::keyring::RawAesKeyring;
use strongroom_sdk::materials::EncryptionRequest;
use strongroom_sdk::options::{DecryptOptions, EncryptOptions};
use strongroom_sdk::stream::{EncryptWriter, PendingReader};
use strongroom_sdk::{AlgorithmSuite, EncryptionContext, SecretBytes};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [key_file] => encrypt(&manager(key_file)?).await,
        ["--decrypt", key_file] => decrypt(&manager(key_file)?).await,
        _ => Err("usage: encrypt_stream [--decrypt] KEY-FILE < INPUT > OUTPUT".into()),
    }
}

/// The key in `key_file`: 16, 24 or 32 bytes.
fn manager(key_file: &str) -> Result<DefaultCmm, Box<dyn Error>> {
    let key = SecretBytes::take(&mut std::fs::read(key_file)?);
    Ok(DefaultCmm::new(Arc::new(RawAesKeyring::new("strongroom-examples", "stream", key)?)))
}

async fn encrypt(manager: &DefaultCmm) -> Result<(), Box<dyn Error>> {
    let request = EncryptionRequest {
        encryption_context: EncryptionContext::from_pairs([("made-by", "encrypt_stream")])?,
        // Not signed: who can read can also write, as with any symmetric key. Without a suite here the
        // default signs.
        suite: Some(AlgorithmSuite::Aes256GcmHkdfSha512CommitKey),
        ..EncryptionRequest::default()
    };
    let materials = manager.encryption_materials(&request).await?;
    let options = EncryptOptions { frame_length: 64 * 1024 };
    let mut writer = EncryptWriter::new(io::stdout().lock(), materials, &options)?;
    io::copy(&mut io::stdin().lock(), &mut writer)?;
    // Without this the message stays unfinished, and no reader accepts it.
    Ok(writer.finish()?.flush()?)
}

async fn decrypt(manager: &DefaultCmm) -> Result<(), Box<dyn Error>> {
    let options = DecryptOptions {
        expected_context: EncryptionContext::from_pairs([("made-by", "encrypt_stream")])?,
        ..DecryptOptions::default()
    };
    let pending = PendingReader::read_header(io::stdin().lock(), &options)?;
    let materials = manager.decryption_materials(pending.request()).await?;
    let mut reader = pending.verify(materials)?;
    let mut out = io::stdout().lock();
    // Every byte that comes out has been authenticated; only when this succeeds was the message whole.
    io::copy(&mut reader, &mut out)?;
    Ok(out.flush()?)
}
