//! Our side: keyrings and messages as a job for a driver describes them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_kms::config::{BehaviorVersion, Credentials, Region};
use strongroom_peers::esdk::{self, EcdhSchema, Keyring as Description, Manager, Message};
use strongroom_peers::{KmsServer, identity};
use strongroom_sdk::cmm::DefaultCmm;
use strongroom_sdk::crypto::CryptoProvider;
use strongroom_sdk::crypto::rsa::RsaPadding;
use strongroom_sdk::keyring::{
    AwsKmsDiscoveryKeyring, AwsKmsKeyring, AwsKmsMrkDiscoveryKeyring, AwsKmsMrkKeyring,
    DiscoveryFilter, Keyring, MultiKeyring, RawAesKeyring, RawEcdhKeyring, RawRsaKeyring, RsaKeys,
};
use strongroom_sdk::keys::{EcPrivateKey, EcPublicKey, RsaPrivateKey, RsaPublicKey};
use strongroom_sdk::kms::aws::AwsKmsClient;
use strongroom_sdk::materials::EncryptionRequest;
use strongroom_sdk::message::encryption_context::EncryptionContext;
use strongroom_sdk::message::suite::AlgorithmSuite;
use strongroom_sdk::oneshot;
use strongroom_sdk::options::EncryptOptions;
use strongroom_sdk::secret::SecretBytes;

use crate::fixtures::{self, read_everywhere, wait};

/// Our SDK, with our KMS where a keyring needs one.
pub(super) struct Ours<'a> {
    kms: &'a KmsServer,
    /// One client for each Region.
    clients: RefCell<BTreeMap<String, Arc<AwsKmsClient>>>,
}

impl<'a> Ours<'a> {
    pub(super) fn new(kms: &'a KmsServer) -> Self {
        Self { kms, clients: RefCell::default() }
    }

    /// Encrypts as a driver would.
    pub(super) fn encrypt(&self, message: &Message, plaintext: &[u8]) -> Result<Vec<u8>, String> {
        let suite = AlgorithmSuite::from_id(message.suite).map_err(|error| error.to_string())?;
        let mut request = fixtures::request(suite);
        request.encryption_context = context(&message.manager);
        wait(self.encrypt_with(message, plaintext, &request)).map_err(|error| error.to_string())
    }

    async fn encrypt_with(
        &self,
        message: &Message,
        plaintext: &[u8],
        request: &EncryptionRequest,
    ) -> strongroom_sdk::Result<Vec<u8>> {
        let manager = DefaultCmm::new(self.keyring(&message.manager.keyring));
        match message.frame_length {
            0 => oneshot::encrypt_single_block(plaintext, &manager, request).await,
            frame_length => {
                let options = EncryptOptions { frame_length };
                oneshot::encrypt(plaintext, &manager, request, &options).await
            }
        }
    }

    /// Reads a message through every surface; each must give `plaintext`.
    pub(super) fn check(
        &self,
        message: &[u8],
        manager: &Manager,
        suite: u16,
        plaintext: &[u8],
    ) -> Result<(), String> {
        let suite = AlgorithmSuite::from_id(suite).map_err(|error| error.to_string())?;
        let mut options = fixtures::reading(suite);
        if manager.required.is_empty() {
            options.expected_context = context(manager);
        } else {
            options.reproduced_context = context(manager);
        }
        let manager = DefaultCmm::new(self.keyring(&manager.keyring));
        for outcome in read_everywhere(message, &manager, &options) {
            if let Some(error) = outcome.error {
                return Err(format!("{}: {error}", outcome.surface));
            }
            if outcome.released != plaintext {
                return Err(format!("{}: another plaintext", outcome.surface));
            }
        }
        Ok(())
    }

