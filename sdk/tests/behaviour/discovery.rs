//! Discovery and multi-Region-key-aware keyrings: which key is asked, through which client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use strongroom_sdk::error::KeyringFault;
use strongroom_sdk::keyring::{
    AwsKmsDiscoveryKeyring, AwsKmsKeyring, AwsKmsMrkDiscoveryKeyring, AwsKmsMrkKeyring,
    DiscoveryFilter, Keyring, MultiKeyring, RawAesKeyring, RegionalKeyrings,
};
use strongroom_sdk::kms::{ClientSupplier, KmsClient, KmsError, RegionalClient};
use strongroom_sdk::secret::SecretBytes;
use strongroom_sdk::{Error, Result};

use crate::keyrings::{decrypt, encrypt};
use crate::memory_kms::{ALIAS_A, KEY_A, KEY_B, MemoryKms};

const HERE: &str = "eu-central-1";
const ABROAD: &str = "us-east-1";
const MRK_HERE: &str = "arn:aws:kms:eu-central-1:111122223333:key/mrk-1234";
const MRK_ABROAD: &str = "arn:aws:kms:us-east-1:111122223333:key/mrk-1234";
const KEY_ABROAD: &str = "arn:aws:kms:us-east-1:111122223333:key/cccc";

/// One KMS in memory for each Region that was asked for.
#[derive(Default)]
struct Regions(Mutex<HashMap<String, Arc<MemoryKms>>>);

impl Regions {
    fn kms(&self, region: &str) -> Arc<MemoryKms> {
        self.0.lock().unwrap().entry(region.to_owned()).or_default().clone()
    }

    fn asked(&self, region: &str) -> Vec<String> {
        self.kms(region).asked()
    }
}

impl ClientSupplier for Regions {
    fn client(&self, region: &str) -> Result<Arc<dyn KmsClient>, KmsError> {
        if region == "nowhere-1" {
            return Err(KmsError::NoClient { region: region.to_owned(), reason: "no such place" });
        }
        Ok(self.kms(region))
    }
}

fn written_with(key: &str) -> Vec<u8> {
    encrypt(AwsKmsKeyring::new(Arc::new(MemoryKms::default()), key).unwrap()).unwrap()
}

fn ours() -> Option<DiscoveryFilter> {
    Some(DiscoveryFilter::new("aws", ["111122223333"]).unwrap())
}

#[test]
fn a_discovery_keyring_asks_for_the_key_that_the_message_names() {
    let client = Arc::new(MemoryKms::default());
    for filter in [None, ours()] {
        let keyring = AwsKmsDiscoveryKeyring::new(client.clone(), filter);
        assert_eq!(decrypt(&written_with(KEY_A), keyring).unwrap(), b"plaintext");
    }
    assert_eq!(client.asked(), [format!("Decrypt {KEY_A}"), format!("Decrypt {KEY_A}")]);
}

#[test]
fn a_discovery_filter_keeps_other_partitions_and_accounts_out() {
    let client = Arc::new(MemoryKms::default());
    for (partition, account) in [("aws", "444455556666"), ("aws-cn", "111122223333")] {
        let filter = DiscoveryFilter::new(partition, [account]).unwrap();
        let keyring = AwsKmsDiscoveryKeyring::new(client.clone(), Some(filter.clone()));
        let error = decrypt(&written_with(KEY_A), keyring).unwrap_err();
        assert!(error.to_string().contains("not a key of this keyring"), "{error}");
        let mrk = AwsKmsMrkDiscoveryKeyring::new(client.clone(), HERE, Some(filter)).unwrap();
        assert!(decrypt(&written_with(MRK_ABROAD), mrk).is_err());
    }
    assert!(client.asked().is_empty(), "a KMS was asked");
    assert!(DiscoveryFilter::new("aws", Vec::<String>::new()).is_err());
    assert!(DiscoveryFilter::new("aws", ["111122223333", ""]).is_err());
    assert!(DiscoveryFilter::new("", ["111122223333"]).is_err());
}

#[test]
fn discovery_keyrings_do_not_encrypt() {
    let client = Arc::new(MemoryKms::default());
    let plain = encrypt(AwsKmsDiscoveryKeyring::new(client.clone(), None)).unwrap_err();
    let mrk = AwsKmsMrkDiscoveryKeyring::new(client.clone(), HERE, None).unwrap();
    for error in [plain, encrypt(mrk).unwrap_err()] {
        assert!(matches!(error, Error::Keyring(KeyringFault::DiscoveryEncrypts)), "{error}");
    }
    assert!(AwsKmsMrkDiscoveryKeyring::new(client, "", None).is_err());
}

#[test]
fn an_mrk_aware_keyring_reads_what_a_copy_of_its_key_wrote() {
    let client = Arc::new(MemoryKms::default());
    let keyring = || AwsKmsMrkKeyring::new(client.clone(), MRK_HERE).unwrap();
    assert_eq!(decrypt(&written_with(MRK_ABROAD), keyring()).unwrap(), b"plaintext");
    assert_eq!(decrypt(&encrypt(keyring()).unwrap(), keyring()).unwrap(), b"plaintext");
    assert_eq!(client.asked()[0], format!("Decrypt {MRK_HERE}"));
    client.forget_asked();
    assert!(decrypt(&written_with(KEY_ABROAD), keyring()).is_err());
    // The strict keyring wants exactly its key, and an alias names none that a message could record.
    assert!(decrypt(&written_with(MRK_ABROAD), strict(&client, MRK_HERE)).is_err());
    let alias = AwsKmsMrkKeyring::new(client.clone(), ALIAS_A).unwrap();
    assert!(decrypt(&written_with(KEY_A), alias).is_err());
    assert!(client.asked().is_empty(), "a KMS was asked");
}

