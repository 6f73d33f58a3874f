//! `strongroom rekey`: everything under other keys.

use std::sync::Arc;

use clap::Args;
use serde_json::json;
use strongroom::location::{Location, NewKeys};
use strongroom::rekey::{Rekeyed, rekey};

use super::Global;
use super::config::{ConfigFile, LocationConfig};
use super::connect::{self, LocationArguments, describe_key, kms_client_for};
use super::exit::Failure;
use super::output::{Output, bytes_text, counted};
use super::prune::OthersArguments;
use super::recipients::{self, RecipientArguments};
use super::report::{Report, seconds};

/// Which keys.
#[derive(Args)]
#[command(after_help = "\
Who can open the location is said whole: a key or recovery key that is not named here opens it no
more. Every object is read, and written under a new data key, so that this takes as long as storing
the location once more. Meanwhile it needs room for an eighth of it, and for 4 GiB at least. Where data
keys are hierarchical, only the branch keys are written anew, which takes a moment: what was stored before
stays readable for whoever has the old key and a copy of the old branch keys.

From the first moment other hosts need the new key: set it there with the same command, which finds
everything done, or with --key. Archives that had begun before are waited for. Interrupted at
whatever moment, the location stays whole, and the same command goes on from there. Keep the old key
until this has ended; after that nothing needs it, and nothing that it opens is believed. Under the
old keys this needs the rights of a collector and a restorer, under the new ones those of a writer too.

Examples:
  strongroom rekey --new-key alias/backup-2027
  strongroom rekey --location vault --new-key alias/backup \\
      --also-key arn:aws:kms:eu-west-1:111122223333:key/1234 --recovery-public-key recovery.pub
  strongroom rekey --new-key alias/backup-2027 --max-wait 1h --json")]
pub(super) struct Arguments {
    #[command(flatten)]
    location: LocationArguments,
    /// The CMK that the location is to be under: key id, ARN or alias.
    #[arg(long, value_name = "KEY")]
    new_key: String,
    #[command(flatten)]
    recipients: RecipientArguments,
    #[command(flatten)]
    others: OthersArguments,
}

pub(super) async fn run(
    arguments: Arguments,
    global: &Global,
    output: &Output,
) -> Result<(), Failure> {
    let reach = arguments.location.resolve(global)?;
    let named = &arguments.new_key;
    let key = describe_key(&kms_client_for(&reach, named).await, named).await?;
    let reach_new = LocationConfig {
        key: key.arn.clone(),
        key_name: Some(named.clone()).filter(|named| *named != key.arn),
        ..reach.clone()
    };
    let location = open(&reach, &reach_new).await?;
    let recipients = arguments.recipients.recipients(&reach_new, &key.arn).await?;
    let new = NewKeys {
        materials: recipients::materials(&reach_new, &key.arn, &recipients).await?,
        readers: recipients::readers(&reach_new, &key.arn, &recipients).await?,
        recipients,
    };
    let options = arguments.others.options(&location, output);
    let report = Report::start(output, "rekeying");
    let begun = || remember(&arguments.location, &reach_new, global, output);
    let rekeyed = rekey(&location, &new, &options, &report.control, begun).await?;
    if !rekeyed.changed {
        remember(&arguments.location, &reach_new, global, output);
    }
    tell(&rekeyed, &key.arn, &report, output)
}

/// Opens the location under the key that is known here, or under the new one: the exchange may have begun.
async fn open(
    reach: &LocationConfig,
    reach_new: &LocationConfig,
) -> Result<Arc<Location>, Failure> {
    match connect::open(reach).await {
        Ok(location) => Ok(location),
        // Where neither opens it, what was configured is what was meant.
        Err(failure) => connect::open(reach_new).await.map_err(|_| failure),
    }
}

/// Has the configuration name the key that opens the location from now on.
fn remember(
    arguments: &LocationArguments,
    reach: &LocationConfig,
    global: &Global,
    output: &Output,
) {
    let noted = ConfigFile::load(global.config.as_deref()).and_then(|mut file| {
        let name = arguments.name_in(&file);
        name.map(|name| file.set_key(&name, &reach.key, reach.key_name.clone())).transpose()
    });
    match noted {
        Ok(Some(())) => {}
        Ok(None) => output.note(&format!("strongroom: from now on give --key {}", reach.key)),
        Err(error) => output.note(&format!(
            "strongroom: warning: the key could not be noted: {error}; from now on give --key {}",
            reach.key
        )),
    }
}

fn tell(rekeyed: &Rekeyed, key: &str, report: &Report, output: &Output) -> Result<(), Failure> {
    let elapsed = report.finish();
    let human = if rekeyed.changed {
        format!(
            "everything is under {key}, and nothing under the keys of before\n  {} written anew, {}; {}, {}; {} awaited, {} fenced: {:.1} s",
            counted(rekeyed.packs.packs_repacked, "pack"),
            bytes_text(rekeyed.packs.bytes_copied),
            counted(rekeyed.runs, "index run"),
            counted(rekeyed.snapshots, "snapshot"),
            counted(rekeyed.packs.writers_awaited, "archive"),
            counted(rekeyed.packs.writers_fenced, "archive"),
            elapsed.as_secs_f64(),
        )
    } else {
        format!("everything was under {key} already")
    };
    output
        .summary(&human, || json!({ "seconds": seconds(elapsed), "key": key, "rekeyed": rekeyed }))
}
