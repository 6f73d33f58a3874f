//! What keyrings make of wrapped data keys that nobody vouches for.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use strongroom_sdk::clock::SystemClock;
use strongroom_sdk::crypto::default_provider;
use strongroom_sdk::crypto::rsa::RsaPadding;
use strongroom_sdk::error::BranchKeyFault;
use strongroom_sdk::key_store::{
    BRANCH_KEY_BYTES, BranchKey, BranchKeyId, BranchKeyStore, BranchKeyVersion,
};
use strongroom_sdk::keyring::hierarchical::BranchKeyCache;
use strongroom_sdk::keyring::{
    HierarchicalKeyring, Keyring, MultiKeyring, RawAesKeyring, RawEcdhKeyring, RawRsaKeyring,
    RsaKeys,
};
use strongroom_sdk::keys::{EcPrivateKey, RsaPrivateKey};
use strongroom_sdk::materials::{DecryptionMaterials, DecryptionRequest};
use strongroom_sdk::message::header::Header;
use strongroom_sdk::message::limits::Limits;
use strongroom_sdk::secret::SecretBytes;
use strongroom_sdk::{EncryptionContext, Error, Result};

use super::choices::Choices;
use super::keys::in_pem;
use super::messages::{now, reading};
use super::permissive;

/// Whose wrapped keys there are; `aws-kms` is the only one that no keyring here has keys of.
const PROVIDER_IDS: [&str; 5] = ["ns", "raw-ecdh", "aws-kms", "aws-kms-hierarchy", ""];
/// The private key 1 of P-256, in the DER of SEC 1, and the compressed point that belongs to it.
pub(super) const PRIVATE_KEY: &str = "303102010104200000000000000000000000000000000000000000000000000000000000000001a00a06082a8648ce3d030107";
const PUBLIC_KEY: &str = "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
/// The branch key that there is, and its version.
const BRANCH_KEY: &str = "branch";
const VERSION: [u8; 16] = [3; 16];

/// One byte: which provider; then wrapped keys, each: kind of provider id, length of provider information (2),
/// length of ciphertext (2), and the two.
///
/// Whatever a message says about its data key: either it comes out in the length of the suite, or every
/// wrapped key is accounted for.
pub fn run(input: &[u8]) {
    let mut choices = Choices::new(input);
    let provider = if choices.byte() == 1 { default_provider() } else { permissive::provider() };
    let header = header(&mut choices);
    let Ok(parsed) = Header::parse(&header, &Limits::default()) else { return };
    let keys = parsed.header.encrypted_data_keys();
    let request =
        DecryptionRequest::new(&parsed.header, &reading()).expect("a suite that is allowed");
    static KEYRINGS: LazyLock<Vec<Arc<dyn Keyring>>> = LazyLock::new(keyrings);
    for keyring in KEYRINGS.iter() {
        let mut materials = DecryptionMaterials::new(&request, provider.clone());
        match now(keyring.on_decrypt(&mut materials, keys)) {
            Ok(()) => {
                let key = materials.data_key().expect("it was said to be there");
                assert_eq!(key.secret().len(), materials.suite().data_key_bytes());
            }
            Err(error @ Error::NoDataKey { .. }) => {
                assert!(materials.data_key().is_none());
                // Words for people, from bytes that are none.
                assert!(!error.to_string().is_empty());
            }
            Err(other) => panic!("{other}"),
        }
    }
}

/// A header with the wrapped keys that `choices` describe.
fn header(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut entries = Vec::new();
    let mut count: u16 = 0;
    while !choices.is_empty() && count < 8 {
        let provider_id = choices.one_of(&PROVIDER_IDS);
        let (info, ciphertext) = (usize::from(choices.short()), usize::from(choices.short()));
        for field in [provider_id.as_bytes(), choices.piece(info), choices.piece(ciphertext)] {
            entries.extend((field.len() as u16).to_be_bytes());
            entries.extend(field);
        }
        count += 1;
    }
    let mut header = vec![2, 4, 0x78];
    header.extend([4; 32]);
    header.extend([0, 0]);
    header.extend(count.to_be_bytes());
    header.extend(entries);
    header.extend([2, 0, 0, 16, 0]);
    header.extend([0; 32 + 16]);
    header
}