    fn keyring(&self, said: &Description) -> Arc<dyn Keyring> {
        match said {
            Description::RawAes { namespace, name, key } => {
                let key = SecretBytes::copy_of(&key.0);
                Arc::new(RawAesKeyring::new(namespace.clone(), name.clone(), key).unwrap())
            }
            Description::RawRsa { namespace, name, padding, public, private } => {
                let public = RsaPublicKey::from_pem(&*provider(), public).unwrap();
                let private = RsaPrivateKey::from_pem(&*provider(), private).unwrap();
                let keys = RsaKeys::Pair(public, private);
                let padding = rsa_padding(*padding);
                Arc::new(
                    RawRsaKeyring::new(namespace.clone(), name.clone(), padding, keys).unwrap(),
                )
            }
            Description::RawEcdh { schema, public, private, .. } => {
                Arc::new(raw_ecdh(*schema, public.as_deref(), private.as_deref()))
            }
            Description::Kms { key, mrk: false } => {
                Arc::new(AwsKmsKeyring::new(self.client(region(key)), key.clone()).unwrap())
            }
            Description::Kms { key, mrk: true } => {
                Arc::new(AwsKmsMrkKeyring::new(self.client(region(key)), key.clone()).unwrap())
            }
            Description::KmsDiscovery { accounts, partition, region, mrk } => {
                let filter = DiscoveryFilter::new(partition.clone(), accounts.clone()).unwrap();
                let (client, filter) = (self.client(region), Some(filter));
                if *mrk {
                    let region = region.clone();
                    Arc::new(AwsKmsMrkDiscoveryKeyring::new(client, region, filter).unwrap())
                } else {
                    Arc::new(AwsKmsDiscoveryKeyring::new(client, filter))
                }
            }
            Description::Multi { generator, children } => {
                let children = children.iter().map(|child| self.keyring(child)).collect();
                Arc::new(MultiKeyring::new(Some(self.keyring(generator)), children).unwrap())
            }
            other => panic!("no row of the table should need {other:?}"),
        }
    }

    fn client(&self, region: &str) -> Arc<AwsKmsClient> {
        let mut clients = self.clients.borrow_mut();
        let make = || Arc::new(AwsKmsClient::new(client(self.kms, region)));
        clients.entry(region.to_owned()).or_insert_with(make).clone()
    }
}

fn raw_ecdh(schema: EcdhSchema, public: Option<&str>, private: Option<&str>) -> RawEcdhKeyring {
    let public = || EcPublicKey::from_pem(&*provider(), public.unwrap()).unwrap();
    let private = || EcPrivateKey::from_pem(&*provider(), private.unwrap()).unwrap();
    match schema {
        EcdhSchema::Static => RawEcdhKeyring::between(private(), public()).unwrap(),
        EcdhSchema::Ephemeral => RawEcdhKeyring::ephemeral_to(public()),
        EcdhSchema::Discovery => RawEcdhKeyring::discovery(private()),
    }
}

fn rsa_padding(said: esdk::RsaPadding) -> RsaPadding {
    match said {
        esdk::RsaPadding::Pkcs1 => RsaPadding::Pkcs1,
        esdk::RsaPadding::OaepSha1 => RsaPadding::OaepSha1,
        esdk::RsaPadding::OaepSha256 => RsaPadding::OaepSha256,
        esdk::RsaPadding::OaepSha384 => RsaPadding::OaepSha384,
        esdk::RsaPadding::OaepSha512 => RsaPadding::OaepSha512,
    }
}

/// The provider that keys are read with: the first that is compiled in.
fn provider() -> Arc<dyn CryptoProvider> {
    Arc::clone(&fixtures::providers()[0])
}

/// A client of our KMS, as the one user whom it knows.
pub(super) fn client(kms: &KmsServer, region: &str) -> aws_sdk_kms::Client {
    let credentials =
        Credentials::new(identity::ACCESS_KEY, identity::SECRET_KEY, None, None, "tests");
    let config = aws_sdk_kms::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(credentials)
        .region(Region::new(region.to_owned()))
        .endpoint_url(kms.endpoint())
        .build();
    aws_sdk_kms::Client::from_conf(config)
}

/// The Region in a key's ARN.
fn region(key: &str) -> &str {
    key.split(':').nth(3).unwrap()
}

fn context(manager: &Manager) -> EncryptionContext {
    EncryptionContext::from_pairs(manager.context.clone()).unwrap()
}
