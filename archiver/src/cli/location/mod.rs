//! `strongroom location`: archival locations and the names that they have here.

mod policy;
mod remove;

use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use strongroom::location::{CreateOptions, DataKeys, Location};
use strongroom::store::preflight;

use super::Global;
use super::config::{ConfigError, ConfigFile, LocationConfig};
use super::connect::{
    self, Key, LocationArguments, ReachArguments, describe_key, kms_client_for, open_store,
};
use super::exit::Failure;
use super::output::Output;
use super::recipients::{self, RecipientArguments};

/// The commands on locations.
#[derive(Subcommand)]
pub(super) enum Command {
    /// Make an archival location, after trying everything that it will need.
    #[command(after_help = "\
Examples:
  strongroom location create offsite s3://backups/laptop --key alias/backup
  strongroom location create lab s3://backups --endpoint http://127.0.0.1:9000 \\
      --key alias/backup --kms-endpoint http://127.0.0.1:4599
  strongroom location create usb file:///media/usb/archive --key alias/backup
  strongroom location create vault s3://vault --key alias/backup \\
      --also-key arn:aws:kms:eu-west-1:111122223333:key/1234 --recovery-public-key recovery.pub
  strongroom location create far s3://far --key alias/backup --data-keys hierarchical")]
    Create(CreateArguments),
    /// Make a location that exists already known here.
    #[command(after_help = "\
Example:
  strongroom location add offsite s3://backups/laptop --key alias/backup")]
    Add(NewArguments),
    /// List the locations that are known here.
    #[command(after_help = "\
Example:
  strongroom location list --json | jq -r '.locations[].name'")]
    List,
    /// Show one location: what it is, where it is, which key it is under.
    #[command(after_help = "\
Example:
  strongroom location show --location offsite")]
    Show(LocationArguments),
    /// Check that a location's store and key do all that they must.
    #[command(after_help = "\
Example:
  strongroom location check --location offsite")]
    Check(LocationArguments),
    /// Print the statements of the key's policy that a role needs.
    #[command(after_help = "\
Every data key is asked for with an encryption context that names the location and the kind of the
object, and these statements go by it. A writer reads no snapshot, so that it reads every file again
each time; what is stored is not sent again. Where data keys are hierarchical, a writer has the branch keys of what it
writes, and could read that. The statements are printed, not put in force: add them to the key's policy.

Examples:
  strongroom location policy writer --principal arn:aws:iam::111122223333:role/laptop
  strongroom location policy restorer --location offsite --json | jq .policy.Statement")]
    Policy(policy::PolicyArguments),
    /// Remove a location from the configuration, and on request all its data.
    #[command(after_help = "\
Examples:
  strongroom location remove offsite
  strongroom location remove offsite --data")]
    Remove(remove::RemoveArguments),
}

/// A location that gets a name.
#[derive(Args)]
pub(super) struct NewArguments {
    /// What the location is called here.
    name: String,
    /// Where it is: s3://BUCKET/PREFIX or file:///FOLDER.
    url: String,
    #[command(flatten)]
    reach: ReachArguments,
}

/// A location that is made.
#[derive(Args)]
pub(super) struct CreateArguments {
    #[command(flatten)]
    new: NewArguments,
    #[command(flatten)]
    recipients: RecipientArguments,
    /// What wraps the data key of each object.
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = DataKeysName::Direct)]
    data_keys: DataKeysName,
    /// How hard data is compressed.
    #[arg(long, value_name = "1..22", default_value_t = 3, value_parser = clap::value_parser!(i32).range(1..=22))]
    zstd_level: i32,
}

/// [`DataKeys`] as an argument.
#[derive(Clone, Copy, ValueEnum)]
enum DataKeysName {
    /// The CMK: the KMS makes every data key, and its policy tells writers, who read nothing back, from readers.
    Direct,
    /// Branch keys under the CMK: the KMS is asked a few times per run, and another CMK is a matter of seconds; who
    /// writes can read.
    Hierarchical,
}

impl From<DataKeysName> for DataKeys {
    fn from(name: DataKeysName) -> Self {
        match name {
            DataKeysName::Direct => Self::Direct,
            DataKeysName::Hierarchical => Self::Hierarchical,
        }
    }
}

impl Command {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Create(_) => "location create",
            Self::Add(_) => "location add",
            Self::List => "location list",
            Self::Show(_) => "location show",
            Self::Check(_) => "location check",
            Self::Policy(_) => "location policy",
            Self::Remove(_) => "location remove",
        }
    }
}

pub(super) async fn run(command: Command, global: &Global, output: &Output) -> Result<(), Failure> {
    match command {
        Command::Create(arguments) => {
            introduce(&arguments.new, Some(&arguments), global, output).await
        }
        Command::Add(arguments) => introduce(&arguments, None, global, output).await,
        Command::List => list(global, output),
        Command::Show(arguments) => show(&arguments, global, output).await,
        Command::Check(arguments) => check(&arguments, global, output).await,
        Command::Policy(arguments) => policy::run(arguments, global, output).await,
        Command::Remove(arguments) => remove::run(arguments, global, output).await,
    }
}