fn strict(client: &Arc<MemoryKms>, key: &str) -> AwsKmsKeyring {
    AwsKmsKeyring::new(client.clone(), key).unwrap()
}

#[test]
fn an_mrk_discovery_keyring_asks_only_in_its_region() {
    let client = Arc::new(MemoryKms::default());
    let keyring = || AwsKmsMrkDiscoveryKeyring::new(client.clone(), HERE, ours()).unwrap();
    assert_eq!(decrypt(&written_with(MRK_ABROAD), keyring()).unwrap(), b"plaintext");
    assert_eq!(decrypt(&written_with(KEY_A), keyring()).unwrap(), b"plaintext");
    assert!(decrypt(&written_with(KEY_ABROAD), keyring()).is_err());
    assert_eq!(client.asked(), [format!("Decrypt {MRK_HERE}"), format!("Decrypt {KEY_A}")]);
}

#[test]
fn a_record_that_names_no_kms_key_fails_the_keyring_but_not_its_neighbours() {
    let raw = || RawAesKeyring::new("raw", "one", SecretBytes::copy_of(&[1; 32])).unwrap();
    let both: Vec<Arc<dyn Keyring>> = vec![Arc::new(raw())];
    let client = Arc::new(MemoryKms::default());
    let written = MultiKeyring::new(Some(Arc::new(strict(&client, KEY_A))), both).unwrap();
    let mut message = encrypt(written).unwrap();
    let at = message.windows(4).position(|bytes| bytes == b"key/").unwrap();
    message[at] = b'x';
    client.forget_asked();
    let error = decrypt(&message, strict(&client, KEY_A)).unwrap_err();
    assert!(error.to_string().contains("not an identifier of a KMS key"), "{error}");
    let discovery: Arc<dyn Keyring> = Arc::new(AwsKmsDiscoveryKeyring::new(client.clone(), None));
    let readers = MultiKeyring::new(None, vec![discovery, Arc::new(raw())]).unwrap();
    // The raw keyring unwraps; the altered record shows in the header's tag.
    let error = decrypt(&message, readers).unwrap_err();
    assert!(matches!(error, Error::TagMismatch { .. }), "{error}");
    assert!(client.asked().is_empty(), "a KMS was asked");
}

#[test]
fn each_key_of_a_regional_keyring_is_asked_through_the_client_of_its_region() {
    let regions = Regions::default();
    let keyrings = RegionalKeyrings::new(&regions);
    let message = encrypt(keyrings.strict(Some(KEY_A), &[KEY_ABROAD]).unwrap()).unwrap();
    assert_eq!(regions.asked(HERE), [format!("GenerateDataKey {KEY_A}")]);
    assert_eq!(regions.asked(ABROAD), [format!("Encrypt {KEY_ABROAD}")]);
    assert!(decrypt(&message, keyrings.strict(None, &[KEY_ABROAD]).unwrap()).is_ok());
    let mrk = keyrings.mrk_aware(Some(MRK_HERE), &[KEY_B]).unwrap();
    assert!(decrypt(&written_with(MRK_ABROAD), mrk).is_ok());

    for (generator, children) in [(None, &["alias/a"][..]), (Some("1234abcd"), &[]), (None, &[])] {
        assert!(keyrings.strict(generator, children).is_err());
        assert!(keyrings.mrk_aware(generator, children).is_err());
    }
    assert!(keyrings.strict(Some(MRK_HERE), &[MRK_ABROAD]).is_ok());
    let error = keyrings.mrk_aware(Some(MRK_HERE), &[MRK_ABROAD]).err().unwrap();
    assert!(matches!(error, Error::Keyring(KeyringFault::MultiRegionKeyTwice(_))), "{error}");
}

#[test]
fn regional_discovery_tries_each_region() {
    let regions = Regions::default();
    let keyrings = RegionalKeyrings::new(&regions);
    let filter = ours();
    let mrk = keyrings.mrk_aware_discovery(&[ABROAD, HERE, HERE], filter.as_ref()).unwrap();
    assert!(decrypt(&written_with(KEY_A), mrk).is_ok());
    assert!(regions.asked(ABROAD).is_empty(), "the key is not there");
    let plain = keyrings.discovery(&[HERE, ABROAD], filter.as_ref()).unwrap();
    assert!(decrypt(&written_with(KEY_A), plain).is_ok());

    for bad in [&[][..], &[HERE, ""]] {
        assert!(keyrings.discovery(bad, None).is_err());
        assert!(keyrings.mrk_aware_discovery(bad, None).is_err());
    }
    let error = keyrings.discovery(&["nowhere-1"], None).err().unwrap();
    assert!(matches!(error, Error::Kms { .. }), "{error}");
}

#[test]
fn a_regional_client_follows_a_message_to_the_region_of_its_key_and_no_further() {
    let regions = Arc::new(Regions::default());
    let discovery =
        || AwsKmsDiscoveryKeyring::new(Arc::new(RegionalClient::new(regions.clone())), None);
    assert!(decrypt(&written_with(KEY_A), discovery()).is_ok());
    assert!(decrypt(&written_with(KEY_ABROAD), discovery()).is_ok());
    assert_eq!(regions.asked(HERE), [format!("Decrypt {KEY_A}")]);
    assert_eq!(regions.asked(ABROAD), [format!("Decrypt {KEY_ABROAD}")]);
    // A Region is not a way to name another host.
    let elsewhere = "arn:aws:kms:evil.example/x:111122223333:key/cccc";
    let error = decrypt(&written_with(elsewhere), discovery()).unwrap_err();
    assert!(error.to_string().contains("not the name of a Region"), "{error}");
    assert_eq!(regions.0.lock().unwrap().len(), 2);
}
