//! `strongroom location remove`: a location is forgotten here, and on request at its store.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use strongroom::location::{Removal, UnverifiedFormat, plan_removal};

use crate::cli::Global;
use crate::cli::config::{ConfigFile, LocationConfig, cache_folder};
use crate::cli::connect::open_store;
use crate::cli::exit::Failure;
use crate::cli::output::{Output, bytes_text, counted, printable};
use crate::cli::question;
use crate::cli::report::Report;

/// Which location, and how much of it.
#[derive(Args)]
pub(in crate::cli) struct RemoveArguments {
    /// The location's name in the configuration file.
    name: String,
    /// Remove every object of it from its store too, for ever; asks for the name to be typed.
    #[arg(long)]
    data: bool,
    /// The name once more: the answer to that question, where nobody can be asked.
    #[arg(long, value_name = "NAME", requires = "data")]
    confirm: Option<String>,
}

pub(super) async fn run(
    arguments: RemoveArguments,
    global: &Global,
    output: &Output,
) -> Result<(), Failure> {
    let mut file = ConfigFile::load(global.config.as_deref())?;
    let reach = file.find(Some(&arguments.name))?.1.clone();
    let removed = match arguments.data {
        true => Some(remove_data(&arguments, &reach, output).await?),
        false => None,
    };
    file.remove(&arguments.name)?;
    let name = &arguments.name;
    let human = match &removed {
        Some(removal) => {
            format!("Removed location {name} and {} from {}.", objects(removal), reach.url)
        }
        None => format!(
            "Removed location {name} from the configuration; its data stay at {}.",
            reach.url
        ),
    };
    output.summary(&printable(&human), || -> Value {
        json!({ "location": name, "url": reach.url, "data": removed })
    })
}

async fn remove_data(
    arguments: &RemoveArguments,
    reach: &LocationConfig,
    output: &Output,
) -> Result<Removal, Failure> {
    let store = open_store(reach, false).await?;
    let id = UnverifiedFormat::read(&store).await?.format().location.clone();
    let removal = plan_removal(&store).await?;
    confirm(arguments, reach, &removal)?;
    let report = Report::start(output, "removing");
    removal.carry_out(&store, &report.control).await?;
    report.finish();
    if removal.foreign > 0 {
        let others = counted(removal.foreign, "object");
        output.note(&format!("strongroom: {others} at {} are none of ours and stay", reach.url));
    }
    drop_cache(&id);
    Ok(removal)
}

/// Nobody loses an archive by a slip of the hand: its name has to be typed.
fn confirm(
    arguments: &RemoveArguments,
    reach: &LocationConfig,
    removal: &Removal,
) -> Result<(), Failure> {
    let answer = match &arguments.confirm {
        Some(given) => given.clone(),
        None if question::can_ask() => question::ask(&printable(&format!(
            "This removes {} from {}, for ever.\nType the location's name to go on:",
            objects(removal),
            reach.url,
        )))
        .map_err(|source| Failure::Question { source })?,
        None => String::new(),
    };
    if answer == arguments.name {
        return Ok(());
    }
    Err(Failure::Unconfirmed { name: arguments.name.clone() })
}

fn objects(removal: &Removal) -> String {
    format!(
        "{} ({} in {})",
        counted(removal.snapshots, "snapshot"),
        bytes_text(removal.bytes),
        counted(removal.objects, "object"),
    )
}

/// What is kept here of the location: its names are nobody's business any more.
fn drop_cache(id: &str) {
    let is_id = strongroom::id::ObjectId::from_hex(id).is_some();
    if let Some(folder) = cache_folder().filter(|_| is_id) {
        let folder: PathBuf = folder.join(id);
        // `strongroom cache clear` is left to whoever sees that it stayed.
        let _ = std::fs::remove_dir_all(folder);
    }
}
