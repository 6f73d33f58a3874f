//! From options, environment and configuration to an open location.

use std::path::PathBuf;
use std::sync::Arc;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_kms::types::KeyState;
use clap::Args;
use strongroom::location::{Location, OpenOptions, Succession, UnverifiedFormat};
use strongroom::store::Store;
use strongroom::store::connect::{StoreOptions, connect};
use strongroom_sdk::kms::KmsError;
use strongroom_sdk::kms::aws::kms_error;

use super::Global;
use super::config::{ConfigError, ConfigFile, LocationConfig, cache_folder};
use super::exit::Failure;
use super::recipients;

/// Which location a command works on.
#[derive(Args, Clone, Debug)]
pub(super) struct LocationArguments {
    /// The location: its name in the configuration file, or its URL together with --key
    /// [default: the only one there is].
    #[arg(long, short, value_name = "NAME|URL", env = "STRONGROOM_LOCATION")]
    location: Option<String>,
    /// Read with the private half of the location's recovery key, in PEM, and ask no KMS. Nothing can be written.
    #[arg(long, value_name = "FILE")]
    recovery_private_key: Option<PathBuf>,
    #[command(flatten)]
    reach: ReachArguments,
}

/// How store and KMS are reached; what is not said here comes from the configuration file, and
/// what is not there from the usual AWS places.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Reaching store and KMS")]
pub(super) struct ReachArguments {
    /// The CMK: key id, ARN or alias.
    #[arg(long, value_name = "KEY", env = "STRONGROOM_KEY")]
    pub(super) key: Option<String>,
    /// The S3 endpoint, for stores other than AWS.
    #[arg(long, value_name = "URL", env = "AWS_ENDPOINT_URL_S3")]
    endpoint: Option<String>,
    /// The bucket's Region.
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// The AWS profile with the store's credentials.
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Put the bucket into the host name instead of the path.
    #[arg(long)]
    virtual_hosted_style: bool,
    /// The KMS endpoint, for a KMS other than AWS.
    #[arg(long, value_name = "URL", env = "AWS_ENDPOINT_URL_KMS")]
    kms_endpoint: Option<String>,
    /// The AWS profile with the KMS's credentials.
    #[arg(long, value_name = "NAME")]
    kms_profile: Option<String>,
}

/// A key as the KMS describes it.
#[derive(Clone, Debug)]
pub(super) struct Key {
    /// The key's ARN.
    pub(super) arn: String,
    /// Where its material comes from, such as `AWS_CLOUDHSM`; absent when the KMS does not let us
    /// ask.
    pub(super) origin: Option<String>,
    /// The custom key store that holds it.
    pub(super) key_store: Option<String>,
}

impl ReachArguments {
    /// Lays what was said on the command line and in the environment over `config`.
    pub(super) fn over(&self, config: LocationConfig) -> LocationConfig {
        let or = |said: &Option<String>, configured| said.clone().or(configured);
        LocationConfig {
            key: self.key.clone().unwrap_or(config.key),
            endpoint: or(&self.endpoint, config.endpoint),
            region: or(&self.region, config.region),
            profile: or(&self.profile, config.profile),
            virtual_hosted_style: self.virtual_hosted_style || config.virtual_hosted_style,
            kms_endpoint: or(&self.kms_endpoint, config.kms_endpoint),
            kms_profile: or(&self.kms_profile, config.kms_profile),
            ..config
        }
    }
}

impl LocationArguments {
    /// How the location that was meant is reached.
    pub(super) fn resolve(&self, global: &Global) -> Result<LocationConfig, Failure> {
        let config = match self.location.as_deref().filter(|given| is_url(given)) {
            Some(url) if self.reach.key.is_none() && self.recovery_private_key.is_none() => {
                return Err(ConfigError::Keyless { url: url.to_owned() }.into());
            }
            Some(url) => LocationConfig { url: url.to_owned(), ..LocationConfig::default() },
            None => {
                let file = ConfigFile::load(global.config.as_deref())?;
                file.find(self.location.as_deref())?.1.clone()
            }
        };
        let recovery_private_key = self.recovery_private_key.clone();
        Ok(LocationConfig { recovery_private_key, ..self.reach.over(config) })
    }

    /// What the location that was meant is called in `file`; `None` where it was given by its URL.
    pub(super) fn name_in(&self, file: &ConfigFile) -> Option<String> {
        if self.location.as_deref().is_some_and(is_url) {
            return None;
        }
        file.find(self.location.as_deref()).ok().map(|(name, _)| name.to_owned())
    }

    /// Opens the location that was meant.
    pub(super) async fn open(&self, global: &Global) -> Result<Arc<Location>, Failure> {
        open(&self.resolve(global)?).await
    }
}

/// Opens the location at `reach`.
pub(super) async fn open(reach: &LocationConfig) -> Result<Arc<Location>, Failure> {
    let store = open_store(reach, false).await?;
    let format = UnverifiedFormat::read(&store).await?;
    let recipients = &format.format().recipients;
    let (recovery, retiring) = (reach.recovery_private_key.as_deref(), format.retiring());
    let old = match (retiring, recovery) {
        (Some(retiring), Some(file)) if retiring.recovery.is_some() => {
            Some(recipients::recovery_reader(retiring, file)?)
        }
        (Some(retiring), None) => recipients::retiring(reach, &retiring.keys).await?,
        _ => None,
    };
    let new = match recovery {
        Some(file) if old.is_none() => recipients::recovery_reader(recipients, file)?,
        _ => {
            let key = full_name(reach).await?;
            // What is not among them must not be added to what is written.
            if !recipients.keys.is_empty() && !recipients.keys.contains(&key) {
                return Err(Failure::NoRecipient { key, keys: recipients.keys.clone() });
            }
            recipients::materials(reach, &key, recipients).await?
        }
    };
    let materials = match old {
        Some(old) => Arc::new(Succession::new(new, old)),
        None => new,
    };
    let options = OpenOptions { cache: cache_folder() };
    Ok(Arc::new(Location::open_as(store, format, materials, &options).await?))
}

