//! The keys of our KMS that rows use.

use aws_sdk_kms::types::{KeySpec, KeyUsageType};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use strongroom_peers::esdk::Keyring;
use strongroom_peers::{KmsServer, identity};

use super::ours;

/// The Region in which the multi-Region key has a replica.
const OTHER_REGION: &str = "eu-west-1";

/// The ARNs of symmetric keys, and key pairs.
pub(super) struct KmsKeys {
    /// A symmetric key.
    pub(super) first: String,
    /// Another.
    pub(super) second: String,
    /// A multi-Region key where it was made.
    pub(super) primary: String,
    /// The same key in another Region.
    pub(super) replica: String,
    /// A pair that encrypts.
    pub(super) rsa: KeyPair,
    /// Pairs that agree, of a sender and a recipient.
    pub(super) p256: [KeyPair; 2],
    pub(super) p384: [KeyPair; 2],
    pub(super) p521: [KeyPair; 2],
}

/// A key pair in the KMS.
#[derive(Clone)]
pub(super) struct KeyPair {
    pub(super) arn: String,
    /// Its public half in PEM.
    pub(super) public: String,
}

impl KmsKeys {
    /// Makes all of them.
    pub(super) async fn make(kms: &KmsServer) -> Self {
        let client = &ours::client(kms, identity::REGION);
        let primary = make_symmetric(client, true).await;
        let replicate = client.replicate_key().key_id(&primary).replica_region(OTHER_REGION);
        let replica = replicate.send().await.unwrap().replica_key_metadata.unwrap().arn.unwrap();
        let agree = async |spec: KeySpec| {
            let pair = async || KeyPair::make(client, &spec, KeyUsageType::KeyAgreement).await;
            [pair().await, pair().await]
        };
        Self {
            first: make_symmetric(client, false).await,
            second: make_symmetric(client, false).await,
            primary,
            replica,
            rsa: KeyPair::make(client, &KeySpec::Rsa2048, KeyUsageType::EncryptDecrypt).await,
            p256: agree(KeySpec::EccNistP256).await,
            p384: agree(KeySpec::EccNistP384).await,
            p521: agree(KeySpec::EccNistP521).await,
        }
    }

    /// A discovery keyring of the Region of `key`, which finds it.
    pub(super) fn discovery(key: &str, mrk: bool) -> Keyring {
        let part = |at| key.split(':').nth(at).unwrap().to_owned();
        let (partition, region, accounts) = (part(1), part(3), vec![part(4)]);
        Keyring::KmsDiscovery { accounts, partition, region, mrk }
    }
}

impl KeyPair {
    async fn make(client: &aws_sdk_kms::Client, spec: &KeySpec, usage: KeyUsageType) -> Self {
        let make = client.create_key().key_spec(spec.clone()).key_usage(usage);
        let arn = make.send().await.unwrap().key_metadata.unwrap().arn.unwrap();
        let answer = client.get_public_key().key_id(&arn).send().await.unwrap();
        let public = pem(answer.public_key.unwrap().as_ref());
        Self { arn, public }
    }
}

async fn make_symmetric(client: &aws_sdk_kms::Client, multi_region: bool) -> String {
    let made = client.create_key().multi_region(multi_region).send().await.unwrap();
    made.key_metadata.unwrap().arn.unwrap()
}

/// A SubjectPublicKeyInfo as PEM, which every peer reads.
fn pem(spki: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(spki);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}
