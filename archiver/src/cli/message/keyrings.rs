//! From wrapping keys as they were named to a keyring.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use strongroom_sdk::crypto::default_provider;
use strongroom_sdk::keyring::aws_kms::{
    AwsKmsDiscoveryKeyring, AwsKmsMrkDiscoveryKeyring, AwsKmsMrkKeyring, DiscoveryFilter,
};
use strongroom_sdk::keyring::raw_rsa::{RawRsaKeyring, RsaKeys};
use strongroom_sdk::keyring::{Keyring, MultiKeyring, RawAesKeyring};
use strongroom_sdk::keys::{KEY_BYTES_MAX, RsaPrivateKey, RsaPublicKey};
use strongroom_sdk::kms::RegionalClient;
use strongroom_sdk::kms::aws::{AwsClientSupplier, AwsKmsClient};
use strongroom_sdk::{Result as SdkResult, SecretBytes};
use zeroize::Zeroizing;

use super::failure::MessageFailure;
use super::mode::Mode;
use super::wrapping_keys::{Filter, Padding, RawKey, Reach, WrappingKeys};
use crate::cli::connect::{describe_key, is_key_arn, kms_client_at, region_of};
use crate::cli::exit::Failure;

/// The keyring of all `groups`, the first key of the first making data keys.
pub(super) async fn keyring(
    groups: &[WrappingKeys],
    mode: Mode,
    endpoint: Option<&str>,
) -> Result<Arc<dyn Keyring>, Failure> {
    let mut clients = Clients { endpoint, known: HashMap::new() };
    let mut keyrings: Vec<Arc<dyn Keyring>> = Vec::new();
    for group in groups {
        match group {
            WrappingKeys::AwsKms(keys, reach) => {
                for key in keys {
                    keyrings.push(Arc::new(aws_kms(key, reach, mode, &mut clients).await?));
                }
            }
            WrappingKeys::Discovery(filter, reach) => {
                keyrings.push(discovery(filter.as_ref(), reach, &mut clients).await?);
            }
            WrappingKeys::RawAes(key) => keyrings.push(Arc::new(raw_aes(key)?)),
            WrappingKeys::RawRsa(key, padding) => {
                keyrings.push(Arc::new(raw_rsa(key, *padding, mode)?));
            }
        }
    }
    let mut keyrings = keyrings.into_iter();
    let (first, others): (_, Vec<_>) = (keyrings.next(), keyrings.collect());
    match first {
        Some(only) if others.is_empty() => Ok(only),
        first => Ok(Arc::new(MultiKeyring::new(first, others).map_err(MessageFailure::Keyring)?)),
    }
}

/// One client for each profile and Region.
struct Clients<'a> {
    endpoint: Option<&'a str>,
    known: HashMap<(Option<&'a str>, Option<&'a str>), aws_sdk_kms::Client>,
}

impl<'a> Clients<'a> {
    async fn of(&mut self, reach: &'a Reach, region: Option<&'a str>) -> aws_sdk_kms::Client {
        let place = (reach.profile.as_deref(), region.or(reach.region.as_deref()));
        if let Some(client) = self.known.get(&place) {
            return client.clone();
        }
        let client = kms_client_at(place.0, place.1, self.endpoint).await;
        self.known.insert(place, client.clone());
        client
    }
}

async fn aws_kms<'a>(
    key: &'a str,
    reach: &'a Reach,
    mode: Mode,
    clients: &mut Clients<'a>,
) -> Result<AwsKmsMrkKeyring, Failure> {
    let client = clients.of(reach, region_of(key)).await;
    // A message names its keys by their ARNs, so these are what it can be read with.
    let id = match mode == Mode::Encrypt || is_key_arn(key) {
        true => key.to_owned(),
        false => describe_key(&client, key).await?.arn,
    };
    let client = Arc::new(AwsKmsClient::new(client));
    Ok(AwsKmsMrkKeyring::new(client, id).map_err(MessageFailure::Keyring)?)
}

/// In the Region that was named, where copies of multi-Region keys may be; or in any, each key in its
/// own.
async fn discovery<'a>(
    filter: Option<&Filter>,
    reach: &'a Reach,
    clients: &mut Clients<'a>,
) -> Result<Arc<dyn Keyring>, Failure> {
    let client = clients.of(reach, None).await;
    let filter = filter.map(|filter| DiscoveryFilter::new(&filter.partition, &filter.accounts));
    let filter = filter.transpose().map_err(MessageFailure::Keyring)?;
    if let Some(region) = &reach.region {
        let client = Arc::new(AwsKmsClient::new(client));
        let keyring = AwsKmsMrkDiscoveryKeyring::new(client, region, filter);
        return Ok(Arc::new(keyring.map_err(MessageFailure::Keyring)?));
    }
    let supplier = Arc::new(AwsClientSupplier::new(client.config().clone()));
    let client = Arc::new(RegionalClient::new(supplier));
    Ok(Arc::new(AwsKmsDiscoveryKeyring::new(client, filter)))
}

fn raw_aes(key: &RawKey) -> Result<RawAesKeyring, MessageFailure> {
    let secret = SecretBytes::take(&mut bytes_in(&key.file)?);
    RawAesKeyring::new(&key.namespace, &key.name, secret).map_err(MessageFailure::Keyring)
}

fn raw_rsa(key: &RawKey, padding: Padding, mode: Mode) -> Result<RawRsaKeyring, MessageFailure> {
    let bytes = bytes_in(&key.file)?;
    // What is no text is no PEM either, and is refused as such.
    let pem = std::str::from_utf8(&bytes).unwrap_or_default();
    let keys = rsa_keys(pem, mode);
    keys.and_then(|keys| RawRsaKeyring::new(&key.namespace, &key.name, padding.0, keys))
        .map_err(MessageFailure::Keyring)
}

fn rsa_keys(pem: &str, mode: Mode) -> SdkResult<RsaKeys> {
    let provider = default_provider();
    match mode {
        Mode::Encrypt => Ok(RsaKeys::Public(RsaPublicKey::from_pem(&*provider, pem)?)),
        Mode::Decrypt | Mode::DecryptUnsigned => {
            Ok(RsaKeys::Private(RsaPrivateKey::from_pem(&*provider, pem)?))
        }
    }
}

/// The bytes of a key file; of a longer one only so many that its keyring refuses it.
fn bytes_in(path: &Path) -> Result<Zeroizing<Vec<u8>>, MessageFailure> {
    let unreadable = |source| MessageFailure::KeyFile { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    // Room for all of it at once: a vector that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_BYTES_MAX + 2));
    let mut limited = std::io::Read::take(file, KEY_BYTES_MAX as u64 + 1);
    std::io::Read::read_to_end(&mut limited, &mut bytes).map_err(unreadable)?;
    Ok(bytes)
}
