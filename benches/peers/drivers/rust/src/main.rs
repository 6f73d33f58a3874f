//! Drives the official Rust implementation of the AWS Encryption SDK by the protocol of
//! `benches/peers/src/driver.rs`.

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::time::Instant;

use aws_esdk::material_providers::types::cryptographic_materials_manager::CryptographicMaterialsManagerRef;
use aws_esdk::material_providers::types::{EsdkAlgorithmSuiteId, EsdkCommitmentPolicy};
use aws_esdk::types::aws_encryption_sdk_config::AwsEncryptionSdkConfig;
use aws_sdk_kms::primitives::Blob;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

mod keyrings;

/// Why a job was not done.
pub enum Refusal {
    /// This implementation has no such thing.
    Unsupported(String),
    /// It has, and failed.
    Failed(String),
}

impl<E: std::error::Error> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Failed(format!("{error}: {error:?}"))
    }
}

/// What becomes of a job.
pub type Outcome<T> = Result<T, Refusal>;

/// The byte that begins a message of version 2, which commits to its key.
const VERSION_2: u8 = 2;
const COMMITTING: [u64; 2] = [0x0478, 0x0578];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut out = std::io::stdout();
    for line in std::io::stdin().lock().lines() {
        let job = serde_json::from_str(&line?)?;
        // The SDK blocks inside of its futures, which only a task of the runtime may do.
        let answer = runtime.block_on(runtime.spawn(async move { answer(&job).await }))?;
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

async fn answer(job: &Value) -> Value {
    let outcome = match text(job, "do") {
        "encrypt" => encrypt(job).await,
        "decrypt" => decrypt(job).await,
        "measure" => measure(job).await,
        other => Err(Refusal::Unsupported(format!("job {other}"))),
    };
    outcome.unwrap_or_else(|refusal| match refusal {
        Refusal::Unsupported(what) => json!({ "unsupported": what }),
        Refusal::Failed(why) => json!({ "error": why }),
    })
}

async fn encrypt(job: &Value) -> Outcome<Value> {
    let message = Sealer::new(job).await?.seal(bytes(job, "plaintext")?).await?;
    Ok(json!({ "message": BASE64_STANDARD.encode(message) }))
}

async fn decrypt(job: &Value) -> Outcome<Value> {
    let (plaintext, context) = Opener::new(job).await?.open(bytes(job, "message")?).await?;
    Ok(json!({ "plaintext": BASE64_STANDARD.encode(plaintext), "context": context }))
}

async fn measure(job: &Value) -> Outcome<Value> {
    let plaintext = vec![0x5a; usize::try_from(number(job, "bytes"))?];
    let (sealer, opener) = (Sealer::new(job).await?, Opener::new(job).await?);
    let message = sealer.seal(plaintext.clone()).await?;
    let encrypts = text(job, "what") == "encrypt";
    let mut started = Instant::now();
    // One more than asked for: the first, which is not counted, warms up.
    for count in 0..=number(job, "messages") {
        if count == 1 {
            started = Instant::now();
        }
        if encrypts {
            sealer.seal(plaintext.clone()).await?;
        } else {
            opener.open(message.clone()).await?;
        }
    }
    Ok(json!({ "seconds": started.elapsed().as_secs_f64() }))
}

/// Encrypts as a job says.
struct Sealer {
    sdk: aws_esdk::Client,
    manager: CryptographicMaterialsManagerRef,
    suite: EsdkAlgorithmSuiteId,
    frame_length: i64,
    context: HashMap<String, String>,
}

impl Sealer {
    async fn new(job: &Value) -> Outcome<Self> {
        let (suite, frame_length) = (number(job, "suite"), number(job, "frame_length"));
        if frame_length == 0 {
            return Err(Refusal::Unsupported("writing single blocks".to_owned()));
        }
        Ok(Self {
            sdk: sdk(COMMITTING.contains(&suite))?,
            manager: keyrings::manager(job).await?,
            suite: suite_id(suite)?,
            frame_length: i64::try_from(frame_length)?,
            context: context(job),
        })
    }

    async fn seal(&self, plaintext: Vec<u8>) -> Outcome<Vec<u8>> {
        let answer = self
            .sdk
            .encrypt()
            .plaintext(Blob::new(plaintext))
            .materials_manager(self.manager.clone())
            .algorithm_suite_id(self.suite)
            .frame_length(self.frame_length)
            .encryption_context(self.context.clone())
            .send()
            .await?;
        Ok(answer.ciphertext.map(Blob::into_inner).unwrap_or_default())
    }
}

/// Decrypts as a job says.
struct Opener {
    manager: CryptographicMaterialsManagerRef,
    context: HashMap<String, String>,
}

impl Opener {
    async fn new(job: &Value) -> Outcome<Self> {
        Ok(Self { manager: keyrings::manager(job).await?, context: context(job) })
    }

    /// The plaintext, and the encryption context of the message.
    async fn open(&self, message: Vec<u8>) -> Outcome<(Vec<u8>, HashMap<String, String>)> {
        let answer = sdk(message.first() == Some(&VERSION_2))?
            .decrypt()
            .ciphertext(Blob::new(message))
            .materials_manager(self.manager.clone())
            .encryption_context(self.context.clone())
            .send()
            .await?;
        let plaintext = answer.plaintext.map(Blob::into_inner).unwrap_or_default();
        Ok((plaintext, answer.encryption_context.unwrap_or_default()))
    }
}

fn sdk(commits: bool) -> Outcome<aws_esdk::Client> {
    let policy = if commits {
        EsdkCommitmentPolicy::RequireEncryptRequireDecrypt
    } else {
        EsdkCommitmentPolicy::ForbidEncryptAllowDecrypt
    };
    let config = AwsEncryptionSdkConfig::builder().commitment_policy(policy).build()?;
    Ok(aws_esdk::Client::from_conf(config)?)
}

fn suite_id(id: u64) -> Outcome<EsdkAlgorithmSuiteId> {
    use EsdkAlgorithmSuiteId as Suite;
    Ok(match id {
        0x0014 => Suite::AlgAes128GcmIv12Tag16NoKdf,
        0x0046 => Suite::AlgAes192GcmIv12Tag16NoKdf,
        0x0078 => Suite::AlgAes256GcmIv12Tag16NoKdf,
        0x0114 => Suite::AlgAes128GcmIv12Tag16HkdfSha256,
        0x0146 => Suite::AlgAes192GcmIv12Tag16HkdfSha256,
        0x0178 => Suite::AlgAes256GcmIv12Tag16HkdfSha256,
        0x0214 => Suite::AlgAes128GcmIv12Tag16HkdfSha256EcdsaP256,
        0x0346 => Suite::AlgAes192GcmIv12Tag16HkdfSha384EcdsaP384,
        0x0378 => Suite::AlgAes256GcmIv12Tag16HkdfSha384EcdsaP384,
        0x0478 => Suite::AlgAes256GcmHkdfSha512CommitKey,
        0x0578 => Suite::AlgAes256GcmHkdfSha512CommitKeyEcdsaP384,
        other => return Err(Refusal::Unsupported(format!("suite {other:04x}"))),
    })
}

fn context(job: &Value) -> HashMap<String, String> {
    let pairs = job["context"].as_object().into_iter().flatten();
    pairs
        .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect()
}

/// A member that is text; empty if it is not there.
pub fn text<'a>(said: &'a Value, member: &str) -> &'a str {
    said[member].as_str().unwrap_or_default()
}

/// A member that is bytes in base64.
pub fn bytes(said: &Value, member: &str) -> Outcome<Vec<u8>> {
    Ok(BASE64_STANDARD.decode(text(said, member))?)
}

fn number(job: &Value, member: &str) -> u64 {
    job[member].as_u64().unwrap_or_default()
}
