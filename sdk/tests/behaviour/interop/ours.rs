//! Our side: keyrings and messages as a job for a driver describes them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kms::config::{BehaviorVersion, Credentials, Region};
use strongroom_peers::esdk::{self, Curve, EcdhSchema, Keyring as Description, Manager, Message};
use strongroom_peers::{KmsServer, identity};
use strongroom_sdk::clock::SystemClock;
use strongroom_sdk::cmm::{
    CachingCmm, CachingLimits, DefaultCmm, MaterialsCache, MaterialsManager, RequiredContextCmm,
};
use strongroom_sdk::crypto::CryptoProvider;
use strongroom_sdk::crypto::ecdh::EcCurve;
use strongroom_sdk::crypto::rsa::RsaPadding;
use strongroom_sdk::keyring::{
    AwsKmsDiscoveryKeyring, AwsKmsEcdhKeyring, AwsKmsKeyring, AwsKmsMrkDiscoveryKeyring,
    AwsKmsMrkKeyring, AwsKmsRsaKeyring, DiscoveryFilter, Keyring, KmsEcKey, MultiKeyring,
    RawAesKeyring, RawEcdhKeyring, RawRsaKeyring, RsaKeys,
};
use strongroom_sdk::keys::{EcPrivateKey, EcPublicKey, RsaPrivateKey, RsaPublicKey};
use strongroom_sdk::kms::RsaAlgorithm;
use strongroom_sdk::kms::aws::AwsKmsClient;
use strongroom_sdk::message::encryption_context::EncryptionContext;
use strongroom_sdk::message::suite::AlgorithmSuite;
use strongroom_sdk::oneshot;
use strongroom_sdk::options::EncryptOptions;
use strongroom_sdk::secret::SecretBytes;

use crate::fixtures::{self, read_everywhere, wait};

/// How long a caching manager keeps data keys, and how many.
const CACHE_AGE: Duration = Duration::from_secs(600);
const CACHE_ENTRIES_MAX: usize = 100;

/// Our SDK, with our KMS where a keyring needs one.
pub(super) struct Ours<'a> {
    kms: &'a KmsServer,
    /// One client for each Region.
    clients: RefCell<BTreeMap<String, Arc<AwsKmsClient>>>,
    /// One cache for each description of a keyring, as the drivers have.
    caches: RefCell<BTreeMap<String, Arc<CachingCmm>>>,
}

impl<'a> Ours<'a> {
    pub(super) fn new(kms: &'a KmsServer) -> Self {
        Self { kms, clients: RefCell::default(), caches: RefCell::default() }
    }

    /// Encrypts as a driver would.
    pub(super) fn encrypt(&self, message: &Message, plaintext: &[u8]) -> Result<Vec<u8>, String> {
        let suite = AlgorithmSuite::from_id(message.suite).map_err(|error| error.to_string())?;
        let mut request = fixtures::request(suite);
        request.encryption_context = context(&message.manager);
        let manager = &*self.manager(&message.manager);
        let encrypted = wait(async {
            match message.frame_length {
                0 => oneshot::encrypt_single_block(plaintext, manager, &request).await,
                frame_length => {
                    let options = EncryptOptions { frame_length };
                    oneshot::encrypt(plaintext, manager, &request, &options).await
                }
            }
        });
        encrypted.map_err(|error| error.to_string())
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
        let manager = self.manager(manager);
        for outcome in read_everywhere(message, &*manager, &options) {
            if let Some(error) = outcome.error {
                return Err(format!("{}: {error}", outcome.surface));
            }
            if outcome.released != plaintext {
                return Err(format!("{}: another plaintext", outcome.surface));
            }
        }
        Ok(())
    }

    fn manager(&self, said: &Manager) -> Arc<dyn MaterialsManager> {
        if said.caching {
            let name = serde_json::to_string(&said.keyring).unwrap();
            let mut caches = self.caches.borrow_mut();
            return caches.entry(name).or_insert_with(|| self.caching(&said.keyring)).clone();
        }
        let default = Arc::new(DefaultCmm::new(self.keyring(&said.keyring)));
        if said.required.is_empty() {
            return default;
        }
        Arc::new(RequiredContextCmm::new(default, said.required.clone()).unwrap())
    }

    fn caching(&self, said: &Description) -> Arc<CachingCmm> {
        let default = Arc::new(DefaultCmm::new(self.keyring(said)));
        let clock = Arc::new(SystemClock::default());
        let cache = Arc::new(MaterialsCache::new(CACHE_ENTRIES_MAX, clock).unwrap());
        Arc::new(CachingCmm::new(default, cache, CachingLimits::of_age(CACHE_AGE)).unwrap())
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
            Description::KmsRsa { key, algorithm, public } => {
                let public = RsaPublicKey::from_pem(&*provider(), public).unwrap();
                let keyring = AwsKmsRsaKeyring::new(key.clone(), rsa_algorithm(algorithm)).unwrap();
                Arc::new(keyring.public_key(public).client(self.client(region(key))))
            }
            Description::KmsEcdh { key, curve, schema, public } => {
                Arc::new(self.kms_ecdh(key, *curve, *schema, public.as_deref()))
            }
            Description::Multi { generator, children } => {
                let children = children.iter().map(|child| self.keyring(child)).collect();
                Arc::new(MultiKeyring::new(Some(self.keyring(generator)), children).unwrap())
            }
        }
    }

    fn kms_ecdh(
        &self,
        key: &str,
        curve: Curve,
        schema: EcdhSchema,
        public: Option<&str>,
    ) -> AwsKmsEcdhKeyring {
        let provider = provider();
        let client = self.client(region(key));
        let own = wait(KmsEcKey::fetch(client, &*provider, key, ec_curve(curve), Vec::new()));
        let own = own.unwrap();
        match schema {
            EcdhSchema::Static => {
                let other = EcPublicKey::from_pem(&*provider, public.unwrap()).unwrap();
                AwsKmsEcdhKeyring::between(own, other).unwrap()
            }
            EcdhSchema::Discovery => AwsKmsEcdhKeyring::discovery(own),
            EcdhSchema::Ephemeral => panic!("a key in a KMS lasts"),
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

fn ec_curve(said: Curve) -> EcCurve {
    match said {
        Curve::P256 => EcCurve::P256,
        Curve::P384 => EcCurve::P384,
        Curve::P521 => EcCurve::P521,
    }
}

fn rsa_algorithm(said: &str) -> RsaAlgorithm {
    match said {
        "RSAES_OAEP_SHA_1" => RsaAlgorithm::OaepSha1,
        "RSAES_OAEP_SHA_256" => RsaAlgorithm::OaepSha256,
        other => panic!("no row of the table should need {other}"),
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
