//! The one file of this crate that knows the bundled KMS.

use std::path::Path;

use strongroom_kms::story::{Plot, StoryError, play};
use strongroom_kms::{DataDir, Emulator, EmulatorConfig};

/// What the key is called, beside its ARN.
pub const ALIAS: &str = "alias/strongroom-quickstart";

/// A KMS on a free loopback port, with a custom key store on two simulated HSMs and a key in it.
///
/// Dropping it stops it; its state lies in the folder that it was started with.
pub struct EmbeddedKms {
    emulator: Emulator,
    key_arn: String,
    custom_key_store_id: String,
}

/// Why the KMS could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddedKmsError {
    /// The server did not start.
    #[error("the embedded KMS does not start: {0}")]
    Start(#[from] strongroom_kms::Error),
    /// The names of account and Region that it starts with are not accepted.
    #[error("the embedded KMS is set up wrongly: {0}")]
    Config(#[from] strongroom_kms::ids::MalformedId),
    /// A step on the way to the key failed.
    #[error("the embedded KMS has no key: {0}")]
    Story(#[from] StoryError),
}

impl EmbeddedKms {
    /// Starts the KMS with its state in `data_dir`, and plays the whole way to a key in HSMs: a
    /// cluster of two in two zones, initialised by an own authority, activated, a `kmsuser`, a custom
    /// key store, connected, a key with an alias. `narrate` is told each step when it is done.
    ///
    /// # Errors
    /// [`EmbeddedKmsError`], naming the step.
    pub async fn start(
        data_dir: &Path,
        narrate: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Self, EmbeddedKmsError> {
        let config = EmulatorConfig::loopback(DataDir::Persistent(data_dir.to_owned()))?;
        let emulator = Emulator::start(config).await?;
        narrate(&format!("the KMS listens at {}", emulator.endpoint()));
        let plot = Plot {
            key_store_name: "quickstart".to_owned(),
            alias: ALIAS.to_owned(),
            description: "archives of the quickstart".to_owned(),
        };
        let ending = play(&emulator, &plot, &mut |step| narrate(&step.to_string())).await?;
        let (key_arn, custom_key_store_id) = (ending.key_arn, ending.custom_key_store_id);
        Ok(Self { emulator, key_arn, custom_key_store_id })
    }

    /// The endpoint for KMS clients.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.emulator.endpoint()
    }

    /// The Region that requests are signed for.
    #[must_use]
    pub fn region(&self) -> String {
        self.emulator.region().to_string()
    }

    /// Access key id and secret access key of the account's root; keep them out of logs.
    #[must_use]
    pub fn access_key(&self) -> (&str, &str) {
        let root = self.emulator.credentials();
        (root.access_key_id, root.secret_access_key)
    }

    /// The ARN of the key.
    #[must_use]
    pub fn key_arn(&self) -> &str {
        &self.key_arn
    }

    /// The id of the custom key store that holds the key.
    #[must_use]
    pub fn custom_key_store_id(&self) -> &str {
        &self.custom_key_store_id
    }

    /// Ends the server, waiting for what it is doing.
    pub async fn shutdown(self) {
        self.emulator.shutdown().await;
    }
}
