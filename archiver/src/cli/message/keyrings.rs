//! From wrapping keys as they were named to a keyring.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use strongroom_sdk::crypto::default_provider;
use strongroom_sdk::error::KeyringFault;
use strongroom_sdk::keyring::aws_kms::{
    AwsKmsDiscoveryKeyring, AwsKmsMrkDiscoveryKeyring, AwsKmsMrkKeyring, DiscoveryFilter,
};
use strongroom_sdk::keyring::raw_rsa::{RawRsaKeyring, RsaKeys};
use strongroom_sdk::keyring::{Keyring, MultiKeyring, RawAesKeyring, RawEcdhKeyring};
use strongroom_sdk::keys::{EcPrivateKey, EcPublicKey, KEY_BYTES_MAX, RsaPrivateKey, RsaPublicKey};
use strongroom_sdk::kms::aws::{AwsClientSupplier, AwsKmsClient};
use strongroom_sdk::kms::{KmsClient, RegionalClient};
use strongroom_sdk::{Result as SdkResult, SecretBytes};
use zeroize::Zeroizing;

use super::branch_keys;
use super::failure::MessageFailure;
use super::mode::Mode;
use super::wrapping_keys::{Agreement, BranchKey, Filter, Padding, RawKey, Reach, WrappingKeys};
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
            WrappingKeys::RawEcdh(agreement) => keyrings.push(Arc::new(raw_ecdh(agreement)?)),
            WrappingKeys::Hierarchy(branch_key, reach) => {
                let kms = kms_of(branch_key, reach, &mut clients).await;
                keyrings.push(Arc::new(branch_keys::keyring(branch_key, reach, kms).await?));
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
    Ok(Arc::new(AwsKmsDiscoveryKeyring::new(Arc::new(in_every_region(&client)), filter)))
}

/// The KMS that unwraps a branch key: that of the key's Region, or, as long as only the store knows the
/// key, whichever it names.
async fn kms_of<'a>(
    branch_key: &'a BranchKey,
    reach: &'a Reach,
    clients: &mut Clients<'a>,
) -> Arc<dyn KmsClient> {
    let client = clients.of(reach, branch_key.kms_key.as_deref().and_then(region_of)).await;
    if branch_key.kms_key.is_some() || reach.region.is_some() {
        return Arc::new(AwsKmsClient::new(client));
    }
    Arc::new(in_every_region(&client))
}

/// A client that asks each key in its own Region.
fn in_every_region(client: &aws_sdk_kms::Client) -> RegionalClient {
    RegionalClient::new(Arc::new(AwsClientSupplier::new(client.config().clone())))
}

fn raw_aes(key: &RawKey) -> Result<RawAesKeyring, MessageFailure> {
    let secret = SecretBytes::take(&mut bytes_in(&key.file)?);
    RawAesKeyring::new(&key.namespace, &key.name, secret).map_err(MessageFailure::Keyring)
}

fn raw_rsa(key: &RawKey, padding: Padding, mode: Mode) -> Result<RawRsaKeyring, MessageFailure> {
    let pem = pem_in(&key.file)?;
    let keys = rsa_keys(&pem, mode);
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

fn raw_ecdh(agreement: &Agreement) -> Result<RawEcdhKeyring, MessageFailure> {
    let provider = default_provider();
    let keyring = match (&agreement.private, &agreement.public) {
        (None, None) => Err(KeyringFault::Empty.into()),
        (None, Some(public)) => {
            EcPublicKey::from_pem(&*provider, &pem_in(public)?).map(RawEcdhKeyring::ephemeral_to)
        }
        (Some(private), None) => {
            EcPrivateKey::from_pem(&*provider, &pem_in(private)?).map(RawEcdhKeyring::discovery)
        }
        (Some(private), Some(public)) => {
            let (private, public) = (pem_in(private)?, pem_in(public)?);
            EcPrivateKey::from_pem(&*provider, &private).and_then(|private| {
                RawEcdhKeyring::between(private, EcPublicKey::from_pem(&*provider, &public)?)
            })
        }
    };
    keyring.map_err(MessageFailure::Keyring)
}

/// The text of a key file. What is no text is no PEM either, and comes out empty, to be refused as such.
fn pem_in(path: &Path) -> Result<Zeroizing<String>, MessageFailure> {
    let mut bytes = bytes_in(path)?;
    Ok(Zeroizing::new(String::from_utf8(std::mem::take(&mut bytes)).unwrap_or_default()))
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
