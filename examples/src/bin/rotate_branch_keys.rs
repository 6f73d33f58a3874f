//! A branch key for each tenant: makes and rotates them, and encrypts and decrypts with them.
//!
//! ```sh
//! rotate_branch_keys "$KEY_ARN" s3://keys/branch create tenant-1
//! rotate_branch_keys "$KEY_ARN" s3://keys/branch encrypt tenant-1 < report.pdf > report.pdf.esdk
//! rotate_branch_keys "$KEY_ARN" s3://keys/branch rotate tenant-1
//! rotate_branch_keys "$KEY_ARN" s3://keys/branch decrypt tenant-1 < report.pdf.esdk > report.pdf
//! ```
//! Credentials and endpoints come from the usual AWS variables; `file:///mnt/keys` is a key store as well. After a
//! rotation new messages are written with the new version, and those that exist stay readable as they are.

use std::error::Error;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use aws_config::BehaviorVersion;
use strongroom_sdk::clock::SystemClock;
use strongroom_sdk::cmm::DefaultCmm;
use strongroom_sdk::crypto::default_provider;
use strongroom_sdk::key_store::object::ObjectKeyStore;
use strongroom_sdk::key_store::{BranchKeyId, BranchKeyWrapping, KmsConfiguration};
use strongroom_sdk::keyring::HierarchicalKeyring;
use strongroom_sdk::keyring::hierarchical::{
    BranchKeyCache, BranchKeySupplier, CACHE_ENTRIES_DEFAULT,
};
use strongroom_sdk::kms::arn::KmsArn;
use strongroom_sdk::kms::aws::AwsKmsClient;
use strongroom_sdk::materials::EncryptionRequest;
use strongroom_sdk::options::{DecryptOptions, EncryptOptions};
use strongroom_sdk::{EncryptionContext, Result as SdkResult, oneshot};

/// How long a branch key is used before it is fetched anew: so long may a rotation stay unnoticed.
const BRANCH_KEY_AGE_MAX: Duration = Duration::from_secs(10 * 60);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [key, url, action, tenant] = &arguments[..] else {
        return Err("usage: rotate_branch_keys KEY-ARN URL ACTION TENANT".into());
    };
    let store = key_store(key, url).await?;
    let context = EncryptionContext::from_pairs([("tenant", tenant.as_str())])?;
    match action.as_str() {
        "create" => {
            store.create(Some(BranchKeyId::new(tenant.as_str())?), &context).await?;
        }
        "rotate" => {
            store.rotate(&BranchKeyId::new(tenant.as_str())?).await?;
        }
        "encrypt" => {
            let request =
                EncryptionRequest { encryption_context: context, ..EncryptionRequest::default() };
            let (input, manager, options) = (input()?, manager(store)?, EncryptOptions::default());
            let message = oneshot::encrypt(&input, &manager, &request, &options).await?;
            std::io::stdout().write_all(&message)?;
        }
        "decrypt" => {
            // Demanded, or the message alone would say whose it is.
            let options = DecryptOptions { expected_context: context, ..DecryptOptions::default() };
            let opened = oneshot::decrypt(&input()?, &manager(store)?, &options).await?;
            std::io::stdout().write_all(&opened.plaintext)?;
        }
        _ => return Err("ACTION is create, rotate, encrypt or decrypt".into()),
    }
    Ok(())
}

/// The branch keys at `url`, wrapped by the KMS key with the ARN `key`.
async fn key_store(key: &str, url: &str) -> Result<ObjectKeyStore, Box<dyn Error>> {
    let variables = std::env::vars().map(|(name, value)| (name.to_lowercase(), value));
    let (objects, prefix) = object_store::parse_url_opts(&url.parse()?, variables)?;
    let config = aws_config::load_defaults(BehaviorVersion::latest()).await;
    let client = Arc::new(AwsKmsClient::new(aws_sdk_kms::Client::new(&config)));
    let key = KmsConfiguration::Key(KmsArn::parse_key(key)?);
    // The name is bound to every branch key: wherever the store may move, it stays.
    let wrapping = BranchKeyWrapping::new(client, key, "strongroom-examples")?;
    let (clock, provider) = (Arc::new(SystemClock::default()), default_provider());
    Ok(ObjectKeyStore::new(Arc::from(objects), prefix, wrapping, clock, provider))
}

fn manager(store: ObjectKeyStore) -> SdkResult<DefaultCmm> {
    let clock = Arc::new(SystemClock::default());
    let cache = Arc::new(BranchKeyCache::new(CACHE_ENTRIES_DEFAULT, clock)?);
    let (store, tenants, provider) = (Arc::new(store), Arc::new(Tenants), default_provider());
    let keyring = HierarchicalKeyring::new(store, tenants, cache, BRANCH_KEY_AGE_MAX, &*provider)?;
    Ok(DefaultCmm::new(Arc::new(keyring)))
}

/// The branch key of the tenant whom the encryption context names.
struct Tenants;

impl BranchKeySupplier for Tenants {
    fn branch_key_id(&self, context: &EncryptionContext) -> SdkResult<BranchKeyId> {
        // Without a tenant the identifier is empty, which is an error.
        BranchKeyId::new(context.get("tenant").unwrap_or_default())
    }
}

fn input() -> std::io::Result<Vec<u8>> {
    let mut input = Vec::new();
    std::io::stdin().read_to_end(&mut input)?;
    Ok(input)
}
