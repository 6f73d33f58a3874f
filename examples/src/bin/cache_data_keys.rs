//! Encrypts each file of a folder into a message of its own, with a data key that up to 1,000 of them share.
//!
//! ```sh
//! cache_data_keys "$KEY_ARN" records sealed    # two folders that exist
//! ```
//! With small messages, the call of the KMS for each is what takes the time and what is paid for. Here it is one
//! call for 1,000 messages, or for what is written within five minutes. Any reader with the key opens them as
//! any other message.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_config::BehaviorVersion;
use strongroom_sdk::clock::SystemClock;
use strongroom_sdk::cmm::{CachingCmm, CachingLimits, DefaultCmm, MaterialsCache};
use strongroom_sdk::keyring::AwsKmsKeyring;
use strongroom_sdk::kms::aws::AwsKmsClient;
use strongroom_sdk::materials::EncryptionRequest;
use strongroom_sdk::options::EncryptOptions;
use strongroom_sdk::{EncryptionContext, oneshot};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [key, from, to] = &arguments[..] else {
        return Err("usage: cache_data_keys KEY-ARN FOLDER FOLDER".into());
    };
    let manager = manager(key).await?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let message = encrypt(&std::fs::read(entry.path())?, &manager).await?;
        std::fs::write(Path::new(to).join(entry.file_name()), message)?;
    }
    Ok(())
}

/// A manager that asks the KMS for a data key only when there is none that may still be used.
async fn manager(key: &str) -> Result<CachingCmm, Box<dyn Error>> {
    let config = aws_config::load_defaults(BehaviorVersion::latest()).await;
    let client = AwsKmsClient::new(aws_sdk_kms::Client::new(&config));
    let keyring = AwsKmsKeyring::new(Arc::new(client), key)?;
    let cache = MaterialsCache::new(10, Arc::new(SystemClock::default()))?;
    // Whoever gets one data key gets at what was written with it: the limits say how much that is.
    let limits = CachingLimits {
        age_max: Duration::from_secs(5 * 60),
        messages_max: 1_000,
        bytes_max: 1 << 30,
    };
    Ok(CachingCmm::new(Arc::new(DefaultCmm::new(Arc::new(keyring))), Arc::new(cache), limits)?)
}

async fn encrypt(plaintext: &[u8], manager: &CachingCmm) -> Result<Vec<u8>, Box<dyn Error>> {
    let request = EncryptionRequest {
        // The same for all: messages share a data key only if they have the same encryption context.
        encryption_context: EncryptionContext::from_pairs([("made-by", "cache_data_keys")])?,
        ..EncryptionRequest::default()
    };
    // It tells the manager how long the plaintext is. A stream's `plaintext_length_max` has to, or it gets a
    // data key of its own.
    Ok(oneshot::encrypt(plaintext, manager, &request, &EncryptOptions::default()).await?)
}