/// Makes a location if `create` says how, opens it otherwise, and remembers it by name.
async fn introduce(
    new: &NewArguments,
    create: Option<&CreateArguments>,
    global: &Global,
    output: &Output,
) -> Result<(), Failure> {
    let mut file = ConfigFile::load(global.config.as_deref())?;
    file.check_free(&new.name)?;
    let named =
        new.reach.key.clone().ok_or_else(|| ConfigError::Keyless { url: new.url.clone() })?;
    let mut reach =
        new.reach.over(LocationConfig { url: new.url.clone(), ..LocationConfig::default() });
    let key = describe_key(&kms_client_for(&reach, &named).await, &named).await?;
    reach.key.clone_from(&key.arn);
    reach.key_name = Some(named).filter(|named| *named != key.arn);
    let location = match create {
        Some(arguments) => Arc::new(make(arguments, &reach).await?),
        None => connect::open(&reach).await?,
    };
    file.add(&new.name, reach.clone())?;
    let did = if create.is_some() { "Created" } else { "Added" };
    let human = format!("{did} location {}.\n{}", new.name, describe(&location, &reach, &key));
    output.summary(&human, || members(&new.name, &location, &reach, &key))
}

async fn make(arguments: &CreateArguments, reach: &LocationConfig) -> Result<Location, Failure> {
    let recipients = arguments.recipients.recipients(reach, &reach.key).await?;
    let materials = recipients::materials(reach, &reach.key, &recipients).await?;
    let options = CreateOptions {
        zstd_level: arguments.zstd_level,
        readers: recipients::readers(reach, &reach.key, &recipients).await?,
        recipients,
        data_keys: arguments.data_keys.into(),
        ..CreateOptions::default()
    };
    let store = open_store(reach, true).await?;
    Ok(Location::create(store, materials, &options).await?)
}

fn list(global: &Global, output: &Output) -> Result<(), Failure> {
    let file = ConfigFile::load(global.config.as_deref())?;
    let locations = &file.config.locations;
    let width = locations.keys().map(String::len).max().unwrap_or(0);
    let lines: Vec<String> =
        locations.iter().map(|(name, reach)| format!("{name:width$}  {}", reach.url)).collect();
    output.result(&lines.join("\n"), || {
        let all = locations.iter().map(|(name, reach)| {
            json!({ "name": name, "url": reach.url, "key": reach.key, "endpoint": reach.endpoint })
        });
        json!({ "locations": all.collect::<Vec<Value>>() })
    })
}

async fn show(
    arguments: &LocationArguments,
    global: &Global,
    output: &Output,
) -> Result<(), Failure> {
    let reach = arguments.resolve(global)?;
    let location = connect::open(&reach).await?;
    let key = key_of(&reach).await?;
    output
        .result(&describe(&location, &reach, &key), || members(&reach.url, &location, &reach, &key))
}

/// Opening has had `keys/0` decrypted and compared with `format`; the store is tried anew.
async fn check(
    arguments: &LocationArguments,
    global: &Global,
    output: &Output,
) -> Result<(), Failure> {
    let reach = arguments.resolve(global)?;
    let key = key_of(&reach).await?;
    let location = connect::open(&reach).await?;
    let capabilities = preflight(location.store()).await?;
    if !capabilities.create_if_absent {
        output.note(NO_CONDITIONAL_PUT);
    }
    let human = format!(
        "The store does all that is asked of it, and the key opens the location.\n{}",
        describe(&location, &reach, &key)
    );
    output.summary(&human, || members(&reach.url, &location, &reach, &key))
}

/// What the KMS knows of the key, unless the recovery key takes its place.
async fn key_of(reach: &LocationConfig) -> Result<Key, Failure> {
    if reach.recovery_private_key.is_some() {
        return Ok(Key { arn: reach.key.clone(), origin: None, key_store: None });
    }
    describe_key(&kms_client_for(reach, &reach.key).await, &reach.key).await
}

const NO_CONDITIONAL_PUT: &str = "strongroom: warning: this store accepts create-if-absent and ignores \
it: let one host at a time collect garbage, and none while others write";

const IN_EXCHANGE: &str = "  warning: its keys are being exchanged, and some of it is under earlier ones yet: unless \
`strongroom rekey` is at work now, run it again";

fn describe(location: &Location, reach: &LocationConfig, key: &Key) -> String {
    let mut lines = vec![
        format!("  id      {}", location.id()),
        format!("  store   {}", reach.url),
        format!("  key     {}", key.arn),
    ];
    let recipients = &location.format().recipients;
    let others = recipients.keys.iter().filter(|other| **other != key.arn);
    lines.extend(others.map(|other| format!("  and     {other}")));
    let recovery = recipients.recovery.as_ref();
    lines.extend(recovery.map(|key| format!("  offline RSA key, SHA-256 {}", key.fingerprint)));
    lines.extend(reach.endpoint.as_ref().map(|endpoint| format!("  at      {endpoint}")));
    lines.extend(reach.kms_endpoint.as_ref().map(|endpoint| format!("  kms     {endpoint}")));
    let store = key.key_store.as_ref().map(|id| format!(" in custom key store {id}"));
    let origin = key.origin.as_ref();
    lines.extend(origin.map(|origin| format!("  origin  {origin}{}", store.unwrap_or_default())));
    if !location.format().data_keys.are_direct() {
        lines.push(
            "  with    hierarchical data keys: under branch keys, which that key opens".to_owned(),
        );
    }
    if location.is_in_exchange() {
        lines.push(IN_EXCHANGE.to_owned());
    }
    if !location.format().capabilities.create_if_absent {
        lines.push(NO_CONDITIONAL_PUT.replace("strongroom: ", "  "));
    }
    lines.join("\n")
}

fn members(name: &str, location: &Location, reach: &LocationConfig, key: &Key) -> Value {
    json!({
        "location": name,
        "id": location.id().to_string(),
        "url": reach.url,
        "endpoint": reach.endpoint,
        "kms_endpoint": reach.kms_endpoint,
        "key": key.arn,
        "key_name": reach.key_name,
        "key_origin": key.origin,
        "custom_key_store": key.key_store,
        "format": location.format(),
        "in_exchange": location.is_in_exchange(),
    })
}
