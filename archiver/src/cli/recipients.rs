//! From the recipients of a location to what wraps and unwraps its data keys.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use strongroom::location::{Recipients, RecoveryKey};
use strongroom_sdk::cmm::{DefaultCmm, MaterialsManager};
use strongroom_sdk::keyring::aws_kms::AwsKmsKeyring;
use strongroom_sdk::keyring::{Keyring, MultiKeyring};
use strongroom_sdk::keys::KEY_BYTES_MAX;
use strongroom_sdk::kms::aws::AwsKmsClient;
use zeroize::Zeroizing;

use super::config::LocationConfig;
use super::connect::{describe_key, kms_client_for};
use super::exit::Failure;

/// Who can open a location beside its CMK.
#[derive(Args)]
pub(super) struct RecipientArguments {
    /// A further CMK that wraps every data key, so that it alone opens the location; may be repeated.
    #[arg(long, value_name = "KEY")]
    also_key: Vec<String>,
    /// An RSA public key in PEM that wraps every data key; keep its private half offline, for the day on which no
    /// CMK is left.
    #[arg(long, value_name = "FILE")]
    recovery_public_key: Option<PathBuf>,
}

impl RecipientArguments {
    /// The recipients of a location under `key`, each of which was found to be usable.
    pub(super) async fn recipients(
        &self,
        reach: &LocationConfig,
        key: &str,
    ) -> Result<Recipients, Failure> {
        let mut keys = vec![key.to_owned()];
        for named in &self.also_key {
            let found = describe_key(&kms_client_for(reach, named).await, named).await?;
            if !keys.contains(&found.arn) {
                keys.push(found.arn);
            }
        }
        let recovery = self.recovery_public_key.as_deref().map(recovery_key).transpose()?;
        if keys.len() == 1 && recovery.is_none() {
            return Ok(Recipients::default());
        }
        Ok(Recipients { keys, recovery })
    }
}

/// What a location with these recipients is written and read with, its data keys made under the CMK `arn`.
pub(super) async fn materials(
    reach: &LocationConfig,
    arn: &str,
    recipients: &Recipients,
) -> Result<Arc<dyn MaterialsManager>, Failure> {
    let generator: Arc<dyn Keyring> = Arc::new(reached_keyring(reach, arn).await?);
    let mut others: Vec<Arc<dyn Keyring>> = Vec::new();
    for key in recipients.keys.iter().filter(|key| *key != arn) {
        others.push(Arc::new(reached_keyring(reach, key).await?));
    }
    if let Some(recovery) = &recipients.recovery {
        let writer = recovery.writer().map_err(|error| unfit(&recovery.fingerprint, &error))?;
        others.push(Arc::new(writer));
    }
    if others.is_empty() {
        return Ok(Arc::new(DefaultCmm::new(generator)));
    }
    let all = MultiKeyring::new(Some(generator), others).map_err(|error| unfit(arn, &error))?;
    Ok(Arc::new(DefaultCmm::new(Arc::new(all))))
}

/// What reads, and writes nothing, what is under the CMKs of earlier epochs; `None` where there are none.
pub(super) async fn retiring(
    reach: &LocationConfig,
    arns: &[String],
) -> Result<Option<Arc<dyn MaterialsManager>>, Failure> {
    let mut keyrings: Vec<Arc<dyn Keyring>> = Vec::new();
    for arn in arns {
        keyrings.push(Arc::new(reached_keyring(reach, arn).await?));
    }
    if keyrings.is_empty() {
        return Ok(None);
    }
    let all = MultiKeyring::new(None, keyrings).map_err(|error| unfit(&arns.join(", "), &error))?;
    Ok(Some(Arc::new(DefaultCmm::new(Arc::new(all)))))
}

/// What reads, and writes nothing, under each further CMK alone.
pub(super) async fn readers(
    reach: &LocationConfig,
    arn: &str,
    recipients: &Recipients,
) -> Result<Vec<Arc<dyn MaterialsManager>>, Failure> {
    let mut readers: Vec<Arc<dyn MaterialsManager>> = Vec::new();
    for key in recipients.keys.iter().filter(|key| *key != arn) {
        readers.push(Arc::new(DefaultCmm::new(Arc::new(reached_keyring(reach, key).await?))));
    }
    Ok(readers)
}

/// What reads with the private half of the recovery key, and writes nothing.
pub(super) fn recovery_reader(
    recipients: &Recipients,
    private_key: &Path,
) -> Result<Arc<dyn MaterialsManager>, Failure> {
    let recovery = recipients.recovery.as_ref().ok_or(Failure::NoRecoveryKey)?;
    let reader = recovery.reader(&pem_in(private_key)?);
    let reader = reader.map_err(|error| unfit(&private_key.display().to_string(), &error))?;
    Ok(Arc::new(DefaultCmm::new(Arc::new(reader))))
}

/// What a location under one CMK is written and read with.
#[cfg(feature = "embedded-kms")]
pub(super) fn materials_of_one(
    kms: &aws_sdk_kms::Client,
    arn: &str,
) -> Result<Arc<dyn MaterialsManager>, Failure> {
    Ok(Arc::new(DefaultCmm::new(Arc::new(kms_keyring(kms.clone(), arn)?))))
}

async fn reached_keyring(reach: &LocationConfig, arn: &str) -> Result<AwsKmsKeyring, Failure> {
    kms_keyring(kms_client_for(reach, arn).await, arn)
}

fn kms_keyring(kms: aws_sdk_kms::Client, arn: &str) -> Result<AwsKmsKeyring, Failure> {
    AwsKmsKeyring::new(Arc::new(AwsKmsClient::new(kms)), arn).map_err(|error| unfit(arn, &error))
}

fn recovery_key(path: &Path) -> Result<RecoveryKey, Failure> {
    let pem = pem_in(path)?;
    if pem.contains("PRIVATE KEY") {
        // It would end up in every copy of the location, in plain text.
        return Err(Failure::PrivateKeyGiven { path: path.to_owned() });
    }
    RecoveryKey::from_pem(&pem).map_err(|error| unfit(&path.display().to_string(), &error))
}

fn unfit(key: &str, error: &strongroom_sdk::Error) -> Failure {
    Failure::KeyUnfit { key: key.to_owned(), reason: error.to_string() }
}

/// The text of a key file; what is no text is no PEM either, and comes out empty, to be refused as such.
fn pem_in(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let unreadable = |source| Failure::KeyFile { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    // Room for all of it at once: a vector that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_BYTES_MAX + 2));
    file.take(KEY_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(Zeroizing::new(String::from_utf8(std::mem::take(&mut bytes)).unwrap_or_default()))
}
