//! Encrypts standard input so that either of two KMS keys can read it, or decrypts with one of them.
//!
//! ```sh
//! share_between_keys "$ARN_IN_FRANKFURT" "$ARN_IN_DUBLIN" < report.pdf > report.pdf.esdk
//! share_between_keys --decrypt "$ARN_IN_DUBLIN" < report.pdf.esdk > report.pdf
//! ```
//! Say, one key of each team, or one in each Region. The data key is made under the first key and wrapped under
//! the second one too: both must be usable to write, one is enough to read. Each key is called in its own
//! Region; credentials, and an endpoint other than AWS's, come from the usual AWS variables.

use std::error::Error;
use std::io::{Read, Write};
use std::sync::Arc;

use aws_config::{BehaviorVersion, Region};
use strongroom_sdk::cmm::DefaultCmm;
use strongroom_sdk::keyring::{AwsKmsKeyring, Keyring, MultiKeyring};
use strongroom_sdk::kms::aws::AwsKmsClient;
use strongroom_sdk::materials::EncryptionRequest;
use strongroom_sdk::oneshot;
use strongroom_sdk::options::{DecryptOptions, EncryptOptions};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut input = Vec::new();
    std::io::stdin().read_to_end(&mut input)?;
    let output = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--decrypt", key] => {
            let manager = DefaultCmm::new(keyring(key).await?);
            oneshot::decrypt(&input, &manager, &DecryptOptions::default()).await?.plaintext
        }
        [generator, other] => {
            let (generator, other) = (keyring(generator).await?, keyring(other).await?);
            let both = MultiKeyring::new(Some(generator), vec![other])?;
            let manager = DefaultCmm::new(Arc::new(both));
            let request = EncryptionRequest::default();
            oneshot::encrypt(&input, &manager, &request, &EncryptOptions::default()).await?
        }
        _ => return Err("usage: share_between_keys (--decrypt ARN | ARN ARN) < IN > OUT".into()),
    };
    Ok(std::io::stdout().write_all(&output)?)
}

/// The keyring of the KMS key with this ARN, in the Region that the ARN names.
async fn keyring(arn: &str) -> Result<Arc<dyn Keyring>, Box<dyn Error>> {
    let region = arn.split(':').nth(3).ok_or("a key ARN is arn:aws:kms:REGION:ACCOUNT:key/ID")?;
    let config = aws_config::defaults(BehaviorVersion::latest());
    let config = config.region(Region::new(region.to_owned())).load().await;
    let client = AwsKmsClient::new(aws_sdk_kms::Client::new(&config));
    Ok(Arc::new(AwsKmsKeyring::new(Arc::new(client), arn)?))
}
