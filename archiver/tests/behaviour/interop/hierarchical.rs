//! Branch keys that a real KMS makes, in a folder and in memory; and keyrings that ask that KMS for the key
//! that a message names.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kms::Client;
use aws_sdk_kms::config::{BehaviorVersion, Credentials, Region};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use strongroom_peers::{KmsServer, identity, require};
use strongroom_sdk::clock::SystemClock;
use strongroom_sdk::cmm::DefaultCmm;
use strongroom_sdk::crypto::default_provider;
use strongroom_sdk::key_store::object::ObjectKeyStore;
use strongroom_sdk::key_store::{BranchKeyId, BranchKeyWrapping, KmsConfiguration};
use strongroom_sdk::keyring::hierarchical::BranchKeyCache;
use strongroom_sdk::keyring::{
    AwsKmsDiscoveryKeyring, AwsKmsKeyring, AwsKmsMrkDiscoveryKeyring, AwsKmsMrkKeyring,
    DiscoveryFilter, HierarchicalKeyring, Keyring,
};
use strongroom_sdk::kms::arn::KmsArn;
use strongroom_sdk::kms::aws::{AwsClientSupplier, AwsKmsClient};
use strongroom_sdk::kms::{KmsClient, RegionalClient};
use strongroom_sdk::materials::EncryptionRequest;
use strongroom_sdk::message::encryption_context::EncryptionContext;
use strongroom_sdk::options::{DecryptOptions, EncryptOptions};
use strongroom_sdk::{Result, oneshot};

#[tokio::test]
async fn branch_keys_are_made_rotated_and_listed_by_a_real_kms() {
    let kms = require!(KmsServer::start());
    let (client, key) = client_and_key(&kms).await;
    let folder = tempfile::tempdir().unwrap();
    let stores: [Arc<dyn ObjectStore>; 2] = [
        Arc::new(InMemory::new()),
        Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap()),
    ];
    for objects in stores {
        let configuration = KmsConfiguration::Key(KmsArn::parse_key(&key).unwrap());
        let store = key_store(&objects, &client, configuration);
        let context = EncryptionContext::from_pairs([("department", "admin")]).unwrap();
        let id = BranchKeyId::new("tenant/1 é").unwrap();
        store.create(Some(id.clone()), &context).await.unwrap();
        let other = store.create(None, &EncryptionContext::new()).await.unwrap();
        let first = encrypt(keyring(&store, &id)).await.unwrap();
        store.rotate(&id).await.unwrap();
        let second = encrypt(keyring(&store, &id)).await.unwrap();
        // Another process, which only discovers which KMS key it is.
        let reader = key_store(&objects, &client, KmsConfiguration::Discovery);
        for message in [&first, &second] {
            assert_eq!(decrypt(message, keyring(&reader, &id)).await.unwrap(), b"plaintext");
            assert!(decrypt(message, keyring(&reader, &other)).await.is_err());
        }
        assert_eq!(store.versions(&id).await.unwrap().len(), 2);
        let mut all = vec![id, other];
        all.sort();
        assert_eq!(store.list().await.unwrap(), all);
    }
}

#[tokio::test]
async fn discovery_and_mrk_aware_keyrings_ask_a_real_kms() {
    let kms = require!(KmsServer::start());
    let (client, key) = client_and_key(&kms).await;
    let filter = |account: &str| Some(DiscoveryFilter::new("aws", [account]).unwrap());
    let ours = KmsArn::parse_key(&key).unwrap().account().to_owned();
    let message = encrypt(AwsKmsKeyring::new(client.clone(), key.as_str()).unwrap()).await.unwrap();
    let regional = Arc::new(RegionalClient::new(Arc::new(AwsClientSupplier::new(config(&kms)))));
    let mrk_discovery =
        |region| AwsKmsMrkDiscoveryKeyring::new(client.clone(), region, filter(&ours)).unwrap();
    let readers: [Arc<dyn Keyring>; 5] = [
        Arc::new(AwsKmsDiscoveryKeyring::new(client.clone(), None)),
        Arc::new(AwsKmsDiscoveryKeyring::new(client.clone(), filter(&ours))),
        Arc::new(AwsKmsDiscoveryKeyring::new(regional, filter(&ours))),
        Arc::new(mrk_discovery(identity::REGION)),
        Arc::new(AwsKmsMrkKeyring::new(client.clone(), key.as_str()).unwrap()),
    ];
    for reader in readers {
        assert_eq!(open(&message, reader).await.unwrap(), b"plaintext");
    }
    let others: [Arc<dyn Keyring>; 2] = [
        Arc::new(AwsKmsDiscoveryKeyring::new(client.clone(), filter("444455556666"))),
        Arc::new(mrk_discovery("mars-north-1")),
    ];
    for other in others {
        assert!(open(&message, other).await.is_err());
    }
}

fn key_store(
    objects: &Arc<dyn ObjectStore>,
    client: &Arc<dyn KmsClient>,
    configuration: KmsConfiguration,
) -> Arc<ObjectKeyStore> {
    let wrapping = BranchKeyWrapping::new(client.clone(), configuration, "interop").unwrap();
    let clock = Arc::new(SystemClock::default());
    let prefix = Path::from("branch-keys");
    let store = ObjectKeyStore::new(objects.clone(), prefix, wrapping, clock, default_provider());
    Arc::new(store)
}

/// A keyring with an empty cache.
fn keyring(store: &Arc<ObjectKeyStore>, id: &BranchKeyId) -> HierarchicalKeyring {
    let cache = Arc::new(BranchKeyCache::new(9, Arc::new(SystemClock::default())).unwrap());
    let (supplier, age_max) = (Arc::new(id.clone()), Duration::from_secs(60));
    HierarchicalKeyring::new(store.clone(), supplier, cache, age_max, &*default_provider()).unwrap()
}

async fn encrypt(keyring: impl Keyring + 'static) -> Result<Vec<u8>> {
    let manager = DefaultCmm::new(Arc::new(keyring));
    let request = EncryptionRequest {
        encryption_context: EncryptionContext::from_pairs([("purpose", "interop")]).unwrap(),
        ..EncryptionRequest::default()
    };
    oneshot::encrypt(b"plaintext", &manager, &request, &EncryptOptions::default()).await
}

async fn decrypt(message: &[u8], keyring: impl Keyring + 'static) -> Result<Vec<u8>> {
    open(message, Arc::new(keyring)).await
}

async fn open(message: &[u8], keyring: Arc<dyn Keyring>) -> Result<Vec<u8>> {
    let manager = DefaultCmm::new(keyring);
    let opened = oneshot::decrypt(message, &manager, &DecryptOptions::default()).await?;
    Ok(opened.plaintext)
}

async fn client_and_key(kms: &KmsServer) -> (Arc<dyn KmsClient>, String) {
    let client = Client::from_conf(config(kms));
    let made = client.create_key().send().await.unwrap();
    let key = made.key_metadata.and_then(|metadata| metadata.arn).unwrap();
    (Arc::new(AwsKmsClient::new(client)), key)
}

fn config(kms: &KmsServer) -> aws_sdk_kms::Config {
    let credentials =
        Credentials::new(identity::ACCESS_KEY, identity::SECRET_KEY, None, None, "tests");
    aws_sdk_kms::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(credentials)
        .region(Region::new(identity::REGION))
        .endpoint_url(kms.endpoint())
        .build()
}