/// The ARN of the key at `reach`: decryption wants to know the keys that it may use by their full names.
async fn full_name(reach: &LocationConfig) -> Result<String, Failure> {
    if is_key_arn(&reach.key) {
        return Ok(reach.key.clone());
    }
    Ok(describe_key(&kms_client_for(reach, &reach.key).await, &reach.key).await?.arn)
}

/// Opens the store at `reach`; `create_folder` makes the folder of a `file://` store.
pub(super) async fn open_store(
    reach: &LocationConfig,
    create_folder: bool,
) -> Result<Arc<Store>, Failure> {
    let (profile, region) = (reach.profile.as_deref(), reach.region.as_deref());
    let options = StoreOptions {
        endpoint: reach.endpoint.clone(),
        region: reach.region.clone(),
        virtual_hosted_style: reach.virtual_hosted_style,
        aws: store_credentials(&reach.url, profile, region).await,
        create_folder,
    };
    Ok(connect(&reach.url, &options)?)
}

/// What is needed to reach the store at `url`, from the usual AWS places; nothing where it is a folder.
pub(super) async fn store_credentials(
    url: &str,
    profile: Option<&str>,
    region: Option<&str>,
) -> Option<SdkConfig> {
    if !url.starts_with("s3:") {
        return None;
    }
    Some(aws(profile, region).await)
}

/// A client of the KMS at `reach` for `key`, in the key's own Region where its name tells that.
pub(super) async fn kms_client_for(reach: &LocationConfig, key: &str) -> aws_sdk_kms::Client {
    let (profile, endpoint) = (reach.kms_profile.as_deref(), reach.kms_endpoint.as_deref());
    kms_client_at(profile, region_of(key), endpoint).await
}

/// A client of the KMS in `region` or at `endpoint`; what is not said comes from the usual AWS
/// places.
pub(super) async fn kms_client_at(
    profile: Option<&str>,
    region: Option<&str>,
    endpoint: Option<&str>,
) -> aws_sdk_kms::Client {
    let config = aws(profile, region).await;
    let mut builder = aws_sdk_kms::config::Builder::from(&config);
    if let Some(endpoint) = endpoint {
        builder = builder.endpoint_url(endpoint);
    }
    aws_sdk_kms::Client::from_conf(builder.build())
}

/// Asks the KMS what it knows of `key`.
///
/// A KMS that does not let us ask is no obstacle where the key is named by its ARN: a role that
/// may only encrypt needs no more.
pub(super) async fn describe_key(kms: &aws_sdk_kms::Client, key: &str) -> Result<Key, Failure> {
    let described = kms.describe_key().key_id(key).send().await;
    let described = match described.map_err(|error| kms_error("DescribeKey", error)) {
        Ok(described) => described.key_metadata,
        Err(error) if is_key_arn(key) && error.code() == Some("AccessDeniedException") => {
            return Ok(Key { arn: key.to_owned(), origin: None, key_store: None });
        }
        Err(source) => return Err(Failure::Key { key: key.to_owned(), source }),
    };
    let incomplete = || KmsError::Incomplete { operation: "DescribeKey", field: "Arn" };
    let metadata = described
        .and_then(|metadata| Some((metadata.arn.clone()?, metadata)))
        .ok_or_else(|| Failure::Key { key: key.to_owned(), source: incomplete() });
    let (arn, metadata) = metadata?;
    match metadata.key_state {
        Some(KeyState::Enabled) | None => {}
        Some(state) => {
            let reason = format!("its state is {}", state.as_str());
            return Err(Failure::KeyUnfit { key: key.to_owned(), reason });
        }
    }
    let origin = metadata.origin.map(|origin| origin.as_str().to_owned());
    Ok(Key { arn, origin, key_store: metadata.custom_key_store_id })
}

/// Whether this names a location by its URL rather than by its name.
fn is_url(text: &str) -> bool {
    text.contains("://") || text.starts_with("memory:")
}

/// Whether this is the ARN of a key, not of an alias.
pub(super) fn is_key_arn(key: &str) -> bool {
    key.starts_with("arn:") && key.contains(":key/")
}

/// The Region in an ARN: `arn:aws:kms:REGION:ACCOUNT:key/ID`.
pub(super) fn region_of(key: &str) -> Option<&str> {
    let region = key.strip_prefix("arn:")?.split(':').nth(2)?;
    Some(region).filter(|region| !region.is_empty())
}

async fn aws(profile: Option<&str>, region: Option<&str>) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::latest());
    if let Some(profile) = profile {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = region {
        loader = loader.region(Region::new(region.to_owned()));
    }
    loader.load().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_s_region_is_read_from_its_arn() {
        let arn = "arn:aws:kms:eu-central-1:111122223333:key/1234";
        assert_eq!(region_of(arn), Some("eu-central-1"));
        assert_eq!(region_of("alias/backup"), None);
        assert!(is_key_arn(arn) && !is_key_arn("arn:aws:kms:eu-central-1:111122223333:alias/x"));
    }

    #[test]
    fn names_and_urls_are_told_apart() {
        assert!(["s3://b/p", "file:///x", "memory:"].iter().all(|url| is_url(url)));
        assert!(!is_url("offsite"));
    }
}