/// One keyring of each kind that needs no peer, and all of them together.
fn keyrings() -> Vec<Arc<dyn Keyring>> {
    let raw_aes = |length: usize| -> Arc<dyn Keyring> {
        let key = SecretBytes::copy_of(&vec![7; length]);
        Arc::new(RawAesKeyring::new("ns", "name", key).expect("a key of a right length"))
    };
    let each = [16, 24, 32].map(raw_aes);
    let private = EcPrivateKey::from_der(&*default_provider(), &bytes_of(PRIVATE_KEY));
    let raw_ecdh = RawEcdhKeyring::discovery(private.expect("a key of P-256"));
    let mut keyrings = each.to_vec();
    keyrings.push(Arc::new(raw_ecdh));
    keyrings.push(Arc::new(raw_rsa()));
    keyrings.push(Arc::new(hierarchical()));
    let all = MultiKeyring::new(None, keyrings.clone()).expect("it is not empty");
    keyrings.push(Arc::new(all));
    keyrings
}

fn raw_rsa() -> RawRsaKeyring {
    let private = in_pem("PRIVATE KEY")
        .iter()
        .find_map(|pem| RsaPrivateKey::from_pem(&*default_provider(), pem).ok());
    let keys = RsaKeys::Private(private.expect("the tests have one"));
    RawRsaKeyring::new("ns", "rsa", RsaPadding::OaepSha256, keys).expect("no name of the KMS")
}

fn hierarchical() -> HierarchicalKeyring {
    let clock = Arc::new(SystemClock::default());
    let cache = Arc::new(BranchKeyCache::new(8, clock).expect("room for some"));
    let id = Arc::new(BranchKeyId::new(BRANCH_KEY).expect("neither empty nor long"));
    let (age_max, provider) = (Duration::from_secs(3600), default_provider());
    HierarchicalKeyring::new(Arc::new(OneBranchKey), id, cache, age_max, &*provider)
        .expect("an age of more than zero")
}

/// A key store with one version of one branch key.
struct OneBranchKey;

#[async_trait::async_trait]
impl BranchKeyStore for OneBranchKey {
    fn logical_name(&self) -> &str {
        "fuzz"
    }

    async fn active_branch_key(&self, id: &BranchKeyId) -> Result<BranchKey> {
        self.branch_key_version(id, BranchKeyVersion::from_bytes(VERSION)).await
    }

    async fn branch_key_version(
        &self,
        id: &BranchKeyId,
        version: BranchKeyVersion,
    ) -> Result<BranchKey> {
        if version != BranchKeyVersion::from_bytes(VERSION) {
            let (id, fault) = (id.to_string(), BranchKeyFault::NotFound);
            return Err(Error::BranchKey { id, fault });
        }
        let secret = SecretBytes::copy_of(&[9; BRANCH_KEY_BYTES]);
        BranchKey::new(id.clone(), version, EncryptionContext::new(), secret)
    }
}

/// The bytes that hexadecimal digits stand for.
pub(super) fn bytes_of(hexadecimal: &str) -> Vec<u8> {
    let digits =
        hexadecimal.as_bytes().chunks_exact(2).map(|two| str::from_utf8(two).unwrap_or("0"));
    digits.map(|two| u8::from_str_radix(two, 16).unwrap_or(0)).collect()
}

/// What the keyrings here write, and what others do.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut info = b"name".to_vec();
    info.extend([0, 0, 0, 128, 0, 0, 0, 12]);
    info.extend([4; 12]);
    let wrapped_as = |kind: u8, info: &[u8], ciphertext: &[u8]| {
        let lengths = [info, ciphertext].map(|field| (field.len() as u16).to_be_bytes());
        [&[kind], &lengths.concat()[..], info, ciphertext].concat()
    };
    let wrapped =
        |kind: u8, info: &[u8], ciphertext: usize| wrapped_as(kind, info, &vec![1; ciphertext]);
    let arn = b"arn:aws:kms:eu-central-1:111122223333:key/1234";
    let own = wrapped(0, &info, 48);
    let mixed = [wrapped(2, arn, 60), wrapped(0, &info, 15), own.clone()].concat();
    let point = [&[0, 0, 0, 33][..], &bytes_of(PUBLIC_KEY)].concat();
    let ecdh = wrapped(1, &[&[1], &point[..], &point].concat(), 32 + 32 + 32 + 16);
    let rsa = wrapped(0, b"rsa", 256);
    let in_hierarchy = [&[1; 16 + 12][..], &VERSION, &[1; 32 + 16]].concat();
    let in_hierarchy = wrapped_as(3, BRANCH_KEY.as_bytes(), &in_hierarchy);
    let each = [own, mixed, ecdh, rsa, in_hierarchy];
    [0, 1]
        .into_iter()
        .flat_map(|p| each.each_ref().map(|keys| [&[p], &keys[..]].concat()))
        .collect()
}
