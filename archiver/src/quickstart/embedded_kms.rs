//! The one file of this crate that knows the bundled KMS.

use std::path::Path;

use serde_json::{Value, json};
use strongroom_kms::{CallError, DataDir, Emulator, EmulatorConfig};

/// What the key is called, beside its ARN.
pub const ALIAS: &str = "alias/strongroom-quickstart";

/// A KMS on a free loopback port, with a key made for archives.
///
/// Dropping it stops it; its state lies in the folder that it was started with.
pub struct EmbeddedKms {
    emulator: Emulator,
    key: Key,
}

/// The key that the story ends with.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its ARN.
    pub arn: String,
    /// Its alias.
    pub alias: String,
    /// Where its material is, in words.
    pub origin: String,
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
    /// A step of the story was refused.
    #[error("the embedded KMS refused {operation}: {source}")]
    Step {
        /// The operation.
        operation: String,
        /// What it answered.
        source: CallError,
    },
    /// An answer without what it must have.
    #[error("the embedded KMS answered {operation} without {member}")]
    Incomplete {
        /// The operation.
        operation: String,
        /// The member that is missing.
        member: &'static str,
    },
}

impl EmbeddedKms {
    /// Starts the KMS with its state in `data_dir` and makes a key; `narrate` is told each step.
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
        let key = make_key(&emulator, narrate).await?;
        Ok(Self { emulator, key })
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

    /// The key.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Ends the server, waiting for what it is doing.
    pub async fn shutdown(self) {
        self.emulator.shutdown().await;
    }
}

async fn make_key(
    emulator: &Emulator,
    narrate: &mut (dyn FnMut(&str) + Send),
) -> Result<Key, EmbeddedKmsError> {
    let input = json!({ "Description": "archives of the quickstart" });
    let made = call(emulator, "TrentService.CreateKey", &input).await?;
    let metadata = |name: &'static str| {
        let value = made.pointer(&format!("/KeyMetadata/{name}")).and_then(Value::as_str);
        let operation = "CreateKey".to_owned();
        value.map(ToOwned::to_owned).ok_or(EmbeddedKmsError::Incomplete { operation, member: name })
    };
    let (arn, origin) = (metadata("Arn")?, metadata("Origin")?);
    narrate(&format!("CreateKey: {arn}, origin {origin}"));
    let input = json!({ "AliasName": ALIAS, "TargetKeyId": arn });
    call(emulator, "TrentService.CreateAlias", &input).await?;
    narrate(&format!("CreateAlias: {ALIAS}"));
    Ok(Key { arn, alias: ALIAS.to_owned(), origin })
}

async fn call(emulator: &Emulator, target: &str, input: &Value) -> Result<Value, EmbeddedKmsError> {
    emulator.call(target, input).await.map_err(|source| {
        let operation = target.rsplit('.').next().unwrap_or(target).to_owned();
        EmbeddedKmsError::Step { operation, source }
    })
}
