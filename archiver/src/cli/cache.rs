//! `strongroom cache`: what is kept here of locations, and its end.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use strongroom::id::ObjectId;

use super::config::cache_folder;
use super::exit::Failure;
use super::output::{Output, bytes_text, counted};

/// The commands on the cache.
#[derive(Subcommand)]
pub(super) enum Command {
    /// Show what is kept here, by location.
    #[command(after_help = "\
Example:
  strongroom cache show")]
    Show,
    /// Remove what is kept here; the next commands read it from the store again.
    #[command(after_help = "\
Examples:
  strongroom cache clear
  strongroom cache clear 0f3a9c0e5b7d4c7e8a1b2c3d4e5f6071")]
    Clear(ClearArguments),
}

/// Whose part of the cache.
#[derive(Args)]
pub(super) struct ClearArguments {
    /// Ids of locations, as `strongroom cache show` lists them [default: all].
    #[arg(value_name = "ID", value_parser = location_id)]
    locations: Vec<ObjectId>,
}

/// What is kept of one location.
struct Part {
    location: ObjectId,
    folder: PathBuf,
    files: u64,
    bytes: u64,
}

impl Command {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Show => "cache show",
            Self::Clear(_) => "cache clear",
        }
    }
}

fn location_id(text: &str) -> Result<ObjectId, String> {
    ObjectId::from_hex(text).ok_or_else(|| "it is not 32 lower-case hexadecimal digits".to_owned())
}

pub(super) fn run(command: &Command, output: &Output) -> Result<(), Failure> {
    let Some(folder) = cache_folder() else {
        let source = io::Error::other("neither XDG_CACHE_HOME nor HOME is set");
        return Err(Failure::Cache { path: PathBuf::from("the cache"), source });
    };
    let parts = parts(&folder).map_err(|source| Failure::Cache { path: folder.clone(), source })?;
    match command {
        Command::Show => show(&folder, &parts, output),
        Command::Clear(arguments) => clear(&folder, parts, &arguments.locations, output),
    }
}

fn show(folder: &Path, parts: &[Part], output: &Output) -> Result<(), Failure> {
    let line = |part: &Part| {
        format!(
            "{}  {:>10}  {}",
            part.location,
            bytes_text(part.bytes),
            counted(part.files, "file")
        )
    };
    let mut lines = vec![folder.display().to_string()];
    lines.extend(parts.iter().map(line));
    output.result(&lines.join("\n"), || {
        json!({
            "folder": folder.to_string_lossy(),
            "locations": parts.iter().map(Part::members).collect::<Vec<Value>>(),
        })
    })
}

fn clear(
    folder: &Path,
    mut parts: Vec<Part>,
    wanted: &[ObjectId],
    output: &Output,
) -> Result<(), Failure> {
    parts.retain(|part| wanted.is_empty() || wanted.contains(&part.location));
    for part in &parts {
        fs::remove_dir_all(&part.folder)
            .map_err(|source| Failure::Cache { path: part.folder.clone(), source })?;
    }
    let bytes = parts.iter().map(|part| part.bytes).sum();
    let locations = counted(parts.len() as u64, "location");
    let human = format!("removed {} of {locations} from {}", bytes_text(bytes), folder.display());
    output.summary(&human, || {
        json!({
            "folder": folder.to_string_lossy(),
            "removed": parts.iter().map(Part::members).collect::<Vec<Value>>(),
        })
    })
}

impl Part {
    fn members(&self) -> Value {
        json!({ "id": self.location.to_string(), "files": self.files, "bytes": self.bytes })
    }
}

/// Every folder in the cache that is called like a location; nothing else is ever touched.
fn parts(folder: &Path) -> io::Result<Vec<Part>> {
    let listed = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed?,
    };
    let mut parts = Vec::new();
    for entry in listed {
        let entry = entry?;
        let id = entry.file_name().to_str().and_then(ObjectId::from_hex);
        if let (Some(location), true) = (id, entry.file_type()?.is_dir()) {
            let folder = entry.path();
            let (files, bytes) = measure(&folder)?;
            parts.push(Part { location, folder, files, bytes });
        }
    }
    parts.sort_unstable_by_key(|part| part.location);
    Ok(parts)
}

/// Files and bytes below `folder`; what vanishes meanwhile does not count.
fn measure(folder: &Path) -> io::Result<(u64, u64)> {
    let (mut files, mut bytes, mut folders) = (0, 0, vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next)? {
            let entry = entry?;
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => folders.push(entry.path()),
                Ok(metadata) => {
                    files += 1;
                    bytes += metadata.len();
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok((files, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_called_like_locations_are_parts() {
        let folder = tempfile::tempdir().unwrap();
        let id = ObjectId::random();
        fs::create_dir_all(folder.path().join(id.to_string()).join("index")).unwrap();
        fs::write(folder.path().join(id.to_string()).join("index/a"), b"12345").unwrap();
        fs::create_dir(folder.path().join("somebody-else")).unwrap();
        fs::write(folder.path().join(ObjectId::random().to_string()), b"a file").unwrap();
        let found = parts(folder.path()).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].location, found[0].files, found[0].bytes), (id, 1, 5));
        assert!(parts(&folder.path().join("missing")).unwrap().is_empty());
    }
}
