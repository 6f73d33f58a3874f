//! Encrypts standard input under an everyday key and a recovery key that lies in a safe, and recovers with it.
//!
//! ```sh
//! openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out recovery.pem   # into the safe
//! openssl pkey -in recovery.pem -pubout -out recovery.pub.pem                      # onto the machine
//! recover_offline key recovery.pub.pem < backup.tar > backup.tar.esdk
//! recover_offline --recover recovery.pem < backup.tar.esdk > backup.tar
//! ```
//! The machine that writes has only the public half of the recovery key; recovering needs no network.

use std::error::Error;
use std::io::{self, Write};
use std::sync::Arc;

use strongroom_sdk::cmm::{DefaultCmm, MaterialsManager};
use strongroom_sdk::crypto::default_provider;
use strongroom_sdk::crypto::rsa::RsaPadding;
use strongroom_sdk::keyring::{MultiKeyring, RawAesKeyring, RawRsaKeyring, RsaKeys};
use strongroom_sdk::keys::{RsaPrivateKey, RsaPublicKey};
use strongroom_sdk::materials::EncryptionRequest;
use strongroom_sdk::options::{DecryptOptions, EncryptOptions};
use strongroom_sdk::stream::{EncryptWriter, PendingReader};
use strongroom_sdk::{Result as SdkResult, SecretBytes};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--recover", private] => recover(private).await,
        [everyday, public] => back_up(everyday, public).await,
        _ => Err("usage: recover_offline (KEY-FILE PUBLIC-PEM | --recover PRIVATE-PEM)".into()),
    }
}

async fn back_up(everyday: &str, public: &str) -> Result<(), Box<dyn Error>> {
    let key = SecretBytes::take(&mut std::fs::read(everyday)?);
    let everyday = RawAesKeyring::new("strongroom-examples", "everyday", key)?;
    let pem = std::fs::read_to_string(public)?;
    let public = RsaPublicKey::from_pem(&*default_provider(), &pem)?;
    let recovery = recovery_keyring(RsaKeys::Public(public))?;
    let both = MultiKeyring::new(Some(Arc::new(everyday)), vec![Arc::new(recovery)])?;
    let manager = DefaultCmm::new(Arc::new(both));

    let materials = manager.encryption_materials(&EncryptionRequest::default()).await?;
    let options = EncryptOptions { frame_length: 64 * 1024 };
    let mut writer = EncryptWriter::new(io::stdout().lock(), materials, &options)?;
    io::copy(&mut io::stdin().lock(), &mut writer)?;
    Ok(writer.finish()?.flush()?)
}

async fn recover(private: &str) -> Result<(), Box<dyn Error>> {
    let pem = zeroize::Zeroizing::new(std::fs::read_to_string(private)?);
    let private = RsaPrivateKey::from_pem(&*default_provider(), &pem)?;
    let manager = DefaultCmm::new(Arc::new(recovery_keyring(RsaKeys::Private(private))?));

    let pending = PendingReader::read_header(io::stdin().lock(), &DecryptOptions::default())?;
    let materials = manager.decryption_materials(pending.request()).await?;
    let mut reader = pending.verify(materials)?;
    let mut out = io::stdout().lock();
    // The message is signed: only when this succeeds has the signature been verified.
    io::copy(&mut reader, &mut out)?;
    Ok(out.flush()?)
}

/// Namespace, name and padding are what a recovery years later must know: they stand here, and in the safe.
fn recovery_keyring(keys: RsaKeys) -> SdkResult<RawRsaKeyring> {
    RawRsaKeyring::new("strongroom-examples", "recovery", RsaPadding::OaepSha256, keys)
}
