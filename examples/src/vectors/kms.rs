//! The KMS that vectors with KMS keys are tried against, if there is one.

use std::sync::Arc;

use aws_config::{BehaviorVersion, Region};
use strongroom_sdk::kms::KmsClient;
use strongroom_sdk::kms::aws::AwsKmsClient;

/// The Region that requests are signed for where the environment names none.
const REGION_DEFAULT: &str = "us-west-2";

/// A client of the KMS that the caller named, or none: then vectors with KMS keys are skipped.
#[derive(Clone, Default)]
pub struct KmsAccess {
    client: Option<Arc<dyn KmsClient>>,
}

impl KmsAccess {
    /// No KMS.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The KMS at the URL `endpoint`, with credentials and Region from where AWS clients look for them.
    pub async fn at(endpoint: &str) -> Self {
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).endpoint_url(endpoint);
        if std::env::var_os("AWS_REGION").is_none() {
            loader = loader.region(Region::new(REGION_DEFAULT));
        }
        let client = aws_sdk_kms::Client::new(&loader.load().await);
        Self { client: Some(Arc::new(AwsKmsClient::new(client))) }
    }

    pub(super) fn client(&self) -> Option<Arc<dyn KmsClient>> {
        self.client.clone()
    }
}
