//! `strongroom cat`: the bytes of an archived file on standard output.

use std::io::{self, Write as _};

use clap::Args;
use strongroom::content::read;
use strongroom::entry::EntryKind;

use super::Global;
use super::connect::LocationArguments;
use super::entries::type_name;
use super::exit::Failure;
use super::output::Output;
use super::report::Report;
use super::select::{entry_path, find_node, find_snapshot};

/// Which file, and which part of it.
#[derive(Args)]
#[command(after_help = "\
Only what is asked for is read from the store. Every byte that comes out is authenticated; if a later
one is not, the output ends there and the exit code says so.

Examples:
  strongroom cat latest:etc/fstab
  strongroom cat 3f2a:images/disk.raw --offset 1048576 --length 512 | xxd
  strongroom cat latest:dumps/db.sql | psql")]
pub(super) struct Arguments {
    /// A snapshot's id, the beginning of one, or `latest`; a colon; a file's path in it.
    #[arg(value_name = "SNAPSHOT:PATH", value_parser = split)]
    file: (String, String),
    /// The first byte, counted from 0.
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    offset: u64,
    /// How many bytes [default: to the end].
    #[arg(long, value_name = "BYTES")]
    length: Option<u64>,
    #[command(flatten)]
    location: LocationArguments,
}

fn split(text: &str) -> Result<(String, String), String> {
    let (snapshot, path) = text.split_once(':').ok_or("there is no colon in it")?;
    Ok((snapshot.to_owned(), path.to_owned()))
}

pub(super) async fn run(
    arguments: Arguments,
    global: &Global,
    output: &Output,
) -> Result<(), Failure> {
    if output.is_json() {
        return Err(Failure::NoJson { command: "cat" });
    }
    let (snapshot, path) = &arguments.file;
    let wanted = entry_path(path)?;
    let location = arguments.location.open(global).await?;
    let snapshot = find_snapshot(&location, snapshot).await?;
    let missing =
        || Failure::NotInSnapshot { snapshot: snapshot.id.to_string(), path: path.clone() };
    let node = find_node(&location, &snapshot, &wanted).await?.ok_or_else(missing)?;
    if !matches!(node.entry.kind, EntryKind::File { .. }) {
        let kind = type_name(&node.entry.kind);
        return Err(Failure::NotAFile { path: path.clone(), kind });
    }
    let end = arguments.length.map_or(u64::MAX, |length| arguments.offset.saturating_add(length));
    // No bar: what is written may go to the same terminal.
    let report = Report::start(&output.clone().silent(), "reading");
    let mut stdout = io::stdout().lock();
    let write = |bytes: &[u8]| stdout.write_all(bytes).map_err(Failure::Output);
    read(&location, &node, arguments.offset..end, &report.control, write).await?;
    stdout.flush().map_err(Failure::Output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_colon_divides() {
        assert_eq!(split("latest:a:b"), Ok(("latest".to_owned(), "a:b".to_owned())));
        assert!(split("latest").is_err());
    }
}
