//! From a store's URL to a [`Store`].

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_kms::config::{ProvideCredentials, SharedCredentialsProvider};
use object_store::aws::{AmazonS3Builder, AwsCredential};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ClientOptions, CredentialProvider, ObjectStore, RetryConfig};

use super::Store;
use crate::error::{Error, Result};

/// How long a store that does not answer is tried again before the operation fails.
const RETRY_FOR: Duration = Duration::from_secs(30);

/// How often one request is tried again.
const RETRIES_MAX: usize = 6;

/// What is needed to reach a store, beside the URL itself.
///
/// The library reads no environment: the caller resolves the usual AWS places, for example with
/// `aws_config::load_defaults`, and hands the result in.
#[derive(Clone, Debug, Default)]
pub struct StoreOptions {
    /// The S3 endpoint, such as `http://127.0.0.1:9000`; AWS itself when absent.
    pub endpoint: Option<String>,
    /// The Region that requests are signed for; from `aws` or `us-east-1` when absent.
    pub region: Option<String>,
    /// Put the bucket into the host name; otherwise into the path, which every server accepts.
    pub virtual_hosted_style: bool,
    /// Credentials and Region.
    pub aws: Option<SdkConfig>,
    /// Create the folder of a `file://` store when it is missing.
    pub create_folder: bool,
}

/// Opens the store at `url`: `s3://bucket/prefix`, `file:///folder`, or `memory:` (which lives
/// and dies with the returned value).
///
/// Nothing is sent yet, except that a folder must exist or be creatable.
///
/// # Errors
/// [`Error::StoreUrl`] for a URL that names no store, [`Error::Store`] for a folder that cannot be
/// opened.
pub fn connect(url: &str, options: &StoreOptions) -> Result<Arc<Store>> {
    let (inner, root) = objects_at(url, options)?;
    Ok(Arc::new(Store::new(inner, root, url.to_owned())))
}

/// As [`connect`]: the objects as they are, and the prefix of those that the URL means.
///
/// # Errors
/// As [`connect`].
pub fn objects_at(url: &str, options: &StoreOptions) -> Result<(Arc<dyn ObjectStore>, Path)> {
    let reject = |reason| Error::StoreUrl { url: url.to_owned(), reason };
    let (scheme, rest) = url.split_once(':').ok_or_else(|| reject("it has no scheme"))?;
    Ok(match scheme {
        "s3" => {
            let rest = rest.strip_prefix("//").ok_or_else(|| reject("`//` is missing"))?;
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            if bucket.is_empty() {
                return Err(reject("it names no bucket"));
            }
            let root = Path::parse(prefix).map_err(|_| reject("its prefix is no object key"))?;
            (Arc::new(s3(url, bucket, options)?), root)
        }
        "file" => (Arc::new(folder(url, rest, options)?), Path::default()),
        "memory" => (Arc::new(InMemory::new()), Path::default()),
        _ => return Err(reject("only s3://, file:// and memory: are known")),
    })
}

fn folder(url: &str, rest: &str, options: &StoreOptions) -> Result<LocalFileSystem> {
    let reject = |reason| Error::StoreUrl { url: url.to_owned(), reason };
    let folder = rest.strip_prefix("//").ok_or_else(|| reject("`//` is missing"))?;
    if !folder.starts_with('/') {
        return Err(reject("a folder is named by its absolute path: file:///folder"));
    }
    let fail = |source| Error::Folder { folder: folder.into(), source };
    if options.create_folder {
        std::fs::create_dir_all(folder).map_err(fail)?;
    }
    std::fs::read_dir(folder).map_err(fail)?;
    let store = LocalFileSystem::new_with_prefix(folder)
        .map_err(|_| reject("the folder's path is no object key"))?;
    // An acknowledged object survives a power cut: without this, neither a file's bytes nor its
    // name would be on the disk when the snapshot that refers to it is.
    Ok(store.with_fsync(true))
}

fn s3(url: &str, bucket: &str, options: &StoreOptions) -> Result<impl ObjectStore + use<>> {
    let configured = options.aws.as_ref().and_then(|aws| aws.region()).map(ToString::to_string);
    let region = options.region.clone().or(configured).unwrap_or_else(|| "us-east-1".into());
    let retry = RetryConfig {
        max_retries: RETRIES_MAX,
        retry_timeout: RETRY_FOR,
        ..RetryConfig::default()
    };
    let plain = options.endpoint.as_deref().is_some_and(|e| e.starts_with("http://"));
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(region)
        .with_virtual_hosted_style_request(options.virtual_hosted_style)
        .with_retry(retry)
        .with_client_options(ClientOptions::new().with_allow_http(plain))
        // Bodies are authenticated by the encryption; over TLS their hash would only cost time.
        .with_unsigned_payload(!plain);
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    let credentials = options.aws.as_ref().and_then(SdkConfig::credentials_provider);
    match credentials {
        Some(credentials) => {
            builder = builder.with_credentials(Arc::new(AwsCredentials(credentials)));
        }
        None => builder = builder.with_skip_signature(true),
    }
    builder.build().map_err(|source| Error::Store {
        operation: crate::error::StoreOperation::Connect,
        object: bucket.to_owned(),
        store: url.to_owned(),
        source: Box::new(source),
    })
}

/// Lets `object_store` take its credentials from where the AWS SDK takes them.
#[derive(Debug)]
struct AwsCredentials(SharedCredentialsProvider);

#[async_trait]
impl CredentialProvider for AwsCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let credentials = self.0.provide_credentials().await.map_err(|source| {
            object_store::Error::Unauthenticated { path: String::new(), source: Box::new(source) }
        })?;
        Ok(Arc::new(AwsCredential {
            key_id: credentials.access_key_id().to_owned(),
            secret_key: credentials.secret_access_key().to_owned(),
            token: credentials.session_token().map(ToOwned::to_owned),
        }))
    }
}
