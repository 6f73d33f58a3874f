//! `strongroom man`: the manual's pages.

use std::io;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::exit::Failure;
use super::output::Output;

/// Which page.
#[derive(Args)]
#[command(after_help = "\
Examples:
  strongroom man archive | man -l -
  strongroom man --output-dir /usr/local/share/man/man1")]
pub(super) struct Arguments {
    /// The command that the page is about, such as `location create` [default: the whole program].
    command: Vec<String>,
    /// Write the pages of all commands into this folder, which is made if need be.
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    output_dir: Option<PathBuf>,
}

pub(super) fn run(arguments: Arguments, output: &Output) -> Result<(), Failure> {
    let command = super::command();
    if let Some(folder) = arguments.output_dir {
        let write = std::fs::create_dir_all(&folder)
            .and_then(|()| clap_mangen::generate_to(command, &folder));
        write.map_err(|source| Failure::Write { path: folder.clone(), source })?;
        return output.summary(
            &format!("wrote the pages into {}", folder.display()),
            || json!({ "folder": folder.to_string_lossy() }),
        );
    }
    let page = page(command, &arguments.command)?;
    output.result(page.trim_end(), || json!({ "page": page }))
}

/// The page of the command that `path` leads to.
fn page(mut command: clap::Command, path: &[String]) -> Result<String, Failure> {
    command.build();
    for name in path {
        let found = command.find_subcommand(name).cloned();
        command = found.ok_or_else(|| Failure::NoCommand { name: path.join(" ") })?;
    }
    let mut page = Vec::new();
    let rendered: io::Result<()> = clap_mangen::Man::new(command).render(&mut page);
    rendered.map_err(Failure::Output)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}
